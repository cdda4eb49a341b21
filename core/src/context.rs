//! What an operator's logic sees while it runs: the watermark, the clock, and where to emit.
//!
//! Logic never sees a stamp, a capability or a queue, so it cannot break the rules of the engine.

use std::time::Instant;

use crate::error::Error;
use crate::exchange::grow;
use crate::metrics::OperatorMetrics;
use crate::record::{Batch, Data, Record};
use crate::side::{OutputTag, Sides};
use crate::time::EventTime;

/// Where full batches go.
pub(crate) trait Port<O> {
    /// Takes the records of `batch` and leaves it empty.
    fn ship(&mut self, batch: &mut Batch<O>);
}

/// How much an activation may still do.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// When the activation must end.
    pub(crate) deadline: Option<Instant>,
    /// The batches it may still process.
    pub(crate) batches: usize,
    /// Calls of [`Allowance::spent`] since the clock was read, which costs more than a call.
    calls: u32,
    spent: bool,
}

impl Allowance {
    pub(crate) fn new(deadline: Option<Instant>, batches: usize) -> Self {
        Allowance { deadline, batches, calls: 0, spent: false }
    }

    /// Returns whether a batch may be processed, and counts it.
    pub(crate) fn take_batch(&mut self) -> bool {
        if self.batches == 0 || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.spent = true;
        }
        self.batches = self.batches.saturating_sub(1);
        !self.spent
    }

    /// Returns whether the time is up; reads the clock on every 64th call only.
    fn spent(&mut self) -> bool {
        self.calls += 1;
        if !self.spent && self.calls.is_multiple_of(64) {
            self.spent = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        }
        self.spent
    }
}

/// What an operator's logic may use while it works on a batch or fires timers.
pub struct Context<'a, O: Data> {
    pub(crate) buffer: &'a mut Batch<O>,
    pub(crate) batch_records: usize,
    pub(crate) port: &'a mut dyn Port<O>,
    pub(crate) sides: &'a mut Sides,
    pub(crate) watermark: i64,
    pub(crate) now_ms: i64,
    pub(crate) allowance: &'a mut Allowance,
    pub(crate) may_emit: &'a dyn Fn() -> bool,
    pub(crate) metrics: &'a OperatorMetrics,
    pub(crate) failure: &'a mut Option<Error>,
}

impl<O: Data> std::fmt::Debug for Context<'_, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("watermark", &self.watermark)
            .field("now_ms", &self.now_ms)
            .finish_non_exhaustive()
    }
}

impl<O: Data> Context<'_, O> {
    /// Emits a value.
    ///
    /// - `event_time`: when it happened, in ms since 1970.
    #[inline]
    pub fn emit(&mut self, event_time: EventTime, value: O) {
        self.emit_record(Record::new(event_time, value));
    }

    /// Emits a record.
    #[inline]
    pub fn emit_record(&mut self, record: Record<O>) {
        if self.buffer.len() == self.buffer.capacity() {
            self.make_room();
        }
        self.buffer.push(record);
    }

    #[cold]
    fn make_room(&mut self) {
        if self.buffer.len() >= self.batch_records {
            self.ship();
        }
        grow(self.buffer, self.batch_records);
    }

    fn ship(&mut self) {
        if !self.buffer.is_empty() {
            self.metrics.records_out.add(self.buffer.len() as u64);
            self.port.ship(self.buffer);
            self.buffer.clear();
        }
    }

    /// Ships what has been emitted since the last full batch.
    pub(crate) fn flush(&mut self) {
        self.ship();
        self.sides.ship();
    }

    /// Emits a value into the side output with this tag; dropped when nobody listens to it.
    pub fn emit_to<X: Data>(&mut self, tag: &OutputTag<X>, event_time: EventTime, value: X) {
        self.sides.push(tag, Record::new(event_time, value));
    }

    /// Returns whether anybody listens to the side output with this tag.
    #[must_use]
    pub fn has_listener<X: Data>(&mut self, tag: &OutputTag<X>) -> bool {
        self.sides.has(tag)
    }

    /// Returns the operator's watermark as Flink counts it: no record with an event time at or
    /// below it is on time any more. `i64::MIN` before the first, `i64::MAX` at the end.
    #[inline]
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// Returns the processing time in ms since 1970, as of the start of the activation.
    #[inline]
    #[must_use]
    pub fn processing_time(&self) -> i64 {
        self.now_ms
    }

    /// Returns whether the logic should stop firing timers for now: its time is up, or there is no
    /// credit for what it would emit.
    #[must_use]
    pub fn should_yield(&mut self) -> bool {
        self.allowance.spent() || !(self.may_emit)() || self.failure.is_some()
    }

    /// Counts records that were too late for their operator.
    pub fn count_late(&self, records: u64) {
        self.metrics.late_records_dropped.add(records);
    }

    /// Counts timers that fired.
    pub fn count_fired(&self, timers: u64) {
        self.metrics.fired_timers.add(timers);
    }

    /// Ends the job with an error; the first one counts.
    pub fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }
}
