//! Windows on a grid, in event time, that fire at their end: the fast path.
//!
//! ```text
//! record -> slice -> table(key, slice) += value       one access, however many windows
//!
//! watermark -> for each window that has ended, in order, for each key group:
//!                one slice:     fire what the slice holds, or drain it
//!                many slices:   move the group's aggregates to the window, fire those
//!              remove the slices whose last window is gone
//! ```
//!
//! A slice may hold records that came too late for some of its windows, but those windows never
//! fire again, so each window counts exactly the records that were in time for it.
//!
//! **Invariants**
//! - *Once*: a window has fired when `fired_until` is at its end, and for a group when `next_group`
//!   is past it; both move forward only (`fire_due`).
//! - *Nothing left behind*: no record comes between two calls of one firing, as the shell promises;
//!   a late one would count in some keys and not in others (`behind`).
//!
//! **Cost**: one table access per record; no timers. Firing costs a merge per key and window, and
//! each slice at most two more per key. Sliding windows of accumulators that do not grow keep a
//! second copy of their slices (`two_stacks.rs`).
//!
//! **Sources**: Li et al., No Pane, No Gain, SIGMOD Record 2005; Flink's `WindowOperator`.

use std::collections::VecDeque;
use std::convert::Infallible;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::{Key, KeyGroupRange, KeyGroups};
use highwater_core::record::{Batch, Data, Record};
use highwater_core::shell::Logic;
use highwater_core::time::NO_EVENT_TIME;
use highwater_state::{Backend, Hashed, KeyedSpace, Space, Table};

use super::assigner::Alignment;
use super::function::WindowFunction;
use super::lifetime::{Lifetime, WindowOptions, no_event_time};
use super::slices::Slices;
use super::time_window::TimeWindow;
use super::two_stacks::TwoStacks;

/// How much may fire at once, a result per key; a group fires as a whole.
const BURST_BYTES: u64 = 64 * 1024;

/// What is to be done with the records of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They are in time for all their windows.
    OnTime,
    /// They are late for some of their windows, or make them fire again.
    Behind,
    /// They have no window, or none that is still there.
    Skipped,
}

/// The slice of the last record.
#[derive(Clone, Copy, Debug)]
struct Current {
    name: i64,
    first: i64,
    last: i64,
    fate: Fate,
}

impl Current {
    /// Holds no instant, so the next record looks for its slice.
    const NONE: Current = Current { name: 0, first: 1, last: 0, fate: Fate::Skipped };
}

/// The operator of tumbling and sliding windows in event time with the default trigger.
pub struct AlignedWindows<K, T, F, W>
where
    K: Key,
    T: Data,
    W: WindowFunction<K, T>,
{
    key: F,
    function: W,
    life: Lifetime<T>,
    slices: Slices,
    table: Table<K, i64, W::Acc>,
    /// The slices that have records, in order: those of the table.
    known: VecDeque<i64>,
    current: Current,
    /// Windows that end at or before this instant have fired.
    fired_until: i128,
    /// The next group of the window that is firing.
    next_group: usize,
    /// How many keys have fired since the operator was last called.
    fired: u64,
    /// One for each key group if windows have many slices.
    stacks: Vec<TwoStacks<K, W::Acc>>,
    groups: KeyGroups,
    range: KeyGroupRange,
}

