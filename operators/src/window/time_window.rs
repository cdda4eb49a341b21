//! A window of time: a range of event times or processing times, in ms since 1970.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The times from `start`, included, to `end`, excluded, in ms since 1970.
///
/// A window that reaches `i64::MAX` has no end: its last instant is `i64::MAX` itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeWindow {
    /// The first instant that belongs to the window.
    pub start: i64,
    /// The first instant that no longer does.
    pub end: i64,
}

impl TimeWindow {
    /// The one window that holds every record and never ends.
    pub const GLOBAL: TimeWindow = TimeWindow { start: i64::MIN, end: i64::MAX };

    /// Returns the window `[start, end)`.
    #[must_use]
    pub fn new(start: i64, end: i64) -> Self {
        TimeWindow { start, end }
    }

    /// Returns the last instant that belongs to the window: the event time of its results.
    #[inline]
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        if self.end == i64::MAX { i64::MAX } else { self.end.saturating_sub(1) }
    }

    /// Returns whether the windows overlap, or one starts where the other ends.
    #[must_use]
    pub fn touches(&self, other: &TimeWindow) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// Returns the smallest window that holds both.
    #[must_use]
    pub fn cover(&self, other: &TimeWindow) -> TimeWindow {
        TimeWindow { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_instant_is_one_before_the_end_unless_there_is_none() {
        assert_eq!(TimeWindow::new(0, 10).max_timestamp(), 9);
        assert_eq!(TimeWindow::GLOBAL.max_timestamp(), i64::MAX);
    }

    #[test]
    fn windows_touch_when_one_starts_where_the_other_ends() {
        let window = TimeWindow::new(10, 20);
        assert!(window.touches(&TimeWindow::new(20, 30)));
        assert!(window.touches(&TimeWindow::new(0, 10)));
        assert!(window.touches(&TimeWindow::new(12, 13)));
        assert!(!window.touches(&TimeWindow::new(21, 30)));
        assert_eq!(window.cover(&TimeWindow::new(20, 30)), TimeWindow::new(10, 30));
    }
}
