//! States with a time to live against a model that knows for every element when it was used last:
//! each update type, visibility, clock and backend, across snapshots.
//!
//! What has expired and may still be returned depends on when it is cleaned: there the model says
//! what must be returned and what may be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::KeyGroups;
use highwater_core::store::Stores;
use highwater_core::time::Epoch;
use highwater_state::keyed::KeyedStates;
use highwater_state::memory::MemoryStores;
use highwater_state::ttl::{Now, StateVisibility, TtlTime, UpdateType};
use highwater_state::*;
use proptest::prelude::*;

const TTL_MS: i64 = 100;

#[derive(Clone, Debug)]
enum Op {
    /// Both clocks move, the event time of the next records lies beside the watermark.
    Pass {
        processing_ms: i64,
        event_ms: i64,
        ahead_ms: i64,
    },
    Freeze,
    ValueGet,
    ValueSet(u32),
    ValueAdd(u32),
    ValueTake,
    ValueClear,
    Reduce(u32),
    ReducedGet,
    ListAdd(u32),
    ListRead,
    ListUpdate(Vec<u32>),
    MapGet(u8),
    MapPut(u8, u32),
    MapAdd(u8, u32),
    MapRemove(u8),
    MapRead,
    MapClear,
}

fn op() -> impl Strategy<Value = Op> {
    let entry = || 0..4_u8;
    let pass = (0..60_i64, 0..60_i64, -50..50_i64);
    prop_oneof![
        6 => pass.prop_map(|(processing_ms, event_ms, ahead_ms)| Op::Pass { processing_ms, event_ms, ahead_ms }),
        1 => Just(Op::Freeze),
        2 => Just(Op::ValueGet),
        2 => any::<u32>().prop_map(Op::ValueSet),
        2 => (0..9_u32).prop_map(Op::ValueAdd),
        1 => Just(Op::ValueTake),
        1 => Just(Op::ValueClear),
        2 => (0..9_u32).prop_map(Op::Reduce),
        2 => Just(Op::ReducedGet),
        3 => any::<u32>().prop_map(Op::ListAdd),
        2 => Just(Op::ListRead),
        1 => prop::collection::vec(any::<u32>(), 0..4).prop_map(Op::ListUpdate),
        2 => entry().prop_map(Op::MapGet),
        3 => (entry(), any::<u32>()).prop_map(|(entry, value)| Op::MapPut(entry, value)),
        2 => (entry(), 0..9_u32).prop_map(|(entry, value)| Op::MapAdd(entry, value)),
        1 => entry().prop_map(Op::MapRemove),
        2 => Just(Op::MapRead),
        1 => Just(Op::MapClear),
    ]
}

#[derive(Clone, Debug)]
struct Combination {
    update: UpdateType,
    visibility: StateVisibility,
    time: TtlTime,
    swept: usize,
    store: bool,
}

impl Combination {
    fn ttl(&self) -> StateTtlConfig {
        StateTtlConfig::new(Duration::from_millis(TTL_MS as u64))
            .update_type(self.update)
            .visibility(self.visibility)
            .time(self.time)
            .clean_incrementally(self.swept)
    }
}

fn combination() -> impl Strategy<Value = Combination> {
    let update = prop_oneof![Just(UpdateType::OnCreateAndWrite), Just(UpdateType::OnReadAndWrite)];
    let visibility = prop_oneof![
        Just(StateVisibility::NeverReturnExpired),
        Just(StateVisibility::ReturnExpiredIfNotCleanedUp)
    ];
    let time = prop_oneof![Just(TtlTime::Processing), Just(TtlTime::Event)];
    (update, visibility, time, prop_oneof![Just(0), Just(1), Just(5)], any::<bool>()).prop_map(
        |(update, visibility, time, swept, store)| Combination {
            update,
            visibility,
            time,
            swept,
            store,
        },
    )
}

/// The states under test.
struct Subject {
    combination: Combination,
    states: KeyedStates<u8>,
    value: ValueState<u32>,
    reducing: ReducingState<u32>,
    list: ListState<u32>,
    map: MapState<u8, u32>,
}

