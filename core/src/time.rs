//! The timestamp of every message: a checkpoint epoch and an event-time promise.
//!
//! ```text
//! Time { epoch, watermark }        product (partial) order
//!          |        '-- promise: "no record with event time < watermark will follow"
//!          '----------- checkpoint epoch: the barrier is the frontier leaving an epoch
//! ```
//!
//! Timely tracks which timestamps may still appear anywhere in a dataflow. With both of Flink's
//! control messages inside the timestamp, that one mechanism carries both: an operator's watermark
//! is the least `watermark` in its input frontier, and epoch `e` is complete at an operator when no
//! frontier element has an epoch `<= e`.
//!
//! **The order must be the product order.** Under the lexicographic order a source that has already
//! moved to the next epoch hides its watermark behind one that has not: with A at `(0, 100)` and B
//! at `(1, 10)` the lexicographic frontier is `{(0, 100)}`, which claims watermark 100, although B
//! may still send event time 15. Timely orders Rust tuples lexicographically, hence the struct.
//! `Ord` is derived and only has to be a linear extension of the partial order, which it is.
//!
//! The *stamp* of a message is its sender's promise; the *event time* of a record is data and lives
//! in [`Record`](crate::record::Record). Neither is ever derived from the other.
//!
//! **Sources**: Naiad, SOSP 2013, section 2.2 (papers/naiad.md); The Dataflow Model, VLDB 2015,
//! section 2.3 (papers/dataflow-model.md).

use serde::{Deserialize, Serialize};
use timely::order::PartialOrder;
use timely::progress::timestamp::{PathSummary, Refines, Timestamp};

/// Event time in milliseconds since 1970-01-01T00:00:00Z.
pub type EventTime = i64;

/// The event time of a record that has none yet: a source emits it until a watermark strategy
/// assigns one.
pub const NO_EVENT_TIME: EventTime = i64::MIN;

/// The number of a checkpoint: it cuts the history of a job into before and after.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Returns the epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Epoch(self.0 + 1)
    }
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// The stamp of a message: its sender's epoch and its sender's event-time promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time {
    /// The checkpoint epoch the message belongs to.
    pub epoch: Epoch,
    /// The promise, in ms: no record with an event time below it follows, except late ones.
    /// `i64::MIN` promises nothing, `i64::MAX` promises the end of the stream.
    pub watermark: i64,
}

impl Time {
    /// Returns a stamp.
    #[must_use]
    pub fn new(epoch: Epoch, watermark: i64) -> Self {
        Time { epoch, watermark }
    }
}

impl PartialOrder for Time {
    #[inline]
    fn less_equal(&self, other: &Self) -> bool {
        self.epoch <= other.epoch && self.watermark <= other.watermark
    }
}

impl PathSummary<Time> for () {
    #[inline]
    fn results_in(&self, src: &Time) -> Option<Time> {
        Some(*src)
    }
    #[inline]
    fn followed_by(&self, _other: &Self) -> Option<Self> {
        Some(())
    }
}

impl Timestamp for Time {
    type Summary = ();
    fn minimum() -> Self {
        Time::new(Epoch(0), i64::MIN)
    }
}

impl Refines<()> for Time {
    fn to_inner(_other: ()) -> Self {
        Time::minimum()
    }
    fn to_outer(self) {}
    fn summarize(_path: ()) {}
}

/// The two lower bounds that a set of stamps gives: what may still arrive is at or above both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least epoch, `None` when nothing can arrive any more.
    pub epoch: Option<Epoch>,
    /// The least watermark, `i64::MAX` when nothing can arrive any more.
    pub watermark: i64,
}

impl Bounds {
    /// Returns the bounds of the empty set: nothing can arrive.
    #[must_use]
    pub fn closed() -> Self {
        Bounds { epoch: None, watermark: i64::MAX }
    }

    /// Lowers the bounds so that they hold for `time` as well.
    pub fn include(&mut self, time: &Time) {
        self.epoch = Some(self.epoch.map_or(time.epoch, |epoch| epoch.min(time.epoch)));
        self.watermark = self.watermark.min(time.watermark);
    }

    /// Lowers the bounds so that they hold for everything in `times` as well.
    pub fn include_all(&mut self, times: &[Time]) {
        for time in times {
            self.include(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timely::progress::frontier::MutableAntichain;

    fn at(epoch: u64, watermark: i64) -> Time {
        Time::new(Epoch(epoch), watermark)
    }

    #[test]
    fn a_source_in_the_next_epoch_still_holds_the_watermark_back() {
        let mut frontier = MutableAntichain::new();
        frontier.update_iter([(at(0, 100), 1), (at(1, 10), 1)]);
        let mut bounds = Bounds::closed();
        bounds.include_all(&frontier.frontier());
        assert_eq!(bounds, Bounds { epoch: Some(Epoch(0)), watermark: 10 });
    }

    #[test]
    fn the_derived_order_is_a_linear_extension_of_the_product_order() {
        let times: Vec<_> = (0..3).flat_map(|e| (0..3).map(move |w| at(e, w))).collect();
        for a in &times {
            for b in &times {
                if a.less_equal(b) {
                    assert!(a <= b, "{a:?} precedes {b:?}");
                }
            }
        }
        assert!(!at(0, 5).less_equal(&at(1, 4)));
        assert!(!at(1, 4).less_equal(&at(0, 5)));
    }
}
