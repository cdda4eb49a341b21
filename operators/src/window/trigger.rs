//! When a window fires: the contract of triggers, and the triggers that wait for the end.
//!
//! ```text
//! record --> on_element ---------.
//! timer  --> on_event_time ------+--> Continue | Fire | Purge | FireAndPurge
//!        --> on_processing_time -'
//! ```
//!
//! A trigger has one state for each key and window, which it alone understands; the operator stores
//! it beside the contents. Timers belong to the key and the window as well and go when they go.
//! The triggers that fire more than once are in `repeated.rs`.
//!
//! **Sources**: Flink's `Trigger`; The Dataflow Model, VLDB 2015, section 2.3.

use highwater_core::error::Result;
use highwater_core::time::EventTime;
use highwater_state::StateValue;
use serde::{Deserialize, Serialize};

use super::time_window::TimeWindow;

/// What a trigger wants to be done with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerResult {
    /// Nothing.
    Continue,
    /// Emit what the window holds, and keep it.
    Fire,
    /// Drop what the window holds; the state of the trigger stays.
    Purge,
    /// Emit what the window holds, then drop it.
    FireAndPurge,
}

impl TriggerResult {
    /// Returns whether the contents are emitted.
    #[must_use]
    pub fn is_fire(self) -> bool {
        matches!(self, TriggerResult::Fire | TriggerResult::FireAndPurge)
    }

    /// Returns whether the contents are dropped.
    #[must_use]
    pub fn is_purge(self) -> bool {
        matches!(self, TriggerResult::Purge | TriggerResult::FireAndPurge)
    }
}

/// The two clocks by which timers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TimeDomain {
    Event,
    Processing,
}

/// The timers of one key and window.
pub(super) trait WindowTimers {
    /// Sets a timer; nothing happens if it is set already.
    fn set(&mut self, domain: TimeDomain, time: i64);
    /// Deletes a timer; nothing happens if there is none.
    fn delete(&mut self, domain: TimeDomain, time: i64);
}

/// What a trigger may ask and do while it looks at one key and window.
pub struct TriggerContext<'a> {
    pub(super) window: TimeWindow,
    pub(super) watermark: i64,
    pub(super) now_ms: i64,
    /// The input has ended: what was set for a processing time will never come.
    pub(super) ended: bool,
    pub(super) timers: &'a mut dyn WindowTimers,
}

impl std::fmt::Debug for TriggerContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TriggerContext")
            .field("window", &self.window)
            .field("watermark", &self.watermark)
            .field("now_ms", &self.now_ms)
            .finish_non_exhaustive()
    }
}

impl TriggerContext<'_> {
    /// Returns the window.
    #[must_use]
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    /// Returns the watermark: no record with an event time at or below it is on time any more.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// Returns the processing time in ms since 1970.
    #[must_use]
    pub fn processing_time(&self) -> i64 {
        self.now_ms
    }

    /// Sets a timer for when the watermark reaches `time`, in ms; setting it twice sets it once. A
    /// timer in the past fires when the watermark moves next.
    pub fn set_event_timer(&mut self, time: i64) {
        self.timers.set(TimeDomain::Event, time);
    }

    /// Deletes a timer for a watermark.
    pub fn delete_event_timer(&mut self, time: i64) {
        self.timers.delete(TimeDomain::Event, time);
    }

    /// Sets a timer for when the processing time has passed `time`, in ms; setting it twice sets it
    /// once. Dropped when the input has ended.
    pub fn set_processing_timer(&mut self, time: i64) {
        if !self.ended {
            self.timers.set(TimeDomain::Processing, time);
        }
    }

    /// Deletes a timer for a processing time.
    pub fn delete_processing_timer(&mut self, time: i64) {
        self.timers.delete(TimeDomain::Processing, time);
    }
}

