//! Histories of tables.

// Named in full because another package plays these histories, too.
#[path = "tables/frozen.rs"]
mod frozen;

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::key::{KeyGroups, stable_hash};

use highwater_state::{Backend, Hashed, KeyedSpace, Space, StateFormat, Table};

use crate::kinds::{Id, Kind, groups, keys};
use crate::support::damage::Random;
use frozen::{Chains, Checkpoint};

pub(super) type Value = (u64, String);
type Model = BTreeMap<(i64, Id), Value>;

const NAMESPACES: [i64; 6] = [i64::MIN, -1, 0, 1, 255, 70_000];

/// The workers of a job, and what their tables should hold.
pub(crate) struct World<'r> {
    random: &'r mut Random,
    kind: Kind,
    groups: KeyGroups,
    keys: Vec<Id>,
    tables: Vec<Table<Id, i64, Value>>,
    model: Model,
    format: StateFormat<i64, Id, Value>,
    /// What has been frozen and not yet been compared, in order.
    pending: Vec<Checkpoint>,
    /// What is stored of each worker.
    chains: Chains,
    /// Whether the last freeze tracks changes, and is stored or will be.
    tracked: bool,
    watermark: i64,
    written: u64,
}

fn table(backend: &mut Backend) -> Table<Id, i64, Value> {
    backend.table("values").unwrap()
}

impl<'r> World<'r> {
    pub(crate) fn new(kind: Kind, random: &'r mut Random) -> Self {
        let groups = groups(random);
        let workers = groups.owner(highwater_core::key::KeyGroup(groups.count() as u16 - 1)) + 1;
        World {
            kind,
            groups,
            keys: keys(groups, random),
            random,
            tables: (0..workers).map(|w| table(&mut kind.backend(groups, w, vec![]))).collect(),
            model: Model::new(),
            format: StateFormat::new("model", "values", groups).unwrap(),
            pending: Vec::new(),
            chains: vec![Vec::new(); workers],
            tracked: false,
            watermark: i64::MIN,
            written: 0,
        }
    }

    pub(crate) fn run(mut self) {
        for _ in 0..30 + self.random.below(120) {
            match self.random.below(100) {
                0..12 => self.insert(),
                12..24 => self.update(),
                24..28 => self.get(),
                28..36 => self.remove(),
                36..42 => self.retain(),
                42..50 => self.touch_many(),
                50..56 => self.remove_many(),
                56..62 => self.drain(),
                62..66 => self.clear(),
                66..70 => self.look(),
                70..76 => self.fold(),
                76..85 => self.freeze(),
                85..89 => self.encode(),
                89..96 => self.finish(),
                96 => self.forget(),
                97 => self.go_on_restored(),
                _ => self.compare(),
            }
        }
        self.compare();
        while !self.pending.is_empty() {
            self.finish();
        }
    }

    fn key(&mut self) -> Id {
        self.keys[self.random.below(self.keys.len())].clone()
    }

    fn namespace(&mut self) -> i64 {
        // The first ones more often, so that they have more keys.
        let limit = 1 + self.random.below(NAMESPACES.len());
        NAMESPACES[self.random.below(limit)]
    }

    fn value(&mut self) -> Value {
        self.written += 1;
        (self.written, "x".repeat(self.random.below(9)))
    }

    fn owner(&self, key: &Id) -> usize {
        self.groups.owner(self.groups.of_hash(stable_hash(key)))
    }