impl Subject {
    fn new(combination: &Combination, stored: Vec<Arc<EncodedState>>) -> Self {
        let stores: Arc<dyn Stores> = Arc::new(MemoryStores { cache_bytes: 0 });
        let backend = Backend::heap("test", KeyGroups::new(128, 1), 0)
            .stores(combination.store.then_some(stores))
            .restored(stored);
        let (mut states, ttl) = (KeyedStates::new(backend), combination.ttl());
        let reducing = ReducingStateDescriptor::new("reducing", |a: u32, b| a.wrapping_add(b));
        Subject {
            combination: combination.clone(),
            value: states
                .value_with(ValueStateDescriptor::new("value").ttl(ttl))
                .expect("nothing is amiss"),
            reducing: states.reducing_with(reducing.ttl(ttl)).expect("nothing is amiss"),
            list: states
                .list_with(ListStateDescriptor::new("list").ttl(ttl))
                .expect("nothing is amiss"),
            map: states
                .map_with(MapStateDescriptor::new("map").ttl(ttl))
                .expect("nothing is amiss"),
            states,
        }
    }

    /// Freezes the states and goes on with what was stored.
    fn restart(&mut self, now: Now) {
        let mut cut = Cut::new(Epoch(0), CutKind::default(), now.watermark, now.processing_ms);
        self.states.freeze(&mut cut);
        let stored = cut
            .encode()
            .expect("what was stored can be encoded")
            .into_iter()
            .map(Arc::new)
            .collect();
        *self = Subject::new(&self.combination, stored);
    }
}

/// When an element was used last, and what it is.
type Element<V> = (i64, V);

/// What one key holds, as the model sees it.
#[derive(Default)]
struct Model {
    value: Option<Element<u32>>,
    reduced: Option<Element<u32>>,
    list: Vec<Element<u32>>,
    map: BTreeMap<u8, Element<u32>>,
}

/// The clock as one combination sees it.
struct Clock<'a> {
    combination: &'a Combination,
    now: Now,
}

impl Clock<'_> {
    fn is_alive(&self, used: i64) -> bool {
        let clock = match self.combination.time {
            TtlTime::Processing => self.now.processing_ms,
            TtlTime::Event => self.now.watermark,
        };
        used + TTL_MS > clock
    }

    fn stamp(&self) -> i64 {
        match self.combination.time {
            TtlTime::Processing => self.now.processing_ms,
            TtlTime::Event => self.now.watermark.max(self.now.event_time),
        }
    }

    /// When something was used last that is used now.
    fn moved(&self, before: Option<Element<u32>>) -> i64 {
        before.map_or(self.stamp(), |(used, _)| self.stamp().max(used))
    }

    fn may_return_expired(&self) -> bool {
        self.combination.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp
    }

    /// Asserts what a read of one element has found, and does to the model what the read does.
    fn read(&self, slot: &mut Option<Element<u32>>, found: Option<u32>) {
        match *slot {
            Some((used, value)) if self.is_alive(used) => {
                assert_eq!(found, Some(value), "it is alive");
                if self.combination.update == UpdateType::OnReadAndWrite {
                    *slot = Some((self.moved(*slot), value));
                }
            }
            Some((_, value)) => {
                let allowed =
                    found.is_none() || (self.may_return_expired() && found == Some(value));
                assert!(allowed, "{found:?} instead of the expired {value}");
                *slot = None;
            }
            None => assert_eq!(found, None),
        }
    }

    /// Asserts what a change has begun with, `None` for nothing.
    fn begin(&self, slot: Option<Element<u32>>, before: Option<u32>) {
        match slot {
            Some((used, value)) if self.is_alive(used) => assert_eq!(before, Some(value)),
            Some((_, value)) if self.may_return_expired() => {
                assert!(before.is_none() || before == Some(value));
            }
            _ => assert_eq!(before, None),
        }
    }

    /// Asserts what a read of many elements has found.
    fn read_all<E: PartialEq + Copy + std::fmt::Debug>(
        &self,
        elements: &mut Vec<Element<E>>,
        found: &[E],
    ) {
        let all: Vec<E> = elements.iter().map(|(_, value)| *value).collect();
        elements.retain(|(used, _)| self.is_alive(*used));
        let alive: Vec<E> = elements.iter().map(|(_, value)| *value).collect();
        if self.may_return_expired() {
            assert!(is_part(&alive, found) && is_part(found, &all), "{alive:?} {found:?} {all:?}");
        } else {
            assert_eq!(found, alive);
        }
        if self.combination.update == UpdateType::OnReadAndWrite {
            elements.iter_mut().for_each(|(used, _)| *used = self.stamp().max(*used));
        }
    }
}

