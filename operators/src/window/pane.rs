//! What a window operator stores for one key and window: the contents, and the trigger's state.

use highwater_core::context::Context;
use highwater_core::record::Data;
use serde::{Deserialize, Serialize};

use super::function::WindowFunction;
use super::time_window::TimeWindow;
use super::trigger::TriggerResult;

/// The contents of one key and window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pane<A, S> {
    /// `None` before the first record and after a purge.
    pub(super) acc: Option<A>,
    pub(super) trigger: S,
    /// In batch mode: the window has fired, and is to be emitted at the end.
    pub(super) held: bool,
}

impl<A, S: Default> Default for Pane<A, S> {
    fn default() -> Self {
        Pane { acc: None, trigger: S::default(), held: false }
    }
}

impl<A, S> Pane<A, S> {
    /// Adds a value.
    #[inline]
    pub(super) fn add<K, T, W>(&mut self, value: T, function: &W)
    where
        W: WindowFunction<K, T, Acc = A>,
    {
        function.add(self.acc.get_or_insert_with(|| function.create()), value);
    }

    /// Adds the contents of another window, but not what its trigger remembers.
    pub(super) fn merge<K, T, W>(&mut self, acc: Option<A>, held: bool, function: &W)
    where
        W: WindowFunction<K, T, Acc = A>,
    {
        self.held |= held;
        match (&mut self.acc, acc) {
            (Some(into), Some(acc)) => function.merge(into, acc),
            (None, acc) => self.acc = acc,
            (Some(_), None) => {}
        }
    }

    /// Does what the trigger says.
    ///
    /// - `hold`: whether contents that stay are emitted at the end only.
    #[inline]
    pub(super) fn conclude<K, T, W>(
        &mut self,
        result: TriggerResult,
        hold: bool,
        place: (&K, &TimeWindow),
        function: &mut W,
        cx: &mut Context<'_, W::Out>,
    ) where
        W: WindowFunction<K, T, Acc = A>,
    {
        if result == TriggerResult::Continue {
            return;
        }
        if result == TriggerResult::Fire && hold {
            self.held = true;
        } else if result.is_fire() {
            self.emit(place, function, cx);
        }
        if result.is_purge() {
            self.acc = None;
            self.held = false;
        }
    }

    /// Emits what the window was not allowed to emit earlier; called when it is removed.
    pub(super) fn release<K, T, W>(
        &mut self,
        place: (&K, &TimeWindow),
        function: &mut W,
        cx: &mut Context<'_, W::Out>,
    ) where
        W: WindowFunction<K, T, Acc = A>,
    {
        if std::mem::take(&mut self.held) {
            self.emit(place, function, cx);
        }
    }

    fn emit<K, T, W, O: Data>(
        &self,
        (key, window): (&K, &TimeWindow),
        function: &mut W,
        cx: &mut Context<'_, O>,
    ) where
        W: WindowFunction<K, T, Acc = A, Out = O>,
    {
        if let Some(acc) = &self.acc {
            let event_time = window.max_timestamp();
            function.fire(key, window, acc, &mut |out| cx.emit(event_time, out));
        }
    }
}
