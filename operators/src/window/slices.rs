//! The slices that the windows of a grid share, and which windows hold which slice.
//!
//! ```text
//! size 6, slide 4: width = gcd = 2
//!
//! slices   |0 2|2 4|4 6|6 8|8 10|10 12|
//! windows  |------------|               [0, 6)
//!                  |------------|       [4, 10)
//! ```
//!
//! No window begins or ends inside a slice, so all records of a slice have the same windows, and
//! each is stored once however many windows hold it. With `slide > size` some slices have none.
//!
//! A slice is named by its first instant, a window by its end. Names of slices are cut off at
//! `i64::MIN`; the arithmetic on ends is done in 128 bits, where it cannot overflow.
//!
//! **Sources**: Li et al., No Pane, No Gain, SIGMOD Record 2005; Flink SQL's `SliceAssigners`.

use super::assigner::Alignment;
use super::time_window::TimeWindow;

/// Divides the time line into slices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slices {
    width: i64,
    grid: Alignment,
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Brings an instant back into the range of `i64`.
fn clamp(time: i128) -> i64 {
    time.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

impl Slices {
    /// Returns the slices of a grid whose size and slide are positive.
    pub(super) fn new(grid: Alignment) -> Self {
        Slices { width: gcd(grid.size_ms, grid.slide_ms), grid }
    }

    /// Returns whether every window is one slice.
    pub(super) fn is_single(&self) -> bool {
        self.width == self.grid.size_ms
    }

    /// Returns whether some slices belong to no window.
    pub(super) fn has_gaps(&self) -> bool {
        self.grid.slide_ms > self.grid.size_ms
    }

    /// Returns the first and the last instant of the slice that holds `time`.
    #[inline]
    pub(super) fn bounds(&self, time: i64) -> (i64, i64) {
        let phase = time.wrapping_sub(self.grid.offset_ms);
        if phase > time {
            return self.far_bounds(time);
        }
        let after = phase.rem_euclid(self.width);
        (time.saturating_sub(after), time.saturating_add(self.width - 1 - after))
    }

    #[cold]
    fn far_bounds(&self, time: i64) -> (i64, i64) {
        let first = self.start(time);
        (clamp(first), clamp(first + i128::from(self.width) - 1))
    }

    /// Returns where the slice that holds `time` would begin if time had no bounds.
    fn start(&self, time: i64) -> i128 {
        let phase = i128::from(time) - i128::from(self.grid.offset_ms);
        i128::from(time) - phase.rem_euclid(i128::from(self.width))
    }

    /// Returns the end of the first window that holds the slice and ends after `after`.
    pub(super) fn end_after(&self, slice: i64, after: i128) -> Option<i128> {
        let [size, slide, offset] = self.wide();
        let start = self.start(slice);
        let least = (start + i128::from(self.width)).max(after.saturating_add(1));
        let end = least.checked_add((offset + size - least).rem_euclid(slide))?;
        (end - size <= start).then_some(end)
    }

    /// Returns the end of the last window that holds the slice, `None` if no window does.
    pub(super) fn last_end(&self, slice: i64) -> Option<i128> {
        let [size, slide, offset] = self.wide();
        let start = self.start(slice);
        let phase = (start - offset).rem_euclid(slide);
        (phase < size).then_some(start - phase + size)
    }

    /// Returns the end of the window that ends before the one that ends at `end`.
    pub(super) fn previous_end(&self, end: i128) -> i128 {
        end - i128::from(self.grid.slide_ms)
    }

    /// Returns the window that ends at `end`.
    pub(super) fn window(&self, end: i128) -> TimeWindow {
        TimeWindow::new(clamp(end - i128::from(self.grid.size_ms)), clamp(end))
    }

    fn wide(&self) -> [i128; 3] {
        [self.grid.size_ms, self.grid.slide_ms, self.grid.offset_ms].map(i128::from)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::assigner::{Assigner, Sliding};
    use super::*;

    /// All windows of `time` as slices know them, latest first.
    fn windows(slices: &Slices, time: i64) -> Vec<TimeWindow> {
        let (first, last) = slices.bounds(time);
        assert!(first <= time && time <= last);
        let Some(mut end) = slices.last_end(first) else { return Vec::new() };
        let least = slices.end_after(first, i128::MIN);
        let mut windows = Vec::new();
        while least.is_some_and(|least| least <= end) {
            windows.push(slices.window(end));
            end = slices.previous_end(end);
        }
        windows
    }

    #[test]
    fn a_slice_has_the_windows_of_each_of_its_instants() {
        for (size, slide, offset) in [(6, 4, 1), (5, 5, -2), (60, 1, 0), (4, 6, 3), (7, 3, 2)] {
            let duration = Duration::from_millis;
            let assigner = Sliding::of(duration(size), duration(slide)).offset_ms(offset);
            let grid = Assigner::<()>::alignment(&assigner).expect("sliding windows have a grid");
            let slices = Slices::new(grid);
            let ends = [i64::MIN + 1, i64::MIN + 9, i64::MAX - 9, i64::MAX - 1, i64::MAX];
            for time in (-70..70).chain(ends) {
                let mut expected = Vec::new();
                assigner.assign(&(), time, 0, &mut expected);
                assert_eq!(windows(&slices, time), expected, "{size}/{slide}+{offset} at {time}");
            }
        }
    }
}
