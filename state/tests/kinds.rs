//! Every kind of keyed state does what its handle promises, in memory and above a store: alone, with
//! more keys than a cache holds, across a snapshot, and with values of an older type.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_core::Result;
use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::KeyGroups;
use highwater_core::store::Stores;
use highwater_core::time::Epoch;
use highwater_state::aggregating::AggregateFunction;
use highwater_state::keyed::KeyedStates;
use highwater_state::memory::MemoryStores;
use highwater_state::ttl::Now;
use highwater_state::*;

const NOW: Now = Now { processing_ms: 0, watermark: i64::MIN, event_time: 0 };

#[derive(Clone)]
struct Mean;

impl AggregateFunction<u64> for Mean {
    type Accumulator = (u64, u64);
    type Output = u64;
    fn create(&self) -> (u64, u64) {
        (0, 0)
    }
    fn add(&self, (sum, count): &mut (u64, u64), value: u64) {
        (*sum, *count) = (*sum + value, *count + 1);
    }
    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        *into = (into.0 + other.0, into.1 + other.1);
    }
    fn result(&self, (sum, count): &(u64, u64)) -> u64 {
        sum / count
    }
}

/// One state of each kind.
struct All {
    states: KeyedStates<u32>,
    value: ValueState<u64>,
    list: ListState<u64>,
    map: MapState<String, u64>,
    reducing: ReducingState<u64>,
    aggregating: AggregatingState<u64, Mean>,
}

impl All {
    fn new(backend: Backend, ttl: Option<StateTtlConfig>) -> Result<Self> {
        let mut states = KeyedStates::new(backend);
        let (mut value, mut list, mut map) = (
            ValueStateDescriptor::new("value"),
            ListStateDescriptor::new("list"),
            MapStateDescriptor::new("map"),
        );
        let mut reducing = ReducingStateDescriptor::new("reducing", |a, b| a + b);
        let mut aggregating = AggregatingStateDescriptor::new("aggregating", Mean);
        if let Some(ttl) = ttl {
            (value, list, map) = (value.ttl(ttl), list.ttl(ttl), map.ttl(ttl));
            (reducing, aggregating) = (reducing.ttl(ttl), aggregating.ttl(ttl));
        }
        Ok(All {
            value: states.value_with(value)?,
            list: states.list_with(list)?,
            map: states.map_with(map)?,
            reducing: states.reducing_with(reducing)?,
            aggregating: states.aggregating_with(aggregating)?,
            states,
        })
    }

    fn add(&mut self, key: u32, n: u64) {
        let key = Hashed::new(&key);
        *self.states.of(self.value, key, NOW).get_mut() += n;
        self.states.of(self.list, key, NOW).add(n);
        self.states.of(self.map, key, NOW).put(format!("{n}"), n);
        self.states.of(self.reducing, key, NOW).add(n);
        self.states.of(self.aggregating, key, NOW).add(n);
    }

    fn assert_holds(&mut self, key: u32, numbers: &[u64]) {
        let key = Hashed::new(&key);
        let sum: u64 = numbers.iter().sum();
        let some_sum = (!numbers.is_empty()).then_some(sum);
        assert_eq!(self.states.of(self.value, key, NOW).get().copied(), some_sum);
        let mut list = self.states.of(self.list, key, NOW);
        assert_eq!(list.is_empty(), numbers.is_empty());
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), numbers);
        let sorted: BTreeMap<_, _> = numbers.iter().map(|n| (n.to_string(), *n)).collect();
        let mut map = self.states.of(self.map, key, NOW);
        assert_eq!(map.is_empty(), numbers.is_empty());
        assert_eq!(map.iter().map(|(s, n)| (s.clone(), *n)).collect::<BTreeMap<_, _>>(), sorted);
        assert!(map.keys().eq(sorted.keys()), "in the order of the second key");
        assert!(map.values().eq(sorted.values()));
        assert_eq!(self.states.of(self.reducing, key, NOW).get().copied(), some_sum);
        let mean = some_sum.map(|sum| sum / numbers.len() as u64);
        assert_eq!(self.states.of(self.aggregating, key, NOW).get(), mean);
    }

    fn freeze(&mut self) -> Result<Vec<Arc<EncodedState>>> {
        let mut cut = Cut::new(Epoch(1), CutKind::default(), i64::MIN, 0);
        self.states.freeze(&mut cut);
        Ok(cut.encode()?.into_iter().map(Arc::new).collect())
    }
}

