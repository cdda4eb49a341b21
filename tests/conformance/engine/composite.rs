//! A combination of triggers as a custom trigger of the engine, as users can write one.
//!
//! The state is the list of numbers that the model's combinators keep for each node, and the only
//! timer is the one at the window's end. What is played is how the engine stores, merges and clears
//! such a state, and when it calls the trigger.

use highwater_core::EventTime;
use highwater_operators::window::{Trigger, TriggerContext, TriggerResult};
use highwater_sim::oracle::{self, Composite};

/// A combination of triggers.
#[derive(Clone)]
pub(super) struct Combined {
    pub(super) composite: Composite,
    /// Whether it drops what it emits.
    pub(super) purging: bool,
}

/// Says whether the watermark has passed the window; if not, sets the timer for its end.
fn passed(cx: &mut TriggerContext<'_>) -> bool {
    let end = cx.window().max_timestamp();
    let passed = end <= cx.watermark();
    if !passed {
        cx.set_event_timer(end);
    }
    passed
}

fn result(result: oracle::TriggerResult) -> TriggerResult {
    match (result.fires(), result.purges()) {
        (false, false) => TriggerResult::Continue,
        (true, false) => TriggerResult::Fire,
        (false, true) => TriggerResult::Purge,
        (true, true) => TriggerResult::FireAndPurge,
    }
}

impl<T> Trigger<T> for Combined {
    /// One number for each node, empty before the first record.
    type State = Vec<i64>;

    fn on_element(
        &self,
        _value: &T,
        _event_time: EventTime,
        nodes: &mut Vec<i64>,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        result(self.composite.on_element(nodes, passed(cx), self.purging))
    }

    fn on_event_time(
        &self,
        time: i64,
        nodes: &mut Vec<i64>,
        cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time != cx.window().max_timestamp() {
            return TriggerResult::Continue;
        }
        result(self.composite.on_end(nodes, self.purging))
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge_states(&self, into: &mut Vec<i64>, from: Vec<i64>) {
        *into = self.composite.merge([into.as_slice(), from.as_slice()].into_iter());
    }

    fn on_merge(&self, _nodes: &mut Vec<i64>, cx: &mut TriggerContext<'_>) {
        passed(cx);
    }

    fn clear(&self, _nodes: &mut Vec<i64>, cx: &mut TriggerContext<'_>) {
        cx.delete_event_timer(cx.window().max_timestamp());
    }
}
