//! Windows that end when a key falls silent: they grow and merge as records come.
//!
//! ```text
//! sessions of a key   [0 ---- 8)        [12 --- 20)
//! record opens                [8 ---- 14)              touches both
//! afterwards          [0 ------------------- 20)       contents and trigger states merged
//! ```
//!
//! A record is merged first; whether it is late is asked of the session that comes out.
//!
//! **Timers** of a session are stored in it. The operator has, for each key and kind of time, one
//! timer that is never later than the first of all sessions of the key: when it fires, the sessions
//! are looked through and it is set again. So a record that makes a session longer moves no timer
//! of the operator; the old one fires in vain, at most once per gap.
//!
//! **Invariants** (with those of `timed.rs`)
//! - *Apart*: the sessions of a key are sorted and no two of them touch (`merge`).
//! - *Awake*: the timer of a key is at or before the first timer of its sessions (`Sleeper::keep`).
//!
//! **Cost**: one table access per record; a timer set and fired per session and gap.
//!
//! **Sources**: Flink's `WindowOperator` and `MergingWindowSet`.

use std::convert::Infallible;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::{Error, Result};
use highwater_core::key::Key;
use highwater_core::record::{Data, Record};
use highwater_core::shell::Logic;
use highwater_state::{Backend, Hashed, Table};

use super::function::WindowFunction;
use super::lifetime::{Lifetime, WindowOptions};
use super::session_gap::SessionAssigner;
use super::session_set::{KeySessions, Session};
use super::timed::{Clocks, Timed, TimedWindows};
use super::trigger::{TimeDomain, Trigger, TriggerContext};

type SessionsOf<K, T, G, W> =
    KeySessions<<W as WindowFunction<K, T>>::Acc, <G as Trigger<T>>::State>;

/// Sessions.
pub struct SessionWindows<K, T, F, A, G, W>
where
    K: Key,
    T: Data,
    G: Trigger<T>,
    W: WindowFunction<K, T>,
{
    key: F,
    assigner: A,
    trigger: G,
    function: W,
    life: Lifetime<T>,
    event_time: bool,
    table: Table<K, (), SessionsOf<K, T, G, W>>,
    timers: Clocks<K, ()>,
}

impl<K, T, F, A, G, W> SessionWindows<K, T, F, A, G, W>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + 'static,
    A: SessionAssigner<T>,
    G: Trigger<T>,
    W: WindowFunction<K, T>,
{
    /// Returns the operator.
    ///
    /// # Errors
    /// When the assigner, the trigger or the lateness has a parameter that is not allowed, or the
    /// trigger cannot merge.
    pub fn operator(
        backend: &mut Backend,
        key: F,
        assigner: A,
        trigger: G,
        function: W,
        options: WindowOptions<T>,
    ) -> Result<impl Logic<Left = T, Right = Infallible, Out = W::Out> + use<K, T, F, A, G, W>>
    {
        assigner.check()?;
        trigger.check()?;
        if !trigger.can_merge() {
            return Err(Error::program("sessions merge, but their trigger cannot (can_merge)"));
        }
        let life = Lifetime::new(options, assigner.is_event_time())?;
        let table = backend.table("sessions")?;
        Ok(Timed(SessionWindows {
            life: life.restore(backend.floor()),
            event_time: assigner.is_event_time(),
            key,
            assigner,
            trigger,
            function,
            table,
            timers: Clocks::new(backend)?,
        }))
    }
}

