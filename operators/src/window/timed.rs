//! What window operators with timers do in the same way.
//!
//! ```text
//! record          the timers of its processing time, then --> TimedWindows::record
//! watermark, clock --> due timers, in order               --> TimedWindows::wake
//! ```
//!
//! **Invariants**
//! - *Clocks first*: before a record is looked at, the timers of its processing time have fired
//!   (`left`); those of its watermark have, because the shell lets a firing come to its end.
//! - *Batch*: nothing fires before the end of the input, which is the end of all time, as in Flink's
//!   batch mode (`fire`, `fire_processing`).
//!
//! **Sources**: Flink's `WindowOperator` and `InternalTimerService`.

use std::convert::Infallible;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::Key;
use highwater_core::record::{Batch, Data, Record};
use highwater_core::shell::Logic;
use highwater_core::time::NO_EVENT_TIME;
use highwater_state::{Backend, Namespace, Timers};

use super::lifetime::{Lifetime, no_event_time};
use super::trigger::TimeDomain;

/// How many timers fire between two looks at the clock.
const TIMERS_PER_CHECK: u64 = 16;

/// The timers of all keys, in both kinds of time.
#[derive(Debug)]
pub(super) struct Clocks<K, N: std::fmt::Debug> {
    pub(super) event: Timers<K, N>,
    pub(super) processing: Timers<K, N>,
}

impl<K: Key, N: Namespace> Clocks<K, N> {
    /// # Errors
    /// When what is stored of them cannot be read.
    pub(super) fn new(backend: &mut Backend) -> Result<Self> {
        Ok(Clocks {
            event: Timers::new(backend, "timers/event")?,
            processing: Timers::new(backend, "timers/processing")?,
        })
    }

    pub(super) fn of(&mut self, domain: TimeDomain) -> &mut Timers<K, N> {
        match domain {
            TimeDomain::Event => &mut self.event,
            TimeDomain::Processing => &mut self.processing,
        }
    }
}

/// Windows that are told of records and of timers; [`Timed`] makes an operator of them.
pub(super) trait TimedWindows: 'static {
    /// The key of a record.
    type Key: Key;
    /// What timers belong to, besides a key.
    type Namespace: Namespace;
    /// What comes in.
    type Value: Data;
    /// What comes out.
    type Out: Data;

    /// Returns how long windows live.
    fn life(&self) -> &Lifetime<Self::Value>;

    /// Returns how long windows live, to be moved on.
    fn life_mut(&mut self) -> &mut Lifetime<Self::Value>;

    /// Returns the timers.
    fn timers(&self) -> &Clocks<Self::Key, Self::Namespace>;

    /// Returns the timers, to be changed.
    fn timers_mut(&mut self) -> &mut Clocks<Self::Key, Self::Namespace>;

    /// Returns whether a record without event time is an error.
    fn needs_event_time(&self) -> bool;

    /// Puts a record into its windows.
    ///
    /// # Errors
    /// When it gives no window.
    fn record(
        &mut self,
        record: Record<Self::Value>,
        cx: &mut Context<'_, Self::Out>,
    ) -> Result<()>;

    /// Does what a timer was set for.
    ///
    /// - `timer`: its time in ms, key and namespace.
    fn wake(
        &mut self,
        domain: TimeDomain,
        timer: (i64, Self::Key, Self::Namespace),
        cx: &mut Context<'_, Self::Out>,
    );

    /// Freezes what the windows hold.
    fn freeze(&mut self, cut: &mut Cut);

    /// Folds some of what was frozen back; returns whether there is more.
    fn fold(&mut self) -> bool;
}

/// The operator of windows with timers.
#[derive(Debug)]
pub(super) struct Timed<W>(pub(super) W);

impl<W: TimedWindows> Timed<W> {
    /// Fires the timers up to `until`, until all have fired or, if `bounded`, it is time to stop.
    /// Returns the time of the first that was left.
    fn run(
        &mut self,
        domain: TimeDomain,
        until: i64,
        bounded: bool,
        cx: &mut Context<'_, W::Out>,
    ) -> Option<i64> {
        let mut fired = 0;
        while let Some(timer) = self.0.timers_mut().of(domain).pop(until) {
            self.0.wake(domain, timer, cx);
            fired += 1;
            if bounded && fired % TIMERS_PER_CHECK == 0 && cx.should_yield() {
                break;
            }
        }
        cx.count_fired(fired);
        self.0.timers_mut().of(domain).first().filter(|time| *time <= until)
    }
}

impl<W: TimedWindows> Logic for Timed<W> {
    type Left = W::Value;
    type Right = Infallible;
    type Out = W::Out;

    fn left(&mut self, batch: &mut Batch<W::Value>, cx: &mut Context<'_, W::Out>) {
        self.0.life_mut().advance(cx.watermark());
        if !self.0.life().final_only {
            let over_ms = cx.processing_time().saturating_sub(1);
            self.run(TimeDomain::Processing, over_ms, false, cx);
        }
        let needs_event_time = self.0.needs_event_time();
        for record in batch.drain(..) {
            if needs_event_time && record.event_time == NO_EVENT_TIME {
                cx.fail(no_event_time());
                return;
            }
            if let Err(error) = self.0.record(record, cx) {
                cx.fail(error);
                return;
            }
        }
    }

    fn fire(&mut self, watermark: i64, cx: &mut Context<'_, W::Out>) -> Option<i64> {
        if !self.0.life_mut().advance(watermark) {
            return None;
        }
        let mut left = None;
        if self.0.life().final_only {
            left = self.run(TimeDomain::Processing, i64::MAX, true, cx).map(|_| i64::MAX);
        }
        if left.is_none() {
            left = self.run(TimeDomain::Event, self.0.life().watermark, true, cx);
        }
        left
    }

    fn fire_processing(&mut self, now_ms: i64, cx: &mut Context<'_, W::Out>) {
        if !self.0.life().final_only {
            self.run(TimeDomain::Processing, now_ms, true, cx);
        }
    }

    fn judge_at(&mut self, watermark: i64) {
        self.0.life_mut().watermark = watermark;
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.0.freeze(cut);
        self.0.timers_mut().event.freeze(cut);
        self.0.timers_mut().processing.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        let values = self.0.fold();
        let timers = self.0.timers_mut();
        values | timers.event.fold() | timers.processing.fold()
    }

    fn first_timer(&self) -> Option<i64> {
        let (life, first) = (self.0.life(), self.0.timers().event.first());
        if life.final_only && !life.ended() { first.map(|_| i64::MAX) } else { first }
    }

    fn first_processing_timer(&self) -> Option<i64> {
        if self.0.life().final_only { None } else { self.0.timers().processing.first() }
    }
}