fn groups(workers: usize) -> KeyGroups {
    KeyGroups::new(128, workers)
}

/// A backend in memory, and one above a store.
fn backends(worker: usize, workers: usize) -> [Backend; 2] {
    let stores: Arc<dyn Stores> = Arc::new(MemoryStores { cache_bytes: 0 });
    let heap = || Backend::heap("test", groups(workers), worker);
    [heap().durable(true), heap().stores(Some(stores))]
}

fn ttls() -> [Option<StateTtlConfig>; 2] {
    [None, Some(StateTtlConfig::new(std::time::Duration::from_secs(1)))]
}

#[test]
fn each_kind_holds_what_was_put_into_it_for_its_key_alone() -> Result<()> {
    for ttl in ttls() {
        for backend in backends(0, 1) {
            let mut all = All::new(backend, ttl)?;
            for n in 0..3 {
                for key in 0..300 {
                    all.add(key, u64::from(key) + n);
                }
            }
            for key in 0..300 {
                let first = u64::from(key);
                all.assert_holds(key, &[first, first + 1, first + 2]);
            }
            all.assert_holds(300, &[]);
        }
    }
    Ok(())
}

#[test]
fn what_is_changed_or_removed_is_gone_and_leaves_nothing_behind() -> Result<()> {
    for ttl in ttls() {
        for backend in backends(0, 1) {
            let mut all = All::new(backend, ttl)?;
            let key = Hashed::new(&7);
            all.add(7, 1);
            let states = &mut all.states;
            let mut value = states.of(all.value, key, NOW);
            value.update(|n| *n += 10);
            assert_eq!(value.take(), Some(11));
            assert_eq!(value.take(), None);
            value.set(5);
            value.clear();
            let mut list = states.of(all.list, key, NOW);
            list.add_all([2, 3]);
            assert_eq!(list.iter().sum::<u64>(), 6);
            list.update([9]);
            assert_eq!(list.iter().collect::<Vec<_>>(), [&9]);
            list.update([]);
            list.add_all([]);
            let mut map = states.of(all.map, key, NOW);
            map.put_all([("a".to_string(), 2), ("b".to_string(), 3)]);
            *map.get_mut("b".to_string()) += 1;
            assert!(map.contains(&"a".to_string()) && !map.contains(&"z".to_string()));
            assert_eq!(map.get(&"b".to_string()), Some(&4));
            assert_eq!(map.remove(&"b".to_string()), Some(4));
            assert_eq!(map.remove(&"b".to_string()), None);
            assert_eq!(map.remove(&"a".to_string()), Some(2));
            assert_eq!(map.remove(&"1".to_string()), Some(1));
            states.of(all.reducing, key, NOW).clear();
            states.of(all.aggregating, key, NOW).clear();
            all.assert_holds(7, &[]);
            for keys in [
                all.states.keys(all.value, NOW),
                all.states.keys(all.list, NOW),
                all.states.keys(all.map, NOW),
                all.states.keys(all.reducing, NOW),
                all.states.keys(all.aggregating, NOW),
            ] {
                assert_eq!(keys, [0; 0]);
            }
        }
    }
    Ok(())
}

#[test]
fn a_snapshot_of_two_workers_gives_three_workers_all_that_belongs_to_them() -> Result<()> {
    let numbers = |key: u32| [u64::from(key), 1000];
    let owner = |key: u32, groups: KeyGroups| groups.owner(groups.of_hash(Hashed::new(&key).hash));
    for ttl in ttls() {
        for from in 0..2 {
            let mut stored = Vec::new();
            for worker in 0..2 {
                let mut all = All::new(backends(worker, 2).into_iter().nth(from).unwrap(), ttl)?;
                for key in (0..200).filter(|key| owner(*key, groups(2)) == worker) {
                    numbers(key).into_iter().for_each(|n| all.add(key, n));
                }
                stored.extend(all.freeze()?);
            }
            let mut found = 0;
            for worker in 0..3 {
                for (to, backend) in backends(worker, 3).into_iter().enumerate() {
                    let mut all = All::new(backend.restored(stored.clone()), ttl)?;
                    let mine: Vec<_> =
                        (0..200).filter(|key| owner(*key, groups(3)) == worker).collect();
                    assert_eq!(all.states.keys(all.reducing, NOW), mine, "{from} to {to}");
                    mine.iter().for_each(|key| all.assert_holds(*key, &numbers(*key)));
                    let lists = all.states.entries(all.list, NOW);
                    assert!(lists.iter().all(|(key, list)| *list == numbers(*key)));
                    let maps = all.states.entries(all.map, NOW);
                    assert!(maps.iter().all(|(_, map)| map.len() == 2));
                    let sums = all.states.entries(all.aggregating, NOW);
                    assert!(sums.iter().all(|(key, sum)| *sum == (u64::from(*key) + 1000, 2)));
                    found += mine.len();
                }
            }
            assert_eq!(found, 400);
        }
    }
    Ok(())
}