/// Returns whether `part` is left of `whole` when some elements are removed.
fn is_part<E: PartialEq>(part: &[E], whole: &[E]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|element| whole.any(|other| other == element))
}

fn play(subject: &mut Subject, model: &mut Model, key: u8, op: &Op, now: Now) {
    let combination = subject.combination.clone();
    let clock = Clock { combination: &combination, now };
    let (key, stamp) = (Hashed::new(&key), clock.stamp());
    let states = &mut subject.states;
    match op {
        Op::Pass { .. } | Op::Freeze => unreachable!("not an access"),
        Op::ValueGet => {
            clock.read(&mut model.value, states.of(subject.value, key, now).get().copied());
        }
        Op::ValueSet(value) => {
            states.of(subject.value, key, now).set(*value);
            model.value = Some((clock.moved(model.value), *value));
        }
        Op::ValueAdd(n) => {
            let mut value = states.of(subject.value, key, now);
            let slot = value.get_mut();
            clock.begin(model.value.filter(|(_, n)| *n != 0), Some(*slot).filter(|n| *n != 0));
            *slot = slot.wrapping_add(*n);
            model.value = Some((clock.moved(model.value), *slot));
        }
        Op::ValueTake => {
            let found = states.of(subject.value, key, now).take();
            clock.read(&mut model.value, found);
            model.value = None;
        }
        Op::ValueClear => {
            states.of(subject.value, key, now).clear();
            model.value = None;
        }
        Op::Reduce(n) => {
            let mut reducing = states.of(subject.reducing, key, now);
            reducing.add(*n);
            let sum = *reducing.get().expect("something was just added");
            let before = sum.wrapping_sub(*n);
            clock.begin(model.reduced.filter(|(_, n)| *n != 0), Some(before).filter(|n| *n != 0));
            model.reduced = Some((clock.moved(model.reduced), sum));
        }
        Op::ReducedGet => {
            clock.read(&mut model.reduced, states.of(subject.reducing, key, now).get().copied());
        }
        Op::ListAdd(value) => {
            states.of(subject.list, key, now).add(*value);
            model.list.push((stamp, *value));
        }
        Op::ListRead => {
            let found: Vec<_> = states.of(subject.list, key, now).iter().copied().collect();
            clock.read_all(&mut model.list, &found);
        }
        Op::ListUpdate(values) => {
            states.of(subject.list, key, now).update(values.iter().copied());
            model.list = values.iter().map(|value| (stamp, *value)).collect();
        }
        Op::MapGet(entry) => {
            let found = states.of(subject.map, key, now).get(entry).copied();
            let mut slot = model.map.remove(entry);
            clock.read(&mut slot, found);
            model.map.extend(slot.map(|element| (*entry, element)));
        }
        Op::MapPut(entry, value) => {
            states.of(subject.map, key, now).put(*entry, *value);
            let used = clock.moved(model.map.get(entry).copied());
            model.map.insert(*entry, (used, *value));
        }
        Op::MapAdd(entry, n) => {
            let mut map = states.of(subject.map, key, now);
            let slot = map.get_mut(*entry);
            let known = model.map.get(entry).copied().filter(|(_, n)| *n != 0);
            clock.begin(known, Some(*slot).filter(|n| *n != 0));
            *slot = slot.wrapping_add(*n);
            let used = clock.moved(model.map.get(entry).copied());
            model.map.insert(*entry, (used, *slot));
        }
        Op::MapRemove(entry) => {
            let found = states.of(subject.map, key, now).remove(entry);
            clock.read(&mut model.map.remove(entry), found);
        }
        Op::MapRead => {
            let found = states.of(subject.map, key, now);
            let found: Vec<_> = { found }.iter().map(|(entry, value)| (*entry, *value)).collect();
            let map = std::mem::take(&mut model.map).into_iter();
            let mut elements = map.map(|(entry, (used, value))| (used, (entry, value))).collect();
            clock.read_all(&mut elements, &found);
            model.map = elements.into_iter().map(|(used, (entry, v))| (entry, (used, v))).collect();
        }
        Op::MapClear => {
            states.of(subject.map, key, now).clear();
            model.map.clear();
        }
    }
}

