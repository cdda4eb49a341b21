//! What restoring costs.
//!
//! - Reads and writes of a store: would catch a restore that looks every key up first.
//! - Time, by hand (`--release -- --ignored --nocapture`): a million keys restored into memory, into
//!   a store and from a delta, beside as many inserts.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that reports figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::error::Result;
use highwater_core::key::{Key, KeyGroups};
use highwater_core::store::{Family, FrozenStore, Store, Stores, Visit};
use highwater_core::time::Epoch;
use highwater_state::memory::MemoryStores;
use highwater_state::{Backend, Hashed, StateFormat, Table};

fn backend(stored: Vec<Arc<EncodedState>>) -> Backend {
    Backend::heap("restore", KeyGroups::new(128, 1), 0).durable(true).restored(stored)
}

fn table<K: Key>(mut backend: Backend) -> Table<K, i64, u64> {
    backend.table("values").unwrap()
}

fn freeze<K: Key>(table: &mut Table<K, i64, u64>, delta: bool) -> Arc<EncodedState> {
    let mut cut = Cut::new(Epoch(1), CutKind { delta, track: true }, i64::MIN, 0);
    table.freeze(&mut cut);
    Arc::new(cut.encode().unwrap().remove(0))
}

/// Stores that count.
#[derive(Clone, Default)]
struct Counted {
    read: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Stores for Counted {
    fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>> {
        let store = MemoryStores { cache_bytes: 0 }.open(uid, worker)?;
        Ok(Box::new(CountedStore { store, counted: self.clone() }))
    }

    fn cache_bytes(&self) -> usize {
        0
    }
}

struct CountedStore {
    store: Box<dyn Store>,
    counted: Counted,
}

impl Store for CountedStore {
    fn family(&mut self, name: &str, expiry_ms: Option<i64>) -> Result<Family> {
        self.store.family(name, expiry_ms)
    }

    fn get_many(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        self.counted.read.fetch_add(keys.len(), Ordering::Relaxed);
        self.store.get_many(family, keys)
    }

    fn write(
        &mut self,
        family: Family,
        entries: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
    ) -> Result<()> {
        let Counted { writes, written, .. } = &self.counted;
        writes.fetch_add(1, Ordering::Relaxed);
        self.store.write(
            family,
            &mut entries.inspect(|_| {
                written.fetch_add(1, Ordering::Relaxed);
            }),
        )
    }

    fn scan(
        &self,
        family: Family,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: Visit<'_>,
    ) -> Result<()> {
        self.store.scan(family, prefix, after, visit)
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenStore>> {
        self.store.freeze()
    }
}

#[test]
fn a_full_snapshot_is_written_to_a_store_by_the_batch_and_not_read() {
    let mut source = table::<u64>(backend(vec![]));
    for key in 0..200_000 {
        source.insert(Hashed::new(&key), &(key as i64 % 2), key);
    }
    let counted = Counted::default();
    let stores: Arc<dyn Stores> = Arc::new(counted.clone());
    let mut restored = table::<u64>(backend(vec![freeze(&mut source, false)]).stores(Some(stores)));
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert_eq!((count(&counted.read), count(&counted.written)), (0, 200_000));
    assert!(count(&counted.writes) <= 128 * 2 * 2, "{} writes", count(&counted.writes));
    assert_eq!(restored.size(), 200_000);
    assert_eq!(restored.get(Hashed::new(&7), &1), Some(&7));
}

fn measure<K: Key>(name: &str, key: impl Fn(u64) -> K) {
    const KEYS: u64 = 1_000_000;
    let keys: Vec<K> = (0..KEYS).map(key).collect();
    let mut source = table::<K>(backend(vec![]));
    let timed = |what: &str, run: &mut dyn FnMut()| {
        let began = Instant::now();
        run();
        let ns = began.elapsed().as_nanos() as f64 / KEYS as f64;
        println!("{name:<8} {what:<28} {ns:>6.0} ns a key");
    };
    timed("insert", &mut || {
        keys.iter().for_each(|key| source.insert(Hashed::new(key), &0, 7));
    });
    let full = freeze(&mut source, false);
    timed("restore into memory", &mut || {
        let restored = table::<K>(backend(vec![Arc::clone(&full)]));
        assert_eq!(restored.size(), keys.len());
    });
    let format =
        StateFormat::<i64, K, u64>::new("restore", "values", KeyGroups::new(128, 1)).unwrap();
    timed("decode alone", &mut || {
        let all = KeyGroups::new(128, 1).range(0);
        let reader = format.open(&full.part).unwrap();
        let count: usize = reader.groups(all).map(|group| group.unwrap().count()).sum();
        assert_eq!(count, keys.len());
    });
    timed("restore into a store", &mut || {
        let stores: Arc<dyn Stores> = Arc::new(MemoryStores { cache_bytes: 1 << 20 });
        let restored = table::<K>(backend(vec![Arc::clone(&full)]).stores(Some(stores)));
        assert_eq!(restored.size(), keys.len());
    });
    for key in keys.iter().step_by(10) {
        source.insert(Hashed::new(key), &0, 8);
    }
    let delta = freeze(&mut source, true);
    timed("restore with a delta of 10 %", &mut || {
        let restored = table::<K>(backend(vec![Arc::clone(&full), Arc::clone(&delta)]));
        assert_eq!(restored.size(), keys.len());
    });
}

#[test]
#[ignore = "a measurement"]
fn a_million_keys() {
    measure("integers", |key| key);
    measure("strings", |key| format!("the key number {key}"));
}
