//! Windows fire one after the other, each for one key group after the other.

use highwater_core::context::Context;
use highwater_core::key::Key;
use highwater_core::record::{Data, Record};

use super::{AlignedWindows, TimeWindow, WindowFunction};

/// How much may fire at once, a result per key; a group fires as a whole.
const BURST_BYTES: u64 = 64 * 1024;

impl<K, T, F, W> AlignedWindows<K, T, F, W>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + 'static,
    W: WindowFunction<K, T>,
{
    /// Returns the end of the next window that has records and has not fired.
    pub(super) fn next_window(&self) -> Option<i128> {
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
    pub(super) fn fire_due(&mut self, cx: &mut Context<'_, W::Out>) -> Option<i64> {
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

    /// Fires a window for the next group, unless it did before the group was restored.
    fn fire_group(&mut self, window: &TimeWindow, cx: &mut Context<'_, W::Out>) {
        let (event_time, mut fired) = (window.max_timestamp(), 0);
        let floor =
            self.floors.as_ref().map_or(i64::MIN, |floors| floors.of_index(self.next_group));
        if event_time <= floor {
            return;
        }
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
