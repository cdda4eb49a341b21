//! The keys of a batch, read and hashed before the state of any of them is touched.
//!
//! A lookup in a large table misses the cache, and one in a store reads it. Done one after another,
//! misses add up; here the lookups of the next few keys are done together, so that they overlap,
//! before their values are changed one by one.

use std::ops::Range;

use highwater_core::key::{Key, stable_hash};
use highwater_core::record::Batch;
use highwater_state::{Hashed, KeyedSpace, StateValue};

/// How many keys are looked up together.
const TOGETHER: usize = 32;

/// The keys of a batch with their hashes, in the order of its records.
#[derive(Debug)]
pub(crate) struct Keys<K> {
    keys: Vec<(K, u64)>,
}

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Keys { keys: Vec::new() }
    }
}

impl<K: Key> Keys<K> {
    /// Reads the keys of a batch.
    #[inline]
    pub(crate) fn read<T>(&mut self, batch: &Batch<T>, key: impl Fn(&T) -> K) {
        self.keys.clear();
        self.keys.extend(batch.iter().map(|record| {
            let key = key(&record.value);
            let hash = stable_hash(&key);
            (key, hash)
        }));
    }

    /// Passes values to `change` with the keys of their records, after those of the next few have
    /// been brought near.
    ///
    /// - `records`: those whose keys are read, in the batch.
    /// - `values`: one for each of them.
    #[inline]
    pub(crate) fn each<T, V: StateValue, S: KeyedSpace<K, V>>(
        &self,
        records: Range<usize>,
        mut values: impl Iterator<Item = T>,
        space: &mut S,
        mut change: impl FnMut(&mut S, Hashed<'_, K>, T),
    ) {
        for keys in self.keys[records].chunks(TOGETHER) {
            space.prefetch(keys);
            for ((key, hash), value) in keys.iter().zip(&mut values) {
                change(space, Hashed { key, hash: *hash }, value);
            }
        }
    }
}
