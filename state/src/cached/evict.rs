//! What leaves the cache: values not in use when there are too many, changed ones before a freeze.

use std::sync::Arc;

use highwater_core::key::{Key, stable_hash};

use super::entries::Written;
use super::{CachedTable, Entry, or_lost};
use crate::backend::{Namespace, StateValue};

impl<K: Key, N: Namespace, V: StateValue> CachedTable<K, N, V> {
    /// The bytes that an entry of a cache takes, as far as one can tell.
    pub(super) fn entry_bytes(&self) -> usize {
        let (bytes, values) = self.encoded;
        let mean = bytes.checked_div(values).unwrap_or(0) as usize;
        let heap = if std::mem::needs_drop::<(K, V)>() { 2 * mean } else { 0 };
        size_of::<Entry<K, V>>() * 8 / 7 + 1 + heap
    }

    /// Evicts values that are not in use if there are too many, about an eighth of them.
    pub(super) fn make_room(&mut self) {
        let room = (self.stores.cache_bytes() / self.entry_bytes()).max(64);
        if self.cached < room || !self.store.may_write() {
            return;
        }
        let mut looked = 0;
        let enough = room - room / 8;
        while self.cached > enough && looked <= 2 * self.spaces.len() {
            self.evict_at = if self.evict_at < self.spaces.len() { self.evict_at } else { 0 };
            self.evict(self.evict_at);
            self.evict_at += 1;
            looked += 1;
        }
    }

    /// Writes the changed values of a namespace that have not been used lately, and forgets those
    /// that have not.
    fn evict(&mut self, place: usize) {
        let (format, groups) = (Arc::clone(&self.format), self.groups);
        let mut written = Written::default();
        let space = &mut self.spaces[place].1;
        let before = space.cache.len();
        let (name, changed) = (&space.name, &mut space.changed);
        space.cache.retain(|entry| {
            if std::mem::take(&mut entry.used) {
                return true;
            }
            if entry.changed {
                *changed -= 1;
                written.add(&format, groups, name, (&entry.key, entry.value.as_ref()));
            }
            false
        });
        // A table that has lost most of what it held would be searched in vain again and again.
        if space.cache.len() * 4 < space.cache.capacity() {
            space.cache.shrink_to_fit(|entry| stable_hash(&entry.key));
        }
        self.cached -= before - space.cache.len();
        self.write(place, written);
    }

    /// Writes all changed values of a namespace, which stay in the cache.
    pub(super) fn flush(&mut self, place: usize) {
        let (format, groups) = (Arc::clone(&self.format), self.groups);
        let space = &mut self.spaces[place].1;
        if space.changed == 0 {
            return;
        }
        let mut written = Written::default();
        for entry in space.cache.iter_mut().filter(|entry| entry.changed) {
            written.add(&format, groups, &space.name, (&entry.key, entry.value.as_ref()));
            entry.changed = false;
        }
        debug_assert_eq!(written.len(), space.changed, "changed entries are counted");
        space.changed = 0;
        self.write(place, written);
    }

    pub(super) fn write(&mut self, place: usize, written: Written) {
        if written.len() == 0 {
            return;
        }
        self.encoded.0 += written.value_bytes;
        self.encoded.1 += written.len() as u64;
        self.spaces[place].1.stored = true;
        or_lost(self.store.write(written.entries()));
    }
}
