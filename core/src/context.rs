//! What an operator's logic sees while it runs: the watermark, the clock, and where to emit.
//!
//! Logic never sees a stamp, a capability or a queue, so it cannot break the rules of the engine.

use std::time::Instant;

use crate::credit::Gate;
use crate::error::Error;
use crate::exchange::grow;
use crate::metrics::OperatorMetrics;
use crate::record::{Batch, Data, Record};
use crate::side::{OutputTag, Sides};
use crate::time::{Epoch, EventTime};

/// Where full batches go.
pub(crate) trait Port<O> {
    /// Takes the records of `batch` and leaves it empty.
    fn ship(&mut self, batch: &mut Batch<O>);
    /// Returns the gate of the edges behind the port.
    fn gate(&self) -> &Gate;
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
    /// The worker and the epoch whose credit is looked at.
    pub(crate) worker: usize,
    pub(crate) epoch: Epoch,
    pub(crate) superstep: Option<u64>,
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
        self.sides.flush();
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

    /// Runs a part of the logic as if the watermark were this one: for keys whose group has come
    /// further than the operator, after a restore.
    pub fn at_watermark<R>(&mut self, watermark: i64, part: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.watermark, watermark);
        let result = part(self);
        self.watermark = before;
        result
    }

    /// Returns the epoch that the operator is in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns the superstep of the loop that the operator stands in: 0 for what enters and for
    /// timers, and how often it has gone round for what came back. `None` outside of loops.
    #[must_use]
    pub fn superstep(&self) -> Option<u64> {
        self.superstep
    }

    /// Returns the processing time in ms since 1970, as of the start of the activation.
    #[inline]
    #[must_use]
    pub fn processing_time(&self) -> i64 {
        self.now_ms
    }

    /// Returns whether the logic should stop firing timers for now: its time is up, or one of its
    /// outputs, the main one or a side output, has no credit for what it would emit.
    #[must_use]
    pub fn should_yield(&mut self) -> bool {
        self.allowance.spent() || self.is_blocked() || self.failure.is_some()
    }

    /// Returns whether any output is out of credit.
    fn is_blocked(&self) -> bool {
        let mut gates = std::iter::once(self.port.gate()).chain(self.sides.gates());
        gates.any(|gate| gate.blocked(self.worker, self.epoch))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::credit::Edge;
    use crate::harness::Basket;
    use crate::metrics::{Metrics, Role};

    const CREDIT: u64 = 100;

    /// A port with an edge of its own, from one worker to itself.
    fn basket() -> (Basket<u64>, Arc<Edge>) {
        let (basket, edge) = (Basket::default(), Arc::new(Edge::new(1, CREDIT)));
        basket.gate().attach(&edge);
        (basket, edge)
    }

    fn with_context(
        port: &mut Basket<u64>,
        sides: &mut Sides,
        test: impl FnOnce(&mut Context<'_, u64>),
    ) {
        let metrics = Metrics::default().register("test", "test", 0, Role::Operator, Epoch(0));
        test(&mut Context {
            buffer: &mut Vec::new(),
            batch_records: 2,
            port,
            sides,
            watermark: 0,
            now_ms: 0,
            allowance: &mut Allowance::new(None, usize::MAX),
            worker: 0,
            epoch: Epoch(0),
            superstep: None,
            metrics: &metrics,
            failure: &mut None,
        });
    }

    #[test]
    fn an_output_without_credit_stops_a_firing_whichever_it_is() {
        let ((mut main, behind_main), (side, behind_side)) = (basket(), basket());
        let mut sides = Sides::default();
        sides.add(&OutputTag::<u64>::new("side"), Box::new(side), 2);
        with_context(&mut main, &mut sides, |cx| {
            for edge in [behind_main, behind_side] {
                assert!(!cx.should_yield(), "there is credit everywhere");
                edge.send(0, 0, Epoch(0), CREDIT + 1);
                assert!(cx.should_yield(), "one output has none");
                edge.release(0, 0, Epoch(0), CREDIT + 1);
                edge.send(0, 0, Epoch(1), CREDIT + 1);
            }
            assert!(!cx.should_yield(), "another epoch has its own credit");
        });
    }

    #[test]
    fn a_full_batch_of_a_side_output_leaves_at_once_and_so_counts_against_the_credit() {
        let (mut main, side, tag) = (Basket::default(), Basket::default(), OutputTag::new("side"));
        let (mut sides, shipped) = (Sides::default(), side.records());
        sides.add(&tag, Box::new(side), 2);
        with_context(&mut main, &mut sides, |cx| {
            for n in 0..5_u64 {
                cx.emit_to(&tag, 0, n);
            }
            assert_eq!(shipped.take().len(), 4, "two full batches");
            cx.flush();
            assert_eq!(shipped.take().len(), 1, "the rest");
        });
    }
}
