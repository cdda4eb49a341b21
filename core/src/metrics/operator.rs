//! The counters of one operator on one worker.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use super::{Activity, Alignment, Counter, Readings, Role};
use crate::time::Epoch;

/// Stands for the epoch of an operator that has ended.
const ENDED: u64 = u64::MAX;

/// How many inputs an operator may have.
const INPUTS: usize = 2;

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
    /// What its time goes to.
    pub activity: Activity,
    /// How long barriers take to reach it, and to get through.
    pub alignment: Alignment,
    /// The splits that it reads, if it is a source.
    pub splits: Readings,
    queue: AtomicU64,
    watermark: AtomicI64,
    output_watermark: AtomicI64,
    epoch: AtomicU64,
    inputs: [Promise; INPUTS],
}

/// What is promised at an input: the frontier of what can still be delivered there.
#[derive(Debug)]
struct Promise {
    watermark: AtomicI64,
    epoch: AtomicU64,
}

impl OperatorMetrics {
    pub(super) fn new(
        uid: &str,
        name: &str,
        worker: usize,
        role: Role,
        first: Epoch,
        start: Instant,
    ) -> Self {
        let promise =
            || Promise { watermark: AtomicI64::new(i64::MIN), epoch: AtomicU64::new(first.0) };
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
            activity: Activity::new(start),
            alignment: Alignment::new(start),
            splits: Readings::default(),
            queue: AtomicU64::new(0),
            watermark: AtomicI64::new(i64::MIN),
            output_watermark: AtomicI64::new(i64::MIN),
            epoch: AtomicU64::new(first.0),
            inputs: [promise(), promise()],
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

    /// Returns the watermark that the operator promises downstream: `currentOutputWatermark`.
    #[must_use]
    pub fn output_watermark(&self) -> i64 {
        self.output_watermark.load(Ordering::Relaxed)
    }

    pub(crate) fn set_output_watermark(&self, watermark: i64) {
        self.output_watermark.store(watermark, Ordering::Relaxed);
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

    /// Returns what is promised at an input from 0, `currentInput<N>Watermark` with its least epoch
    /// (`None` when nothing can come any more): the operator itself may not be that far, as it has
    /// batches in its queue.
    #[must_use]
    pub fn input(&self, input: usize) -> (i64, Option<Epoch>) {
        let promise = &self.inputs[input];
        let epoch = promise.epoch.load(Ordering::Relaxed);
        (promise.watermark.load(Ordering::Relaxed), (epoch < ENDED).then_some(Epoch(epoch)))
    }

    pub(crate) fn set_input(&self, input: usize, watermark: i64, epoch: Option<Epoch>) {
        if let Some(promise) = self.inputs.get(input) {
            promise.watermark.store(watermark, Ordering::Relaxed);
            promise.epoch.store(epoch.map_or(ENDED, |epoch| epoch.0), Ordering::Relaxed);
        }
    }

    /// Returns the batches that have arrived and are not yet processed: `inputQueueLength`.
    #[must_use]
    pub fn queue(&self) -> u64 {
        self.queue.load(Ordering::Relaxed)
    }

    pub(crate) fn set_queue(&self, batches: usize) {
        self.queue.store(batches as u64, Ordering::Relaxed);
    }
}
