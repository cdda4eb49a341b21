//! What a job counts while it runs, one set of counters for each operator on each worker.
//!
//! ```text
//! worker: shell --counts--> OperatorMetrics <--reads-- whoever reports, on any thread
//!                             records, timers, late records      Counter
//!                             watermarks, epochs                 gauges
//!                             busy, back-pressured, idle         Activity
//!                             barriers                           Alignment
//!                             splits of a source                 SplitProgress
//! ```
//!
//! Counters are written by one worker and read by whoever reports; the names under which they are
//! reported are Flink's (`numRecordsIn`, `numLateRecordsDropped`, `currentInputWatermark`, ...), see
//! `docs/metrics.md`.
//!
//! **Cost**: two readings of the clock per activation, none per record.

mod activity;
mod alignment;
mod operator;
mod splits;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::time::Epoch;

pub use activity::{Activity, Phase, Times};
pub use alignment::{Alignment, Barrier};
pub use operator::OperatorMetrics;
pub use splits::{Readings, SplitProgress, SplitStatus, Strategy};

/// How many epochs back the instants of their triggers are remembered: more than can be open.
const TRIGGERS: usize = 16;

/// What an operator does in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Records enter the job here.
    Source,
    /// Records are worked on here.
    Operator,
    /// Records leave the job here.
    Sink,
    /// Records pass through steps that hold nothing, and that take no part in checkpoints.
    Stateless,
}

/// A number that one worker counts up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the worker that owns the counter may call it.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    /// Returns the count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of a whole job.
#[derive(Debug)]
pub struct Metrics {
    start: Instant,
    operators: Mutex<Vec<Arc<OperatorMetrics>>>,
    stateless: Mutex<Vec<Arc<OperatorMetrics>>>,
    /// When the last epochs were told to end, in ns since the start; 0 for not yet.
    triggers: [AtomicU64; TRIGGERS],
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            start: Instant::now(),
            operators: Mutex::default(),
            stateless: Mutex::default(),
            triggers: Default::default(),
        }
    }
}

impl Metrics {
    /// Adds the counters of one operator on one worker.
    ///
    /// - `first`: the epoch it begins in.
    pub fn register(
        &self,
        uid: &str,
        name: &str,
        worker: usize,
        role: Role,
        first: Epoch,
    ) -> Arc<OperatorMetrics> {
        let metrics = Arc::new(OperatorMetrics::new(uid, name, worker, role, first, self.start));
        let list = if role == Role::Stateless { &self.stateless } else { &self.operators };
        list.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&metrics));
        metrics
    }

    /// Returns the counters of all operators that take part in checkpoints, on all workers, in no
    /// particular order.
    #[must_use]
    pub fn operators(&self) -> Vec<Arc<OperatorMetrics>> {
        self.operators.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the counters of all operators, stateless ones too, in no particular order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<OperatorMetrics>> {
        let mut all = self.operators();
        all.extend(self.stateless.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        all
    }

    /// Returns the least epoch that an operator behind the sources is in, `None` when all have
    /// ended.
    #[must_use]
    pub fn least_epoch(&self) -> Option<Epoch> {
        let operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        operators.iter().filter(|o| o.role != Role::Source).filter_map(|o| o.epoch()).min()
    }

    /// Returns a sum over all operators with the role.
    pub fn sum(&self, role: Role, count: impl Fn(&OperatorMetrics) -> u64) -> u64 {
        self.operators().iter().filter(|o| o.role == role).map(|o| count(o)).sum()
    }

    /// Notes that the sources are told to end an epoch.
    pub(crate) fn triggered(&self, epoch: Epoch) {
        let at = activity::since(self.start, Instant::now()).max(1);
        self.triggers[epoch.0 as usize % TRIGGERS].store(at, Ordering::Relaxed);
    }

    /// Returns when the sources were told to end an epoch, in ns since the start of the job.
    pub(crate) fn trigger_of(&self, epoch: Epoch) -> Option<u64> {
        let at = self.triggers[epoch.0 as usize % TRIGGERS].load(Ordering::Relaxed);
        (at > 0).then_some(at)
    }
}
