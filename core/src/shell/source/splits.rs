//! What a checkpoint keeps of a source: its splits, and how far each has been read.
//!
//! ```text
//! trigger --> SplitSnapshot of every split --> SourceStates::freeze --> cut
//! restore --> SourceStates::restored --> the splits of this worker --> Source::resume
//! ```
//!
//! Splits and offsets are kept as JSON, so that people and tools can read where a source stood. When
//! a job goes on with another number of workers, its splits are dealt out anew.

use serde::{Deserialize, Serialize};

use crate::cut::Cut;
use crate::error::{Error, Result};

/// One split, and how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSnapshot {
    /// The split, as JSON.
    pub split: String,
    /// The place behind the last record that was emitted, as JSON.
    pub offset: String,
    /// What the watermark generator said of itself.
    pub generator: String,
    /// The stamp that the split promises, in ms.
    pub stamp: i64,
    /// Whether it had fallen silent.
    pub idle: bool,
    /// Whether it has been read to its end.
    pub finished: bool,
}

/// Keeps the splits of a source on one worker in the state of the job.
pub trait SourceStates {
    /// Returns the splits of this worker, `None` if the source begins anew.
    fn restored(&self) -> Option<&[SplitSnapshot]>;

    /// Freezes the splits of this worker.
    fn freeze(&mut self, splits: Vec<SplitSnapshot>, cut: &mut Cut);
}

/// Returns a split or an offset as it is stored.
///
/// # Errors
/// When its type cannot be written as JSON.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(Error::state)
}

/// Reads a split or an offset as it was stored.
///
/// - `what`: for the message.
///
/// # Errors
/// When it is not of the type that the source has now.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| {
        Error::state(format!("the stored {what} {text} is not one of this source: {cause}"))
    })
}
