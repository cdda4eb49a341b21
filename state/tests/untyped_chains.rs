//! Chains of parts read without types: the entries are those that a job would restore.
//!
//! - *Random histories* of tables with several types of keys, frozen as deltas time and again, would
//!   catch an entry that a delta has removed and that is shown, or one that is missing.
//! - *Keys that hash in a way of their own* are refused: would catch a fold that guesses.
//! - *Damage*: chains whose bytes are changed, with wrong checksums and with right ones, are refused
//!   or read, and never panic.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::{Key, KeyGroups, stable_hash};
use highwater_core::time::Epoch;
use highwater_state::backend::Namespace;
use highwater_state::format::FormatError;
use highwater_state::untyped::{StoredKind, UntypedState};
use highwater_state::{Backend, Hashed, Table, Timers};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

mod support;
use support::damage::{Random, corrupt, reseal};

const WORKERS: usize = 2;
const NAMESPACES: usize = 5;

type Held = (u32, Option<bool>);

fn groups() -> KeyGroups {
    KeyGroups::new(128, WORKERS)
}

fn backend(worker: usize) -> Backend {
    Backend::heap("op", groups(), worker).durable(true)
}

/// The backend of a job with one worker.
fn alone() -> Backend {
    Backend::heap("op", KeyGroups::new(128, 1), 0).durable(true)
}

fn freeze<K: Key, N: Namespace>(table: &mut Table<K, N, Held>, delta: bool) -> EncodedState {
    let mut cut = Cut::new(Epoch(1), CutKind { delta, track: true }, i64::MIN, 0);
    table.freeze(&mut cut);
    cut.encode().unwrap().remove(0)
}

/// What a state holds: by key group, namespace and key the value, as JSON.
type Shown = BTreeMap<(u16, String, String), Value>;

fn show(chain: &[EncodedState]) -> Result<Shown, FormatError> {
    let state = UntypedState::open(chain)?;
    let mut shown = Shown::new();
    for group in state.groups() {
        let group = group?;
        for entry in group.json(&state.header().schemas) {
            let entry = entry?;
            let at = (group.group.0, entry.namespace.to_string(), entry.key.to_string());
            assert_eq!(shown.insert(at, entry.value), None, "an entry comes twice");
        }
    }
    Ok(shown)
}

/// What a job would restore.
fn restored<K: Key, N: Namespace>(chain: &[EncodedState], worker: usize) -> Shown {
    let stored = chain.iter().cloned().map(Arc::new).collect();
    let mut table: Table<K, N, Held> = backend(worker).restored(stored).table("t").unwrap();
    let (mut shown, mut last) = (Shown::new(), None);
    while let Some(namespace) = table.next_namespace(last.as_ref()).cloned() {
        table.visit(&namespace, |key, value| {
            let group = groups().of_hash(stable_hash(key)).0;
            let at = (group, json!(namespace).to_string(), json!(key).to_string());
            shown.insert(at, json!(value));
        });
        last = Some(namespace);
    }
    shown
}

