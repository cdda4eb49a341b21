//! Which windows an element belongs to.
//!
//! A window of size `s` and offset `o` starts at the largest `start <= ts` with
//! `start = o (mod s)`. Sliding windows are those starts at steps of `slide` that still hold `ts`;
//! a session is `[ts, ts + gap)` and grows by merging with the sessions it touches.

use std::fmt;
use std::sync::Arc;

/// A window `[start, end)`; [`Window::GLOBAL`] is the window without an end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Window {
    /// The first instant that belongs to the window.
    pub start: i64,
    /// The first instant that no longer belongs to it.
    pub end: i64,
}

impl Window {
    /// The window that holds every element and whose last instant is the end of time.
    pub const GLOBAL: Window = Window { start: i64::MIN, end: i64::MAX };

    /// Returns the last instant of the window, which is also the timestamp of its results.
    pub fn max_timestamp(&self) -> i64 {
        if *self == Window::GLOBAL { i64::MAX } else { self.end.saturating_sub(1) }
    }

    /// Says whether two sessions merge: they overlap, or one begins where the other ends.
    pub fn touches(&self, other: &Window) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// Returns the smallest window that holds both.
    pub fn cover(self, other: Window) -> Window {
        Window { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A rule that gives the session gap of one element.
type GapRule<K, V> = Arc<dyn Fn(&K, &V) -> i64 + Send + Sync>;

/// The length of silence that ends a session, in milliseconds.
#[derive(Clone)]
pub enum Gap<K, V> {
    /// The same gap for all elements.
    Fixed(i64),
    /// A gap for each element. A gap of zero makes the empty window `[ts, ts)`, which still merges.
    PerRecord(GapRule<K, V>),
}

impl<K, V> Gap<K, V> {
    fn of(&self, key: &K, value: &V) -> i64 {
        match self {
            Gap::Fixed(gap) => *gap,
            Gap::PerRecord(rule) => rule(key, value),
        }
    }
}

impl<K, V> fmt::Debug for Gap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::Fixed(gap) => write!(f, "Fixed({gap})"),
            Gap::PerRecord(_) => write!(f, "PerRecord(..)"),
        }
    }
}

/// How elements are assigned to windows; all lengths are milliseconds.
#[derive(Clone, Debug)]
pub enum Assigner<K, V> {
    /// Windows side by side.
    Tumbling {
        /// The length of a window, positive.
        size: i64,
        /// What a window's start is congruent to, modulo the size; may be negative.
        offset: i64,
    },
    /// Windows that overlap, or that leave holes if the slide is longer than the size.
    Sliding {
        /// The length of a window, positive.
        size: i64,
        /// The distance of two starts, positive.
        slide: i64,
        /// What a window's start is congruent to, modulo the slide; may be negative.
        offset: i64,
    },
    /// Windows that end after a silence; the only ones that merge.
    Session {
        /// The silence.
        gap: Gap<K, V>,
    },
    /// One window for everything.
    Global,
}

impl<K, V> Assigner<K, V> {
    /// Returns the windows of an element at `ts`, in the order of their starts.
    ///
    /// # Panics
    /// If a size or a slide is not positive.
    pub fn assign(&self, key: &K, value: &V, ts: i64) -> Vec<Window> {
        match self {
            Assigner::Tumbling { size, offset } => aligned(ts, *size, *size, *offset),
            Assigner::Sliding { size, slide, offset } => aligned(ts, *size, *slide, *offset),
            Assigner::Session { gap } => {
                vec![Window { start: ts, end: ts.saturating_add(gap.of(key, value)) }]
            }
            Assigner::Global => vec![Window::GLOBAL],
        }
    }

    /// Says whether windows merge.
    pub fn merges(&self) -> bool {
        matches!(self, Assigner::Session { .. })
    }
}

/// All windows `[start, start + size)` with `start = offset (mod slide)` that hold `ts`.
fn aligned(ts: i64, size: i64, slide: i64, offset: i64) -> Vec<Window> {
    assert!(size > 0, "a window of {size} ms");
    assert!(slide > 0, "a slide of {slide} ms");
    // Wider than a timestamp, so that nothing overflows near the ends of time.
    let (ts, size, slide) = (i128::from(ts), i128::from(size), i128::from(slide));
    let last = ts - (ts - i128::from(offset)).rem_euclid(slide);
    let mut windows: Vec<Window> = (0..)
        .map(|back| last - back * slide)
        .take_while(|start| start + size > ts)
        .map(|start| Window { start: instant(start), end: instant(start + size) })
        .collect();
    windows.reverse();
    windows
}

/// The timestamp nearest to a wide one.
fn instant(wide: i128) -> i64 {
    let clamped = wide.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    i64::try_from(clamped).expect("clamped to the range of a timestamp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(assigner: &Assigner<(), ()>, ts: i64) -> Vec<i64> {
        assigner.assign(&(), &(), ts).iter().map(|window| window.start).collect()
    }

    #[test]
    fn tumbling_windows_hold_instants_before_the_epoch() {
        let tumbling = Assigner::Tumbling { size: 10, offset: -3 };
        assert_eq!(starts(&tumbling, -3), [-3]);
        assert_eq!(starts(&tumbling, -4), [-13]);
        assert_eq!(starts(&tumbling, -104), [-113]);
    }

    #[test]
    fn a_slide_longer_than_the_window_leaves_holes() {
        let sliding = Assigner::Sliding { size: 2, slide: 5, offset: 0 };
        assert_eq!(starts(&sliding, 6), [5]);
        assert!(starts(&sliding, 7).is_empty());
    }

    #[test]
    fn the_last_window_ends_at_the_end_of_time() {
        let tumbling: Assigner<(), ()> = Assigner::Tumbling { size: 1_000, offset: 0 };
        assert_eq!(tumbling.assign(&(), &(), i64::MAX)[0].end, i64::MAX);
    }

    #[test]
    fn sessions_that_only_meet_merge() {
        let (a, b) = (Window { start: 0, end: 3 }, Window { start: 3, end: 6 });
        assert!(a.touches(&b));
        assert!(!a.touches(&Window { start: 4, end: 6 }));
        assert_eq!(a.cover(b), Window { start: 0, end: 6 });
    }
}
