//! Which event times are near each other, and until when a record can find a partner.

use std::ops::RangeInclusive;

use highwater_core::time::EventTime;
use serde::{Deserialize, Serialize};

/// How far a right record may be from its left partner, in ms, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalBounds {
    lower_ms: i64,
    upper_ms: i64,
}

impl IntervalBounds {
    /// Returns the bounds; if the lower one is above the upper one, there are no pairs.
    #[must_use]
    pub fn new(lower_ms: i64, upper_ms: i64) -> Self {
        IntervalBounds { lower_ms, upper_ms }
    }

    /// Leaves out the lower bound itself.
    #[must_use]
    pub fn exclusive_lower(self) -> Self {
        IntervalBounds { lower_ms: self.lower_ms.saturating_add(1), ..self }
    }

    /// Leaves out the upper bound itself.
    #[must_use]
    pub fn exclusive_upper(self) -> Self {
        IntervalBounds { upper_ms: self.upper_ms.saturating_sub(1), ..self }
    }

    /// The event times of the partners of a left record.
    pub(super) fn partners_of_left(&self, time: EventTime) -> Option<RangeInclusive<EventTime>> {
        around(time, i128::from(self.lower_ms), i128::from(self.upper_ms))
    }

    /// The event times of the partners of a right record.
    pub(super) fn partners_of_right(&self, time: EventTime) -> Option<RangeInclusive<EventTime>> {
        around(time, -i128::from(self.upper_ms), -i128::from(self.lower_ms))
    }

    /// The watermark that removes a record.
    pub(super) fn until(&self, side: Side, time: EventTime) -> i64 {
        match side {
            Side::Left => time.saturating_add(self.upper_ms.max(0)),
            Side::Right => time.saturating_sub(self.lower_ms.min(0)),
        }
    }
}

/// The event times from `time + from` to `time + to`, `None` if there are none.
fn around(time: EventTime, from: i128, to: i128) -> Option<RangeInclusive<EventTime>> {
    let first = (i128::from(time) + from).max(i128::from(EventTime::MIN));
    let last = (i128::from(time) + to).min(i128::from(EventTime::MAX));
    let in_range = |end: i128| EventTime::try_from(end).ok();
    in_range(first).zip(in_range(last)).filter(|(a, b)| a <= b).map(|(a, b)| a..=b)
}

/// The two inputs of the join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Side {
    Left,
    Right,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_lie_between_the_bounds_on_either_side() {
        let bounds = IntervalBounds::new(-2, 5);
        assert_eq!(bounds.partners_of_left(10), Some(8..=15));
        assert_eq!(bounds.partners_of_right(10), Some(5..=12));
        let narrow = bounds.exclusive_lower().exclusive_upper();
        assert_eq!(narrow.partners_of_left(10), Some(9..=14));
        assert_eq!(narrow.partners_of_right(10), Some(6..=11));
    }

    #[test]
    fn bounds_that_leave_nothing_have_no_partners() {
        let nothing = IntervalBounds::new(1, 2).exclusive_lower().exclusive_upper();
        assert_eq!(nothing.partners_of_left(10), None);
        assert_eq!(nothing.partners_of_right(10), None);
    }

    #[test]
    fn bounds_reach_to_the_ends_of_time_and_not_beyond() {
        let bounds = IntervalBounds::new(i64::MIN, i64::MAX);
        assert_eq!(bounds.partners_of_left(10), Some(i64::MIN + 10..=i64::MAX));
        assert_eq!(bounds.partners_of_right(-10), Some(i64::MIN..=i64::MAX - 9));
        assert_eq!(IntervalBounds::new(5, 9).partners_of_left(i64::MAX - 4), None);
        assert_eq!(bounds.until(Side::Left, 10), i64::MAX);
        assert_eq!(bounds.until(Side::Right, 10), i64::MAX);
    }

    #[test]
    fn a_record_is_kept_while_a_partner_can_still_come() {
        let around = IntervalBounds::new(-2, 5);
        assert_eq!((around.until(Side::Left, 10), around.until(Side::Right, 10)), (15, 12));
        let before = IntervalBounds::new(-5, -2);
        assert_eq!((before.until(Side::Left, 10), before.until(Side::Right, 10)), (10, 15));
        let after = IntervalBounds::new(2, 5);
        assert_eq!((after.until(Side::Left, 10), after.until(Side::Right, 10)), (15, 10));
    }
}