/// Plays a random history of a table of one worker; compares what is shown with what is restored
/// after every freeze.
fn play<K: Key, N: Namespace>(
    seed: u64,
    keys: usize,
    key: impl Fn(usize) -> K,
    namespace: impl Fn(usize) -> N,
) {
    let mut random = Random(seed);
    let worker = random.below(WORKERS);
    let range = groups().range(worker);
    let own = |key: &K| range.contains(groups().of_hash(stable_hash(key)));
    let keys: Vec<K> = (0..).map(key).filter(own).take(keys).collect();
    let mut table: Table<K, N, Held> = backend(worker).table("t").unwrap();
    for key in &keys {
        table.insert(Hashed::new(key), &namespace(0), (0, None));
    }
    let (mut chain, mut removed) = (vec![freeze(&mut table, false)], 0);
    for round in 1..12 {
        for _ in 0..random.below(keys.len() + 1) {
            let key = Hashed::new(&keys[random.below(keys.len())]);
            let namespace = namespace(random.below(NAMESPACES));
            match random.below(40) {
                0 => table.clear(&namespace),
                1..12 => removed += usize::from(table.remove(key, &namespace).is_some()),
                _ => table.insert(key, &namespace, (round, Some(random.below(2) == 0))),
            }
            while random.below(4) == 0 && table.fold() {}
        }
        let delta = random.below(6) != 0;
        if !delta {
            chain.clear();
        }
        chain.push(freeze(&mut table, delta));
        let shown = show(&chain).unwrap();
        assert_eq!(shown.len(), table.size(), "seed {seed}, round {round}");
        assert_eq!(shown, restored::<K, N>(&chain, worker), "seed {seed}, round {round}");
    }
    assert!(removed > 0, "seed {seed}");
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Place {
    Airport(String),
    At { x: i16, y: i16 },
    Nowhere,
}

fn place(i: usize) -> Place {
    match i % 7 {
        0 => Place::Airport(format!("airport {i}")),
        _ => Place::At { x: -(i as i16), y: 7 },
    }
}

#[test]
fn a_chain_holds_what_a_job_would_restore_from_it() {
    for seed in 0..20 {
        let window = |i: usize| (i as i64 * 60_000, (i as i64 + 1) * 60_000);
        play(seed, 3_000, |i| i as u64, |_| ());
        play(seed, 30, |i| format!("key {i}"), window);
        play(seed, 400, place, window);
        play(seed, 100, |i| (i as u32, format!("{}", i % 3)), |i| i as i64 - 2);
        play(seed, 100, |i| [i as u8, (i >> 8) as u8, 3, 4], |i| i as u8);
        play(seed, 100, |i| (i as u16, (i * i) as u16), |i| i as u8);
        play(seed, 100, |i| (0..i as i32 % 5).chain([i as i32]).collect::<Vec<_>>(), |_| ());
        play(seed, 100, |i| BTreeSet::from([i as u64, 1]), |_| ());
    }
}

/// A key that hashes less than it stores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Half(u32, u32);

impl Hash for Half {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn deltas_of_keys_with_a_hash_of_their_own_are_refused_with_a_sentence() {
    let mut table: Table<Half, (), Held> = alone().table("t").unwrap();
    let insert = |table: &mut Table<_, _, Held>, i: u32| {
        table.insert(Hashed::new(&Half(i, 100 - i)), &(), (i, None));
    };
    (0..100).for_each(|i| insert(&mut table, i));
    let full = freeze(&mut table, false);
    assert_eq!(show(std::slice::from_ref(&full)).unwrap().len(), 100, "a full part needs no hash");
    insert(&mut table, 3);
    let error = show(&[full.clone(), freeze(&mut table, true)]).unwrap_err().to_string();
    let expected = "state \"t\" of operator \"op\" is kept as changes that name their keys by a \
                    hash, which cannot be derived from the stored type struct Half(u32, u32); take \
                    a savepoint, where it is whole";
    assert_eq!(error, expected);
    // A delta that replaces everything needs none either.
    table.clear(&());
    insert(&mut table, 5);
    let all = freeze(&mut table, true);
    assert_eq!(show(&[full, all]).unwrap().len(), 1);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let chain = |name: &str| {
        let mut table: Table<u64, (), Held> = alone().table(name).unwrap();
        (0..50).for_each(|key| table.insert(Hashed::new(&key), &(), (1, None)));
        let full = freeze(&mut table, false);
        table.remove(Hashed::new(&7), &());
        [full, freeze(&mut table, true)]
    };
    let ([full, delta], [_, other]) = (chain("t"), chain("other"));
    show(&[full.clone(), delta.clone()]).unwrap();
    let error = show(&[full.clone(), other.clone()]).unwrap_err();
    assert!(matches!(error, FormatError::State { .. }), "{error}");
    let mixed = EncodedState { slots: other.slots, ..delta.clone() };
    let error = show(&[full.clone(), mixed]).unwrap_err();
    assert!(matches!(error, FormatError::State { .. }), "{error}");
    for headless in [vec![], vec![delta]] {
        let error = show(&headless).unwrap_err();
        assert!(matches!(error, FormatError::Order { .. }), "{error}");
    }
}

#[test]
fn damaged_chains_are_refused_or_read_and_never_panic() {
    let mut table: Table<u64, i64, Held> = alone().table("t").unwrap();
    (0..60).for_each(|i| table.insert(Hashed::new(&i), &(i as i64 % 3), (1, None)));
    let full = freeze(&mut table, false);
    for key in (0..60).step_by(7) {
        table.remove(Hashed::new(&key), &(key as i64 % 3));
    }
    table.insert(Hashed::new(&1), &1, (2, Some(true)));
    let delta = freeze(&mut table, true);
    let mut random = Random(1);
    let (mut refused, mut read) = (0, 0);
    for case in 0..30_000 {
        let mut chain = [full.clone(), delta.clone()];
        let sealed = random.below(2) == 0;
        let [first, second] = &mut chain;
        let part = match random.below(3) {
            0 => &mut first.part,
            1 => &mut second.part,
            _ => second.slots.as_mut().unwrap(),
        };
        *part = corrupt(part, &mut random);
        if sealed {
            let _ = reseal(part);
        }
        match show(&chain) {
            Ok(_) => {
                assert!(sealed, "case {case}: a damaged chain is read");
                read += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 20_000 && read > 100, "{refused} refused, {read} read");
}

fn kind(chain: &[EncodedState]) -> StoredKind {
    UntypedState::open(chain).unwrap().kind()
}

#[test]
fn the_kind_of_a_state_is_told_from_its_schemas() {
    let mut cut = Cut::new(Epoch(1), CutKind::default(), i64::MIN, 0);
    let mut backend = alone();
    Timers::<u32, (i64, i64)>::new(&mut backend, "timers").unwrap().freeze(&mut cut);
    backend.table::<u32, (i64, i64), u8>("windows").unwrap().freeze(&mut cut);
    backend.table::<u32, (), u8>("value").unwrap().freeze(&mut cut);
    backend.table::<u32, (), Vec<u8>>("list").unwrap().freeze(&mut cut);
    backend.table::<u32, (), BTreeMap<u8, u8>>("map").unwrap().freeze(&mut cut);
    backend.list_state::<u8>("operator").unwrap().freeze(&mut cut);
    backend.broadcast_state::<u8, u8>("broadcast").unwrap().freeze(&mut cut);
    let splits = backend.list_state::<highwater_core::shell::SplitSnapshot>("splits").unwrap();
    splits.freeze(&mut cut);
    let stored = cut.encode().unwrap();
    let kinds = stored.iter().map(|state| kind(std::slice::from_ref(state)).to_string());
    let expected =
        ["timers", "by namespace", "value", "list", "map", "operator list", "broadcast", "splits"];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}
