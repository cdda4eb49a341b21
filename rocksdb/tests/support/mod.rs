//! What the tests of stores have in common.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;

use highwater_core::store::{Family, FrozenStore, Store};
use highwater_rocksdb::{RocksStore, RocksStores};

/// The memory of the stores under test: little, so that they flush and evict.
pub(crate) const MEMORY: u64 = 16 << 20;

/// An entry that was read.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// Stores in a scratch folder within a temporary one.
pub(crate) struct Fixture {
    pub(crate) stores: RocksStores,
    pub(crate) dir: PathBuf,
    pub(crate) around: tempfile::TempDir,
}

pub(crate) fn fixture() -> Fixture {
    let around = tempfile::tempdir().unwrap();
    let dir = around.path().join("scratch");
    let stores = RocksStores::open(&dir, MEMORY).unwrap();
    Fixture { stores, dir, around }
}

impl Fixture {
    /// Opens a store with one family.
    pub(crate) fn store(&self) -> (RocksStore, Family) {
        let mut store = self.stores.open_store("uid", 0).unwrap();
        let family = store.family("values", None).unwrap();
        (store, family)
    }
}

/// Writes a value under each key.
pub(crate) fn put(store: &mut dyn Store, family: Family, entries: &[(&[u8], &[u8])]) {
    let mut entries = entries.iter().map(|(key, value)| (*key, Some(*value)));
    store.write(family, &mut entries).unwrap();
}

/// Removes keys.
pub(crate) fn remove(store: &mut dyn Store, family: Family, keys: &[&[u8]]) {
    store.write(family, &mut keys.iter().map(|key| (*key, None))).unwrap();
}

/// Reads all entries with a prefix that are greater than `after`.
pub(crate) fn scan(
    store: &dyn Store,
    family: Family,
    prefix: &[u8],
    after: Option<&[u8]>,
) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        true
    };
    store.scan(family, prefix, after, &mut visit).unwrap();
    found
}

/// Reads all entries of a frozen view with a prefix.
pub(crate) fn frozen(view: &dyn FrozenStore, family: Family, prefix: &[u8]) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        true
    };
    view.scan(family, prefix, &mut visit).unwrap();
    found
}

/// Waits as a worker does until it may write again.
pub(crate) fn wait_apart(view: &dyn FrozenStore) {
    while !view.is_apart() {
        std::thread::yield_now();
    }
}

pub(crate) fn keys(entries: &[Entry]) -> Vec<&[u8]> {
    entries.iter().map(|(key, _)| key.as_slice()).collect()
}
