//! One namespace of a table in a store, opened for several accesses.

use highwater_core::key::{Key, stable_hash};

use super::{CachedTable, or_lost};
use crate::backend::{Hashed, Namespace, StateValue};
use crate::table::KeyedSpace;

/// How many keys are looked up in a store at once, where there are many.
const READ_AT_ONCE: usize = 128;

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

impl<K: Key, N: Namespace, V: StateValue> CachedTable<K, N, V> {
    /// Stores many values.
    pub(crate) fn insert_many(&mut self, namespace: &N, entries: Vec<(K, V)>) {
        let mut space = self.space(namespace);
        let mut keys = Vec::with_capacity(READ_AT_ONCE);
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let some: Vec<_> = entries.by_ref().take(READ_AT_ONCE).collect();
            keys.clear();
            keys.extend(some.iter().map(|(key, _)| (key.clone(), stable_hash(key))));
            space.prefetch(&keys);
            for ((_, value), (key, hash)) in some.into_iter().zip(&keys) {
                let mut value = Some(value);
                let key = Hashed { key, hash: *hash };
                let stored = space.get_or_insert_with(key, || match value.take() {
                    Some(value) => value,
                    None => unreachable!("a value is made once"),
                });
                if let Some(value) = value {
                    *stored = value;
                }
            }
        }
    }
}

impl<K: Key, N: Namespace, V: StateValue> KeyedSpace<K, V> for CachedSpace<'_, K, N, V> {
    fn prefetch(&mut self, keys: &[(K, u64)]) {
        let table = &mut *self.table;
        let space = &table.spaces[self.place];
        if !space.stored {
            return;
        }
        let mut missing: Vec<Hashed<'_, K>> = Vec::new();
        for (key, hash) in keys {
            let key = Hashed { key, hash: *hash };
            let again = |other: &Hashed<'_, K>| other.key == key.key;
            if space.cache.find(key).is_none() && !missing.iter().any(again) {
                missing.push(key);
            }
        }
        if missing.is_empty() {
            return;
        }
        let stored: Vec<_> = missing.iter().map(|key| table.stored_key(space, *key)).collect();
        let stored: Vec<_> = stored.iter().map(Vec::as_slice).collect();
        let read = table.store.get_many(&stored);
        for (key, bytes) in missing.into_iter().zip(or_lost(read)) {
            let value = bytes.map(|bytes| table.decode(&bytes));
            table.keep(self.place, key, value);
        }
    }

    fn get_or_insert_with(&mut self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V {
        self.table.upsert(self.place, key, make)
    }
}
