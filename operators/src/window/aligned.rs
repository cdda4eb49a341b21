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
//!   is past it; both move forward only (`fire_due`). For a group that was restored ahead of others
//!   it has fired when its floor is at the last instant (`fire_group`).
//! - *Nothing left behind*: no record comes between two calls of one firing, as the shell promises;
//!   a late one would count in some keys and not in others (`behind`).
//!
//! **Cost**: one table access per record; no timers. Firing costs a merge per key and window, and
//! each slice at most two more per key. Sliding windows of accumulators that do not grow keep a
//! second copy of their slices (`two_stacks.rs`).
//!
//! **Sources**: Li et al., No Pane, No Gain, SIGMOD Record 2005; Flink's `WindowOperator`.

mod firing;
mod late;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::{Key, KeyGroupRange, KeyGroups};
use highwater_core::record::{Batch, Data, Record};
use highwater_core::shell::Logic;
use highwater_core::time::NO_EVENT_TIME;
use highwater_state::{Backend, Floors, Hashed, KeyedSpace, Space, Table};

use super::assigner::Alignment;
use super::function::WindowFunction;
use super::lifetime::{Lifetime, WindowOptions, no_event_time};
use super::slices::Slices;
use super::time_window::TimeWindow;
use super::two_stacks::TwoStacks;

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

    #[inline]
    fn holds(&self, event_time: i64) -> bool {
        (self.first..=self.last).contains(&event_time)
    }
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
    /// How far the groups had come that are ahead of others, after a restore.
    floors: Option<Floors>,
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
            floors: backend.floors().borrow().uneven(),
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

    /// Takes some of the records of a batch, all of the current slice.
    fn take(
        &mut self,
        places: Range<usize>,
        records: &mut std::vec::Drain<'_, Record<T>>,
        cx: &mut Context<'_, W::Out>,
    ) {
        let records = records.take(places.len());
        if self.current.fate != Fate::OnTime {
            records.for_each(|Record { event_time, value }| self.behind(event_time, value, cx));
            return;
        }
        let values = records.map(|record| record.value);
        match self.table.space(&self.current.name) {
            Space::Heap(space) => add_all(space, values, &self.key, &self.function),
            Space::Cached(space) => add_all(space, values, &self.key, &self.function),
        }
    }

    /// Returns where the slices of a window stand among those known.
    fn places(&self, window: &TimeWindow) -> std::ops::Range<usize> {
        let last = window.max_timestamp();
        let from = self.known.partition_point(|slice| *slice < window.start);
        from..self.known.partition_point(|slice| *slice <= last)
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
        let (mut records, mut from) = (batch.drain(..), 0);
        while let Some(Record { event_time, .. }) = records.as_slice().first() {
            if *event_time == NO_EVENT_TIME {
                cx.fail(no_event_time());
                return;
            }
            if !self.current.holds(*event_time) {
                self.enter(*event_time);
            }
            // The records that follow in the same slice share the way to it.
            let next = records.as_slice().iter().skip(1);
            let end =
                from + 1 + next.take_while(|next| self.current.holds(next.event_time)).count();
            self.take(from..end, &mut records, cx);
            from = end;
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
