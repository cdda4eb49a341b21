//! Restoring: a million keys into memory, into a store, and with a delta, beside as many inserts.
//!
//! The store is one in memory, so that what is measured is ours: decoding, hashing, and what is
//! written and looked up.
//!
//! **Unit**: ns for each key of the snapshot.

use std::sync::Arc;
use std::time::Instant;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::{Key, KeyGroups};
use highwater_core::store::Stores;
use highwater_core::time::Epoch;
use highwater_state::memory::MemoryStores;
use highwater_state::{Backend, Hashed, StateFormat, Table};

use crate::Targets;

const KEYS: u64 = 1_000_000;
/// One of so many keys is in the delta.
const CHANGED: usize = 10;

fn backend(stored: &[&Arc<EncodedState>], in_store: bool) -> Backend {
    let stores: Arc<dyn Stores> = Arc::new(MemoryStores { cache_bytes: 1 << 20 });
    let stored = stored.iter().map(|stored| Arc::clone(stored)).collect();
    let backend = Backend::heap("bench", KeyGroups::new(128, 1), 0).durable(true);
    backend.stores(in_store.then_some(stores)).restored(stored)
}

fn table<K: Key>(mut backend: Backend) -> Table<K, (), u64> {
    backend.table("counts").unwrap()
}

fn freeze<K: Key>(table: &mut Table<K, (), u64>, delta: bool) -> Arc<EncodedState> {
    let mut cut = Cut::new(Epoch(1), CutKind { delta, track: true }, i64::MIN, 0);
    table.freeze(&mut cut);
    Arc::new(cut.encode().unwrap().remove(0))
}

fn measure_keys<K: Key>(name: &str, key: impl Fn(u64) -> K) {
    let keys: Vec<K> = (0..KEYS).map(key).collect();
    let timed = |what: &str, run: &mut dyn FnMut()| {
        let began = Instant::now();
        run();
        let ns = began.elapsed().as_nanos() as f64 / KEYS as f64;
        println!("restore {KEYS} {name:<9} {what:<28} {ns:>6.0} ns a key");
    };
    let mut source = table::<K>(backend(&[], false));
    timed("insert", &mut || {
        keys.iter().for_each(|key| source.insert(Hashed::new(key), &(), 7));
    });
    let full = freeze(&mut source, false);
    let format = StateFormat::<(), K, u64>::new("bench", "counts", KeyGroups::new(128, 1)).unwrap();
    timed("decode alone", &mut || {
        let all = KeyGroups::new(128, 1).range(0);
        let reader = format.open(&full.part).unwrap();
        let count: usize = reader.groups(all).map(|group| group.unwrap().count()).sum();
        assert_eq!(count, keys.len());
    });
    for key in keys.iter().step_by(CHANGED) {
        source.insert(Hashed::new(key), &(), 8);
    }
    let delta = freeze(&mut source, true);
    for (place, in_store) in [("memory", false), ("a store", true)] {
        timed(&format!("into {place}"), &mut || {
            assert_eq!(table::<K>(backend(&[&full], in_store)).size(), keys.len());
        });
        timed(&format!("into {place}, delta of 10 %"), &mut || {
            assert_eq!(table::<K>(backend(&[&full, &delta], in_store)).size(), keys.len());
        });
    }
}

pub fn measure(_: &mut Targets) {
    measure_keys("integers", |key| key);
    measure_keys("strings", |key| format!("the key number {key}"));
}
