//! Where part files go, and how they become visible there.

use std::fmt::Debug;
use std::fs::File;

use serde::{Deserialize, Serialize};
use tempfile::TempPath;

use highwater_core::error::{Error, Result};
use highwater_core::sink::WriterContext;

use super::name::Naming;

/// A folder of files or of objects.
///
/// # Contract
/// - *Idempotent*: `show` and `remove` may be called again with the same argument, also by another
///   process and at the same time; the state after all calls is the same.
pub(crate) trait Place: Debug + Send + Sync {
    /// Makes the place ready to be written to.
    fn make(&self) -> Result<()>;

    /// Returns the name of some visible file, if there is one.
    fn any_visible(&self) -> Result<Option<String>>;

    /// Returns the error that says that results are there already.
    fn occupied(&self, found: String) -> Error;

    /// Lists the visible files that are named like those of a sink, sorted.
    fn results(&self, naming: &Naming) -> Result<Vec<OldFile>>;

    /// Creates a file for a part, which is removed when its path is dropped.
    fn create(&self, naming: &Naming, context: WriterContext) -> Result<(File, TempPath)>;

    /// Makes a part durable, though not visible. It is not removed any more unless this fails.
    ///
    /// - `name`: the visible name it is to have.
    /// - `replaces`: whether it takes the place of an old result of that name.
    fn stage(&self, file: File, path: TempPath, name: &str, replaces: bool) -> Result<StagedPart>;

    /// Gives a part its visible name.
    fn show(&self, part: &StagedPart) -> Result<()>;

    /// Throws a part away that is not visible. What cannot be removed stays hidden.
    fn discard(&self, part: &StagedPart);

    /// Removes old results, of those that are still what they were.
    fn remove(&self, old: &OldFiles) -> Result<()>;

    /// Returns what stands for the place in payloads.
    fn folder(&self) -> &str;

    /// Removes the hidden files that attempts of a sink before this one have left.
    fn sweep(&self, naming: &Naming, attempt: u64) -> Result<()>;
}

/// A part that is durable and not visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedPart {
    pub(crate) folder: String,
    /// Its name until it is visible.
    pub(crate) hidden: String,
    /// Its name from then on.
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) replaces: bool,
}

/// A result of an earlier job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OldFile {
    pub(crate) name: String,
    /// What tells the file from another one of that name.
    pub(crate) version: String,
}

/// Results of an earlier job that go away with the first commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OldFiles {
    pub(crate) folder: String,
    pub(crate) files: Vec<OldFile>,
}

/// What is written into checkpoints for a later attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Prepared {
    /// A file to be shown.
    Show(StagedPart),
    /// Old results to be removed.
    Remove(OldFiles),
}

impl Prepared {
    /// Reads a payload.
    pub(crate) fn parse(payload: &str) -> Result<Self> {
        serde_json::from_str(payload).map_err(|_| {
            Error::state(format!("{payload:?} is not what a sink of files had prepared"))
        })
    }

    /// Returns the payload.
    pub(crate) fn to_payload(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::state)
    }

    /// Makes it so.
    pub(crate) fn commit(&self, place: &dyn Place) -> Result<()> {
        match self {
            Prepared::Show(part) => place.show(part),
            Prepared::Remove(old) => place.remove(old),
        }
    }
}
