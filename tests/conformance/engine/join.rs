//! The engine's interval join, of elements that are their own timestamps and have one key.

use highwater_core::harness::Harness;
use highwater_core::record::Record;
use highwater_operators::join::IntervalBounds;
use highwater_operators::join::interval::IntervalPairs;
use highwater_sim::oracle::Bounds;

use super::backend;
use crate::subject::{JoinSubject, Made};

/// Makes the join of a description.
pub(super) fn make(bounds: Bounds) -> Made<dyn JoinSubject> {
    let bounds = IntervalBounds::new(bounds.lower, bounds.upper);
    let keys: (Key, Key) = (|_| (), |_| ());
    let pair: Pair = |left, right| (*left, *right);
    let logic = IntervalPairs::new(&mut backend(), keys, bounds, pair);
    Some(Box::new(Engine { harness: Harness::new(logic), watermarks: [i64::MIN; 2] }))
}

type Key = fn(&i64) -> ();
type Pair = fn(&i64, &i64) -> (i64, i64);

struct Engine {
    harness: Harness<IntervalPairs<(), i64, Key, i64, Key, Pair>>,
    /// How far each input has come; the frontier of an operator is the least of them.
    watermarks: [i64; 2],
}

impl Engine {
    fn advance(&mut self, input: usize, watermark: i64) {
        self.watermarks[input] = self.watermarks[input].max(watermark);
        self.harness.watermark(self.watermarks[0].min(self.watermarks[1]));
    }
}

impl JoinSubject for Engine {
    fn left(&mut self, ts: i64) {
        self.harness.left(ts, ts);
    }

    fn right(&mut self, ts: i64) {
        self.harness.right(ts, ts);
    }

    fn watermark_left(&mut self, watermark: i64) {
        self.advance(0, watermark);
    }

    fn watermark_right(&mut self, watermark: i64) {
        self.advance(1, watermark);
    }

    fn snapshot_restore(&mut self) {}

    fn take_output(&mut self) -> Vec<(i64, i64, i64)> {
        let output = self.harness.take_output().expect("the join does not fail").into_iter();
        output.map(|Record { event_time, value: (l, r) }| (l, r, event_time)).collect()
    }

    fn left_state(&mut self) -> Vec<i64> {
        self.harness.logic().left_times(&())
    }

    fn right_state(&mut self) -> Vec<i64> {
        self.harness.logic().right_times(&())
    }
}
