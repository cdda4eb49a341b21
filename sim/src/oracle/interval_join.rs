//! The interval join: pairs of elements of one key whose timestamps are near each other.
//!
//! A left element at `l` and a right one at `r` are a pair iff `lower <= r - l <= upper`; an
//! exclusive bound is the inclusive one beside it. An element behind the watermark is dropped, an
//! element *at* the watermark is not. What cannot find a partner any more is forgotten when the
//! watermark moves: a left element at `l + max(upper, 0)`, a right one at `r + max(-lower, 0)`.
//!
//! Sources: Flink 2.x, `IntervalJoinOperator`.

use std::mem;

/// The distance `right.ts - left.ts` of a pair, in milliseconds, both bounds inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The smallest distance.
    pub lower: i64,
    /// The largest distance.
    pub upper: i64,
}

impl Bounds {
    /// Makes bounds of which each may be exclusive.
    pub fn new(lower: i64, lower_inclusive: bool, upper: i64, upper_inclusive: bool) -> Self {
        Bounds {
            lower: if lower_inclusive { lower } else { lower.saturating_add(1) },
            upper: if upper_inclusive { upper } else { upper.saturating_sub(1) },
        }
    }

    fn hold(&self, left: i64, right: i64) -> bool {
        let distance = i128::from(right) - i128::from(left);
        i128::from(self.lower) <= distance && distance <= i128::from(self.upper)
    }
}

/// A pair with the timestamp of its result, the later of the two.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct JoinedPair<L, R> {
    /// The left element.
    pub left: L,
    /// The right element.
    pub right: R,
    /// The timestamp of the result.
    pub timestamp: i64,
}

/// The model of an interval join.
#[derive(Clone, Debug)]
pub struct IntervalJoinModel<K, L, R> {
    bounds: Bounds,
    watermarks: [i64; 2],
    left: Vec<(K, i64, L)>,
    right: Vec<(K, i64, R)>,
    output: Vec<JoinedPair<L, R>>,
}

impl<K: PartialEq, L: Clone, R: Clone> IntervalJoinModel<K, L, R> {
    /// Makes a join that has seen nothing.
    pub fn new(bounds: Bounds) -> Self {
        let watermarks = [i64::MIN; 2];
        let (left, right, output) = (Vec::new(), Vec::new(), Vec::new());
        IntervalJoinModel { bounds, watermarks, left, right, output }
    }

    /// Takes a left element.
    pub fn left(&mut self, key: K, value: L, ts: i64) {
        if ts < self.watermark() {
            return;
        }
        for (_, other, right) in self.right.iter().filter(|(owner, _, _)| *owner == key) {
            if self.bounds.hold(ts, *other) {
                let (left, right) = (value.clone(), right.clone());
                self.output.push(JoinedPair { left, right, timestamp: ts.max(*other) });
            }
        }
        self.left.push((key, ts, value));
    }

    /// Takes a right element.
    pub fn right(&mut self, key: K, value: R, ts: i64) {
        if ts < self.watermark() {
            return;
        }
        for (_, other, left) in self.left.iter().filter(|(owner, _, _)| *owner == key) {
            if self.bounds.hold(*other, ts) {
                let (left, right) = (left.clone(), value.clone());
                self.output.push(JoinedPair { left, right, timestamp: ts.max(*other) });
            }
        }
        self.right.push((key, ts, value));
    }

    /// Takes a watermark of the left input.
    pub fn watermark_left(&mut self, watermark: i64) {
        self.advance(0, watermark);
    }

    /// Takes a watermark of the right input.
    pub fn watermark_right(&mut self, watermark: i64) {
        self.advance(1, watermark);
    }

    /// Puts the join into the state after a restart from a snapshot taken now: the elements are
    /// there, the watermarks have to come again.
    pub fn restore(&mut self) {
        self.watermarks = [i64::MIN; 2];
    }

    /// Returns the pairs since the last call, in order.
    pub fn take_output(&mut self) -> Vec<JoinedPair<L, R>> {
        mem::take(&mut self.output)
    }

    /// Returns the timestamps of the left elements that are kept.
    pub fn left_state(&self) -> Vec<i64> {
        self.left.iter().map(|(_, ts, _)| *ts).collect()
    }

    /// Returns the timestamps of the right elements that are kept.
    pub fn right_state(&self) -> Vec<i64> {
        self.right.iter().map(|(_, ts, _)| *ts).collect()
    }

    fn watermark(&self) -> i64 {
        self.watermarks[0].min(self.watermarks[1])
    }

    fn advance(&mut self, side: usize, watermark: i64) {
        let before = self.watermark();
        self.watermarks[side] = self.watermarks[side].max(watermark);
        let now = self.watermark();
        if now > before {
            let (after, ahead) = (self.bounds.upper.max(0), self.bounds.lower.min(0));
            self.left.retain(|(_, ts, _)| ts.saturating_add(after) > now);
            self.right.retain(|(_, ts, _)| ts.saturating_sub(ahead) > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_different_keys_are_no_pair() {
        let mut join = IntervalJoinModel::new(Bounds::new(-5, true, 5, true));
        join.left("a", 1, 10);
        join.right("b", 2, 10);
        join.right("a", 3, 15);
        assert_eq!(join.take_output(), [JoinedPair { left: 1, right: 3, timestamp: 15 }]);
    }

    #[test]
    fn an_element_at_the_watermark_is_not_late() {
        let mut join = IntervalJoinModel::new(Bounds::new(0, true, 0, true));
        join.watermark_left(10);
        join.watermark_right(10);
        join.left((), 'l', 10);
        join.right((), 'r', 10);
        join.right((), 'x', 9);
        assert_eq!(join.take_output().len(), 1);
        assert_eq!(join.left_state(), [10]);
        join.watermark_left(11);
        join.watermark_right(11);
        assert!(join.left_state().is_empty());
    }
}
