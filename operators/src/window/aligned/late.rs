//! Records whose windows have ended, at least in part.

use highwater_core::context::Context;
use highwater_core::key::Key;
use highwater_core::record::Data;
use highwater_state::Hashed;

use super::{AlignedWindows, Fate, WindowFunction};

impl<K, T, F, W> AlignedWindows<K, T, F, W>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + 'static,
    W: WindowFunction<K, T>,
{
    /// Returns what becomes of the records of a slice.
    pub(super) fn fate(&self, slice: i64) -> Fate {
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
    pub(super) fn behind(&mut self, event_time: i64, value: T, cx: &mut Context<'_, W::Out>) {
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
}