/// Asserts that all keys hold what is alive, and nothing that must not be returned.
fn assert_entries(subject: &mut Subject, models: &[Model], now: Now) {
    let combination = subject.combination.clone();
    let clock = Clock { combination: &combination, now };
    let values = subject.states.entries(subject.value, now);
    let lists: BTreeMap<_, _> = subject.states.entries(subject.list, now).into_iter().collect();
    for (key, model) in (0..).zip(models) {
        let found = values.iter().find(|(other, _)| *other == key).map(|(_, value)| *value);
        clock.begin(model.value, found);
        let alive = model.list.iter().filter(|(used, _)| clock.is_alive(*used));
        let alive: Vec<_> = alive.map(|(_, value)| *value).collect();
        let found = lists.get(&key).cloned().unwrap_or_default();
        if clock.may_return_expired() {
            assert!(is_part(&alive, &found));
        } else {
            assert_eq!(found, alive);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn states_agree_with_a_model_that_knows_every_use(
        combination in combination(),
        ops in prop::collection::vec((0..3_u8, op()), 0..120),
    ) {
        let mut subject = Subject::new(&combination, Vec::new());
        let mut models: Vec<Model> = (0..3).map(|_| Model::default()).collect();
        let mut now = Now { processing_ms: 5_000, watermark: 1_000, event_time: 1_000 };
        for (key, op) in &ops {
            match op {
                Op::Pass { processing_ms, event_ms, ahead_ms } => {
                    now.processing_ms += processing_ms;
                    now.watermark += event_ms;
                    now.event_time = now.watermark + ahead_ms;
                }
                Op::Freeze => subject.restart(now),
                op => play(&mut subject, &mut models[usize::from(*key)], *key, op, now),
            }
            assert_entries(&mut subject, &models, now);
        }
    }
}

fn at(processing_ms: i64) -> Now {
    Now::clocks(processing_ms, i64::MIN)
}

fn combined(visibility: StateVisibility, swept: usize, store: bool) -> Combination {
    let (update, time) = (UpdateType::default(), TtlTime::default());
    Combination { update, visibility, time, swept, store }
}

#[test]
fn an_expired_value_that_may_be_returned_is_returned_once() {
    for store in [false, true] {
        let visibility = StateVisibility::ReturnExpiredIfNotCleanedUp;
        let mut subject = Subject::new(&combined(visibility, 0, store), Vec::new());
        let (states, key) = (&mut subject.states, Hashed::new(&1));
        states.of(subject.value, key, at(0)).set(7);
        states.of(subject.list, key, at(0)).add(8);
        states.of(subject.map, key, at(0)).put(9, 10);
        for (found, now) in [(true, at(TTL_MS)), (false, at(TTL_MS))] {
            assert_eq!(states.of(subject.value, key, now).get(), found.then_some(&7));
            assert_eq!(states.of(subject.list, key, now).iter().count(), usize::from(found));
            assert_eq!(states.of(subject.map, key, now).get(&9), found.then_some(&10));
        }
    }
}

#[test]
fn a_value_lives_until_its_time_has_passed_and_not_longer() {
    let mut subject = Subject::new(&combined(StateVisibility::default(), 5, false), Vec::new());
    let key = Hashed::new(&1);
    subject.states.of(subject.value, key, at(0)).set(7);
    assert_eq!(subject.states.of(subject.value, key, at(TTL_MS - 1)).get(), Some(&7));
    assert_eq!(subject.states.of(subject.value, key, at(TTL_MS)).get(), None);
}

#[test]
fn regression_a_record_behind_a_newer_one_moved_the_last_use_back() {
    let mut combination = combined(StateVisibility::default(), 5, false);
    combination.time = TtlTime::Event;
    let mut subject = Subject::new(&combination, Vec::new());
    let (states, key) = (&mut subject.states, Hashed::new(&1));
    for event_time in [1_000, 40] {
        let record = Now { processing_ms: 0, watermark: 0, event_time };
        states.of(subject.value, key, record).set(7);
        states.of(subject.map, key, record).put(7, 7);
        states.of(subject.reducing, key, record).add(7);
    }
    let now = Now::clocks(0, 1_000 + TTL_MS - 1);
    assert_eq!(states.of(subject.value, key, now).get(), Some(&7));
    assert_eq!(states.of(subject.map, key, now).get(&7), Some(&7));
    assert_eq!(states.of(subject.reducing, key, now).get(), Some(&14));
}

#[test]
fn nothing_expires_before_the_first_watermark() {
    let mut combination = combined(StateVisibility::default(), 5, false);
    combination.time = TtlTime::Event;
    let mut subject = Subject::new(&combination, Vec::new());
    let key = Hashed::new(&1);
    let record = Now { processing_ms: 0, watermark: i64::MIN, event_time: 40 };
    subject.states.of(subject.value, key, record).set(7);
    let found = |subject: &mut Subject, watermark| {
        subject.states.of(subject.value, key, Now::clocks(0, watermark)).get().copied()
    };
    assert_eq!(found(&mut subject, i64::MIN), Some(7));
    assert_eq!(found(&mut subject, 40 + TTL_MS - 1), Some(7));
    assert_eq!(found(&mut subject, 40 + TTL_MS), None);
}

#[test]
fn accesses_of_one_key_sweep_the_others_away() {
    for (swept, left) in [(5, 1), (0, 201)] {
        let visibility = StateVisibility::ReturnExpiredIfNotCleanedUp;
        let mut subject = Subject::new(&combined(visibility, swept, false), Vec::new());
        for key in 0..=200_u8 {
            subject.states.of(subject.value, Hashed::new(&key), at(0)).set(1);
        }
        for _ in 0..500 {
            subject.states.of(subject.value, Hashed::new(&0), at(TTL_MS)).set(2);
        }
        assert_eq!(subject.states.keys(subject.value, at(TTL_MS)).len(), left);
    }
}

#[test]
fn accesses_sweep_a_store_that_does_not_know_the_watermark() {
    for (swept, left) in [(1, 1), (0, 201)] {
        let mut combination = combined(StateVisibility::ReturnExpiredIfNotCleanedUp, swept, true);
        combination.time = TtlTime::Event;
        let mut subject = Subject::new(&combination, Vec::new());
        let (before, after) = (Now::clocks(0, 0), Now::clocks(0, TTL_MS));
        for key in 0..=200_u8 {
            subject.states.of(subject.value, Hashed::new(&key), before).set(1);
        }
        subject.restart(before);
        // Reading all of them writes them to the store.
        assert_eq!(subject.states.keys(subject.value, before).len(), 201);
        for _ in 0..640 {
            subject.states.of(subject.value, Hashed::new(&0), after).set(2);
        }
        assert_eq!(subject.states.keys(subject.value, after).len(), left);
    }
}

#[test]
fn snapshots_leave_out_what_has_expired() {
    for store in [false, true] {
        let visibility = StateVisibility::ReturnExpiredIfNotCleanedUp;
        let mut subject = Subject::new(&combined(visibility, 0, store), Vec::new());
        for (key, ms) in [(1, 0), (2, 50)] {
            let key = Hashed::new(&key);
            subject.states.of(subject.value, key, at(ms)).set(1);
            subject.states.of(subject.list, key, at(ms)).add(1);
            subject.states.of(subject.map, key, at(ms)).put(1, 1);
        }
        subject.restart(at(TTL_MS));
        let now = at(TTL_MS);
        assert_eq!(subject.states.keys(subject.value, now), [2]);
        assert_eq!(subject.states.keys(subject.list, now), [2]);
        assert_eq!(subject.states.keys(subject.map, now), [2]);
    }
}