impl<K, T, F, W> AlignedWindows<K, T, F, W>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + 'static,
    W: WindowFunction<K, T>,
{
    /// Returns the operator.
    ///
    /// - `grid`: that of an assigner which has been checked.
    ///
    /// # Errors
    /// When the lateness is not allowed.
    pub fn new(
        backend: &mut Backend,
        key: F,
        grid: Alignment,
        function: W,
        options: WindowOptions<T>,
    ) -> Result<Self> {
        let slices = Slices::new(grid);
        let range = backend.range();
        let table: Table<K, i64, W::Acc> = backend.table("slices")?;
        let mut known = VecDeque::new();
        while let Some(slice) = table.next_namespace(known.back()) {
            known.push_back(*slice);
        }
        let floor = backend.floor();
        let fired = if floor == i64::MIN { i128::MIN } else { i128::from(floor) + 1 };
        let stacks = if slices.is_single() { 0 } else { range.count() };
        Ok(AlignedWindows {
            key,
            function,
            life: Lifetime::new(options, true)?.restore(floor),
            slices,
            table,
            known,
            current: Current::NONE,
            fired_until: fired,
            next_group: 0,
            fired: 0,
            stacks: (0..stacks).map(|_| TwoStacks::new()).collect(),
            groups: backend.key_groups(),
            range,
        })
    }

    /// Makes the slice of an event time the current one.
    #[cold]
    fn enter(&mut self, time: i64) {
        let (first, last) = self.slices.bounds(time);
        let in_time = first > self.life.watermark && !self.slices.has_gaps();
        let fate = if in_time { Fate::OnTime } else { self.fate(first) };
        // A record without event time is never in the current slice.
        let from = first.max(NO_EVENT_TIME + 1);
        self.current = Current { name: first, first: from, last, fate };
        if fate != Fate::Skipped
            && let Err(place) = self.known.binary_search(&first)
        {
            if let Some(before) = place.checked_sub(1).and_then(|place| self.known.get(place)) {
                self.table.make_room(&first, before);
            }
            self.known.insert(place, first);
        }
    }

    fn fate(&self, slice: i64) -> Fate {
        let ended = |end| self.slices.window(end).max_timestamp() <= self.life.watermark;
        match (self.slices.end_after(slice, i128::MIN), self.slices.last_end(slice)) {
            (_, Some(last)) if self.life.is_late(&self.slices.window(last)) => Fate::Skipped,
            (Some(first), Some(_)) if ended(first) => Fate::Behind,
            (Some(_), Some(_)) => Fate::OnTime,
            _ => Fate::Skipped,
        }
    }

    /// Deals with a record of a slice that is not simply in time.
    #[cold]
    fn behind(&mut self, event_time: i64, value: T, cx: &mut Context<'_, W::Out>) {
        if self.current.fate == Fate::Skipped {
            self.life.skipped(event_time, value, cx);
            return;
        }
        let slice = self.current.name;
        let key = (self.key)(&value);
        let hashed = Hashed::new(&key);
        let acc = self.table.get_or_insert_with(hashed, &slice, || self.function.create());
        self.function.add(acc, value);
        let group = self.range.index_of(self.groups.of_hash(hashed.hash));
        if let Some(stacks) = self.stacks.get_mut(group) {
            let mut get = |slice: &i64| self.table.get(hashed, slice).cloned();
            stacks.refresh((&key, slice), self.known.iter(), &mut get, &self.function);
        }
        if self.life.lateness_ms > 0 {
            self.fire_again(hashed, slice, cx);
        }
    }

    /// Fires the windows of a slice that have ended and are not gone, for one key.
    fn fire_again(&mut self, key: Hashed<'_, K>, slice: i64, cx: &mut Context<'_, W::Out>) {
        let first = self.slices.end_after(slice, i128::MIN);
        let (Some(first), Some(mut end)) = (first, self.slices.last_end(slice)) else { return };
        while first <= end {
            let window = self.slices.window(end);
            end = self.slices.previous_end(end);
            if self.life.is_late(&window) {
                break;
            }
            let event_time = window.max_timestamp();
            if event_time > self.life.watermark {
                continue;
            }
            let mut total: Option<W::Acc> = None;
            for slice in self.known.range(self.places(&window)) {
                let Some(acc) = self.table.get(key, slice) else { continue };
                match &mut total {
                    Some(total) => self.function.merge(total, acc.clone()),
                    None => total = Some(acc.clone()),
                }
            }
            if let Some(total) = total {
                let emit = &mut |out| cx.emit(event_time, out);
                self.function.fire(key.key, &window, &total, emit);
            }
        }
    }

    /// Returns where the slices of a window stand among those known.
    fn places(&self, window: &TimeWindow) -> std::ops::Range<usize> {
        let last = window.max_timestamp();
        let from = self.known.partition_point(|slice| *slice < window.start);
        from..self.known.partition_point(|slice| *slice <= last)
    }

    /// Returns the end of the next window that has records and has not fired.
    fn next_window(&self) -> Option<i128> {
        let fired = |slice: &i64| self.slices.last_end(*slice) <= Some(self.fired_until);
        let slice = self.known.get(self.known.partition_point(fired))?;
        self.slices.end_after(*slice, self.fired_until)
    }

    /// Returns the next window to fire if the watermark has passed it.
    fn next_end(&self) -> Option<i128> {
        let end = self.next_window()?;
        (self.slices.window(end).max_timestamp() <= self.life.watermark).then_some(end)
    }

    /// Fires the windows that have ended, until all have or it is time to stop. Returns the last
    /// instant of the first that was left.
    fn fire_due(&mut self, cx: &mut Context<'_, W::Out>) -> Option<i64> {
        let mut stop = false;
        self.fired = 0;
        while let Some(end) = self.next_end() {
            let window = self.slices.window(end);
            if stop || !self.fire_window(&window, cx) {
                return Some(window.max_timestamp());
            }
            self.fired_until = end;
            self.next_group = 0;
            self.remove_gone();
            stop = self.should_yield(cx);
        }
        self.fired_until = self.fired_until.max(i128::from(self.life.watermark) + 1);
        self.remove_gone();
        None
    }

    /// Returns whether it is time to stop, or whoever comes next should work on what has fired while
    /// it is still in the processor's cache, and in memory that can be used again.
    fn should_yield(&self, cx: &mut Context<'_, W::Out>) -> bool {
        let bytes = self.fired.saturating_mul(size_of::<Record<W::Out>>() as u64);
        bytes >= BURST_BYTES || cx.should_yield()
    }

    /// Fires a window for the groups that are left; returns whether it came to the last.
    fn fire_window(&mut self, window: &TimeWindow, cx: &mut Context<'_, W::Out>) -> bool {
        let drain = self.slices.is_single() && self.life.lateness_ms == 0;
        loop {
            let more = if drain {
                self.drain_group(window, cx)
            } else {
                self.fire_group(window, cx);
                self.next_group += 1;
                self.next_group < self.range.count()
            };
            if !more || self.should_yield(cx) {
                return !more;
            }
        }
    }

    /// Fires a window of one slice for one group, and forgets what it held.
    fn drain_group(&mut self, window: &TimeWindow, cx: &mut Context<'_, W::Out>) -> bool {
        let (event_time, mut fired) = (window.max_timestamp(), 0);
        let function = &mut self.function;
        let more = self.table.drain_some(&window.start, |key, acc| {
            fired += 1;
            function.fire(&key, window, &acc, &mut |out| cx.emit(event_time, out));
        });
        cx.count_fired(fired);
        self.fired += fired;
        more
    }

    /// Fires a window for the next group.
    fn fire_group(&mut self, window: &TimeWindow, cx: &mut Context<'_, W::Out>) {
        let (event_time, mut fired) = (window.max_timestamp(), 0);
        let places = self.places(window);
        let (group, table, function) = (self.next_group, &mut self.table, &mut self.function);
        let mut fire = |function: &mut W, key: &K, acc: &W::Acc| {
            fired += 1;
            function.fire(key, window, acc, &mut |out| cx.emit(event_time, out));
        };
        match self.stacks.get_mut(group) {
            None => table.visit_group(&window.start, group, |key, acc| {
                fire(function, key, acc);
            }),
            Some(stacks) => {
                let mut visit = |slice: i64, see: &mut dyn FnMut(&K, &W::Acc)| {
                    table.visit_group(&slice, group, see);
                };
                let bounds = (window.start, event_time);
                stacks.advance(bounds, self.known.range(places), &mut visit, function);
                stacks.emit(function, fire);
            }
        }
        cx.count_fired(fired);
        self.fired += fired;
    }

    /// Removes the slices whose last window has fired and is gone.
    fn remove_gone(&mut self) {
        while let Some(slice) = self.known.front()
            && let Some(end) = self.slices.last_end(*slice)
            && end <= self.fired_until
            && self.life.is_late(&self.slices.window(end))
        {
            self.table.clear(slice);
            self.known.pop_front();
        }
    }
}

