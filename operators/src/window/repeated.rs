//! Triggers that fire more than once: by count, at intervals, and the one that purges.
//!
//! The interval triggers fire at multiples of their interval, counted from 1970, and the one of
//! event time at the end of the window as well.
//!
//! **Sources**: Flink's `CountTrigger`, `ContinuousEventTimeTrigger`,
//! `ContinuousProcessingTimeTrigger`, `PurgingTrigger`.

use std::time::Duration;

use highwater_core::error::Result;
use highwater_core::time::EventTime;

use super::assigner::whole_ms;
use super::time_window::TimeWindow;
use super::trigger::{Trigger, TriggerContext, TriggerResult};

/// Fires at each `n`-th record of a window.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u64);

impl<T> Trigger<T> for Count {
    /// The records since it fired last.
    type State = u64;

    fn on_element(
        &self,
        _value: &T,
        _event_time: EventTime,
        count: &mut u64,
        _cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        *count += 1;
        if *count < self.0 {
            return TriggerResult::Continue;
        }
        *count = 0;
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge_states(&self, into: &mut u64, from: u64) {
        *into += from;
    }

    fn is_clear(&self, count: &u64) -> bool {
        *count == 0
    }
}

/// An interval, and the same in ms.
#[derive(Clone, Copy, Debug)]
struct Interval {
    given: Duration,
    ms: i64,
}

impl Interval {
    fn new(given: Duration) -> Self {
        // An interval of nothing is refused when the operator is built.
        Interval { given, ms: i64::try_from(given.as_millis()).unwrap_or(i64::MAX).max(1) }
    }

    /// Returns the first multiple of the interval after `time`, but not after the window's end.
    fn first(&self, time: i64, window: &TimeWindow) -> i64 {
        self.after(time - time % self.ms, window)
    }

