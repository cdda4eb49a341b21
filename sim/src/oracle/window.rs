//! The window operator: what Flink's `WindowOperator` emits, for one operator and any keys.
//!
//! A window of a key lives from its first element until the watermark reaches
//! `max_timestamp + allowed_lateness`. An element is added to each of its windows that is not late;
//! in a session, the window is merged with those it touches *before* one asks whether it is late.
//!
//! **Invariants**
//! - *One timer*: a (time, key, window) is in each timer set at most once.
//! - *Order*: due timers run by time, then key, then window; those they set run in the same pass.
//! - *No empty result*: a window without contents is silent, whatever its trigger says.
//!
//! Sources: Flink 2.x, `WindowOperator`, `MergingWindowSet`.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::assign::{Assigner, Window};
use super::trigger::{Clock, TimeDomain, Trigger, TriggerResult, TriggerState};

/// The description of a window operator.
#[derive(Clone, Debug)]
pub struct WindowSpec<K, V> {
    /// Which windows an element belongs to.
    pub assigner: Assigner<K, V>,
    /// The clock by which elements are assigned and windows end; the global window has no end.
    pub time: TimeDomain,
    /// When a window fires.
    pub trigger: Trigger,
    /// How long after its end an event-time window still takes elements, in milliseconds.
    pub allowed_lateness: i64,
}

/// One result: the contents of a window at the moment at which it fired.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fired<K, V> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: Window,
    /// The elements in order of arrival; those of merged windows one window after the other.
    pub values: Vec<V>,
    /// The timestamp of the result, the window's last instant.
    pub timestamp: i64,
}

/// A window with its contents and what its trigger remembers.
#[derive(Clone, Debug)]
struct Live<V> {
    values: Vec<V>,
    trigger: TriggerState,
}

/// The model of one window operator.
///
/// ```
/// use highwater_sim::oracle::{Assigner, TimeDomain, Trigger, TriggerKind};
/// use highwater_sim::oracle::{WindowModel, WindowSpec};
///
/// let mut model = WindowModel::new(WindowSpec {
///     assigner: Assigner::Tumbling { size: 10, offset: 0 },
///     time: TimeDomain::Event,
///     trigger: Trigger { kind: TriggerKind::EventTime, purging: false },
///     allowed_lateness: 0,
/// });
/// model.element("a", 1, 3);
/// model.element("a", 2, 12);
/// model.watermark(9);
/// let fired = model.take_output();
/// assert_eq!((fired.len(), fired[0].values.clone(), fired[0].timestamp), (1, vec![1], 9));
/// ```
#[derive(Clone, Debug)]
pub struct WindowModel<K, V> {
    spec: WindowSpec<K, V>,
    watermark: i64,
    processing_time: i64,
    windows: BTreeMap<(K, Window), Live<V>>,
    timers: BTreeSet<(TimeDomain, i64, K, Window)>,
    output: Vec<Fired<K, V>>,
    late: Vec<(K, V, i64)>,
}

