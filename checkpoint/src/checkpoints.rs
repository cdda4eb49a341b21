//! The checkpoints of one job: opened before it, run beside it, ended after it.
//!
//! ```text
//! Checkpoints::open(options, config)   fence the log, read what to go on from, set config.snapshots
//!     --> Job::new(config) --> Checkpoints::drive(job) --> ends with the workers, when all is written
//!                                                   '-- Requests: savepoint(url), stop(then, url)
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use highwater_core::config::Config;
use highwater_core::cut::Snapshots;
use highwater_core::error::{Error, Result};
use highwater_core::failpoint::reach;
use highwater_core::job::Job;
use highwater_core::time::Epoch;

use crate::background::Offload;
use crate::coordinator::{Request, Status, Then};
use crate::driver::{Asked, Driver, Opening, Told, tell_all};
use crate::error::StorageError;
use crate::garbage::Garbage;
use crate::log::{Attempt, Completed, fence};
use crate::options::{CheckpointOptions, Restore};
use crate::process::{Process, Taken};
use crate::restore::Restored;
use crate::savepoint::Savepoint;
use crate::storage::Storage;

/// The checkpoints of a job that has not started yet.
pub struct Checkpoints {
    pub(crate) options: CheckpointOptions,
    pub(crate) storage: Storage,
    pub(crate) attempt: Attempt,
    pub(crate) garbage: Garbage,
    /// The checkpoint whose results the sinks make visible when they are opened.
    pub(crate) unfinished: Option<Completed>,
    pub(crate) process: Arc<Process>,
    pub(crate) taken: mpsc::UnboundedReceiver<Taken>,
    asks: mpsc::UnboundedSender<Asked>,
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
    /// Set when the workers have ended.
    pub(crate) ended: Arc<AtomicBool>,
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoints").field("storage", &self.storage).finish_non_exhaustive()
    }
}

impl Checkpoints {
    /// Makes this start of the job the only one that can complete checkpoints, reads what it goes
    /// on from, and lets the job take part.
    ///
    /// - `config`: of the job; `snapshots` and, when it goes on, `max_parallelism` are set.
    ///
    /// # Errors
    /// When an option is not allowed, the storage cannot be used, or what the job is to go on from
    /// cannot be read.
    pub async fn open(
        options: CheckpointOptions,
        storage: Storage,
        config: &mut Config,
    ) -> Result<Self> {
        options.check()?;
        if options.claim {
            check_claim(&options.restore).await?;
        }
        reach("fence-before")?;
        let (mut attempt, history) = fence(&storage).await?;
        reach("fence-after")?;
        let restored = Restored::read(&options.restore, &storage, &attempt, &history).await?;
        reach("parts-read")?;
        adopt(&restored, config)?;
        attempt.retain(options.retained);
        attempt.goes_on_from(restored.from());
        let garbage = Garbage::new(&storage, attempt.number(), &history).await;
        garbage.sweep(&history).await;
        if let Some(peers) = &config.peers {
            let (attempt, first) = (attempt.number(), restored.first().0);
            let whence = restored.whence().clone();
            tell_all(&**peers, &Told::Opening(Opening { attempt, first, whence }))?;
        }
        let unfinished = restored.unfinished().cloned();
        let (sender, taken) = mpsc::unbounded();
        let process = Arc::new(Process::new(attempt.number(), restored, sender));
        config.snapshots = Some(Arc::clone(&process) as Arc<dyn Snapshots>);
        let (asks, asked) = mpsc::unbounded();
        Ok(Checkpoints {
            options,
            storage,
            attempt,
            garbage,
            unfinished,
            process,
            taken,
            asks,
            asked,
            ended: Arc::default(),
        })
    }

    /// Returns which start of the job this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.attempt.number()
    }

    /// Returns the first epoch of the job, and whether it goes on from a checkpoint.
    #[must_use]
    pub fn begins(&self) -> (Epoch, bool) {
        (self.process.first_epoch(), self.process.resumes())
    }

    /// Returns what asks for savepoints while the job runs.
    #[must_use]
    pub fn requests(&self) -> Requests {
        Requests { asks: self.asks.clone(), ended: Arc::clone(&self.ended) }
    }

    /// Returns the loop that takes the checkpoints of a job, to be polled by the caller.
    ///
    /// - `offload`: where work is done that takes long.
    /// - `now`: the time since the start, and since 1970 in ms.
    pub fn drive<F: Fn() -> (Duration, i64) + 'static>(
        self,
        job: &Arc<Job>,
        offload: Arc<dyn Offload>,
        now: F,
    ) -> impl Future<Output = ()> + use<F> {
        Driver::new(self, job, offload).run(now)
    }
}

/// Refuses to claim the checkpoints of another job.
async fn check_claim(restore: &Restore) -> Result<()> {
    let Restore::From(url) = restore else { return Ok(()) };
    match Savepoint::load(url).await {
        Err(StorageError::Missing { .. }) => {
            Err(Error::option("--claim", true, format!("a savepoint at {url}")))
        }
        loaded => loaded.map(drop).map_err(Error::state),
    }
}

/// Takes over what a checkpoint has fixed for ever.
pub(crate) fn adopt(restored: &Restored, config: &mut Config) -> Result<()> {
    let Some(stored) = restored.max_parallelism() else { return Ok(()) };
    match config.max_parallelism {
        Some(given) if given != stored => {
            let expected = format!("{stored}, the number of key groups of the checkpoint");
            Err(Error::option("--max-parallelism", given, expected))
        }
        _ if config.total_workers() > stored as usize => {
            let expected = format!("at most {stored}, the number of key groups of the checkpoint");
            Err(Error::option("--workers", config.total_workers(), expected))
        }
        _ => {
            config.max_parallelism = Some(stored);
            Ok(())
        }
    }
}

/// Asks the loop for savepoints, and tells it when the workers have ended.
#[derive(Clone, Debug)]
pub struct Requests {
    asks: mpsc::UnboundedSender<Asked>,
    ended: Arc<AtomicBool>,
}

impl Requests {
    /// Asks for a savepoint; the answer is the number of its checkpoint, or why there is none.
    pub fn ask(&self, url: Option<String>, then: Then) -> Answer {
        let (sender, answer) = oneshot::channel();
        // If the loop has ended, the answer is that nobody answers.
        let _ = self.asks.unbounded_send(Asked::Savepoint(Request { url, then }, sender));
        answer
    }

    /// Asks for a savepoint as [`ask`](Self::ask) does, and waits for the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub fn wait(&self, url: Option<String>, then: Then) -> Result<Epoch, String> {
        let answer = futures_executor::block_on(self.ask(url, then));
        answer.unwrap_or_else(|_| Err("the job has ended".to_owned()))
    }

    /// Returns how far the checkpoints have come, `None` when the job has ended.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let (sender, status) = oneshot::channel();
        let _ = self.asks.unbounded_send(Asked::Status(sender));
        futures_executor::block_on(status).ok()
    }

    /// Says that the workers have ended, so that the loop does.
    pub fn workers_ended(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

/// The number of the checkpoint of a savepoint, or why there is none.
pub type Answer = oneshot::Receiver<Result<Epoch, String>>;