    /// Returns the time one interval after `time`, but not after the window's end.
    fn after(&self, time: i64, window: &TimeWindow) -> i64 {
        time.saturating_add(self.ms).min(window.max_timestamp())
    }
}

fn earlier(into: &mut Option<i64>, from: Option<i64>) {
    *into = match (*into, from) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

/// Fires whenever the watermark reaches a multiple of an interval, and at the end of the window.
#[derive(Clone, Copy, Debug)]
pub struct ContinuousEventTime {
    interval: Interval,
}

impl ContinuousEventTime {
    /// Returns a trigger that fires at an interval, in whole ms.
    #[must_use]
    pub fn of(interval: Duration) -> Self {
        ContinuousEventTime { interval: Interval::new(interval) }
    }
}

impl<T> Trigger<T> for ContinuousEventTime {
    /// The next multiple of the interval at which it fires.
    type State = Option<i64>;

    fn check(&self) -> Result<()> {
        whole_ms(self.interval.given, "ContinuousEventTime::of").map(|_| ())
    }

    fn on_element(
        &self,
        _value: &T,
        event_time: EventTime,
        next: &mut Option<i64>,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        let end = cx.window.max_timestamp();
        if end <= cx.watermark {
            return TriggerResult::Fire;
        }
        if next.is_none() {
            let first = self.interval.first(event_time, &cx.window);
            *next = Some(first);
            cx.set_event_timer(first);
            cx.set_event_timer(end);
        }
        TriggerResult::Continue
    }

    fn on_event_time(
        &self,
        time: i64,
        next: &mut Option<i64>,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time == cx.window.max_timestamp() {
            return TriggerResult::Fire;
        }
        if *next != Some(time) {
            return TriggerResult::Continue;
        }
        // At the end of the input a window without an end would fire for ever.
        let endless = cx.watermark == i64::MAX && cx.window.max_timestamp() == i64::MAX;
        let from = if endless { i64::MAX } else { time };
        let following = self.interval.after(from, &cx.window);
        *next = Some(following);
        cx.set_event_timer(following);
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge_states(&self, into: &mut Option<i64>, from: Option<i64>) {
        earlier(into, from);
    }

    fn on_merge(&self, next: &mut Option<i64>, cx: &mut TriggerContext<'_>) {
        if let Some(next) = *next {
            cx.set_event_timer(next);
        }
        if cx.window.max_timestamp() > cx.watermark {
            cx.set_event_timer(cx.window.max_timestamp());
        }
    }

    fn clear(&self, next: &mut Option<i64>, cx: &mut TriggerContext<'_>) {
        if let Some(next) = next.take() {
            cx.delete_event_timer(next);
            cx.delete_event_timer(cx.window.max_timestamp());
        }
    }

    fn needs_event_time(&self) -> bool {
        true
    }
}

/// Fires whenever the processing time reaches a multiple of an interval, or the end of the window.
#[derive(Clone, Copy, Debug)]
pub struct ContinuousProcessingTime {
    interval: Interval,
}

impl ContinuousProcessingTime {
    /// Returns a trigger that fires at an interval, in whole ms.
    #[must_use]
    pub fn of(interval: Duration) -> Self {
        ContinuousProcessingTime { interval: Interval::new(interval) }
    }

    fn set(&self, time: i64, next: &mut Option<i64>, cx: &mut TriggerContext<'_>) {
        *next = Some(time);
        cx.set_processing_timer(time);
    }
}

impl<T> Trigger<T> for ContinuousProcessingTime {
    /// The next multiple of the interval at which it fires.
    type State = Option<i64>;

    fn check(&self) -> Result<()> {
        whole_ms(self.interval.given, "ContinuousProcessingTime::of").map(|_| ())
    }

    fn on_element(
        &self,
        _value: &T,
        _event_time: EventTime,
        next: &mut Option<i64>,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if next.is_none() {
            self.set(self.interval.first(cx.now_ms, &cx.window), next, cx);
        }
        TriggerResult::Continue
    }

    fn on_processing_time(
        &self,
        time: i64,
        next: &mut Option<i64>,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if *next != Some(time) {
            return TriggerResult::Continue;
        }
        *next = None;
        if time < cx.window.max_timestamp() {
            self.set(self.interval.after(time, &cx.window), next, cx);
        }
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge_states(&self, into: &mut Option<i64>, from: Option<i64>) {
        earlier(into, from);
    }

    fn on_merge(&self, next: &mut Option<i64>, cx: &mut TriggerContext<'_>) {
        if let Some(next) = *next {
            cx.set_processing_timer(next);
        }
    }

    fn clear(&self, next: &mut Option<i64>, cx: &mut TriggerContext<'_>) {
        if let Some(next) = next.take() {
            cx.delete_processing_timer(next);
        }
    }
}

/// Fires when another trigger does, and then drops what the window holds.
#[derive(Clone, Copy, Debug)]
pub struct Purging<G>(pub G);

fn purging(result: TriggerResult) -> TriggerResult {
    if result.is_fire() { TriggerResult::FireAndPurge } else { result }
}

impl<T, G: Trigger<T>> Trigger<T> for Purging<G> {
    type State = G::State;

    fn check(&self) -> Result<()> {
        self.0.check()
    }

    fn on_element(
        &self,
        value: &T,
        event_time: EventTime,
        state: &mut G::State,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_element(value, event_time, state, cx))
    }

    fn on_event_time(
        &self,
        time: i64,
        state: &mut G::State,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_event_time(time, state, cx))
    }

    fn on_processing_time(
        &self,
        time: i64,
        state: &mut G::State,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_processing_time(time, state, cx))
    }

    fn can_merge(&self) -> bool {
        self.0.can_merge()
    }

    fn merge_states(&self, into: &mut G::State, from: G::State) {
        self.0.merge_states(into, from);
    }

    fn on_merge(&self, state: &mut G::State, cx: &mut TriggerContext<'_>) {
        self.0.on_merge(state, cx);
    }

    fn clear(&self, state: &mut G::State, cx: &mut TriggerContext<'_>) {
        self.0.clear(state, cx);
    }

    fn is_clear(&self, state: &G::State) -> bool {
        self.0.is_clear(state)
    }

    fn needs_event_time(&self) -> bool {
        self.0.needs_event_time()
    }
}
