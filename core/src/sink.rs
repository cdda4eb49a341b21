//! The contract of a sink: one writer a worker, and a commit that makes results visible at once.
//!
//! ```text
//! records --> Writer (one a worker) --pre_commit: the epoch ends--> Committable
//!                                                       | prepare: durable, any thread
//!                                            the checkpoint is complete, or the job has ended
//!                                                       |-- commit --> visible
//!                                                       '-- abort  --> gone
//! a later attempt: Sink::recover(what was prepared and is committed) --> visible, all else gone
//! ```
//!
//! Nothing that a writer does is visible to others until `commit`. A job without checkpoints commits
//! when all workers have ended without an error, so a failed job leaves no partial result. A job
//! with checkpoints commits with each of them what was written before it.
//!
//! **Invariant** I9: what was written before checkpoint `c` becomes visible only after `c` is in the
//! log, and then always.
//!
//! **Sources**: Flink's Sink V2 (`SinkWriter`, `CommittingSinkWriter`, `Committer`).

use crate::error::{Error, Result};
use crate::record::{Batch, Data};
use crate::time::Epoch;

/// What a sink is told about the worker for which it opens a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterContext {
    /// The index of the worker, from 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
    /// Which start of the job this is, from 1; `None` if the job takes no checkpoints. Two starts
    /// may be alive at once, of which only the last may become visible.
    pub attempt: Option<u64>,
    /// Whether the job goes on from a checkpoint, so that the sink may hold its results already.
    pub resumes: bool,
}

impl WriterContext {
    /// Returns the context of a worker in a job that takes no checkpoints.
    #[must_use]
    pub fn new(worker: usize, workers: usize) -> Self {
        WriterContext { worker, workers, attempt: None, resumes: false }
    }
}

/// A place into which records go.
pub trait Sink<T: Data>: Send + 'static {
    /// Opens the writer of one worker.
    ///
    /// # Errors
    /// When the sink cannot be written to.
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer<T>>>;

    /// Finishes what earlier attempts of the job have begun: commits what they had prepared and the
    /// log says is committed, again or for the first time, and then throws away everything else
    /// that they left behind. Called once, before any writer of any process is opened, by a job that
    /// takes checkpoints.
    ///
    /// - `attempt`: which start of the job this is. What this attempt or a later one has written is
    ///   left alone: another process of this attempt may write already, and this one may have been
    ///   stopped while a later one was started.
    /// - `committed`: what [`Committable::prepare`] returned, in the order of the epochs.
    ///
    /// # Errors
    /// When something could not be committed.
    fn recover(&self, _attempt: u64, _committed: &[String]) -> Result<()> {
        Ok(())
    }

    /// Takes back what became visible with checkpoints after this one, of attempts before this one:
    /// the job goes on from it, as those after it are damaged, and makes their results once more.
    /// Called after [`recover`](Self::recover). A sink that cannot take results back says so, and
    /// the job does not begin.
    ///
    /// # Errors
    /// When something could not be taken back.
    fn undo(&self, _attempt: u64, after: Epoch) -> Result<()> {
        Err(Error::state(format!(
            "this sink cannot take back what was committed after checkpoint {}, of which no \
             undamaged checkpoint is left",
            after.0
        )))
    }
}

/// Writes the results of one worker.
pub trait Writer<T: Data>: 'static {
    /// Writes the records and leaves `batch` empty.
    ///
    /// # Errors
    /// When they could not be written; the job then ends and nothing of it becomes visible.
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()>;

    /// Seals everything written since the last call; what is slow about it is left to
    /// [`Committable::prepare`].
    ///
    /// - `epoch`: the one that ends; called once more after the last record.
    ///
    /// # Errors
    /// When it could not be sealed; the job then ends.
    fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<Box<dyn Committable>>>;
}

/// Results that are sealed and wait for the verdict.
///
/// # Contract
/// - *Prepared first*: `prepare` is called once, before `commit`.
/// - *Either or*: exactly one of `commit` and `abort` is called, or neither if the process dies.
/// - *Idempotent*: after a failure the same verdict may be given again, also by
///   [`Sink::recover`] in another process, and also while this one is still about it.
pub trait Committable: Send {
    /// Makes the results durable, though not visible; on any thread.
    ///
    /// - output: what [`Sink::recover`] needs to commit them in another process.
    ///
    /// # Errors
    /// When they could not be made durable; the job then ends.
    fn prepare(&mut self) -> Result<String>;

    /// Makes the results visible.
    ///
    /// # Errors
    /// When that failed; the results are then not visible.
    fn commit(&mut self) -> Result<()>;

    /// Throws the results away.
    fn abort(&mut self);
}