/// Says when a window fires.
///
/// # Contract
/// - *No state of its own*: one trigger serves all keys and windows; what it remembers of one is in
///   `State`, or a checkpoint does not save it.
/// - *Foreign timers*: `on_event_time` and `on_processing_time` are also called for the timer that
///   removes the window, which the trigger did not set.
/// - *Merging*: a trigger whose `can_merge` is true sets, in `on_merge`, the timers of the merged
///   window; those of the windows that it was made of are gone.
pub trait Trigger<T>: 'static {
    /// What the trigger remembers of one key and window.
    type State: StateValue + Default;

    /// Checks what the trigger was made with; called once, when the operator is built.
    ///
    /// # Errors
    /// When a parameter is not allowed.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Called for each record of the window.
    fn on_element(
        &self,
        value: &T,
        event_time: EventTime,
        state: &mut Self::State,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult;

    /// Called when the watermark has reached the `time` of a timer.
    fn on_event_time(
        &self,
        _time: i64,
        _state: &mut Self::State,
        _cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        TriggerResult::Continue
    }

    /// Called when the processing time has passed the `time` of a timer.
    fn on_processing_time(
        &self,
        _time: i64,
        _state: &mut Self::State,
        _cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        TriggerResult::Continue
    }

    /// Returns whether the trigger can be used with windows that merge.
    fn can_merge(&self) -> bool {
        false
    }

    /// Merges what is remembered of two windows that become one.
    fn merge_states(&self, _into: &mut Self::State, _from: Self::State) {}

    /// Called when windows have merged, with the window and the state that resulted.
    fn on_merge(&self, _state: &mut Self::State, _cx: &mut TriggerContext<'_>) {}

    /// Called when the window is removed: deletes the timers that are still set.
    fn clear(&self, _state: &mut Self::State, _cx: &mut TriggerContext<'_>) {}

    /// Returns whether the state is that of a window without records and without timers, so that an
    /// empty window need not be kept.
    fn is_clear(&self, _state: &Self::State) -> bool {
        false
    }

    /// Returns whether records must have an event time, whatever the windows are.
    fn needs_event_time(&self) -> bool {
        false
    }
}

/// Fires at the end of the window by one of the clocks, or never: what windows do by default.
///
/// These are Flink's `EventTimeTrigger`, `ProcessingTimeTrigger` and `NeverTrigger`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// When the watermark passes the end of the window, and at each late record still allowed.
    EventTime,
    /// When the processing time passes the end of the window.
    ProcessingTime,
    /// Never: the default of the global window, which has no end.
    Never,
}

impl AtEnd {
    /// Sets the timer for the end, unless the end has passed by the watermark: then the record that
    /// is being added fires the window, and a timer would fire it twice.
    #[inline]
    fn set(self, set: &mut bool, cx: &mut TriggerContext<'_>) {
        let end = cx.window.max_timestamp();
        match self {
            AtEnd::EventTime if end > cx.watermark => cx.set_event_timer(end),
            AtEnd::ProcessingTime => cx.set_processing_timer(end),
            _ => return,
        }
        *set = true;
    }

    fn fires(self, at: AtEnd, time: i64, set: &mut bool, cx: &TriggerContext<'_>) -> TriggerResult {
        if self != at || time != cx.window.max_timestamp() {
            return TriggerResult::Continue;
        }
        *set = false;
        TriggerResult::Fire
    }
}

impl<T> Trigger<T> for AtEnd {
    /// Whether the timer for the end is set.
    type State = bool;

    #[inline]
    fn on_element(
        &self,
        _value: &T,
        _event_time: EventTime,
        set: &mut bool,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if *self == AtEnd::EventTime && cx.window.max_timestamp() <= cx.watermark {
            return TriggerResult::Fire;
        }
        if !*set {
            AtEnd::set(*self, set, cx);
        }
        TriggerResult::Continue
    }

    fn on_event_time(
        &self,
        time: i64,
        set: &mut bool,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        self.fires(AtEnd::EventTime, time, set, cx)
    }

    fn on_processing_time(
        &self,
        time: i64,
        set: &mut bool,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        self.fires(AtEnd::ProcessingTime, time, set, cx)
    }

    fn can_merge(&self) -> bool {
        true
    }

    #[inline]
    fn on_merge(&self, set: &mut bool, cx: &mut TriggerContext<'_>) {
        *set = false;
        AtEnd::set(*self, set, cx);
    }

    fn clear(&self, set: &mut bool, cx: &mut TriggerContext<'_>) {
        if std::mem::take(set) {
            match self {
                AtEnd::EventTime => cx.delete_event_timer(cx.window.max_timestamp()),
                AtEnd::ProcessingTime => cx.delete_processing_timer(cx.window.max_timestamp()),
                AtEnd::Never => {}
            }
        }
    }

    fn is_clear(&self, set: &bool) -> bool {
        !set
    }
}
