//! What histories freeze, encode, store and restore.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::error::Result;
use highwater_core::key::{KeyGroup, KeyGroups, stable_hash};
use highwater_core::time::Epoch;
use highwater_state::StateFormat;

use super::{Model, Value, World, contents, table};
use crate::kinds::{Id, Kind, regrouped};

/// What is stored of each worker: a full snapshot and the deltas after it.
pub(super) type Chains = Vec<Vec<Arc<EncodedState>>>;

/// A frozen worker.
enum Frozen {
    Waiting(Cut),
    Running(JoinHandle<Result<Vec<EncodedState>>>),
    Encoded(EncodedState),
}

fn only(states: Result<Vec<EncodedState>>) -> EncodedState {
    let mut states = states.unwrap();
    assert_eq!(states.len(), 1);
    states.remove(0)
}

impl Frozen {
    fn finish(self) -> EncodedState {
        match self {
            Frozen::Waiting(cut) => only(cut.encode()),
            Frozen::Running(thread) => only(thread.join().unwrap()),
            Frozen::Encoded(state) => state,
        }
    }
}

/// All workers, frozen at the same instant.
pub(super) struct Checkpoint {
    expected: Model,
    is_delta: bool,
    watermark: i64,
    workers: Vec<Frozen>,
}

impl World<'_> {
    pub(super) fn freeze(&mut self) {
        if self.pending.len() > 2 {
            self.finish();
        }
        let delta = self.random.below(4) > 0 && self.tracked;
        let kind = CutKind { delta, track: self.random.below(4) > 0 };
        if self.random.below(2) == 0 {
            self.watermark = self.watermark.max(-1_000) + self.random.below(100) as i64;
        }
        let mut workers = Vec::new();
        for table in &mut self.tables {
            let mut cut = Cut::new(Epoch(1), kind, self.watermark, 0);
            table.freeze(&mut cut);
            workers.push(Frozen::Waiting(cut));
        }
        self.tracked = kind.track;
        self.pending.push(Checkpoint {
            expected: self.model.clone(),
            is_delta: delta && self.kind == Kind::Heap,
            watermark: self.watermark,
            workers,
        });
    }

    /// Encodes some of what is frozen, here or on other threads.
    pub(super) fn encode(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let which = self.random.below(self.pending.len());
        let elsewhere = self.random.below(4) > 0;
        for frozen in &mut self.pending[which].workers {
            if let Frozen::Waiting(cut) = frozen {
                let empty = Cut::new(Epoch(0), CutKind::default(), 0, 0);
                let cut = std::mem::replace(cut, empty);
                *frozen = if elsewhere {
                    Frozen::Running(std::thread::spawn(|| cut.encode()))
                } else {
                    Frozen::Encoded(only(cut.encode()))
                };
            }
        }
    }

    /// Drops the last thing that was frozen, so that no delta may be relative to it.
    pub(super) fn forget(&mut self) {
        if self.pending.pop().is_some() {
            self.tracked = false;
        }
    }

    /// Stores the first thing that was frozen, and compares what it restores to.
    pub(super) fn finish(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let Checkpoint { expected, is_delta, watermark, workers } = self.pending.remove(0);
        for (worker, frozen) in workers.into_iter().enumerate() {
            let state = frozen.finish();
            assert_eq!(state.slots.is_some(), is_delta);
            if is_delta {
                self.check_delta(&state.part, &expected);
            } else {
                let bytes = part(&self.format, self.groups, worker, watermark, &expected);
                assert_eq!(
                    hash(&state.part),
                    hash(&bytes),
                    "{}",
                    self.differs(&state.part, &bytes)
                );
                // What comes before a full snapshot is replaced, if it is restored at all.
                if self.random.below(4) > 0 {
                    self.chains[worker].clear();
                }
            }
            self.chains[worker].push(Arc::new(state));
        }
        let (kind, groups) = (Kind::any(self.random), regrouped(self.groups, self.random));
        restore(&self.chains, kind, groups, watermark, &expected);
    }

    /// Asserts that a delta holds nothing that is not in the state.
    fn check_delta(&self, part: &[u8], expected: &Model) {
        for (place, value) in entries(&self.format, part, self.groups) {
            assert_eq!(Some(&value), expected.get(&place), "{place:?}");
        }
    }

    fn differs(&self, found: &[u8], expected: &[u8]) -> String {
        let [found, expected] =
            [found, expected].map(|part| entries(&self.format, part, self.groups));
        let only = |a: &Model, b: &Model| {
            let one = a.iter().filter(|(place, value)| b.get(place) != Some(value)).take(5);
            one.map(|(place, value)| format!("{place:?}: {value:?}")).collect::<Vec<_>>()
        };
        format!("found {:?}, expected {:?}", only(&found, &expected), only(&expected, &found))
    }

    /// Stops, and goes on from what is stored with any workers.
    pub(super) fn go_on_restored(&mut self) {
        // What other threads encode would still read the tables.
        while !self.pending.is_empty() {
            self.finish();
        }
        if self.chains.iter().any(Vec::is_empty) {
            return;
        }
        let (kind, groups) = (Kind::any(self.random), regrouped(self.groups, self.random));
        self.tables.clear();
        let stored: Vec<_> = self.chains.iter().flatten().cloned().collect();
        self.model.clear();
        self.chains.clear();
        for worker in 0..=groups.owner(KeyGroup(groups.count() as u16 - 1)) {
            let mut table = table(&mut kind.backend(groups, worker, stored.clone()));
            self.model.append(&mut contents(&mut table));
            self.tables.push(table);
            self.chains.push(Vec::new());
        }
        (self.kind, self.groups, self.tracked) = (kind, groups, false);
    }
}

