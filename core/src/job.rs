//! What all workers of a job share: its options, its plan, its counters and its end.
//!
//! Every worker builds the same dataflow from the same program. The [plan](crate::plan) is written
//! down by each of them and compared before a record flows.

mod wide;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

use timely::scheduling::SyncActivator;

use crate::across::Across;
use crate::config::{Config, Mode};
use crate::credit::Edge;
use crate::error::{Error, Result};
use crate::key::KeyGroups;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::sink::Committable;
use crate::time::Epoch;

pub use crate::across::Totals;

/// How far a job is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Sources are read; those that take part in checkpoints stay when they have ended.
    Running = 0,
    /// Sources end, whatever they still have.
    Draining = 1,
    /// Sources that have ended leave.
    Released = 2,
    /// Workers stop where they are.
    Halted = 3,
}

/// The kind under which workers share their edges.
pub(crate) const EDGE: &str = "edge";

/// Values that the workers share, by name.
type MeetingPoints = BTreeMap<(&'static str, usize), Arc<dyn Any + Send + Sync>>;

/// The things of a job that its workers share within a process.
pub struct Job {
    config: Config,
    /// The other processes, if there are any.
    across: Option<Arc<Across>>,
    key_groups: KeyGroups,
    metrics: Metrics,
    totals: Mutex<Option<Totals>>,
    batch_mode: AtomicBool,
    epoch: AtomicU64,
    phase: AtomicU8,
    sources: Mutex<Vec<SyncActivator>>,
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    threads: Mutex<Vec<Thread>>,
    plan_hashes: Mutex<Vec<(usize, u64)>>,
    plan: OnceLock<Plan>,
    committables: Mutex<Vec<(usize, Box<dyn Committable>)>>,
    meeting_points: Mutex<MeetingPoints>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Job {
    /// Returns a job that has not started.
    ///
    /// # Errors
    /// When an option has a value that is not allowed.
    pub fn new(config: Config) -> Result<Self> {
        let key_groups = config.key_groups()?;
        let first = config.snapshots.as_ref().map_or(Epoch(0), |snapshots| snapshots.first_epoch());
        let peers = config.peers.as_ref();
        let across = peers.map(|peers| Across::new(Arc::clone(peers), config.workers, first));
        Ok(Job {
            across,
            config,
            key_groups,
            metrics: Metrics::default(),
            totals: Mutex::default(),
            batch_mode: AtomicBool::new(false),
            epoch: AtomicU64::new(first.0),
            phase: AtomicU8::new(Phase::Running as u8),
            sources: Mutex::default(),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            threads: Mutex::new(Vec::new()),
            plan_hashes: Mutex::new(Vec::new()),
            plan: OnceLock::new(),
            committables: Mutex::new(Vec::new()),
            meeting_points: Mutex::new(BTreeMap::new()),
        })
    }

    /// Returns the options.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns how keys are divided among the workers.
    #[must_use]
    pub fn key_groups(&self) -> KeyGroups {
        self.key_groups
    }

    /// Returns the counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the processing time, in ms since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.config.clock.now_ms()
    }

    /// Returns whether the job runs in batch mode, given that all its sources are bounded or not.
    ///
    /// # Errors
    /// When batch mode was asked for and a source is unbounded.
    pub fn is_batch(&self, unbounded_source: Option<&str>) -> Result<bool> {
        match (self.config.mode, unbounded_source) {
            (Mode::Streaming, _) | (Mode::Auto, Some(_)) => Ok(false),
            (Mode::Auto | Mode::Batch, None) => Ok(true),
            (Mode::Batch, Some(source)) => {
                let expected = format!("streaming or auto, as source {source:?} is unbounded");
                Err(Error::option("--mode", "batch", expected))
            }
        }
    }

    /// Says that the job runs in batch mode; called before operators are built.
    pub fn set_batch_mode(&self, batch_mode: bool) {
        self.batch_mode.store(batch_mode, Ordering::SeqCst);
    }

    /// Returns whether operators know one watermark only, the last.
    #[must_use]
    pub fn batch_mode(&self) -> bool {
        self.batch_mode.load(Ordering::SeqCst)
    }

    /// Returns the epoch that every source moves to at its next activation.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Returns the epoch in which the job began.
    #[must_use]
    pub fn first_epoch(&self) -> Epoch {
        self.config.snapshots.as_ref().map_or(Epoch(0), |snapshots| snapshots.first_epoch())
    }

    /// Starts the next epoch: sources move to it, operators cut when the frontier has.
    pub fn trigger(&self) -> Epoch {
        let before = Epoch(self.epoch.load(Ordering::SeqCst));
        self.metrics.triggered(before);
        let epoch = Epoch(self.epoch.fetch_add(1, Ordering::SeqCst) + 1);
        self.wake_sources();
        epoch
    }

    /// Registers a source on a worker, to be woken by whatever it must notice at once.
    pub(crate) fn register_source(&self, activator: SyncActivator) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(activator);
    }

    fn wake_sources(&self) {
        for source in self.sources.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // A worker that has ended has nothing to wake.
            let _ = source.activate();
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::SeqCst);
        self.wake_sources();
    }

    fn has_reached(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::SeqCst) >= phase as u8
    }

    /// Ends all sources where they are, as if their input had ended there.
    pub fn drain(&self) {
        self.enter(Phase::Draining);
    }

    /// Returns whether sources must end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.has_reached(Phase::Draining)
    }

    /// Lets the job end: its last checkpoint is complete.
    pub fn release(&self) {
        self.enter(Phase::Released);
    }

    /// Returns whether a source that has ended may leave, so that its operators end: at once in a
    /// job without checkpoints, else after the last of them.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.config.snapshots.is_none() || self.has_reached(Phase::Released)
    }

    /// Stops the workers where they are; nothing fires any more, and that is no failure.
    pub fn halt(&self) {
        self.enter(Phase::Halted);
        self.stop_workers();
    }

    /// Returns whether the workers must stop.
    #[must_use]
    pub fn must_stop(&self) -> bool {
        self.has_failed() || self.has_reached(Phase::Halted)
    }

    /// Returns the plan, `None` before the first worker has built its dataflow.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.get()
    }

    /// Returns the edges that have credit, in the order of their numbers.
    #[must_use]
    pub fn edges(&self) -> Vec<Arc<Edge>> {
        let points = self.meeting_points.lock().unwrap_or_else(PoisonError::into_inner);
        let edges = points.range((EDGE, 0)..=(EDGE, usize::MAX));
        edges.filter_map(|(_, edge)| Arc::clone(edge).downcast().ok()).collect()
    }

    /// Returns whether all workers of this process have built their dataflows.
    #[must_use]
    pub fn is_built(&self) -> bool {
        let built = self.plan_hashes.lock().unwrap_or_else(PoisonError::into_inner).len();
        built == self.config.workers
    }

    /// Returns whether all sources have ended and everything that came from them has been worked
    /// off in this process, timers included: another checkpoint would hold the results of the whole
    /// input.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_built() && self.metrics.operators().iter().all(|o| o.watermark() == i64::MAX)
    }

    /// Returns the value that the workers share under this name, made by whoever comes first.
    ///
    /// - `kind`, `place`: the name; `place` is a number that is the same on all workers, such as a
    ///   place in the plan.
    ///
    /// # Errors
    /// Those of `make`; the next caller then tries again.
    ///
    /// # Panics
    /// When the name was used with another type before.
    pub fn shared<T: Any + Send + Sync>(
        &self,
        kind: &'static str,
        place: usize,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        let mut points = self.meeting_points.lock().unwrap_or_else(PoisonError::into_inner);
        let value = match points.get(&(kind, place)) {
            Some(value) => Arc::clone(value),
            None => {
                let value: Arc<dyn Any + Send + Sync> = Arc::new(make()?);
                points.insert((kind, place), Arc::clone(&value));
                value
            }
        };
        drop(points);
        match value.downcast() {
            Ok(value) => Ok(value),
            Err(_) => panic!("{kind} {place} has another type on another worker"),
        }
    }

    /// Ends the job with an error; the first one counts.
    pub fn fail(&self, error: Error) {
        tracing::debug!(error = %error, "the job fails");
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let first = failure.get_or_insert(error);
        self.failed.store(true, Ordering::SeqCst);
        if let Some(across) = &self.across {
            // What waits for other processes now fails in turn, with an error that must not count.
            across.fail(first);
        }
        drop(failure);
        self.stop_workers();
    }

    fn stop_workers(&self) {
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            thread.unpark();
        }
        if let Some(turns) = &self.config.turns {
            turns.stop();
        }
    }

    /// Returns whether the job has failed, so that workers stop.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Takes the error with which the job ended.
    pub fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Registers the calling thread as a worker that must be woken when the job fails.
    pub(crate) fn register_thread(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(std::thread::current());
    }

    /// Compares the plan of a worker with those of the workers before it.
    ///
    /// # Errors
    /// [`Error::PlanMismatch`] when they differ.
    pub fn agree_on(&self, worker: usize, plan: &Plan) -> Result<()> {
        let found = plan.hash();
        let _ = self.plan.set(plan.clone());
        let mut hashes = self.plan_hashes.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.push((worker, found));
        match hashes.first() {
            Some(&(_, expected)) if expected != found => {
                Err(Error::PlanMismatch { worker, found, expected })
            }
            _ => {
                if let Some(across) =
                    self.across.as_ref().filter(|_| hashes.len() == self.config.workers)
                {
                    across.tell_plan(found);
                }
                Ok(())
            }
        }
    }

    /// Hands over the results of a worker, which become visible when the whole job has succeeded.
    pub fn hand_over(&self, worker: usize, committable: Box<dyn Committable>) {
        let mut committables = self.committables.lock().unwrap_or_else(PoisonError::into_inner);
        committables.push((worker, committable));
    }
}
