//! Which windows a record belongs to, when windows do not merge.
//!
//! A window of size `s` and offset `o` that starts every `d` ms holds the event time `t` if its
//! start is congruent to `o` modulo `d` and `start <= t < start + s`. With `d = s` there is exactly
//! one (tumbling), with `d < s` there are about `s / d` (sliding), with `d > s` one or none.
//!
//! ```text
//! phase  = (t - o) mod d        never negative, also before 1970
//! starts = t - phase, t - phase - d, ...   while start + s > t
//! ```
//!
//! **Sources**: Flink's `TumblingEventTimeWindows`, `SlidingEventTimeWindows`, `GlobalWindows` and
//! `TimeWindow#getWindowStartWithOffset`.

use std::time::Duration;

use highwater_core::error::{Error, Result};
use highwater_core::time::EventTime;

use super::time_window::TimeWindow;
use super::trigger::AtEnd;

/// Says which windows a record belongs to.
///
/// # Contract
/// - *Pure*: the windows follow from the arguments alone.
/// - *Distinct*: no window is given twice for one record.
pub trait Assigner<T>: 'static {
    /// Checks what the assigner was made with; called once, when the operator is built.
    ///
    /// # Errors
    /// When a size, slide or offset is not allowed.
    fn check(&self) -> Result<()>;

    /// Returns whether windows end by the watermark, and not by the processing time or never.
    fn is_event_time(&self) -> bool;

    /// Adds the windows of a record to `windows`.
    ///
    /// - `event_time`: that of the record; `now_ms`: the processing time.
    fn assign(&self, value: &T, event_time: EventTime, now_ms: i64, windows: &mut Vec<TimeWindow>);

    /// Returns the trigger that windows have when nobody names another.
    fn default_trigger(&self) -> AtEnd;

    /// Returns the grid on which event-time windows of one size stand, if they do: such windows can
    /// share what they hold.
    fn alignment(&self) -> Option<Alignment> {
        None
    }
}

/// A grid of windows of one size that start at regular intervals, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The length of a window.
    pub size_ms: i64,
    /// From the start of one window to the start of the next.
    pub slide_ms: i64,
    /// Where the grid stands: some window starts at this time. From 0 to less than `slide_ms`.
    pub offset_ms: i64,
}

impl Alignment {
    fn new(size_ms: i64, slide_ms: i64, offset_ms: i64) -> Self {
        let offset_ms = if slide_ms > 0 { offset_ms.rem_euclid(slide_ms) } else { 0 };
        Alignment { size_ms, slide_ms, offset_ms }
    }

    /// Returns how far `time` lies after the start of the last window that starts at or before it.
    fn phase(&self, time: i64) -> i64 {
        let phase = time.rem_euclid(self.slide_ms) - self.offset_ms;
        if phase < 0 { phase + self.slide_ms } else { phase }
    }

    fn assign(&self, time: i64, windows: &mut Vec<TimeWindow>) {
        let mut before = self.phase(time);
        while before < self.size_ms {
            let (start, end) =
                (time.saturating_sub(before), time.saturating_add(self.size_ms - before));
            windows.push(TimeWindow::new(start, end));
            before = before.saturating_add(self.slide_ms);
        }
    }
}

/// Returns a duration in ms, cut off to the range that the checks refuse at either end.
fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Returns a duration in ms.
///
/// # Errors
/// When it is zero or not a whole number of ms; `name` says whose it is.
pub(super) fn whole_ms(duration: Duration, name: &str) -> Result<i64> {
    if duration.is_zero() || !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(Error::option(name, format!("{duration:?}"), "whole milliseconds, 1 or more"));
    }
    Ok(to_ms(duration))
}

fn check_offset(offset_ms: i64, limit_ms: i64, name: &str) -> Result<()> {
    if offset_ms.unsigned_abs() >= limit_ms.unsigned_abs() {
        let expected = format!("more than -{limit_ms} and less than {limit_ms} ms");
        return Err(Error::option(name, offset_ms, expected));
    }
    Ok(())
}

/// By which clock windows begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Event,
    Processing,
}

impl Clock {
    fn choose(self, event_time: EventTime, now_ms: i64) -> i64 {
        match self {
            Clock::Event => event_time,
            Clock::Processing => now_ms,
        }
    }

