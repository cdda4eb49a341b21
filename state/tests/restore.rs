//! What restoring costs a store: how often it is read and written. Would catch a restore that looks
//! up every key, or one key at a time.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::KeyGroups;
use highwater_core::store::Stores;
use highwater_core::time::Epoch;
use highwater_state::{Backend, Hashed, Table};
use support::counted::{Counted, taken};

fn backend(stored: Vec<Arc<EncodedState>>) -> Backend {
    Backend::heap("restore", KeyGroups::new(128, 1), 0).durable(true).restored(stored)
}

fn table(mut backend: Backend) -> Table<u64, i64, u64> {
    backend.table("values").unwrap()
}

fn freeze(table: &mut Table<u64, i64, u64>, delta: bool) -> Arc<EncodedState> {
    let mut cut = Cut::new(Epoch(1), CutKind { delta, track: true }, i64::MIN, 0);
    table.freeze(&mut cut);
    Arc::new(cut.encode().unwrap().remove(0))
}

#[test]
fn a_full_snapshot_is_written_to_a_store_by_the_batch_and_not_read() {
    let mut source = table(backend(vec![]));
    for key in 0..200_000 {
        source.insert(Hashed::new(&key), &(key as i64 % 2), key);
    }
    let counted = Counted::default();
    let stores: Arc<dyn Stores> = Arc::new(counted.clone());
    let mut restored = table(backend(vec![freeze(&mut source, false)]).stores(Some(stores)));
    assert_eq!((taken(&counted.read), taken(&counted.written)), (0, 200_000));
    let writes = taken(&counted.writes);
    assert!(writes <= 128 * 2 * 2, "{writes} writes");
    assert_eq!(restored.size(), 200_000);
    assert_eq!(restored.get(Hashed::new(&7), &1), Some(&7));
}

#[test]
fn a_delta_is_looked_up_in_a_store_by_the_batch() {
    const KEYS: u64 = 50_000;
    let mut source = table(backend(vec![]));
    (0..KEYS).for_each(|key| source.insert(Hashed::new(&key), &0, key));
    let full = freeze(&mut source, false);
    for key in (0..KEYS).step_by(20) {
        source.insert(Hashed::new(&key), &0, key + 1);
        source.remove(Hashed::new(&(key + 1)), &0);
        source.insert(Hashed::new(&(key + KEYS)), &0, 7);
    }
    let delta = freeze(&mut source, true);
    let counted = Counted { cache_bytes: 1 << 16, ..Counted::default() };
    let stores: Arc<dyn Stores> = Arc::new(counted.clone());
    let mut restored = table(backend(vec![full, delta]).stores(Some(stores)));
    let (read, reads) = (taken(&counted.read), taken(&counted.reads));
    assert!((5_000..30_000).contains(&read), "{read} keys were looked up");
    // At least one for each of 128 key groups, and one for each 128 keys.
    assert!(reads <= 128 * (read / 128 / 128 + 2), "{reads} reads of {read} keys");
    assert_eq!(restored.size(), source.size());
    for key in 0..2 * KEYS {
        let key = Hashed::new(&key);
        assert_eq!(restored.get(key, &0), source.get(key, &0), "{}", key.key);
    }
}
