//! When a window fires: Flink's triggers as functions of a little state.
//!
//! A trigger sees an element, a timer, or a merge; it changes the [`TriggerState`] of one window,
//! asks for timers through the [`Clock`], and answers with a [`TriggerResult`].
//!
//! | trigger | on an element | on a timer | on a merge |
//! |---|---|---|---|
//! | event time | fires if the window has passed, else sets a timer | fires at the end | sets it |
//! | processing time | sets a timer at the window's end | fires | sets it |
//! | count `n` | fires at the `n`-th and starts over | - | adds counts |
//! | continuous `d` | as event time; sets one at a multiple of `d` | fires, sets one | earliest |
//!
//! Sources: Flink 2.x, package `org.apache.flink.streaming.api.windowing.triggers`.

use super::assign::Window;
use super::composite::Composite;

/// The two clocks of an operator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TimeDomain {
    /// The clock that watermarks move.
    Event,
    /// The clock of the machine.
    Processing,
}

/// What a trigger answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriggerResult {
    /// Nothing happens.
    Continue,
    /// The contents are emitted and kept.
    Fire,
    /// The contents are dropped; the window and its trigger state stay.
    Purge,
    /// The contents are emitted, then dropped.
    FireAndPurge,
}

impl TriggerResult {
    /// Says whether the contents are emitted.
    pub fn fires(self) -> bool {
        matches!(self, TriggerResult::Fire | TriggerResult::FireAndPurge)
    }

    /// Says whether the contents are dropped.
    pub fn purges(self) -> bool {
        matches!(self, TriggerResult::Purge | TriggerResult::FireAndPurge)
    }
}

/// The rule by which a trigger fires.
#[derive(Clone, PartialEq, Debug)]
pub enum TriggerKind {
    /// When the watermark passes the window, and at each later element.
    EventTime,
    /// When the machine's clock passes the window.
    ProcessingTime,
    /// At each `n`-th element.
    Count(u64),
    /// At the multiples of an interval in event time, and as [`TriggerKind::EventTime`].
    ContinuousEventTime(i64),
    /// Never.
    Never,
    /// By a combination of triggers, as one writes it as a custom trigger.
    Composite(Composite),
}

/// A trigger.
#[derive(Clone, PartialEq, Debug)]
pub struct Trigger {
    /// When it fires.
    pub kind: TriggerKind,
    /// Whether it drops the contents that it emits (Flink's `PurgingTrigger`).
    pub purging: bool,
}

/// What a trigger remembers of one window.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TriggerState {
    /// The elements since the last fire, for [`TriggerKind::Count`].
    pub count: u64,
    /// The next periodic fire, for [`TriggerKind::ContinuousEventTime`].
    pub next_fire: Option<i64>,
    /// One number for each node of a [`Composite`], empty until the first element.
    pub nodes: Vec<i64>,
}

/// The time that a trigger reads, and the timers for which it asks.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The current watermark.
    pub watermark: i64,
    /// The current processing time.
    pub processing_time: i64,
    /// The timers asked for so far.
    pub timers: Vec<(TimeDomain, i64)>,
}

impl Clock {
    fn set(&mut self, domain: TimeDomain, time: i64) {
        self.timers.push((domain, time));
    }

    /// Says whether the watermark has passed the window; if not, asks for a timer at its end.
    fn passed(&mut self, window: Window) -> bool {
        let passed = window.max_timestamp() <= self.watermark;
        if !passed {
            self.set(TimeDomain::Event, window.max_timestamp());
        }
        passed
    }
}

impl Trigger {
    /// Answers to an element at `ts` that has been added to the window.
    pub fn on_element(
        &self,
        ts: i64,
        window: Window,
        state: &mut TriggerState,
        clock: &mut Clock,
    ) -> TriggerResult {
        let fires = match &self.kind {
            TriggerKind::EventTime => clock.passed(window),
            TriggerKind::ProcessingTime => {
                clock.set(TimeDomain::Processing, window.max_timestamp());
                false
            }
            TriggerKind::Count(n) => {
                state.count += 1;
                let full = state.count >= *n;
                if full {
                    state.count = 0;
                }
                full
            }
            TriggerKind::ContinuousEventTime(interval) => {
                let passed = clock.passed(window);
                if !passed && state.next_fire.is_none() {
                    self.set_next(ts - ts % interval, *interval, window, state, clock);
                }
                passed
            }
            TriggerKind::Never => false,
            TriggerKind::Composite(composite) => {
                let passed = clock.passed(window);
                return composite.on_element(&mut state.nodes, passed, self.purging);
            }
        };
        self.result(fires)
    }

    /// Answers to a timer of the window.
    pub fn on_timer(
        &self,
        domain: TimeDomain,
        time: i64,
        window: Window,
        state: &mut TriggerState,
        clock: &mut Clock,
    ) -> TriggerResult {
        let fires = match (&self.kind, domain) {
            (TriggerKind::EventTime, TimeDomain::Event) => time == window.max_timestamp(),
            (TriggerKind::ProcessingTime, TimeDomain::Processing) => true,
            (TriggerKind::ContinuousEventTime(interval), TimeDomain::Event) => {
                let last = time == window.max_timestamp();
                let due = !last && state.next_fire == Some(time);
                if due {
                    self.set_next(time, *interval, window, state, clock);
                }
                last || due
            }
            (TriggerKind::Composite(composite), TimeDomain::Event)
                if time == window.max_timestamp() =>
            {
                return composite.on_end(&mut state.nodes, self.purging);
            }
            _ => false,
        };
        self.result(fires)
    }

    /// Returns the state of a window that has grown out of others, and sets its timers.
    pub fn on_merge(
        &self,
        window: Window,
        states: &[TriggerState],
        clock: &mut Clock,
    ) -> TriggerState {
        let merged = TriggerState {
            count: states.iter().map(|state| state.count).sum(),
            next_fire: states.iter().filter_map(|state| state.next_fire).min(),
            nodes: match &self.kind {
                TriggerKind::Composite(composite) => {
                    composite.merge(states.iter().map(|state| state.nodes.as_slice()))
                }
                _ => Vec::new(),
            },
        };
        match &self.kind {
            TriggerKind::EventTime | TriggerKind::Composite(_) => {
                clock.passed(window);
            }
            TriggerKind::ProcessingTime if window.max_timestamp() > clock.processing_time => {
                clock.set(TimeDomain::Processing, window.max_timestamp());
            }
            TriggerKind::ContinuousEventTime(_) => {
                if let Some(next) = merged.next_fire {
                    clock.set(TimeDomain::Event, next);
                }
            }
            _ => {}
        }
        merged
    }

    /// Sets the periodic timer one interval after `from`, but never behind the window's end.
    fn set_next(
        &self,
        from: i64,
        interval: i64,
        window: Window,
        state: &mut TriggerState,
        clock: &mut Clock,
    ) {
        let next = from.saturating_add(interval).min(window.max_timestamp());
        state.next_fire = Some(next);
        clock.set(TimeDomain::Event, next);
    }

    fn result(&self, fires: bool) -> TriggerResult {
        match (fires, self.purging) {
            (false, _) => TriggerResult::Continue,
            (true, false) => TriggerResult::Fire,
            (true, true) => TriggerResult::FireAndPurge,
        }
    }
}