impl<K, T, F, A, G, W> TimedWindows for SessionWindows<K, T, F, A, G, W>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + 'static,
    A: SessionAssigner<T>,
    G: Trigger<T>,
    W: WindowFunction<K, T>,
{
    type Key = K;
    type Namespace = ();
    type Value = T;
    type Out = W::Out;

    fn life(&self) -> &Lifetime<T> {
        &self.life
    }

    fn life_mut(&mut self) -> &mut Lifetime<T> {
        &mut self.life
    }

    fn timers(&self) -> &Clocks<K, ()> {
        &self.timers
    }

    fn timers_mut(&mut self) -> &mut Clocks<K, ()> {
        &mut self.timers
    }

    fn needs_event_time(&self) -> bool {
        self.event_time || self.trigger.needs_event_time()
    }

    fn record(&mut self, record: Record<T>, cx: &mut Context<'_, W::Out>) -> Result<()> {
        let Record { event_time, value } = record;
        let at = if self.event_time { event_time } else { cx.processing_time() };
        let opened = self.assigner.session(&value, at)?;
        let key = (self.key)(&value);
        let hashed = Hashed::new(&key);
        let late = self.life.is_late(&opened);
        if late && self.table.get(hashed, &()).is_none_or(|all| !all.touched_by(&opened)) {
            self.life.skipped(event_time, value, cx);
            return Ok(());
        }
        let of_key = self.table.get_or_insert_with(hashed, &(), KeySessions::default);
        let (place, merged) = of_key.merge(opened, &self.trigger, &self.function);
        let session = &mut of_key.sessions[place];
        let Session { window, pane, timers } = session;
        let mut trigger_cx = TriggerContext {
            window: *window,
            watermark: self.life.watermark,
            now_ms: cx.processing_time(),
            ended: false,
            timers,
        };
        if merged {
            self.trigger.on_merge(&mut pane.trigger, &mut trigger_cx);
        }
        let result =
            self.trigger.on_element(&value, event_time, &mut pane.trigger, &mut trigger_cx);
        pane.add(value, &self.function);
        pane.conclude(result, self.life.final_only, (&key, window), &mut self.function, cx);
        let event = session.first(TimeDomain::Event, self.life.cleanup(&session.window));
        let processing = session.first(TimeDomain::Processing, self.life.cleanup(&session.window));
        of_key.event.keep(event, hashed, &mut self.timers.event);
        of_key.processing.keep(processing, hashed, &mut self.timers.processing);
        Ok(())
    }

    /// Fires the timers of all sessions of a key that are due at `time`.
    fn wake(
        &mut self,
        domain: TimeDomain,
        (time, key, ()): (i64, K, ()),
        cx: &mut Context<'_, W::Out>,
    ) {
        let hashed = Hashed::new(&key);
        let Some(of_key) = self.table.get_mut(hashed, &()) else { return };
        let life = &self.life;
        let mut place = 0;
        while let Some(session) = of_key.sessions.get_mut(place) {
            let Session { window, pane, timers } = session;
            let gone = life.cleanup(window) == Some((domain, time));
            place += 1;
            if !timers.take(domain, time) && !gone {
                continue;
            }
            let mut trigger_cx = TriggerContext {
                window: *window,
                watermark: life.watermark,
                now_ms: cx.processing_time(),
                ended: life.final_only && life.ended(),
                timers,
            };
            let state = &mut pane.trigger;
            let result = match domain {
                TimeDomain::Event => self.trigger.on_event_time(time, state, &mut trigger_cx),
                TimeDomain::Processing => {
                    self.trigger.on_processing_time(time, state, &mut trigger_cx)
                }
            };
            if gone {
                self.trigger.clear(state, &mut trigger_cx);
            }
            pane.conclude(result, life.final_only, (&key, window), &mut self.function, cx);
            if gone {
                pane.release((&key, window), &mut self.function, cx);
                place -= 1;
                of_key.sessions.remove(place);
            }
        }
        of_key.sleeper(domain).fired();
        let first = |domain| {
            let times = of_key.sessions.iter().map(|s| s.first(domain, life.cleanup(&s.window)));
            times.flatten().min()
        };
        let (event, processing) = (first(TimeDomain::Event), first(TimeDomain::Processing));
        of_key.event.keep(event, hashed, &mut self.timers.event);
        of_key.processing.keep(processing, hashed, &mut self.timers.processing);
        if of_key.sessions.is_empty() {
            of_key.event.stop(hashed, &mut self.timers.event);
            of_key.processing.stop(hashed, &mut self.timers.processing);
            self.table.remove(hashed, &());
        }
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.table.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.table.fold()
    }
}
