//! Which session a record opens, before sessions that touch each other merge.
//!
//! A record at `t` opens the session `[t, t + gap)`. Sessions of one key merge if they overlap or
//! touch, so two records whose distance is exactly the gap are still of one session.
//!
//! **Sources**: Flink's `EventTimeSessionWindows`, `DynamicEventTimeSessionWindows`.

use std::time::Duration;

use highwater_core::error::{Error, Result};

use super::assigner::whole_ms;
use super::time_window::TimeWindow;
use super::trigger::AtEnd;

/// Says which session a record opens.
pub trait SessionAssigner<T>: 'static {
    /// Checks what the assigner was made with; called once, when the operator is built.
    ///
    /// # Errors
    /// When the gap is not allowed.
    fn check(&self) -> Result<()>;

    /// Returns whether sessions end by the watermark, and not by the processing time.
    fn is_event_time(&self) -> bool;

    /// Returns the session that a record opens.
    ///
    /// - `time`: its event time, or the processing time.
    ///
    /// # Errors
    /// When the record gives no session.
    fn session(&self, value: &T, time: i64) -> Result<TimeWindow>;

    /// Returns the trigger that sessions have when nobody names another.
    fn default_trigger(&self) -> AtEnd {
        if self.is_event_time() { AtEnd::EventTime } else { AtEnd::ProcessingTime }
    }
}

/// Windows that end when a key has had no record for a while.
///
/// - `G`: the gap, [`FixedGap`] or [`DynamicGap`].
#[derive(Clone, Copy, Debug)]
pub struct Session<G> {
    gap: G,
    event_time: bool,
}

/// The same gap for every record.
#[derive(Clone, Copy, Debug)]
pub struct FixedGap {
    gap: Duration,
    gap_ms: i64,
}

/// A gap for each record.
#[derive(Clone, Copy, Debug)]
pub struct DynamicGap<F> {
    gap_ms: F,
}

impl Session<FixedGap> {
    /// Returns sessions that end after a gap without records, in event time.
    #[must_use]
    pub fn gap(gap: Duration) -> Self {
        let gap_ms = i64::try_from(gap.as_millis()).unwrap_or(i64::MAX);
        Session { gap: FixedGap { gap, gap_ms }, event_time: true }
    }
}

impl<F> Session<DynamicGap<F>> {
    /// Returns sessions that end after a gap which each record chooses, in event time.
    ///
    /// - `gap_ms`: the gap after the record, in ms; 0 or less ends the job with an error.
    #[must_use]
    pub fn dynamic<T>(gap_ms: F) -> Self
    where
        F: Fn(&T) -> i64 + 'static,
    {
        Session { gap: DynamicGap { gap_ms }, event_time: true }
    }
}

impl<G> Session<G> {
    /// Makes sessions of the times at which records are processed.
    #[must_use]
    pub fn processing_time(mut self) -> Self {
        self.event_time = false;
        self
    }
}

impl<T> SessionAssigner<T> for Session<FixedGap> {
    fn check(&self) -> Result<()> {
        whole_ms(self.gap.gap, "Session::gap").map(|_| ())
    }
    fn is_event_time(&self) -> bool {
        self.event_time
    }
    #[inline]
    fn session(&self, _value: &T, time: i64) -> Result<TimeWindow> {
        Ok(TimeWindow::new(time, time.saturating_add(self.gap.gap_ms)))
    }
}

impl<T, F: Fn(&T) -> i64 + 'static> SessionAssigner<T> for Session<DynamicGap<F>> {
    fn check(&self) -> Result<()> {
        Ok(())
    }
    fn is_event_time(&self) -> bool {
        self.event_time
    }
    fn session(&self, value: &T, time: i64) -> Result<TimeWindow> {
        let gap_ms = (self.gap.gap_ms)(value);
        if gap_ms <= 0 {
            return Err(Error::option("Session::dynamic", gap_ms, "a gap of 1 ms or more"));
        }
        Ok(TimeWindow::new(time, time.saturating_add(gap_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_a_session_of_the_length_of_the_gap() {
        let fixed = Session::gap(Duration::from_millis(10));
        assert_eq!(fixed.session(&(), 5).expect("a session"), TimeWindow::new(5, 15));
        let dynamic = Session::dynamic(|gap: &i64| *gap);
        assert_eq!(dynamic.session(&3, -5).expect("a session"), TimeWindow::new(-5, -2));
    }

    #[test]
    fn a_gap_of_nothing_is_refused() {
        let fixed = Session::gap(Duration::ZERO);
        let error = SessionAssigner::<()>::check(&fixed).expect_err("must be refused");
        assert!(error.sentence().starts_with("option Session::gap: 0ns"));
        let dynamic = Session::dynamic(|gap: &i64| *gap);
        let error = dynamic.session(&0, 5).expect_err("must be refused");
        assert!(error.sentence().starts_with("option Session::dynamic: 0 is not allowed"));
    }
}