fn hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Writes the part of a worker as the model has it.
fn part(
    format: &StateFormat<i64, Id, Value>,
    groups: KeyGroups,
    worker: usize,
    watermark: i64,
    model: &Model,
) -> Vec<u8> {
    let range = groups.range(worker);
    let mut by_group: BTreeMap<KeyGroup, Vec<_>> =
        (range.first.0..=range.last.0).map(|group| (KeyGroup(group), Vec::new())).collect();
    for ((namespace, key), value) in model {
        if let Some(group) = by_group.get_mut(&groups.of_hash(stable_hash(key))) {
            group.push((namespace, key, value));
        }
    }
    let blocks =
        by_group.into_iter().map(|(group, entries)| format.block(group, watermark, entries));
    format.part(range, blocks.collect::<std::result::Result<_, _>>().unwrap()).unwrap()
}

/// Reads what a part holds.
fn entries(format: &StateFormat<i64, Id, Value>, part: &[u8], groups: KeyGroups) -> Model {
    let all = KeyGroups::new(groups.count(), 1).range(0);
    let mut found = Model::new();
    for group in format.open(part).unwrap().groups(all) {
        for entry in group.unwrap() {
            let (namespace, key, value) = entry.unwrap();
            assert_eq!(found.insert((namespace, key), value), None);
        }
    }
    found
}

/// Restores all workers, and compares what they hold.
fn restore(chains: &Chains, kind: Kind, groups: KeyGroups, watermark: i64, expected: &Model) {
    let stored: Vec<_> = chains.iter().flatten().cloned().collect();
    let mut all = Model::new();
    for worker in 0..=groups.owner(KeyGroup(groups.count() as u16 - 1)) {
        let mut backend = kind.backend(groups, worker, stored.clone());
        let mut table = table(&mut backend);
        assert_eq!(backend.floor(), watermark);
        let mut found = contents(&mut table);
        assert_eq!(table.size(), found.len());
        let mine = |key: &Id| groups.owner(groups.of_hash(stable_hash(key))) == worker;
        assert!(found.keys().all(|(_, key)| mine(key)), "a key of another worker");
        all.append(&mut found);
    }
    let lengths: Vec<_> = chains.iter().map(Vec::len).collect();
    assert_eq!(&all, expected, "chains of {lengths:?} in {kind:?} of {groups:?}");
}
