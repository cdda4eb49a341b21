//! Stores that count what is done to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_core::error::Result;
use highwater_core::store::{Family, FrozenStore, Store, Stores, Visit};
use highwater_state::memory::MemoryStores;

/// Stores in memory that count.
#[derive(Clone, Default)]
pub(crate) struct Counted {
    /// The bytes of decoded values that a table may keep.
    pub(crate) cache_bytes: usize,
    /// Calls of `get_many`.
    pub(crate) reads: Arc<AtomicUsize>,
    /// The keys that were read.
    pub(crate) read: Arc<AtomicUsize>,
    /// Calls of `write`.
    pub(crate) writes: Arc<AtomicUsize>,
    /// The entries that were written.
    pub(crate) written: Arc<AtomicUsize>,
    /// Calls of `freeze`.
    pub(crate) freezes: Arc<AtomicUsize>,
}

/// Returns what a counter has counted since it was asked last.
pub(crate) fn taken(counter: &AtomicUsize) -> usize {
    counter.swap(0, Ordering::Relaxed)
}

impl Stores for Counted {
    fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>> {
        let store = MemoryStores { cache_bytes: 0 }.open(uid, worker)?;
        Ok(Box::new(CountedStore { store, counted: self.clone() }))
    }

    fn cache_bytes(&self) -> usize {
        self.cache_bytes
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
        self.counted.reads.fetch_add(1, Ordering::Relaxed);
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
        self.counted.freezes.fetch_add(1, Ordering::Relaxed);
        self.store.freeze()
    }
}
