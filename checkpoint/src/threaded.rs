//! The checkpoints of a job on a thread of their own, whichever process this is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use highwater_core::config::Config;
use highwater_core::error::{Error, Result};
use highwater_core::job::Job;
use highwater_core::worker::message_of;

use crate::background::Threads;
use crate::checkpoints::{Checkpoints, Requests};
use crate::driver::Follower;
use crate::options::CheckpointOptions;
use crate::storage::Storage;

/// What this process does for the checkpoints.
enum Part {
    /// It coordinates them.
    First(Box<Checkpoints>),
    /// It follows the one that does.
    Follower(Box<Follower>),
}

/// The checkpoints of a job, with the threads that they need.
pub struct Threaded {
    runtime: tokio::runtime::Runtime,
    part: Part,
}

impl std::fmt::Debug for Threaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threaded").field("attempt", &self.attempt()).finish_non_exhaustive()
    }
}

impl Threaded {
    /// Opens the checkpoints of a job; see [`Checkpoints::open`]. In a job of several processes the
    /// first one does that, and the others follow it.
    ///
    /// # Errors
    /// Those of [`Checkpoints::open`], when threads cannot be started, or when another process
    /// fails meanwhile.
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
        let part = match config.peers.clone().filter(|peers| peers.index() > 0) {
            Some(peers) => {
                let follower = Follower::open(&options, storage, config, peers);
                Part::Follower(Box::new(runtime.block_on(follower)?))
            }
            None => {
                let checkpoints = Checkpoints::open(options, storage, config);
                Part::First(Box::new(runtime.block_on(checkpoints)?))
            }
        };
        Ok(Threaded { runtime, part })
    }

    /// Returns which start of the job this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        match &self.part {
            Part::First(checkpoints) => checkpoints.attempt(),
            Part::Follower(follower) => follower.attempt(),
        }
    }

    /// Takes the checkpoints of a job from now on.
    #[must_use]
    pub fn start(self, job: &Arc<Job>) -> Running {
        let Threaded { runtime, part } = self;
        let (ended, requests) = match &part {
            Part::First(checkpoints) => {
                (Arc::clone(&checkpoints.ended), Some(checkpoints.requests()))
            }
            Part::Follower(_) => (Arc::default(), None),
        };
        let (job, over) = (Arc::clone(job), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            let lived = catch_unwind(AssertUnwindSafe(|| match part {
                Part::First(checkpoints) => {
                    let (begin, clock) = (Instant::now(), Arc::clone(&job.config().clock));
                    let now = move || (begin.elapsed(), clock.now_ms());
                    runtime.block_on(checkpoints.drive(&job, Arc::new(Threads), now));
                }
                Part::Follower(follower) => {
                    runtime.block_on(follower.run(Arc::clone(&job), Arc::new(Threads), over));
                }
            }));
            if let Err(panic) = lived {
                job.fail(Error::Start { message: message_of(&*panic) });
            }
        });
        Running { requests, ended, thread: Some(thread) }
    }
}

/// The checkpoints of a job that runs, on a thread of their own.
#[derive(Debug)]
pub struct Running {
    requests: Option<Requests>,
    /// Set when the workers have ended.
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Returns what asks for savepoints; `None` in a process that only follows.
    #[must_use]
    pub fn requests(&self) -> Option<Requests> {
        self.requests.clone()
    }

    /// Waits until everything is written, after the workers have ended.
    pub fn end(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
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
