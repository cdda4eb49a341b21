//! The states of one operator in one store: frozen together, each as it was.
//!
//! - *Once*: would catch a freeze for each state, or one that comes before the last of them has
//!   written what has changed.
//! - *As they were*: would catch a state that is written while another one waits for the view, and a
//!   cut that is encoded without all of its states.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::error::Result;
use highwater_core::key::KeyGroups;
use highwater_core::store::Stores;
use highwater_core::time::Epoch;
use highwater_state::keyed::KeyedStates;
use highwater_state::ttl::Now;
use highwater_state::{Backend, Hashed, Table, Timers};
use support::counted::{Counted, taken};

const NOW: Now = Now { processing_ms: 0, watermark: i64::MIN, event_time: i64::MIN };

fn backend(counted: &Counted) -> Backend {
    let stores: Arc<dyn Stores> = Arc::new(counted.clone());
    Backend::heap("shared", KeyGroups::new(128, 1), 0).stores(Some(stores))
}

fn cut() -> Cut {
    Cut::new(Epoch(1), CutKind::default(), i64::MIN, 0)
}

fn frozen(table: &mut Table<u64, (), u64>) -> Cut {
    let mut cut = cut();
    table.freeze(&mut cut);
    cut
}

/// Reads the only state of a cut.
fn contents(encoded: Result<Vec<EncodedState>>) -> Vec<(u64, u64)> {
    let stored = encoded.unwrap().into_iter().map(Arc::new).collect();
    let mut backend = Backend::heap("shared", KeyGroups::new(128, 1), 0).restored(stored);
    let mut found = Vec::new();
    for name in ["a", "b"] {
        let mut table: Table<u64, (), u64> = backend.table(name).unwrap();
        table.visit(&(), |key, value| found.push((*key, *value)));
    }
    found.sort_unstable();
    found
}

#[test]
fn a_cut_freezes_the_store_once_for_all_states_of_an_operator() {
    let counted = Counted::default();
    let mut backend = backend(&counted);
    let mut timers: Timers<u64, ()> = Timers::new(&mut backend, "timers").unwrap();
    let mut states = KeyedStates::new(backend);
    let counts = states.value::<u64>("counts").unwrap();
    let names = states.list::<String>("names").unwrap();
    for round in 1..=3 {
        for key in 0..100 {
            *states.of(counts, Hashed::new(&key), NOW).get_mut() += 1;
            states.of(names, Hashed::new(&key), NOW).add(format!("{key} in {round}"));
            timers.set(round, Hashed::new(&key), ());
        }
        let mut cut = cut();
        states.freeze(&mut cut);
        timers.freeze(&mut cut);
        assert_eq!(taken(&counted.freezes), 1);
        let stored: Vec<_> = cut.encode().unwrap().into_iter().map(Arc::new).collect();
        assert_eq!(stored.len(), 3);
        let backend = Backend::heap("shared", KeyGroups::new(128, 1), 0).restored(stored);
        let mut restored = KeyedStates::<u64>::new(backend);
        let counts = restored.value::<u64>("counts").unwrap();
        let names = restored.list::<String>("names").unwrap();
        assert!(restored.entries(counts, NOW).iter().all(|(_, count)| *count == round as u64));
        let lengths = restored.entries(names, NOW).into_iter().map(|(_, names)| names.len());
        assert!(lengths.eq(std::iter::repeat_n(round as usize, 100)));
    }
}

#[test]
fn a_state_that_is_written_before_the_others_are_frozen_shows_what_it_was() {
    let counted = Counted::default();
    let mut backend = backend(&counted);
    let mut a: Table<u64, (), u64> = backend.table("a").unwrap();
    let mut b: Table<u64, (), u64> = backend.table("b").unwrap();
    for key in 0..300 {
        a.insert(Hashed::new(&key), &(), key);
        b.insert(Hashed::new(&(1_000 + key)), &(), key);
    }
    let cut_a = frozen(&mut a);
    // More than the cache holds, so that they are written.
    (0..300).for_each(|key| a.insert(Hashed::new(&key), &(), 7));
    let was: Vec<_> = (0..300).map(|key| (key, key)).collect();
    assert_eq!(contents(cut_a.encode()), was);
    let cut_b = frozen(&mut b);
    frozen(&mut a);
    let was: Vec<_> = (0..300).map(|key| (1_000 + key, key)).collect();
    assert_eq!(contents(cut_b.encode()), was);
}

#[test]
fn a_state_that_is_frozen_again_before_the_others_shows_what_it_was_each_time() {
    let counted = Counted::default();
    let mut backend = backend(&counted);
    let mut a: Table<u64, (), u64> = backend.table("a").unwrap();
    let mut b: Table<u64, (), u64> = backend.table("b").unwrap();
    let cuts = [1, 2, 3].map(|value| {
        a.insert(Hashed::new(&5), &(), value);
        frozen(&mut a)
    });
    let [first, second, third] = cuts.map(Cut::encode);
    assert_eq!((contents(first), contents(second)), (vec![(5, 1)], vec![(5, 2)]));
    let sentence = third.unwrap_err().sentence();
    assert!(sentence.contains("without the others of its operator"), "{sentence}");
    b.insert(Hashed::new(&6), &(), 4);
    let (unchanged, of_b) = (frozen(&mut a), frozen(&mut b));
    assert_eq!(contents(unchanged.encode()), [(5, 3)]);
    assert_eq!(contents(of_b.encode()), [(6, 4)]);
}

#[test]
fn a_state_that_has_ended_is_not_waited_for() {
    let counted = Counted::default();
    let mut backend = backend(&counted);
    let mut a: Table<u64, (), u64> = backend.table("a").unwrap();
    let b: Table<u64, (), u64> = backend.table("b").unwrap();
    drop(b);
    a.insert(Hashed::new(&5), &(), 1);
    assert_eq!(contents(frozen(&mut a).encode()), [(5, 1)]);
    assert_eq!(taken(&counted.freezes), 1);
}
