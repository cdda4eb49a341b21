//! Windows that do not merge, with any assigner, trigger, function and lateness.
//!
//! ```text
//! record -> windows -> for each that is not late:  pane(key, window) += value
//!                                                  trigger: continue, fire, purge
//! timer(time, key, window) -> trigger              at the cleanup time: pane removed
//! ```
//!
//! **Invariants** (with those of `timed.rs`)
//! - *One end*: a pane is removed by its cleanup timer or, if it has none, as soon as it is empty
//!   (`element`, `wake`).
//!
//! **Cost**: one table access per record and window, one or two timers per pane. Windows on a grid
//! that fire at their end are done faster by [`AlignedWindows`](super::aligned::AlignedWindows).
//!
//! **Sources**: Flink's `WindowOperator`.

use std::convert::Infallible;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::Key;
use highwater_core::record::{Data, Record};
use highwater_core::shell::Logic;
use highwater_state::{Backend, Hashed, Table};

use super::assigner::Assigner;
use super::function::WindowFunction;
use super::lifetime::{Lifetime, WindowOptions};
use super::pane::Pane;
use super::time_window::TimeWindow;
use super::timed::{Clocks, Timed, TimedWindows};
use super::trigger::{TimeDomain, Trigger, TriggerContext, WindowTimers};

type PaneOf<K, T, G, W> = Pane<<W as WindowFunction<K, T>>::Acc, <G as Trigger<T>>::State>;

/// Windows that do not merge.
pub struct GeneralWindows<K, T, F, A, G, W>
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
    needs_event_time: bool,
    table: Table<K, TimeWindow, PaneOf<K, T, G, W>>,
    timers: Clocks<K, TimeWindow>,
    /// The windows of one record.
    windows: Vec<TimeWindow>,
}

/// The timers of one key and window.
struct Own<'a, K> {
    clocks: &'a mut Clocks<K, TimeWindow>,
    key: Hashed<'a, K>,
    window: TimeWindow,
}

impl<K: Key> WindowTimers for Own<'_, K> {
    fn set(&mut self, domain: TimeDomain, time: i64) {
        self.clocks.of(domain).set(time, self.key, self.window);
    }
    fn delete(&mut self, domain: TimeDomain, time: i64) {
        self.clocks.of(domain).delete(time, self.key, self.window);
    }
}

impl<K, T, F, A, G, W> GeneralWindows<K, T, F, A, G, W>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + 'static,
    A: Assigner<T>,
    G: Trigger<T>,
    W: WindowFunction<K, T>,
{
    /// Returns the operator.
    ///
    /// # Errors
    /// When the assigner, the trigger or the lateness has a parameter that is not allowed.
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
        let life = Lifetime::new(options, assigner.is_event_time())?;
        let table = backend.table("windows")?;
        Ok(Timed(GeneralWindows {
            needs_event_time: assigner.is_event_time() || trigger.needs_event_time(),
            life: life.restore(backend.floor()),
            key,
            assigner,
            trigger,
            function,
            table,
            timers: Clocks::new(backend)?,
            windows: Vec::new(),
        }))
    }

    fn element(
        &mut self,
        hashed: Hashed<'_, K>,
        window: &TimeWindow,
        event_time: i64,
        value: T,
        cx: &mut Context<'_, W::Out>,
    ) {
        let key = hashed.key;
        let mut made = false;
        let pane = self.table.get_or_insert_with(hashed, window, || {
            made = true;
            Pane::default()
        });
        let mut own = Own { clocks: &mut self.timers, key: hashed, window: *window };
        let cleanup = self.life.cleanup(window);
        if let (true, Some((domain, time))) = (made, cleanup) {
            own.set(domain, time);
        }
        let mut trigger_cx = TriggerContext {
            window: *window,
            watermark: self.life.watermark,
            now_ms: cx.processing_time(),
            ended: false,
            timers: &mut own,
        };
        let result =
            self.trigger.on_element(&value, event_time, &mut pane.trigger, &mut trigger_cx);
        pane.add(value, &self.function);
        let hold = self.life.final_only;
        pane.conclude(result, hold, (key, window), &mut self.function, cx);
        let empty = pane.acc.is_none() && self.trigger.is_clear(&pane.trigger);
        if empty && cleanup.is_none() {
            self.table.remove(hashed, window);
        }
    }
}

impl<K, T, F, A, G, W> TimedWindows for GeneralWindows<K, T, F, A, G, W>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + 'static,
    A: Assigner<T>,
    G: Trigger<T>,
    W: WindowFunction<K, T>,
{
    type Key = K;
    type Namespace = TimeWindow;
    type Value = T;
    type Out = W::Out;

    fn life(&self) -> &Lifetime<T> {
        &self.life
    }

    fn life_mut(&mut self) -> &mut Lifetime<T> {
        &mut self.life
    }

    fn timers(&self) -> &Clocks<K, TimeWindow> {
        &self.timers
    }

    fn timers_mut(&mut self) -> &mut Clocks<K, TimeWindow> {
        &mut self.timers
    }

    fn needs_event_time(&self) -> bool {
        self.needs_event_time
    }

    fn record(&mut self, record: Record<T>, cx: &mut Context<'_, W::Out>) -> Result<()> {
        let Record { event_time, value } = record;
        let mut windows = std::mem::take(&mut self.windows);
        self.assigner.assign(&value, event_time, cx.processing_time(), &mut windows);
        windows.retain(|window| !self.life.is_late(window));
        match windows.split_last() {
            None => self.life.skipped(event_time, value, cx),
            Some((last, others)) => {
                let key = (self.key)(&value);
                let hashed = Hashed::new(&key);
                for window in others {
                    self.element(hashed, window, event_time, value.clone(), cx);
                }
                self.element(hashed, last, event_time, value, cx);
            }
        }
        windows.clear();
        self.windows = windows;
        Ok(())
    }

    fn wake(
        &mut self,
        domain: TimeDomain,
        (time, key, window): (i64, K, TimeWindow),
        cx: &mut Context<'_, W::Out>,
    ) {
        let hashed = Hashed::new(&key);
        // A timer that its trigger has forgotten to delete finds no pane.
        let Some(pane) = self.table.get_mut(hashed, &window) else { return };
        let mut own = Own { clocks: &mut self.timers, key: hashed, window };
        let mut trigger_cx = TriggerContext {
            window,
            watermark: self.life.watermark,
            now_ms: cx.processing_time(),
            ended: self.life.final_only && self.life.ended(),
            timers: &mut own,
        };
        let state = &mut pane.trigger;
        let result = match domain {
            TimeDomain::Event => self.trigger.on_event_time(time, state, &mut trigger_cx),
            TimeDomain::Processing => self.trigger.on_processing_time(time, state, &mut trigger_cx),
        };
        let cleanup = self.life.cleanup(&window);
        let gone = cleanup == Some((domain, time));
        if gone {
            self.trigger.clear(state, &mut trigger_cx);
        }
        let place = (&key, &window);
        pane.conclude(result, self.life.final_only, place, &mut self.function, cx);
        if gone {
            pane.release(place, &mut self.function, cx);
        }
        let empty = pane.acc.is_none() && self.trigger.is_clear(&pane.trigger);
        if gone || (empty && cleanup.is_none()) {
            self.table.remove(hashed, &window);
            if self.table.is_empty(&window) {
                self.table.clear(&window);
            }
        }
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.table.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.table.fold()
    }
}