    fn default_trigger(self) -> AtEnd {
        match self {
            Clock::Event => AtEnd::EventTime,
            Clock::Processing => AtEnd::ProcessingTime,
        }
    }
}

/// Windows of one size, one after the other: each record belongs to exactly one.
#[derive(Clone, Copy, Debug)]
pub struct Tumbling {
    size: Duration,
    offset_ms: i64,
    grid: Alignment,
    clock: Clock,
}

impl Tumbling {
    /// Returns windows of a size, in event time, of which one starts at 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn of(size: Duration) -> Self {
        let grid = Alignment::new(to_ms(size), to_ms(size), 0);
        Tumbling { size, offset_ms: 0, grid, clock: Clock::Event }
    }

    /// Moves all windows to later times.
    #[must_use]
    pub fn offset(self, offset: Duration) -> Self {
        self.offset_ms(to_ms(offset))
    }

    /// Moves all windows to later times, or to earlier ones if `offset_ms` is negative.
    #[must_use]
    pub fn offset_ms(mut self, offset_ms: i64) -> Self {
        self.offset_ms = offset_ms;
        self.grid = Alignment::new(self.grid.size_ms, self.grid.slide_ms, offset_ms);
        self
    }

    /// Assigns records by the time at which they are processed.
    #[must_use]
    pub fn processing_time(mut self) -> Self {
        self.clock = Clock::Processing;
        self
    }
}

impl<T> Assigner<T> for Tumbling {
    fn check(&self) -> Result<()> {
        let size_ms = whole_ms(self.size, "Tumbling::of")?;
        check_offset(self.offset_ms, size_ms, "Tumbling::offset")
    }
    fn is_event_time(&self) -> bool {
        self.clock == Clock::Event
    }
    fn assign(&self, _value: &T, event_time: EventTime, now_ms: i64, to: &mut Vec<TimeWindow>) {
        self.grid.assign(self.clock.choose(event_time, now_ms), to);
    }
    fn default_trigger(&self) -> AtEnd {
        self.clock.default_trigger()
    }
    fn alignment(&self) -> Option<Alignment> {
        (self.clock == Clock::Event).then_some(self.grid)
    }
}

/// Windows of one size that start at regular intervals: a record belongs to `size / slide` of them.
#[derive(Clone, Copy, Debug)]
pub struct Sliding {
    size: Duration,
    slide: Duration,
    offset_ms: i64,
    grid: Alignment,
    clock: Clock,
}

impl Sliding {
    /// Returns windows of a size, in event time, that start every `slide` since
    /// 1970-01-01T00:00:00Z. A slide greater than the size leaves gaps, whose records belong to no
    /// window.
    #[must_use]
    pub fn of(size: Duration, slide: Duration) -> Self {
        let grid = Alignment::new(to_ms(size), to_ms(slide), 0);
        Sliding { size, slide, offset_ms: 0, grid, clock: Clock::Event }
    }

    /// Moves all windows to later times.
    #[must_use]
    pub fn offset(self, offset: Duration) -> Self {
        self.offset_ms(to_ms(offset))
    }

    /// Moves all windows to later times, or to earlier ones if `offset_ms` is negative.
    #[must_use]
    pub fn offset_ms(mut self, offset_ms: i64) -> Self {
        self.offset_ms = offset_ms;
        self.grid = Alignment::new(self.grid.size_ms, self.grid.slide_ms, offset_ms);
        self
    }

    /// Assigns records by the time at which they are processed.
    #[must_use]
    pub fn processing_time(mut self) -> Self {
        self.clock = Clock::Processing;
        self
    }
}

impl<T> Assigner<T> for Sliding {
    fn check(&self) -> Result<()> {
        whole_ms(self.size, "the size of Sliding::of")?;
        let slide_ms = whole_ms(self.slide, "the slide of Sliding::of")?;
        check_offset(self.offset_ms, slide_ms, "Sliding::offset")
    }
    fn is_event_time(&self) -> bool {
        self.clock == Clock::Event
    }
    fn assign(&self, _value: &T, event_time: EventTime, now_ms: i64, to: &mut Vec<TimeWindow>) {
        self.grid.assign(self.clock.choose(event_time, now_ms), to);
    }
    fn default_trigger(&self) -> AtEnd {
        self.clock.default_trigger()
    }
    fn alignment(&self) -> Option<Alignment> {
        (self.clock == Clock::Event).then_some(self.grid)
    }
}

