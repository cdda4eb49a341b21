//! Flink's watermark at the edge of the API, and how it is made.
//!
//! ```text
//! stamp s (inside the engine)    event times >= s may still come
//! watermark w (API and Flink)    no event time <= w will come
//! w = s - 1                      and i64::MAX on both sides means the end
//! ```
//!
//! This is the only file that converts one into the other.
//!
//! A generator looks at every record of one split and says, whenever it is asked, how far event
//! time has come. It is asked on a grid of processing time (200 ms by default), never once per
//! record: every distinct stamp costs progress messages between all workers.
//!
//! **Sources**: Flink's `WatermarkGenerator`, `BoundedOutOfOrdernessWatermarks`; The Dataflow
//! Model, VLDB 2015 (papers/dataflow-model.md).

use crate::error::{Error, Result};
use crate::record::Batch;
use crate::time::EventTime;

/// Returns the watermark that a stamp stands for.
#[inline]
#[must_use]
pub fn of_stamp(stamp: i64) -> i64 {
    if stamp == i64::MAX { i64::MAX } else { stamp.saturating_sub(1) }
}

/// Returns the stamp that a watermark stands for.
#[inline]
#[must_use]
pub fn to_stamp(watermark: i64) -> i64 {
    if watermark == i64::MIN { i64::MIN } else { watermark.saturating_add(1) }
}

/// Says how far event time has come in one split.
///
/// # Contract
/// - *Any order*: the watermarks it returns may go back; the engine uses the greatest so far.
/// - *Own split*: it is made anew for every split and sees the records of that split alone.
pub trait WatermarkGenerator<T>: 'static {
    /// Looks at one record.
    fn on_event(&mut self, value: &T, event_time: EventTime);

    /// Returns the watermark to emit now, if any: no event time at or below it will come.
    fn on_periodic_emit(&mut self) -> Option<i64>;

    /// Returns what a generator that goes on from here must know; stored in checkpoints.
    fn snapshot(&self) -> String {
        String::new()
    }

    /// Goes on where a generator of the same kind returned `snapshot`.
    ///
    /// # Errors
    /// When it is not what a generator of this kind returns.
    fn restore(&mut self, _snapshot: &str) -> Result<()> {
        Ok(())
    }

    /// Looks at a whole batch.
    fn on_batch(&mut self, batch: &Batch<T>) {
        for record in batch {
            self.on_event(&record.value, record.event_time);
        }
    }
}

/// Event time is at most `delay_ms` out of order: the watermark is the greatest event time, less
/// the delay, less one ms.
#[derive(Clone, Copy, Debug)]
pub struct BoundedOutOfOrderness {
    greatest: Option<EventTime>,
    delay_ms: i64,
}

impl BoundedOutOfOrderness {
    /// Returns a generator for records that come at most `delay_ms` after a later one.
    #[must_use]
    pub fn new(delay_ms: i64) -> Self {
        BoundedOutOfOrderness { greatest: None, delay_ms }
    }
}

impl<T: 'static> WatermarkGenerator<T> for BoundedOutOfOrderness {
    #[inline]
    fn on_event(&mut self, _value: &T, event_time: EventTime) {
        self.greatest = self.greatest.max(Some(event_time));
    }

    fn on_periodic_emit(&mut self) -> Option<i64> {
        self.greatest.map(|t| t.saturating_sub(self.delay_ms).saturating_sub(1))
    }

    fn snapshot(&self) -> String {
        self.greatest.map(|t| t.to_string()).unwrap_or_default()
    }

    fn restore(&mut self, snapshot: &str) -> Result<()> {
        if !snapshot.is_empty() {
            let greatest = snapshot.parse().map_err(|cause: std::num::ParseIntError| {
                Error::state(format!("the event time {snapshot:?} of a watermark: {cause}"))
            })?;
            self.greatest = Some(greatest);
        }
        Ok(())
    }
}

/// There are no watermarks before the end of the input.
#[derive(Clone, Copy, Debug)]
pub struct NoWatermarks;

impl<T: 'static> WatermarkGenerator<T> for NoWatermarks {
    fn on_event(&mut self, _value: &T, _event_time: EventTime) {}
    fn on_periodic_emit(&mut self) -> Option<i64> {
        None
    }
    fn on_batch(&mut self, _batch: &Batch<T>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_and_watermarks_convert_at_both_ends() {
        for w in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            let back = of_stamp(to_stamp(w));
            let expected = if w == i64::MAX - 1 { i64::MAX } else { w };
            assert_eq!(back, expected, "{w}");
        }
        assert_eq!(to_stamp(99), 100);
    }

    #[test]
    fn bounded_out_of_orderness_trails_the_greatest_event_time() {
        let mut generator = BoundedOutOfOrderness::new(10);
        let now = |g: &mut BoundedOutOfOrderness| WatermarkGenerator::<()>::on_periodic_emit(g);
        assert_eq!(now(&mut generator), None);
        for t in [100, 50, 120, 90] {
            WatermarkGenerator::<()>::on_event(&mut generator, &(), t);
        }
        assert_eq!(now(&mut generator), Some(109));
    }
}