/// Adds values to what their keys have in a slice.
#[inline]
fn add_all<K: Key, T, W: WindowFunction<K, T>>(
    mut slice: impl KeyedSpace<K, W::Acc>,
    values: impl Iterator<Item = T>,
    key: impl Fn(&T) -> K,
    function: &W,
) {
    values.for_each(|value| {
        let key = key(&value);
        let acc = slice.get_or_insert_with(Hashed::new(&key), || function.create());
        function.add(acc, value);
    });
}

impl<K, T, F, W> Logic for AlignedWindows<K, T, F, W>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + 'static,
    W: WindowFunction<K, T>,
{
    type Left = T;
    type Right = Infallible;
    type Out = W::Out;

    fn left(&mut self, batch: &mut Batch<T>, cx: &mut Context<'_, W::Out>) {
        if cx.watermark() > self.life.watermark && self.life.advance(cx.watermark()) {
            // The watermark comes from a checkpoint: what it has passed fired before.
            self.fired_until = i128::from(cx.watermark()) + 1;
            self.current = Current::NONE;
        }
        let mut records = batch.drain(..).peekable();
        while let Some(Record { event_time, value }) = records.next() {
            if event_time < self.current.first || event_time > self.current.last {
                if event_time == NO_EVENT_TIME {
                    cx.fail(no_event_time());
                    return;
                }
                self.enter(event_time);
            }
            if self.current.fate != Fate::OnTime {
                self.behind(event_time, value, cx);
                continue;
            }
            // The records that follow in the same slice share the way to it.
            let Current { name, first, last, .. } = self.current;
            let in_slice = |next: &Record<T>| (first..=last).contains(&next.event_time);
            let more = std::iter::from_fn(|| records.next_if(in_slice).map(|next| next.value));
            let values = std::iter::once(value).chain(more);
            match self.table.space(&name) {
                Space::Heap(space) => add_all(space, values, &self.key, &self.function),
                Space::Cached(space) => add_all(space, values, &self.key, &self.function),
            }
        }
    }

    fn fire(&mut self, watermark: i64, cx: &mut Context<'_, W::Out>) -> Option<i64> {
        if !self.life.advance(watermark) {
            return None;
        }
        self.current = Current::NONE;
        self.fire_due(cx)
    }

    fn judge_at(&mut self, watermark: i64) {
        self.life.watermark = watermark;
        self.current = Current::NONE;
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.table.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.table.fold()
    }

    fn first_timer(&self) -> Option<i64> {
        let first = self.next_window().map(|end| self.slices.window(end).max_timestamp());
        if self.life.final_only && !self.life.ended() { first.map(|_| i64::MAX) } else { first }
    }
}
