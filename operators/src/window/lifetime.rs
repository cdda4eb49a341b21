//! How long a window lives, and what becomes of records that come too late for it.
//!
//! ```text
//! start ............ max_timestamp ............ max_timestamp + lateness
//!   |--- fills ---|------|--- late records fire it again ---|--- gone: records are late
//!                      fires                             cleaned up
//! ```
//!
//! A record is late if all its windows are gone, and it is itself behind the watermark. In batch
//! mode there is one watermark, the last, and so nothing is late.
//!
//! **Sources**: Flink's `WindowOperator`: `isWindowLate`, `isElementLate`, `cleanupTime`.

use std::time::Duration;

use highwater_core::context::Context;
use highwater_core::error::{Error, Result};
use highwater_core::record::Data;
use highwater_core::side::OutputTag;
use highwater_core::time::EventTime;

use super::assigner::whole_ms;
use super::time_window::TimeWindow;
use super::trigger::TimeDomain;

/// What can be said about windows of any kind.
#[derive(Debug)]
pub struct WindowOptions<T> {
    /// How long after its end an event-time window takes records.
    pub allowed_lateness: Duration,
    /// Where late records go; when nobody listens they are counted and dropped.
    pub late_output: Option<OutputTag<T>>,
    /// Batch mode: nothing fires before the end of the input, and then every window once.
    pub final_only: bool,
}

impl<T> Default for WindowOptions<T> {
    fn default() -> Self {
        WindowOptions { allowed_lateness: Duration::ZERO, late_output: None, final_only: false }
    }
}

/// The error of a record that has no event time, in an operator that needs one.
pub(super) fn no_event_time() -> Error {
    Error::program(
        "the records of a window have no event time: call watermarks() before the window",
    )
}

/// Knows when the windows of one operator end, and how far its watermark is.
#[derive(Debug)]
pub(super) struct Lifetime<T> {
    event_time: bool,
    pub(super) lateness_ms: i64,
    late_output: Option<OutputTag<T>>,
    pub(super) final_only: bool,
    pub(super) watermark: i64,
}

impl<T: Data> Lifetime<T> {
    /// # Errors
    /// When the lateness is not a whole number of ms.
    pub(super) fn new(options: WindowOptions<T>, event_time: bool) -> Result<Self> {
        let lateness = options.allowed_lateness;
        let lateness_ms =
            if lateness.is_zero() { 0 } else { whole_ms(lateness, "allowed_lateness")? };
        Ok(Lifetime {
            event_time,
            lateness_ms,
            late_output: options.late_output,
            final_only: options.final_only,
            watermark: i64::MIN,
        })
    }

    /// Goes on from the watermark up to which the restored windows have fired.
    pub(super) fn restore(mut self, floor: i64) -> Self {
        self.watermark = floor;
        self
    }

    /// Moves the watermark; returns whether anything may fire. In batch mode there is one
    /// watermark, the last.
    pub(super) fn advance(&mut self, watermark: i64) -> bool {
        if self.final_only && watermark < i64::MAX {
            return false;
        }
        self.watermark = self.watermark.max(watermark);
        true
    }

    /// Returns whether the input has ended.
    pub(super) fn ended(&self) -> bool {
        self.watermark == i64::MAX
    }

    fn gone_at(&self, window: &TimeWindow) -> i64 {
        window.max_timestamp().saturating_add(self.lateness_ms)
    }

    /// Returns whether the window takes no more records.
    #[inline]
    pub(super) fn is_late(&self, window: &TimeWindow) -> bool {
        self.event_time && self.gone_at(window) <= self.watermark
    }

    /// Returns when the window is removed, `None` for never. In batch mode that is also when it
    /// fires, so there every window has an end.
    #[inline]
    pub(super) fn cleanup(&self, window: &TimeWindow) -> Option<(TimeDomain, i64)> {
        let (domain, time) = match (self.event_time, self.final_only) {
            (true, _) => (TimeDomain::Event, self.gone_at(window)),
            (false, true) => (TimeDomain::Event, i64::MAX),
            (false, false) => (TimeDomain::Processing, window.max_timestamp()),
        };
        (time < i64::MAX || self.final_only).then_some((domain, time))
    }

    /// Deals with a record that went into no window: if it is late, and does not merely fall
    /// between windows, it goes to the side output or is counted.
    #[cold]
    pub(super) fn skipped<O: Data>(&self, at: EventTime, value: T, cx: &mut Context<'_, O>) {
        if !self.event_time || at.saturating_add(self.lateness_ms) > self.watermark {
            return;
        }
        match &self.late_output {
            Some(tag) if cx.has_listener(tag) => cx.emit_to(tag, at, value),
            _ => cx.count_late(1),
        }
    }
}