/// One window for everything; it fires when a trigger says so, by default never.
#[derive(Clone, Copy, Debug)]
pub struct Global;

impl<T> Assigner<T> for Global {
    fn check(&self) -> Result<()> {
        Ok(())
    }
    fn is_event_time(&self) -> bool {
        false
    }
    fn assign(&self, _value: &T, _event_time: EventTime, _now_ms: i64, to: &mut Vec<TimeWindow>) {
        to.push(TimeWindow::GLOBAL);
    }
    fn default_trigger(&self) -> AtEnd {
        AtEnd::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn windows(assigner: &impl Assigner<()>, time: i64) -> Vec<(i64, i64)> {
        assigner.check().expect("the parameters are allowed");
        let mut windows = Vec::new();
        assigner.assign(&(), time, 77, &mut windows);
        windows.iter().map(|w| (w.start, w.end)).collect()
    }

    #[test]
    fn tumbling_windows_hold_their_start_and_not_their_end() {
        let plain = Tumbling::of(ms(5000));
        assert_eq!(windows(&plain, 0), [(0, 5000)]);
        assert_eq!(windows(&plain, 4999), [(0, 5000)]);
        assert_eq!(windows(&plain, 5000), [(5000, 10_000)]);
        assert_eq!(windows(&plain, -1), [(-5000, 0)]);
        assert_eq!(windows(&plain, -5000), [(-5000, 0)]);
        assert_eq!(windows(&plain.offset(ms(100)), 5100), [(5100, 10_100)]);
        assert_eq!(windows(&plain.offset_ms(-100), 4899), [(-100, 4900)]);
        assert_eq!(windows(&plain.offset_ms(-100), 4900), [(4900, 9900)]);
        assert_eq!(windows(&plain.processing_time(), 4_000_000), [(0, 5000)], "now is 77");
    }

    #[test]
    fn sliding_windows_come_latest_first() {
        let sliding = Sliding::of(ms(5000), ms(2000));
        assert_eq!(windows(&sliding, 0), [(0, 5000), (-2000, 3000), (-4000, 1000)]);
        assert_eq!(windows(&sliding, 1500), [(0, 5000), (-2000, 3000)]);
        assert_eq!(
            windows(&sliding.offset_ms(-100), -50),
            [(-100, 4900), (-2100, 2900), (-4100, 900)]
        );
    }

    #[test]
    fn records_between_sparse_windows_belong_to_none() {
        let sparse = Sliding::of(ms(10), ms(25));
        assert_eq!(windows(&sparse, 9), [(0, 10)]);
        assert_eq!(windows(&sparse, 10), []);
        assert_eq!(windows(&sparse, 24), []);
        assert_eq!(windows(&sparse, 25), [(25, 35)]);
    }

    #[test]
    fn windows_at_the_ends_of_time_are_cut_off_there() {
        let plain = Tumbling::of(ms(10));
        assert_eq!(windows(&plain, i64::MAX), [(i64::MAX - 7, i64::MAX)]);
        assert_eq!(windows(&plain, i64::MIN + 1), [(i64::MIN, i64::MIN + 8)]);
    }

    #[test]
    fn sizes_slides_and_offsets_that_make_no_windows_are_refused() {
        let refused = |result: Result<()>| result.expect_err("must be refused").sentence();
        let tumbling = |a: Tumbling| refused(Assigner::<()>::check(&a));
        let sliding = |a: Sliding| refused(Assigner::<()>::check(&a));
        assert_eq!(
            tumbling(Tumbling::of(Duration::ZERO)),
            "option Tumbling::of: 0ns is not allowed, expected whole milliseconds, 1 or more"
        );
        assert!(tumbling(Tumbling::of(Duration::from_micros(900))).contains("900"));
        assert!(tumbling(Tumbling::of(ms(10)).offset_ms(-10)).contains("Tumbling::offset: -10"));
        assert!(sliding(Sliding::of(ms(10), Duration::ZERO)).contains("the slide of Sliding::of"));
        assert!(sliding(Sliding::of(Duration::ZERO, ms(10))).contains("the size of Sliding::of"));
        assert!(sliding(Sliding::of(ms(10), ms(5)).offset(ms(5))).contains("Sliding::offset: 5"));
    }
}
