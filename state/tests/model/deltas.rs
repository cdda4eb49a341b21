//! Deltas are as large as what has changed.

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::KeyGroups;
use highwater_core::time::Epoch;
use highwater_state::format::PartReader;
use highwater_state::{Backend, Hashed, Table};

fn table() -> Table<u64, i64, String> {
    Backend::heap("model", KeyGroups::new(128, 1), 0).durable(true).table("values").unwrap()
}

fn insert(table: &mut Table<u64, i64, String>, key: u64, namespace: i64) {
    table.insert(Hashed::new(&key), &namespace, format!("the value of {key} in {namespace}"));
}

fn freeze(table: &mut Table<u64, i64, String>, delta: bool) -> EncodedState {
    let mut cut = Cut::new(Epoch(1), CutKind { delta, track: true }, i64::MIN, 0);
    table.freeze(&mut cut);
    cut.encode().unwrap().remove(0)
}

/// Returns how many entries a state has, how many marks it replaces, and its bytes.
fn sizes(state: &EncodedState) -> (u64, u64, usize) {
    let entries = |part: &Vec<u8>| PartReader::open(part).unwrap().header().entries;
    let slots = state.slots.as_ref();
    let bytes = state.part.len() + slots.map_or(0, Vec::len);
    (entries(&state.part), slots.map_or(0, entries), bytes)
}

#[test]
fn deltas_of_a_large_namespace_are_small() {
    let mut table = table();
    (0..10_000).for_each(|key| insert(&mut table, key, 0));
    let (entries, _, all) = sizes(&freeze(&mut table, false));
    assert_eq!(entries, 10_000);
    let (entries, marks, _) = sizes(&freeze(&mut table, true));
    assert_eq!((entries, marks), (0, 0), "nothing has changed");
    for key in 0..5 {
        insert(&mut table, 20_000 + key, 0);
        table.get_mut(Hashed::new(&(100 + key)), &0).unwrap().push('!');
        table.remove(Hashed::new(&(200 + key)), &0);
    }
    let (entries, marks, bytes) = sizes(&freeze(&mut table, true));
    assert!((10..40).contains(&entries) && (1..=15).contains(&marks), "{entries} {marks}");
    assert!(bytes < all / 50, "{bytes} of {all}");
}

#[test]
fn deltas_of_many_namespaces_are_small() {
    let mut table = table();
    let sessions = |table: &mut _, range: std::ops::Range<i64>| {
        range.for_each(|session| (0..3).for_each(|key| insert(table, key, session)));
    };
    sessions(&mut table, 0..2_000);
    let (entries, _, all) = sizes(&freeze(&mut table, false));
    assert_eq!(entries, 6_000);
    sessions(&mut table, 1_990..2_010);
    (0..10).for_each(|session| table.clear(&session));
    let (entries, marks, bytes) = sizes(&freeze(&mut table, true));
    assert_eq!((entries, marks), (60, 30), "10 changed, 10 new, 10 gone");
    assert!(bytes < all / 30, "{bytes} of {all}");
}