impl<K: Ord + Clone, V: Clone> WindowModel<K, V> {
    /// Makes an operator that has seen nothing: no watermark, processing time zero.
    pub fn new(spec: WindowSpec<K, V>) -> Self {
        WindowModel {
            spec,
            watermark: i64::MIN,
            processing_time: 0,
            windows: BTreeMap::new(),
            timers: BTreeSet::new(),
            output: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Takes an element; with processing time, its timestamp plays no role.
    pub fn element(&mut self, key: K, value: V, ts: i64) {
        let now = match self.spec.time {
            TimeDomain::Event => ts,
            TimeDomain::Processing => self.processing_time,
        };
        let mut skipped = true;
        for assigned in self.spec.assigner.assign(&key, &value, now) {
            let merges = self.spec.assigner.merges();
            let window = if merges { self.merge(&key, assigned) } else { assigned };
            if self.ends_by_watermark() && self.cleanup_time(window) <= self.watermark {
                continue;
            }
            skipped = false;
            let place = (key.clone(), window);
            let empty = Live { values: Vec::new(), trigger: TriggerState::default() };
            self.windows.entry(place.clone()).or_insert(empty).values.push(value.clone());
            self.trigger(&place, |trigger, state, clock| {
                trigger.on_element(ts, window, state, clock)
            });
            if self.cleanup_time(window) < i64::MAX {
                self.timers.insert((self.domain(), self.cleanup_time(window), key.clone(), window));
            }
        }
        // An empty session can be late although its element is not; such an element just vanishes.
        let past = ts.saturating_add(self.spec.allowed_lateness) <= self.watermark;
        if skipped && self.ends_by_watermark() && past {
            self.late.push((key, value, ts));
        }
    }

    /// Takes a watermark and runs the event-time timers up to it.
    pub fn watermark(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
        self.run_timers(TimeDomain::Event, self.watermark);
    }

    /// Moves the machine's clock and runs the processing-time timers up to it.
    pub fn processing_time(&mut self, time: i64) {
        self.processing_time = self.processing_time.max(time);
        self.run_timers(TimeDomain::Processing, self.processing_time);
    }

    /// Puts the operator into the state after a restart from a snapshot taken now: windows and
    /// timers are there, the watermark is not part of the state and has to come again.
    pub fn restore(&mut self) {
        self.watermark = i64::MIN;
    }

    /// Returns what was emitted since the last call, in order.
    pub fn take_output(&mut self) -> Vec<Fired<K, V>> {
        mem::take(&mut self.output)
    }

    /// Returns the late elements since the last call, in order: key, value, timestamp.
    pub fn take_late(&mut self) -> Vec<(K, V, i64)> {
        mem::take(&mut self.late)
    }

    /// Says whether windows end by the watermark; the global one does not end.
    fn ends_by_watermark(&self) -> bool {
        self.domain() == TimeDomain::Event
    }

    fn domain(&self) -> TimeDomain {
        match self.spec.assigner {
            Assigner::Global => TimeDomain::Processing,
            _ => self.spec.time,
        }
    }

    /// The instant at which a window is forgotten.
    fn cleanup_time(&self, window: Window) -> i64 {
        let lateness = if self.ends_by_watermark() { self.spec.allowed_lateness } else { 0 };
        window.max_timestamp().saturating_add(lateness)
    }

    /// Merges a new window with those it touches and returns the one that comes out.
    fn merge(&mut self, key: &K, new: Window) -> Window {
        let of_key = (key.clone(), Window { start: i64::MIN, end: i64::MIN })..;
        let touched: Vec<(K, Window)> = self
            .windows
            .range(of_key)
            .map(|(place, _)| place.clone())
            .take_while(|(owner, _)| owner == key)
            .filter(|(_, window)| window.touches(&new))
            .collect();
        let merged = touched.iter().fold(new, |merged, (_, window)| merged.cover(*window));
        if touched.is_empty() || touched == [(key.clone(), merged)] {
            return merged;
        }
        let (mut values, mut states) = (Vec::new(), Vec::new());
        for place in &touched {
            let live = self.forget(place).expect("the window was found a moment ago");
            values.extend(live.values);
            states.push(live.trigger);
        }
        let mut clock = self.clock();
        let trigger = self.spec.trigger.on_merge(merged, &states, &mut clock);
        let place = (key.clone(), merged);
        self.windows.insert(place.clone(), Live { values, trigger });
        self.set_timers(&place, clock);
        merged
    }

    /// Asks the trigger of a window and does what it says.
    fn trigger(
        &mut self,
        place: &(K, Window),
        ask: impl FnOnce(&Trigger, &mut TriggerState, &mut Clock) -> TriggerResult,
    ) {
        let mut clock = self.clock();
        let live = self.windows.get_mut(place).expect("only live windows have a trigger");
        let result = ask(&self.spec.trigger, &mut live.trigger, &mut clock);
        if result.fires() && !live.values.is_empty() {
            let ((key, window), values) = (place.clone(), live.values.clone());
            self.output.push(Fired { key, window, values, timestamp: window.max_timestamp() });
        }
        if result.purges() {
            live.values.clear();
        }
        self.set_timers(place, clock);
    }

    fn run_timers(&mut self, domain: TimeDomain, until: i64) {
        while let Some(timer) =
            self.timers.iter().find(|timer| timer.0 == domain && timer.1 <= until).cloned()
        {
            self.timers.remove(&timer);
            let (_, time, key, window) = timer;
            let place = (key, window);
            self.trigger(&place, |trigger, state, clock| {
                trigger.on_timer(domain, time, window, state, clock)
            });
            if domain == self.domain() && time == self.cleanup_time(window) {
                self.forget(&place);
            }
        }
    }

    /// Drops a window with its contents, its trigger state and all its timers.
    fn forget(&mut self, place: &(K, Window)) -> Option<Live<V>> {
        self.timers.retain(|(_, _, key, window)| (key, window) != (&place.0, &place.1));
        self.windows.remove(place)
    }

    fn clock(&self) -> Clock {
        let (watermark, processing_time) = (self.watermark, self.processing_time);
        Clock { watermark, processing_time, timers: Vec::new() }
    }

    fn set_timers(&mut self, (key, window): &(K, Window), clock: Clock) {
        for (domain, time) in clock.timers {
            self.timers.insert((domain, time, key.clone(), *window));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Gap, TriggerKind};
    use super::*;

    fn model(assigner: Assigner<char, i64>, kind: TriggerKind, lateness: i64) -> Model {
        let trigger = Trigger { kind, purging: false };
        let time = TimeDomain::Event;
        WindowModel::new(WindowSpec { assigner, time, trigger, allowed_lateness: lateness })
    }

    type Model = WindowModel<char, i64>;

    const TUMBLING: Assigner<char, i64> = Assigner::Tumbling { size: 10, offset: 0 };

    fn fired(model: &mut Model) -> Vec<(Vec<i64>, i64)> {
        model.take_output().into_iter().map(|fired| (fired.values, fired.timestamp)).collect()
    }

    #[test]
    fn a_late_element_fires_its_window_again_until_lateness_ends() {
        let mut model = model(TUMBLING, TriggerKind::EventTime, 5);
        model.element('k', 1, 3);
        model.watermark(13);
        model.element('k', 2, 4);
        assert_eq!(fired(&mut model), [(vec![1], 9), (vec![1, 2], 9)]);
        model.watermark(14);
        model.element('k', 3, 5);
        assert_eq!(fired(&mut model), []);
        assert_eq!(model.take_late(), [('k', 3, 5)]);
    }

    #[test]
    fn a_window_whose_lateness_reaches_the_end_of_time_is_kept() {
        let mut model = model(TUMBLING, TriggerKind::EventTime, i64::MAX);
        model.element('k', 1, 3);
        model.watermark(i64::MAX - 1);
        model.element('k', 2, 3);
        assert_eq!(fired(&mut model), [(vec![1], 9), (vec![1, 2], 9)]);
        assert!(model.timers.is_empty());
    }

    #[test]
    fn a_periodic_trigger_catches_up_and_stops_at_the_end_of_the_window() {
        let sessions = Assigner::Session { gap: Gap::Fixed(10) };
        let mut model = model(sessions, TriggerKind::ContinuousEventTime(4), 100);
        model.element('k', 1, 1);
        model.watermark(50);
        // At 4 and 8, and once at the window's last instant, 10.
        assert_eq!(fired(&mut model), [(vec![1], 10), (vec![1], 10), (vec![1], 10)]);
        model.watermark(60);
        assert_eq!(fired(&mut model), []);
    }

    #[test]
    fn lateness_is_asked_of_the_merged_session() {
        let sessions = Assigner::Session { gap: Gap::Fixed(10) };
        let mut model = model(sessions, TriggerKind::EventTime, 0);
        model.element('k', 1, 15);
        model.watermark(20);
        model.element('k', 2, 5);
        model.element('k', 3, 4);
        model.element('x', 4, 4);
        model.watermark(24);
        assert_eq!(model.take_late(), [('x', 4, 4)]);
        assert_eq!(fired(&mut model), [(vec![1, 2, 3], 24)]);
    }

    #[test]
    fn an_empty_session_can_be_late_although_its_element_is_not() {
        let sessions = Assigner::Session { gap: Gap::Fixed(0) };
        let mut model = model(sessions, TriggerKind::EventTime, 0);
        model.watermark(9);
        model.element('k', 1, 10);
        model.watermark(20);
        assert_eq!((fired(&mut model), model.take_late()), (vec![], vec![]));
    }

    #[test]
    fn counts_of_merged_sessions_add_up() {
        let sessions = Assigner::Session { gap: Gap::Fixed(10) };
        let mut model = model(sessions, TriggerKind::Count(3), 0);
        model.element('k', 1, 0);
        model.element('k', 2, 15);
        assert_eq!(fired(&mut model), []);
        model.element('k', 3, 8);
        assert_eq!(fired(&mut model), [(vec![1, 2, 3], 24)]);
    }

    #[test]
    fn the_global_window_is_never_late() {
        let mut model = model(Assigner::Global, TriggerKind::Count(1), 0);
        model.watermark(i64::MAX);
        model.element('k', 1, 3);
        assert_eq!(fired(&mut model), [(vec![1], i64::MAX)]);
    }
}
