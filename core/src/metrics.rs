//! What a job counts while it runs, one set of counters for each operator on each worker.
//!
//! Counters are written by one worker and read by whoever reports; the names under which they are
//! reported are Flink's (`numRecordsIn`, `numLateRecordsDropped`, `currentInputWatermark`, ...).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::time::Epoch;

/// Stands for the epoch of an operator that has ended.
const ENDED: u64 = u64::MAX;

/// What an operator does in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Records enter the job here.
    Source,
    /// Records are worked on here.
    Operator,
    /// Records leave the job here.
    Sink,
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

/// The counters of one operator on one worker.
#[derive(Debug)]
pub struct OperatorMetrics {
    /// The uid of the operator.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// The worker it runs on.
    pub worker: usize,
    /// What it does in the graph.
    pub role: Role,
    /// Records taken in: `numRecordsIn`.
    pub records_in: Counter,
    /// Records given out: `numRecordsOut`.
    pub records_out: Counter,
    /// Records that came after their last window was gone: `numLateRecordsDropped`.
    pub late_records_dropped: Counter,
    /// Timers that fired: `numFiredTimers`.
    pub fired_timers: Counter,
    /// Activations in which the operator wanted to emit and had no credit.
    pub blocked: Counter,
    watermark: AtomicI64,
    epoch: AtomicU64,
}

impl OperatorMetrics {
    fn new(uid: &str, name: &str, worker: usize, role: Role, first: Epoch) -> Self {
        OperatorMetrics {
            uid: uid.to_owned(),
            name: name.to_owned(),
            worker,
            role,
            records_in: Counter::default(),
            records_out: Counter::default(),
            late_records_dropped: Counter::default(),
            fired_timers: Counter::default(),
            blocked: Counter::default(),
            watermark: AtomicI64::new(i64::MIN),
            epoch: AtomicU64::new(first.0),
        }
    }

    /// Returns the operator's watermark as Flink counts it, in ms: `currentInputWatermark`, for a
    /// source `currentOutputWatermark`.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark.load(Ordering::Relaxed)
    }

    pub(crate) fn set_watermark(&self, watermark: i64) {
        self.watermark.store(watermark, Ordering::Relaxed);
    }

    /// Returns the epoch that the operator is in, `None` when it has ended.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        (epoch < ENDED).then_some(Epoch(epoch))
    }

    pub(crate) fn set_epoch(&self, epoch: Option<Epoch>) {
        self.epoch.store(epoch.map_or(ENDED, |epoch| epoch.0), Ordering::SeqCst);
    }
}

/// The counters of a whole job.
#[derive(Debug, Default)]
pub struct Metrics {
    operators: Mutex<Vec<Arc<OperatorMetrics>>>,
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
        let metrics = Arc::new(OperatorMetrics::new(uid, name, worker, role, first));
        let mut operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        operators.push(Arc::clone(&metrics));
        metrics
    }

    /// Returns the counters of all operators on all workers, in no particular order.
    #[must_use]
    pub fn operators(&self) -> Vec<Arc<OperatorMetrics>> {
        self.operators.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
}
