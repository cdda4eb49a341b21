//! The engine's interval join, of elements that are their own timestamps and have one key.

use std::rc::Rc;

use highwater_core::harness::Harness;
use highwater_core::record::Record;
use highwater_operators::join::IntervalBounds;
use highwater_operators::join::interval::IntervalPairs;
use highwater_sim::oracle::Bounds;
use highwater_state::Backend;

use super::{Place, Restorable};
use crate::subject::{JoinSubject, Made};

/// Makes the join of a description.
pub(super) fn make(bounds: Bounds) -> Made<dyn JoinSubject> {
    let bounds = IntervalBounds::new(bounds.lower, bounds.upper);
    let keys: (Key, Key) = (|_| (), |_| ());
    let pair: Pair = |left, right| (*left, *right);
    let make = move |backend: &mut Backend| {
        IntervalPairs::new(backend, keys, bounds, pair).expect("the state can be restored")
    };
    let make: Rc<dyn Fn(&mut Backend) -> Pairs> = Rc::new(make);
    let operators = Place::ALL.map(|place| Restorable::new(Rc::clone(&make), place));
    Some(Box::new(Engine { operators, watermarks: [i64::MIN; 2] }))
}

type Key = fn(&i64) -> ();
type Pair = fn(&i64, &i64) -> (i64, i64);

type Pairs = IntervalPairs<(), i64, Key, i64, Key, Pair>;

struct Engine {
    operators: [Restorable<Pairs>; 2],
    /// How far each input has come; the frontier of an operator is the least of them.
    watermarks: [i64; 2],
}

impl Engine {
    /// Does the same to both operators, which must answer the same.
    fn both<R: PartialEq + std::fmt::Debug>(
        &mut self,
        mut step: impl FnMut(&mut Harness<Pairs>) -> R,
    ) -> R {
        let [first, second] = &mut self.operators;
        let answer = step(&mut first.harness);
        assert_eq!(answer, step(&mut second.harness), "in memory and in a store");
        answer
    }

    fn advance(&mut self, input: usize, watermark: i64) {
        self.watermarks[input] = self.watermarks[input].max(watermark);
        let least = self.watermarks[0].min(self.watermarks[1]);
        self.both(|harness| harness.watermark(least));
    }
}

impl JoinSubject for Engine {
    fn left(&mut self, ts: i64) {
        self.both(|harness| harness.left(ts, ts));
    }

    fn right(&mut self, ts: i64) {
        self.both(|harness| harness.right(ts, ts));
    }

    fn watermark_left(&mut self, watermark: i64) {
        self.advance(0, watermark);
    }

    fn watermark_right(&mut self, watermark: i64) {
        self.advance(1, watermark);
    }

    fn snapshot_restore(&mut self) {
        self.operators.iter_mut().for_each(Restorable::snapshot_restore);
    }

    fn take_output(&mut self) -> Vec<(i64, i64, i64)> {
        let output = self.both(|join| join.take_output().expect("the join does not fail"));
        output.into_iter().map(|Record { event_time, value: (l, r) }| (l, r, event_time)).collect()
    }

    fn left_state(&mut self) -> Vec<i64> {
        self.both(|harness| harness.logic().left_times(&()))
    }

    fn right_state(&mut self) -> Vec<i64> {
        self.both(|harness| harness.logic().right_times(&()))
    }
}