    /// Returns what the model has for a namespace on a worker.
    fn expected(&self, worker: usize, namespace: i64) -> BTreeMap<Id, Value> {
        let range = (namespace, Id(0))..=(namespace, Id(u16::MAX));
        let entries = self.model.range(range).filter(|((_, key), _)| self.owner(key) == worker);
        entries.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    fn forget_expected(&mut self, worker: usize, namespace: i64) {
        for key in self.expected(worker, namespace).into_keys() {
            self.model.remove(&(namespace, key));
        }
    }

    fn insert(&mut self) {
        let (key, namespace, value) = (self.key(), self.namespace(), self.value());
        let worker = self.owner(&key);
        self.tables[worker].insert(Hashed::new(&key), &namespace, value.clone());
        self.model.insert((namespace, key), value);
    }

    fn update(&mut self) {
        let (key, namespace, value) = (self.key(), self.namespace(), self.value());
        let worker = self.owner(&key);
        let (table, hashed) = (&mut self.tables[worker], Hashed::new(&key));
        let place = (namespace, key.clone());
        if self.random.below(2) == 0 {
            let stored = table.get_mut(hashed, &namespace);
            assert_eq!(stored.as_deref(), self.model.get(&place), "{place:?}");
            if let (Some(stored), Some(model)) = (stored, self.model.get_mut(&place)) {
                stored.0 = value.0;
                model.0 = value.0;
            }
            return;
        }
        let stored = table.get_or_insert_with(hashed, &namespace, || value.clone());
        let model = self.model.entry(place).or_insert(value);
        assert_eq!(stored, model);
        stored.1.push('+');
        model.1.push('+');
    }

    fn get(&mut self) {
        let (key, namespace) = (self.key(), self.namespace());
        let worker = self.owner(&key);
        let stored = self.tables[worker].get(Hashed::new(&key), &namespace);
        assert_eq!(stored, self.model.get(&(namespace, key)));
    }

    fn remove(&mut self) {
        let (key, namespace) = (self.key(), self.namespace());
        let worker = self.owner(&key);
        let removed = self.tables[worker].remove(Hashed::new(&key), &namespace);
        assert_eq!(removed, self.model.remove(&(namespace, key.clone())), "{namespace} {key:?}");
    }

    /// Changes a value, and keeps it or not.
    fn retain(&mut self) {
        let (key, namespace, value) = (self.key(), self.namespace(), self.value());
        let (worker, keep) = (self.owner(&key), self.random.below(2) == 0);
        let kept = self.tables[worker].retain(Hashed::new(&key), &namespace, |stored| {
            stored.0 = value.0;
            keep
        });
        let place = (namespace, key);
        assert_eq!(kept, self.model.contains_key(&place).then_some(keep), "{place:?}");
        if let Some(model) = self.model.get_mut(&place) {
            model.0 = value.0;
        }
        if !keep {
            self.model.remove(&place);
        }
    }

    /// Changes or makes the values of many keys as operators do, those of a batch in a row.
    fn touch_many(&mut self) {
        let (namespace, stamp) = (self.namespace(), self.value().0);
        let (step, limit) = (1 + self.random.below(3), 1 + self.random.below(self.keys.len()));
        let ahead = self.random.below(2) == 0;
        for worker in 0..self.tables.len() {
            let mine =
                |key: &&Id| self.groups.owner(self.groups.of_hash(stable_hash(*key))) == worker;
            let batch = self.keys.iter().take(limit).step_by(step).filter(mine).cloned();
            let batch: Vec<_> = batch.map(|key| (key.clone(), stable_hash(&key))).collect();
            let ahead = if ahead { batch.as_slice() } else { &[] };
            let model = &mut self.model;
            match self.tables[worker].space(&namespace) {
                Space::Heap(space) => touch(space, ahead, &batch, model, (namespace, stamp)),
                Space::Cached(space) => touch(space, ahead, &batch, model, (namespace, stamp)),
            }
        }
    }

    fn remove_many(&mut self) {
        let namespace = self.namespace();
        let step = 1 + self.random.below(3);
        for key in self.keys.clone().into_iter().step_by(step) {
            let worker = self.owner(&key);
            let removed = self.tables[worker].remove(Hashed::new(&key), &namespace);
            assert_eq!(removed, self.model.remove(&(namespace, key)));
        }
    }

    fn drain(&mut self) {
        let (worker, namespace) = (self.random.below(self.tables.len()), self.namespace());
        for _ in 0..=self.random.below(4) {
            let mut taken = Vec::new();
            let take = |key, value| taken.push((key, value));
            let more = self.tables[worker].drain_some(&namespace, take);
            assert!(!more || !taken.is_empty(), "nothing is drained, but there is more");
            for (key, value) in taken {
                let place = (namespace, key);
                assert_eq!(self.model.remove(&place), Some(value), "{place:?}");
            }
            assert_eq!(more, !self.expected(worker, namespace).is_empty());
        }
    }

    fn clear(&mut self) {
        let (worker, namespace) = (self.random.below(self.tables.len()), self.namespace());
        self.tables[worker].clear(&namespace);
        self.forget_expected(worker, namespace);
    }

    /// Looks at one namespace of one worker in all the ways there are.
    fn look(&mut self) {
        let (worker, namespace) = (self.random.below(self.tables.len()), self.namespace());
        let expected = self.expected(worker, namespace);
        let range = self.groups.range(worker);
        let table = &mut self.tables[worker];
        assert_eq!(table.is_empty(&namespace), expected.is_empty());
        let group = self.random.below(range.count());
        let mut found = BTreeMap::new();
        table.visit_group(&namespace, group, |key, value| {
            assert_eq!(found.insert(key.clone(), value.clone()), None, "{key:?} comes twice");
        });
        let in_group = |key: &Id| range.index_of(self.groups.of_hash(stable_hash(key))) == group;
        let of_group: BTreeMap<_, _> =
            expected.into_iter().filter(|(key, _)| in_group(key)).collect();
        assert_eq!(found, of_group, "group {group} of {namespace}");
    }

    fn fold(&mut self) {
        let times = self.random.below(20);
        for table in &mut self.tables {
            for _ in 0..times {
                table.fold();
            }
        }
    }

    /// Compares everything.
    fn compare(&mut self) {
        for worker in 0..self.tables.len() {
            let found = contents(&mut self.tables[worker]);
            let mine = |((_, key), _): &(&(i64, Id), &Value)| self.owner(key) == worker;
            let model = self.model.iter().filter(mine);
            let model: Model = model.map(|(place, value)| (place.clone(), value.clone())).collect();
            assert_eq!(self.tables[worker].size(), model.len());
            assert_eq!(found, model, "worker {worker}, {:?}", self.kind);
        }
    }
}

/// Stamps the values of a batch of keys.
fn touch(
    mut space: impl KeyedSpace<Id, Value>,
    ahead: &[(Id, u64)],
    batch: &[(Id, u64)],
    model: &mut Model,
    (namespace, stamp): (i64, u64),
) {
    space.prefetch(ahead);
    for (key, hash) in batch {
        let make = || (0, String::new());
        let stored = space.get_or_insert_with(Hashed { key, hash: *hash }, make);
        let expected = model.entry((namespace, key.clone())).or_insert_with(make);
        assert_eq!(stored, expected);
        stored.0 = stamp;
        expected.0 = stamp;
    }
}

/// Returns everything that a table holds.
fn contents(table: &mut Table<Id, i64, Value>) -> Model {
    let mut namespaces = BTreeSet::new();
    let mut found = Model::new();
    let mut last = None;
    while let Some(namespace) = table.next_namespace(last.as_ref()).copied() {
        assert!(last < Some(namespace) && namespaces.insert(namespace));
        table.visit(&namespace, |key, value| {
            let twice = found.insert((namespace, key.clone()), value.clone());
            assert_eq!(twice, None, "{namespace} {key:?} comes twice");
        });
        last = Some(namespace);
    }
    found
}
