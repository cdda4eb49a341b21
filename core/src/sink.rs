//! The contract of a sink: one writer a worker, and a commit that makes results visible at once.
//!
//! ```text
//! records --> Writer (one a worker) --pre_commit--> Committable --commit--> visible
//!                                                        '--------abort---> gone
//! ```
//!
//! Nothing that a writer does is visible to others until `commit`. A job commits when all workers
//! have ended without an error, so a failed job leaves no partial result.
//!
//! **Sources**: Flink's Sink V2 (`SinkWriter`, `CommittingSinkWriter`, `Committer`).

use crate::error::Result;
use crate::record::{Batch, Data};

/// A place into which records go.
pub trait Sink<T: Data>: Send + 'static {
    /// Opens the writer of one worker.
    ///
    /// - `worker`: its index, from 0.
    /// - `workers`: how many there are.
    ///
    /// # Errors
    /// When the sink cannot be written to.
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Writer<T>>>;
}

/// Writes the results of one worker.
pub trait Writer<T: Data>: 'static {
    /// Writes the records and leaves `batch` empty.
    ///
    /// # Errors
    /// When they could not be written; the job then ends and nothing of it becomes visible.
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()>;

    /// Makes everything written so far durable, though not visible yet.
    ///
    /// Called once, after the last record. `None` means that there is nothing to make visible.
    ///
    /// # Errors
    /// When it could not be made durable.
    fn pre_commit(&mut self) -> Result<Option<Box<dyn Committable>>>;
}

/// Results that are durable and wait for the verdict.
///
/// # Contract
/// - *Either or*: exactly one of `commit` and `abort` is called.
/// - *Idempotent*: after a failure the same verdict may be given again.
pub trait Committable: Send {
    /// Makes the results visible.
    ///
    /// # Errors
    /// When that failed; the results are then not visible.
    fn commit(&mut self) -> Result<()>;

    /// Throws the results away.
    fn abort(&mut self);
}
