//! The checkpoints of one job: opened before it, run beside it, ended after it.
//!
//! ```text
//! Checkpoints::open(options, config)   fence the log, read what to go on from, set config.snapshots
//!     --> Job::new(config) --> Checkpoints::start(job) --> Running --end()--> all is written
//!                                                             '-- savepoint(url), stop(then, url)
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_channel::{mpsc, oneshot};
use highwater_core::config::Config;
use highwater_core::cut::Snapshots;
use highwater_core::error::{Error, Result};
use highwater_core::failpoint::reach;
use highwater_core::job::Job;
use highwater_core::time::Epoch;
use highwater_core::worker::message_of;

use crate::background::{Offload, Threads};
use crate::coordinator::{Coordinator, Request, Start, Status, Then};
use crate::driver::{Asked, Driver};
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
    options: CheckpointOptions,
    storage: Storage,
    attempt: Attempt,
    garbage: Garbage,
    unfinished: Option<Completed>,
    process: Arc<Process>,
    taken: mpsc::UnboundedReceiver<Taken>,
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
        let restored = Restored::read(&options.restore, &storage, &history).await?;
        reach("parts-read")?;
        adopt(&restored, config)?;
        attempt.retain(options.retained);
        attempt.goes_on_from(restored.from());
        let garbage = Garbage::new(&storage, attempt.number(), &history).await;
        garbage.sweep(&history).await;
        let unfinished = restored.unfinished().cloned();
        let (sender, taken) = mpsc::unbounded();
        let process = Arc::new(Process::new(attempt.number(), restored, sender));
        config.snapshots = Some(Arc::clone(&process) as Arc<dyn Snapshots>);
        Ok(Checkpoints { options, storage, attempt, garbage, unfinished, process, taken })
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

    /// Returns the loop that takes the checkpoints of a job, to be polled by the caller.
    ///
    /// - `offload`: where work is done that takes long.
    /// - `now`: the time since the start, and since 1970 in ms.
    pub fn drive<F: Fn() -> (Duration, i64) + 'static>(
        self,
        job: &Arc<Job>,
        offload: Arc<dyn Offload>,
        now: F,
    ) -> (impl Future<Output = ()> + use<F>, Requests) {
        let start = Start {
            attempt: self.attempt.number(),
            first: self.process.first_epoch(),
            max_parallelism: job.key_groups().count(),
            workers: job.config().workers,
        };
        let (asks, asked) = mpsc::unbounded();
        let ended = Arc::new(AtomicBool::new(false));
        let driver = Driver {
            coordinator: Coordinator::new(self.options.clone(), start),
            options: self.options,
            job: Arc::clone(job),
            process: self.process,
            storage: self.storage,
            attempt: self.attempt,
            garbage: self.garbage,
            offload,
            taken: self.taken,
            asked,
            ended: Arc::clone(&ended),
            unfinished: self.unfinished,
        };
        (driver.run(now), Requests { asks, ended })
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
fn adopt(restored: &Restored, config: &mut Config) -> Result<()> {
    let Some(stored) = restored.max_parallelism() else { return Ok(()) };
    match config.max_parallelism {
        Some(given) if given != stored => {
            let expected = format!("{stored}, the number of key groups of the checkpoint");
            Err(Error::option("--max-parallelism", given, expected))
        }
        _ if config.workers > stored as usize => {
            let expected = format!("at most {stored}, the number of key groups of the checkpoint");
            Err(Error::option("--workers", config.workers, expected))
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
    #[must_use]
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

/// The checkpoints of a job that runs, on a thread of their own.
#[derive(Debug)]
pub struct Running {
    requests: Requests,
    thread: Option<JoinHandle<()>>,
}

/// The checkpoints of a job, with the threads that they need.
#[derive(Debug)]
pub struct Threaded {
    runtime: tokio::runtime::Runtime,
    checkpoints: Checkpoints,
}

impl Threaded {
    /// Opens the checkpoints of a job; see [`Checkpoints::open`].
    ///
    /// # Errors
    /// Those of [`Checkpoints::open`], and when threads cannot be started.
    pub fn open(options: CheckpointOptions, config: &mut Config) -> Result<Self> {
        options.check()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("checkpoints")
            .enable_all()
            .build()
            .map_err(|cause| Error::Start { message: cause.to_string() })?;
        let storage = Storage::open(&options.url).map_err(Error::state)?;
        let checkpoints = runtime.block_on(Checkpoints::open(options, storage, config))?;
        Ok(Threaded { runtime, checkpoints })
    }

    /// Returns the checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Takes the checkpoints of a job from now on.
    #[must_use]
    pub fn start(self, job: &Arc<Job>) -> Running {
        let (begin, clock) = (Instant::now(), Arc::clone(&job.config().clock));
        let now = move || (begin.elapsed(), clock.now_ms());
        let (job, runtime) = (Arc::clone(job), self.runtime);
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (driver, requests) = self.checkpoints.drive(&job, Arc::new(Threads), now);
            // The caller waits for it.
            let _ = sender.send(requests);
            let lived = catch_unwind(AssertUnwindSafe(|| runtime.block_on(driver)));
            if let Err(panic) = lived {
                job.fail(Error::Start { message: message_of(&*panic) });
            }
        });
        let requests = receiver.recv().unwrap_or_else(|_| {
            let (asks, _) = mpsc::unbounded();
            Requests { asks, ended: Arc::default() }
        });
        Running { requests, thread: Some(thread) }
    }
}

impl Running {
    /// Returns what asks for savepoints.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// Waits until everything is written, after the workers have ended.
    pub fn end(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.requests.workers_ended();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoints of the job panicked");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.join();
    }
}
