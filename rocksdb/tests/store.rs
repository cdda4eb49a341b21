//! Reading and writing a store. Catches: lost or reordered answers of `get_many`, bounds of scans
//! that are off, entries that expire too early or never, families that are not apart.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use highwater_core::clock::ManualClock;
use highwater_core::store::{Family, Store, Stores};
use highwater_rocksdb::RocksStores;
use support::{MEMORY, fixture, keys, put, remove, scan};

#[test]
fn a_read_sees_the_writes_before_it() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    assert_eq!(store.get_many(family, &[b"a"]).unwrap(), [None]);
    put(&mut store, family, &[(b"a", b"1"), (b"b", b"")]);
    assert_eq!(store.get_many(family, &[b"a"]).unwrap(), [Some(b"1".to_vec())]);
    put(&mut store, family, &[(b"a", b"2"), (b"a", b"3")]);
    let found = store.get_many(family, &[b"b", b"a"]).unwrap();
    assert_eq!(found, [Some(Vec::new()), Some(b"3".to_vec())]);
    remove(&mut store, family, &[b"a", b"never there"]);
    assert_eq!(store.get_many(family, &[b"a", b"b"]).unwrap(), [None, Some(Vec::new())]);
    remove(&mut store, family, &[]);
}

#[test]
fn values_come_in_the_order_of_their_keys_with_missing_and_repeated_ones() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    assert!(store.get_many(family, &[]).unwrap().is_empty());
    let key = |n: u32| n.to_be_bytes();
    for n in (0..2000).step_by(2) {
        put(&mut store, family, &[(&key(n), &n.to_le_bytes())]);
        if n == 1000 {
            store.compact(family).unwrap();
        }
    }
    // More than are read at once, from memory and from files, in no order, most of them twice.
    let asked: Vec<u32> = (0..3000).map(|n| n * 7919 % 2100).collect();
    let bytes: Vec<[u8; 4]> = asked.iter().map(|n| key(*n)).collect();
    let slices: Vec<&[u8]> = bytes.iter().map(|key| key.as_slice()).collect();
    let found = store.get_many(family, &slices).unwrap();
    assert_eq!(found.len(), asked.len());
    for (n, value) in asked.iter().zip(found) {
        let there = n % 2 == 0 && *n < 2000;
        assert_eq!(value, there.then(|| n.to_le_bytes().to_vec()), "key {n}");
    }
    assert_eq!(store.get_many(family, &[&key(4)[..]; 3]).unwrap(), vec![Some(vec![4, 0, 0, 0]); 3]);
}

#[test]
fn a_scan_visits_a_prefix_in_order_and_nothing_around_it() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    let all: [&[u8]; 9] =
        [b"", b"a", b"a\0", b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff", b"\xff\xffz"];
    for key in all.iter().rev() {
        put(&mut store, family, &[(key, b"v")]);
    }
    let found = |prefix: &[u8], after: Option<&[u8]>| scan(&store, family, prefix, after);
    assert_eq!(keys(&found(b"", None)), all);
    assert_eq!(keys(&found(b"a", None)), &all[1..5]);
    assert_eq!(keys(&found(b"a\xff", None)), &all[3..5]);
    assert_eq!(keys(&found(b"\xff", None)), &all[6..]);
    assert_eq!(keys(&found(b"\xff\xff", None)), &all[7..]);
    assert!(found(b"c", None).is_empty());
    // Greater than a key, which may be there, missing, before the prefix or behind it.
    assert_eq!(keys(&found(b"", Some(b""))), &all[1..]);
    assert_eq!(keys(&found(b"a", Some(b"a"))), &all[2..5]);
    assert_eq!(keys(&found(b"a", Some(b"a\x01"))), &all[3..5]);
    assert_eq!(keys(&found(b"a", Some(b""))), &all[1..5]);
    assert!(found(b"a", Some(b"a\xff\xff")).is_empty());
    assert!(found(b"a", Some(b"b")).is_empty());
}

#[test]
fn a_scan_ends_when_the_visitor_says_so() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    put(&mut store, family, &[(b"a", b""), (b"b", b""), (b"c", b"")]);
    let mut seen = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        seen.push(key.to_vec());
        seen.len() < 2
    };
    store.scan(family, b"", None, &mut visit).unwrap();
    assert_eq!(seen, [b"a", b"b"]);
}

#[test]
fn families_and_stores_are_apart() {
    let fixture = fixture();
    let mut first = fixture.stores.open("uid", 0).unwrap();
    let mut second = fixture.stores.open("uid", 1).unwrap();
    let values = first.family("default", None).unwrap();
    let others = first.family("others", None).unwrap();
    assert_eq!(second.family("default", None).unwrap(), values);
    put(&mut *first, values, &[(b"a", b"1")]);
    assert!(scan(&*first, others, b"", None).is_empty());
    assert!(scan(&*second, values, b"", None).is_empty());
    let error = first.family("others", None).unwrap_err().sentence();
    assert!(error.contains("make a family") && error.contains("uid-0"), "{error}");
    let error = second.get_many(Family(7), &[b"a"]).unwrap_err().sentence();
    assert!(error.contains("there is no family 7, only 1"), "{error}");
}

#[test]
fn expired_entries_are_gone_after_a_compaction() {
    let around = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    clock.advance_to(600);
    let shared = Arc::clone(&clock);
    let stores = RocksStores::with_clock(&around.path().join("s"), MEMORY, shared).unwrap();
    let mut store = stores.open_store("uid", 0).unwrap();
    let expiring = store.family("expiring", Some(500)).unwrap();
    let lasting = store.family("lasting", None).unwrap();
    let value = |last_use: i64| [&last_use.to_le_bytes()[..], b"rest"].concat();
    for family in [expiring, lasting] {
        put(&mut store, family, &[(b"new", &value(900)), (b"old", &value(100))]);
        put(&mut store, family, &[(b"short", b"1234567")]);
        store.compact(family).unwrap();
    }
    assert_eq!(keys(&scan(&store, expiring, b"", None)), [&b"new"[..], b"old", b"short"]);
    clock.advance_to(601);
    store.compact(expiring).unwrap();
    assert_eq!(keys(&scan(&store, expiring, b"", None)), [&b"new"[..], b"short"]);
    clock.advance_to(1_400);
    store.compact(expiring).unwrap();
    assert_eq!(keys(&scan(&store, expiring, b"", None)), [&b"new"[..], b"short"]);
    assert_eq!(store.get_many(expiring, &[b"old", b"new"]).unwrap(), [None, Some(value(900))]);
    clock.advance_to(1_401);
    store.compact(expiring).unwrap();
    store.compact(lasting).unwrap();
    assert_eq!(keys(&scan(&store, expiring, b"", None)), [b"short"]);
    assert_eq!(scan(&store, lasting, b"", None).len(), 3);
}
