//! The sessions of one key, and the timer that wakes them.

use highwater_core::key::Key;
use highwater_state::{Hashed, Timers};
use serde::{Deserialize, Serialize};

use super::function::WindowFunction;
use super::pane::Pane;
use super::time_window::TimeWindow;
use super::trigger::{TimeDomain, Trigger, WindowTimers};

/// The timers of one session. Most have one, which then needs no memory of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct OwnTimers {
    first: Option<(TimeDomain, i64)>,
    more: Vec<(TimeDomain, i64)>,
}

impl OwnTimers {
    fn iter(&self) -> impl Iterator<Item = (TimeDomain, i64)> {
        self.first.into_iter().chain(self.more.iter().copied())
    }

    /// Deletes a timer; returns whether there was one.
    pub(super) fn take(&mut self, domain: TimeDomain, time: i64) -> bool {
        if self.first == Some((domain, time)) {
            self.first = self.more.pop();
            return true;
        }
        let place = self.more.iter().position(|timer| *timer == (domain, time));
        place.map(|place| self.more.swap_remove(place)).is_some()
    }
}

impl WindowTimers for OwnTimers {
    fn set(&mut self, domain: TimeDomain, time: i64) {
        if self.iter().any(|timer| timer == (domain, time)) {
            return;
        }
        match self.first {
            None => self.first = Some((domain, time)),
            Some(_) => self.more.push((domain, time)),
        }
    }
    fn delete(&mut self, domain: TimeDomain, time: i64) {
        self.take(domain, time);
    }
}

/// One session of one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session<A, S> {
    pub(super) window: TimeWindow,
    pub(super) pane: Pane<A, S>,
    pub(super) timers: OwnTimers,
}

impl<A, S> Session<A, S> {
    /// Returns the time of the session's first timer, that of its cleanup included.
    #[inline]
    pub(super) fn first(
        &self,
        domain: TimeDomain,
        cleanup: Option<(TimeDomain, i64)>,
    ) -> Option<i64> {
        let all = self.timers.iter().chain(cleanup);
        all.filter(|timer| timer.0 == domain).map(|timer| timer.1).min()
    }
}

/// The one timer that a key has with the operator, for one kind of time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sleeper {
    set: Option<i64>,
}

impl Sleeper {
    /// Moves the timer forward if something is due earlier.
    #[inline]
    pub(super) fn keep<K: Key>(
        &mut self,
        due: Option<i64>,
        key: Hashed<'_, K>,
        timers: &mut Timers<K, ()>,
    ) {
        if let Some(due) = due
            && self.set.is_none_or(|set| due < set)
        {
            self.stop(key, timers);
            timers.set(due, key, ());
            self.set = Some(due);
        }
    }

    /// Deletes the timer.
    pub(super) fn stop<K: Key>(&mut self, key: Hashed<'_, K>, timers: &mut Timers<K, ()>) {
        if let Some(set) = self.set.take() {
            timers.delete(set, key, ());
        }
    }

    /// Notes that the timer has fired.
    pub(super) fn fired(&mut self) {
        self.set = None;
    }
}

/// The sessions of one key, sorted, no two of which touch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeySessions<A, S> {
    pub(super) sessions: Vec<Session<A, S>>,
    pub(super) event: Sleeper,
    pub(super) processing: Sleeper,
}

impl<A, S> Default for KeySessions<A, S> {
    fn default() -> Self {
        let (event, processing) = (Sleeper::default(), Sleeper::default());
        KeySessions { sessions: Vec::new(), event, processing }
    }
}

impl<A, S> KeySessions<A, S> {
    /// Returns the timer of one kind of time.
    pub(super) fn sleeper(&mut self, domain: TimeDomain) -> &mut Sleeper {
        match domain {
            TimeDomain::Event => &mut self.event,
            TimeDomain::Processing => &mut self.processing,
        }
    }

    /// Returns whether a window would merge with a session.
    pub(super) fn touched_by(&self, window: &TimeWindow) -> bool {
        self.sessions.iter().any(|session| session.window.touches(window))
    }

    /// Merges a new window with the sessions that it touches. Returns where the result stands, and
    /// whether it differs from the sessions it was made of, so that its timers must be set anew.
    pub(super) fn merge<K, T, G, W>(
        &mut self,
        opened: TimeWindow,
        trigger: &G,
        function: &W,
    ) -> (usize, bool)
    where
        S: Default,
        G: Trigger<T, State = S>,
        W: WindowFunction<K, T, Acc = A>,
    {
        let sessions = &mut self.sessions;
        let place = sessions.partition_point(|session| session.window.end < opened.start);
        let touched = sessions[place..].iter().take_while(|s| s.window.start <= opened.end).count();
        if touched == 0 {
            let (pane, timers) = (Pane::default(), OwnTimers::default());
            // Most keys have one session at a time, and there are many keys.
            sessions.reserve_exact(1);
            sessions.insert(place, Session { window: opened, pane, timers });
            return (place, false);
        }
        let window = sessions[place..place + touched]
            .iter()
            .fold(opened, |window, session| window.cover(&session.window));
        if touched == 1 && window == sessions[place].window {
            return (place, false);
        }
        let (before, rest) = sessions.split_at_mut(place + 1);
        let into = &mut before[place];
        for other in &mut rest[..touched - 1] {
            let pane = std::mem::take(&mut other.pane);
            trigger.merge_states(&mut into.pane.trigger, pane.trigger);
            into.pane.merge(pane.acc, pane.held, function);
        }
        into.window = window;
        into.timers = OwnTimers::default();
        sessions.drain(place + 1..place + touched);
        debug_assert!(
            sessions.windows(2).all(|pair| !pair[0].window.touches(&pair[1].window)),
            "sessions touch after {opened} was merged"
        );
        (place, true)
    }
}
