//! Going through a namespace: the store by key group, after what has changed was written to it.

use std::sync::Arc;

use highwater_core::key::{Key, KeyGroup, stable_hash};

use super::entries::{Written, prefix};
use super::{CachedTable, Entry, or_damaged, or_lost};
use crate::backend::{Namespace, StateValue};

/// How many keys are removed from a store by one write.
const REMOVED_AT_ONCE: usize = 1024;

impl<K: Key, N: Namespace, V: StateValue> CachedTable<K, N, V> {
    /// Reads the entries of a key group of a namespace, with their stored keys.
    fn read_group(&mut self, place: usize, index: usize) -> Vec<(Vec<u8>, K, V)> {
        self.flush(place);
        let group = KeyGroup(self.range.first.0 + index as u16);
        let prefix = prefix(group, &self.spaces[place].1.name);
        let mut found = Vec::new();
        let format = Arc::clone(&self.format);
        let mut visit = |stored: &[u8], value: &[u8]| {
            let key = stored.get(prefix.len()..).unwrap_or_default();
            found.push((
                stored.to_vec(),
                or_damaged(format.key_from(key)),
                or_damaged(format.value_from(value)),
            ));
            true
        };
        or_lost(self.store.scan(&prefix, None, &mut visit));
        found
    }

    pub(crate) fn visit_group(
        &mut self,
        namespace: &N,
        index: usize,
        mut visit: impl FnMut(&K, &V),
    ) {
        let Ok(place) = self.find(namespace) else { return };
        let space = &self.spaces[place].1;
        if space.count == 0 {
            return;
        }
        if space.stored {
            for (_, key, value) in self.read_group(place, index) {
                visit(&key, &value);
            }
            return;
        }
        for entry in &space.cache {
            if let Some(value) = &entry.value
                && self.range.index_of(self.groups.of_hash(stable_hash(&entry.key))) == index
            {
                visit(&entry.key, value);
            }
        }
    }

    pub(crate) fn visit(&mut self, namespace: &N, mut visit: impl FnMut(&K, &V)) {
        for index in 0..self.range.count() {
            self.visit_group(namespace, index, &mut visit);
        }
    }

    pub(crate) fn drain_some(&mut self, namespace: &N, mut take: impl FnMut(K, V)) -> bool {
        let Ok(place) = self.find(namespace) else { return false };
        let space = &mut self.spaces[place].1;
        if !space.stored {
            for entry in space.cache.drain() {
                self.cached -= 1;
                if let Some(value) = entry.value {
                    take(entry.key, value);
                }
            }
            self.spaces.remove(place);
            return false;
        }
        while self.spaces[place].1.count > 0 {
            let index = self.spaces[place].1.first;
            if index == self.range.count() {
                // What is still counted has expired, and the store has dropped it.
                self.spaces[place].1.count = 0;
                break;
            }
            self.spaces[place].1.first += 1;
            let found = self.read_group(place, index);
            if found.is_empty() {
                continue;
            }
            let gone = found.iter().map(|(stored, _, _)| (stored.as_slice(), None));
            or_lost(self.store.write(gone));
            let space = &mut self.spaces[place].1;
            space.count = space.count.saturating_sub(found.len());
            for (_, key, value) in found {
                let same = |entry: &Entry<K, V>| entry.key == key;
                if let Ok(entry) = space.cache.find_entry(stable_hash(&key), same) {
                    entry.remove();
                    self.cached -= 1;
                }
                take(key, value);
            }
            break;
        }
        let more = self.spaces[place].1.count > 0;
        if !more {
            self.flush(place);
            let (_, space) = self.spaces.remove(place);
            self.cached -= space.cache.len();
        }
        more
    }

    /// Removes keys that a visit has just seen: the store need not be asked for them.
    pub(crate) fn remove_seen(&mut self, namespace: &N, keys: &[K]) {
        let Ok(place) = self.find(namespace) else { return };
        let (format, groups) = (Arc::clone(&self.format), self.groups);
        for keys in keys.chunks(REMOVED_AT_ONCE) {
            let mut written = Written::default();
            let space = &mut self.spaces[place].1;
            for key in keys {
                let same = |entry: &Entry<K, V>| entry.key == *key;
                if let Ok(entry) = space.cache.find_entry(stable_hash(key), same) {
                    let (entry, _) = entry.remove();
                    space.changed -= usize::from(entry.changed);
                    self.cached -= 1;
                }
                if space.stored {
                    written.add(&format, groups, &space.name, (key, None));
                }
            }
            space.count = space.count.saturating_sub(keys.len());
            self.write(place, written);
        }
    }

    pub(crate) fn clear(&mut self, namespace: &N) {
        while self.drain_some(namespace, |_, _| {}) {}
    }
}
