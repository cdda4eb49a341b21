//! The keys of a batch, read and hashed before the state of any of them is touched.
//!
//! A lookup in a large table misses the cache, and one in a store reads it. Done one after another,
//! misses add up; here the lookups of the next few keys are done together, so that they overlap,
//! before their values are changed one by one.

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

    /// Returns the key of the `i`-th record. Called for one record after another, it brings the
    /// values of the next keys near now and then.
    #[inline]
    pub(crate) fn at<V: StateValue>(
        &self,
        i: usize,
        space: &mut impl KeyedSpace<K, V>,
    ) -> Hashed<'_, K> {
        if i.is_multiple_of(TOGETHER) {
            let end = (i + TOGETHER).min(self.keys.len());
            space.prefetch(&self.keys[i..end]);
        }
        let (key, hash) = &self.keys[i];
        Hashed { key, hash: *hash }
    }
}
