//! One namespace of a table in a store, opened for several accesses.

use highwater_core::key::Key;

use super::{CachedTable, or_lost};
use crate::backend::{Hashed, Namespace, StateValue};
use crate::table::KeyedSpace;

/// The values of one namespace, opened for several accesses.
#[derive(Debug)]
pub struct CachedSpace<'a, K, N: std::fmt::Debug, V> {
    pub(super) table: &'a mut CachedTable<K, N, V>,
    pub(super) place: usize,
}

impl<'a, K: Key, N: Namespace, V: StateValue> CachedSpace<'a, K, N, V> {
    pub(crate) fn into_value(self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &'a mut V {
        self.table.upsert(self.place, key, make)
    }
}

impl<K: Key, N: Namespace, V: StateValue> KeyedSpace<K, V> for CachedSpace<'_, K, N, V> {
    fn prefetch(&mut self, keys: &[(K, u64)]) {
        let table = &mut *self.table;
        table.make_room();
        let space = &table.spaces[self.place].1;
        if !space.stored {
            return;
        }
        let mut missing: Vec<Hashed<'_, K>> = Vec::new();
        for (key, hash) in keys {
            let known = space.cache.find(*hash, |entry| entry.key == *key).is_some();
            if !known && !missing.iter().any(|other| other.key == key) {
                missing.push(Hashed { key, hash: *hash });
            }
        }
        if missing.is_empty() {
            return;
        }
        let stored: Vec<_> = missing.iter().map(|key| table.stored_key(space, *key)).collect();
        let stored: Vec<_> = stored.iter().map(Vec::as_slice).collect();
        let read = table.store.borrow().get_many(table.family, &stored);
        for (key, bytes) in missing.into_iter().zip(or_lost(read)) {
            let value = bytes.map(|bytes| table.decode(&bytes));
            table.keep(self.place, key, value);
        }
    }

    fn get_or_insert_with(&mut self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V {
        self.table.upsert(self.place, key, make)
    }
}
