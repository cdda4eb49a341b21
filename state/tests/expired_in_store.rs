//! Tables over a store that drops entries by itself, as one does whose values expire.
//!
//! | family | what it would catch |
//! |---|---|
//! | clearing | a namespace that is searched for ever for values that only the count knows of |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater_core::error::Result;
use highwater_core::key::KeyGroups;
use highwater_core::store::{Family, FrozenStore, Store, Stores, Visit};
use highwater_state::memory::MemoryStores;
use highwater_state::{Backend, Hashed, Table};

/// Opens stores that are empty once `expired` says so.
struct Forgetful {
    expired: Arc<AtomicBool>,
}

struct ForgetfulStore {
    store: Box<dyn Store>,
    expired: Arc<AtomicBool>,
}

impl Stores for Forgetful {
    fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>> {
        let store = MemoryStores { cache_bytes: 0 }.open(uid, worker)?;
        Ok(Box::new(ForgetfulStore { store, expired: Arc::clone(&self.expired) }))
    }

    fn cache_bytes(&self) -> usize {
        0
    }
}

impl Store for ForgetfulStore {
    fn family(&mut self, name: &str, expiry_ms: Option<i64>) -> Result<Family> {
        self.store.family(name, expiry_ms)
    }

    fn get_many(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        self.store.get_many(family, keys)
    }

    fn write(
        &mut self,
        family: Family,
        entries: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
    ) -> Result<()> {
        self.store.write(family, entries)
    }

    fn scan(
        &self,
        family: Family,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: Visit<'_>,
    ) -> Result<()> {
        if self.expired.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.store.scan(family, prefix, after, visit)
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenStore>> {
        self.store.freeze()
    }
}

#[test]
fn a_namespace_whose_values_the_store_has_dropped_can_be_cleared() {
    let expired = Arc::new(AtomicBool::new(false));
    let stores = Forgetful { expired: Arc::clone(&expired) };
    let mut backend =
        Backend::heap("test", KeyGroups::new(128, 1), 0).stores(Some(Arc::new(stores)));
    let mut table: Table<u64, i64, u64> = backend.table("values").expect("an empty store");
    for key in 0..1000 {
        table.insert(Hashed::new(&key), &7, key);
    }
    expired.store(true, Ordering::Relaxed);
    table.clear(&7);
    assert!(table.is_empty(&7));
    assert_eq!((table.size(), table.next_namespace(None)), (0, None));
}
