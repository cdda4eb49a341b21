//! The contract of a source: splits that can be read side by side, readers that never block.
//!
//! ```text
//! Source --splits()--> [Split] --open(split)-----------> Reader --poll--> records
//!                                                          | offset(), at every checkpoint
//!        stored splits --resume(split, offset)--> Reader --'
//! ```
//!
//! A split is a part of the input with an order of its own: a file, a range, a partition. Split `i`
//! is read by worker `i mod workers`, several splits of one worker in turn. Watermarks are made per
//! split and merged by minimum, so that one slow file is never overtaken by another's clock.
//!
//! **Sources**: Flink's FLIP-27 (`Source`, `SourceSplit`, `SourceReader`), without the enumerator
//! process: the list of splits is made once, by whichever worker of the first process asks first.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::record::{Batch, Data};

/// Whether a source ends. A job ends when all its sources do; a batch is nothing but that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundedness {
    /// The source ends by itself.
    Bounded,
    /// The source may go on for ever.
    Unbounded,
}

/// What a reader has after one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// There may be more records at once.
    More,
    /// There is nothing now; ask again after this long, or sooner.
    Pending(Duration),
    /// The split is exhausted and will not be polled again.
    End,
}

/// A place from which records come, divided into splits.
///
/// # Contract
/// - *Same everywhere*: `splits` is called once, and its answer shared by the workers of all processes.
/// - *Cheap*: `splits` and `open` do not read the data.
/// - *Replayable*: a reader that resumes at an offset yields what the reader that gave the offset
///   has not yet yielded. A source that cannot, such as a socket, says so: a job that reads it and
///   is restored loses what was on its way.
pub trait Source: Clone + Send + 'static {
    /// What it yields.
    type Item: Data;
    /// A part that is read by one worker; stored in checkpoints.
    type Split: Clone + Send + Sync + Serialize + DeserializeOwned + 'static;
    /// What reads a split.
    type Reader: Reader<Item = Self::Item>;

    /// Returns whether the source ends by itself.
    fn boundedness(&self) -> Boundedness;

    /// Lists the splits, in a fixed order.
    ///
    /// - `parallelism`: how many workers will read; a source that can be divided at will makes as
    ///   many splits.
    ///
    /// # Errors
    /// When the input cannot be found or listed.
    fn splits(&self, parallelism: usize) -> Result<Vec<Self::Split>>;

    /// Opens a split for reading, at its beginning.
    ///
    /// # Errors
    /// When the split cannot be opened.
    fn open(&self, split: &Self::Split) -> Result<Self::Reader>;

    /// Opens a split of a checkpoint for reading, where a reader of it had come to.
    ///
    /// # Errors
    /// When the split cannot be opened, or has no such place any more.
    fn resume(
        &self,
        split: &Self::Split,
        offset: &<Self::Reader as Reader>::Offset,
    ) -> Result<Self::Reader>;
}

/// Reads one split.
///
/// # Contract
/// - *Never blocks*: `poll` returns [`Poll::Pending`] rather than wait.
/// - *Bounded*: `poll` appends about `limit` records at the most.
/// - *Resumable*: it goes on where the last poll stopped.
pub trait Reader: 'static {
    /// What it yields.
    type Item: Data;
    /// A place in the split; stored in checkpoints.
    type Offset: Serialize + DeserializeOwned;

    /// Returns the place behind the last record that was yielded.
    fn offset(&self) -> Self::Offset;

    /// Appends up to `limit` records to `out`. A source that knows no event time uses
    /// [`NO_EVENT_TIME`](crate::time::NO_EVENT_TIME).
    ///
    /// # Errors
    /// When the input cannot be read or is not what the program asked for; the job then ends.
    fn poll(&mut self, out: &mut Batch<Self::Item>, limit: usize) -> Result<Poll>;
}
