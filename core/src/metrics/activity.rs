//! What the time of an operator goes to: work, waiting for credit, nothing.
//!
//! ```text
//!          begin          end                begin              end(blocked)        begin
//! --idle-----|----busy-----|------idle---------|------busy----------|--back-pressured--|---busy--
//! ```
//!
//! Every instant belongs to exactly one phase, so that `busyTimeMsPerSecond`,
//! `backPressuredTimeMsPerSecond` and `idleTimeMsPerSecond` add up to 1000. A phase that is under way
//! counts up to the instant at which somebody asks: a function that never returns is busy.
//!
//! **Sources**: Flink's `TimerGauge`, `TaskIOMetricGroup`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Counter;

/// What an operator does at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has nothing to do, or waits for its turn on the worker.
    #[default]
    Idle,
    /// It runs.
    Busy,
    /// It has something to emit, and an edge behind it is out of credit.
    BackPressured,
}

/// The bits of a state that say which phase it is; the others are the instant of its beginning.
const PHASE_BITS: u32 = 2;
/// Stands for no edge.
const NO_EDGE: u64 = u64::MAX;

/// What the time of one operator on one worker went to since the job started.
#[derive(Debug)]
pub struct Activity {
    start: Instant,
    /// When the operator was made, in ns since the start.
    made: u64,
    /// The phase, and when it began in ns since the start.
    state: AtomicU64,
    busy_ns: Counter,
    back_pressured_ns: Counter,
    /// Since when there was no activation that had credit, in ns since the start; 0 if there was.
    held_since: AtomicU64,
    /// The edge that is out of credit, and the receiver.
    held_by: AtomicU64,
}

/// What the time of an operator went to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The time inside activations.
    pub busy: Duration,
    /// The time without credit.
    pub back_pressured: Duration,
    /// The rest.
    pub idle: Duration,
    /// What it does now.
    pub phase: Phase,
    /// For how long.
    pub phase_for: Duration,
}

/// Returns the ns from one instant to another.
pub(super) fn since(start: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

impl Activity {
    pub(super) fn new(start: Instant) -> Self {
        let made = since(start, Instant::now());
        Activity {
            start,
            made,
            state: AtomicU64::new(made << PHASE_BITS | Phase::Idle as u64),
            busy_ns: Counter::default(),
            back_pressured_ns: Counter::default(),
            held_since: AtomicU64::new(0),
            held_by: AtomicU64::new(NO_EDGE),
        }
    }

    fn state(&self) -> (Phase, u64) {
        let state = self.state.load(Ordering::Acquire);
        let phase = match state & ((1 << PHASE_BITS) - 1) {
            0 => Phase::Idle,
            1 => Phase::Busy,
            _ => Phase::BackPressured,
        };
        (phase, state >> PHASE_BITS)
    }

    fn enter(&self, phase: Phase, now: u64) {
        let (before, at) = self.state();
        let passed = now.saturating_sub(at);
        match before {
            Phase::Idle => {}
            Phase::Busy => self.busy_ns.add(passed),
            Phase::BackPressured => self.back_pressured_ns.add(passed),
        }
        self.state.store(now << PHASE_BITS | phase as u64, Ordering::Release);
    }

    /// Begins an activation.
    pub(crate) fn begin(&self, now: Instant) {
        self.enter(Phase::Busy, since(self.start, now));
    }

    /// Ends an activation.
    ///
    /// - `held_by`: the edge that is out of credit and the receiver, if the operator waits for it.
    pub(crate) fn end(&self, now: Instant, held_by: Option<(usize, usize)>) {
        let now = since(self.start, now);
        let Some((edge, receiver)) = held_by else {
            self.held_since.store(0, Ordering::Relaxed);
            return self.enter(Phase::Idle, now);
        };
        self.held_by.store((edge as u64) << 32 | receiver as u64, Ordering::Relaxed);
        if self.held_since.load(Ordering::Relaxed) == 0 {
            self.held_since.store(now.max(1), Ordering::Relaxed);
        }
        self.enter(Phase::BackPressured, now);
    }

    /// Returns what the time went to up to now.
    #[must_use]
    pub fn times(&self, now: Instant) -> Times {
        let now = since(self.start, now);
        // The worker may end an activation in between; then the sum would count it twice.
        let (phase, at, busy, back_pressured) = loop {
            let (phase, at) = self.state();
            let sums = (self.busy_ns.get(), self.back_pressured_ns.get());
            if self.state() == (phase, at) {
                break (phase, at, sums.0, sums.1);
            }
        };
        let passed = now.saturating_sub(at);
        let busy = busy + if phase == Phase::Busy { passed } else { 0 };
        let held = if phase == Phase::BackPressured { passed } else { 0 };
        let back_pressured = back_pressured + held;
        let idle = now.saturating_sub(self.made).saturating_sub(busy + back_pressured);
        Times {
            busy: Duration::from_nanos(busy),
            back_pressured: Duration::from_nanos(back_pressured),
            idle: Duration::from_nanos(idle),
            phase,
            phase_for: Duration::from_nanos(passed),
        }
    }

    /// Returns the number of the edge that is out of credit, the receiver, and since when the
    /// operator has waited for it in every activation. `None` if it does not wait.
    #[must_use]
    pub fn held_by(&self, now: Instant) -> Option<(usize, usize, Duration)> {
        let since_ns = self.held_since.load(Ordering::Relaxed);
        let edge = self.held_by.load(Ordering::Relaxed);
        if since_ns == 0 || edge == NO_EDGE {
            return None;
        }
        let held = Duration::from_nanos(since(self.start, now).saturating_sub(since_ns));
        Some(((edge >> 32) as usize, (edge & u64::from(u32::MAX)) as usize, held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn every_instant_belongs_to_one_phase_and_one_under_way_counts_up_to_now() {
        let start = Instant::now();
        let activity = Activity { made: 0, ..Activity::new(start) };
        activity.enter(Phase::Idle, 0);
        activity.begin(at(start, 10));
        activity.end(at(start, 13), None);
        activity.begin(at(start, 20));
        activity.end(at(start, 25), Some((3, 1)));
        let times = activity.times(at(start, 40));
        assert_eq!((times.busy, times.back_pressured), (ms(8), ms(15)));
        assert_eq!(
            (times.idle, times.phase, times.phase_for),
            (ms(17), Phase::BackPressured, ms(15))
        );
        activity.begin(at(start, 50));
        let times = activity.times(at(start, 59));
        assert_eq!((times.busy, times.back_pressured, times.idle), (ms(17), ms(25), ms(17)));
    }

    #[test]
    fn an_operator_is_held_since_it_last_had_credit_however_often_it_was_woken() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert_eq!(activity.held_by(at(start, 1)), None);
        for woken in [10, 20, 30] {
            activity.begin(at(start, woken));
            activity.end(at(start, woken + 1), Some((7, 2)));
        }
        assert_eq!(activity.held_by(at(start, 111)), Some((7, 2, ms(100))));
        activity.begin(at(start, 120));
        activity.end(at(start, 121), None);
        assert_eq!(activity.held_by(at(start, 130)), None);
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
}