#[test]
fn a_time_to_live_that_is_added_or_removed_is_refused_with_both_schemas() -> Result<()> {
    for (before, after) in [(0, 1), (1, 0)] {
        let [backend, _] = backends(0, 1);
        let mut all = All::new(backend, ttls()[before])?;
        all.add(1, 1);
        for state in all.freeze()? {
            let [backend, _] = backends(0, 1);
            let refused = All::new(backend.restored(vec![state]), ttls()[after]);
            let message = refused.err().expect("the values look different").sentence();
            let (stored, expected) = message.split_once("; expected ").expect("it names both");
            let (with, without) = if after == 1 { (expected, stored) } else { (stored, expected) };
            assert!(with.contains("struct Expiring { used: "), "{message}");
            assert!(!without.contains("struct Expiring { used: "), "{message}");
        }
    }
    Ok(())
}

#[test]
fn values_of_an_older_type_are_migrated_one_by_one_with_and_without_a_time_to_live() -> Result<()> {
    for ttl in ttls() {
        let [backend, _] = backends(0, 1);
        let mut all = All::new(backend, ttl)?;
        [3, 5].into_iter().for_each(|n| all.add(1, n));
        let stored = all.freeze()?;
        let text = || Migration::new(|n: u64| format!("<{n}>"));
        let mut value = ValueStateDescriptor::<u32, String>::new("value").migration(text());
        let mut list = ListStateDescriptor::<u32, String>::new("list").migration(text());
        let mut map = MapStateDescriptor::<u32, String, String>::new("map").migration(text());
        let mut reducing = ReducingStateDescriptor::<u32, String>::new("reducing", |a, b| a + &b)
            .migration(text());
        if let Some(ttl) = ttl {
            (value, list, map) = (value.ttl(ttl), list.ttl(ttl), map.ttl(ttl));
            reducing = reducing.ttl(ttl);
        }
        let [backend, _] = backends(0, 1);
        let mut states = KeyedStates::<u32>::new(backend.restored(stored));
        let (value, list) = (states.value_with(value)?, states.list_with(list)?);
        let (map, reducing) = (states.map_with(map)?, states.reducing_with(reducing)?);
        assert_eq!(states.entries(value, NOW), [(1, "<8>".to_string())]);
        assert_eq!(states.entries(list, NOW), [(1, vec!["<3>".to_string(), "<5>".to_string()])]);
        let entries = ["3", "5"].map(|n| (n.to_string(), format!("<{n}>")));
        assert_eq!(states.entries(map, NOW), [(1, BTreeMap::from(entries))]);
        assert_eq!(states.entries(reducing, NOW), [(1, "<8>".to_string())]);
    }
    Ok(())
}

#[test]
fn a_name_is_given_once_whatever_the_kinds_are() -> Result<()> {
    let mut states = KeyedStates::<u32>::new(Backend::heap("test", groups(1), 0));
    states.value::<u64>("x")?;
    assert!(states.list::<u64>("x").is_err());
    assert!(states.map::<u64, u64>("x").is_err());
    Ok(())
}

#[test]
#[should_panic(expected = "was made by another function")]
fn a_handle_of_another_function_is_refused() {
    let mut states = KeyedStates::<u32>::new(Backend::heap("test", groups(1), 0));
    let other = KeyedStates::<u32>::new(Backend::heap("test", groups(1), 0)).list::<u64>("x");
    let _ = states.value::<u64>("x");
    states.of(other.unwrap(), Hashed::new(&1), NOW).add(1);
}
