//! Going through a namespace: the store by key group, after what has changed was written to it.

use std::sync::Arc;

use highwater_core::key::{Key, KeyGroup, stable_hash};

use super::entries::{Written, prefix};
use super::{CachedTable, or_damaged, or_lost};
use crate::backend::{Hashed, Namespace, StateValue};

/// How many keys are removed from a store by one write.
const REMOVED_AT_ONCE: usize = 1024;
/// At least so many entries of a cache are drained at once, if there are so many.
const DRAINED_AT_ONCE: usize = 1024;

impl<K: Key, N: Namespace, V: StateValue> CachedTable<K, N, V> {
    /// Reads the entries of a key group of a namespace, with their stored keys.
    fn read_group(&mut self, place: usize, index: usize) -> Vec<(Vec<u8>, K, V)> {
        self.flush(place);
        let group = KeyGroup(self.range.first.0 + index as u16);
        let prefix = prefix(group, &self.spaces[place].name);
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
        let Some(place) = self.spaces.find(namespace) else { return };
        let space = &self.spaces[place];
        if space.count == 0 {
            return;
        }
        if space.stored {
            for (_, key, value) in self.read_group(place, index) {
                visit(&key, &value);
            }
            return;
        }
        for entry in space.cache.iter() {
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
        let Some(place) = self.spaces.find(namespace) else { return false };
        if !self.spaces[place].stored {
            return self.drain_cached(place, take);
        }
        while self.spaces[place].count > 0 {
            let index = self.spaces[place].first;
            if index == self.range.count() {
                // What is still counted has expired, and the store has dropped it.
                self.spaces[place].count = 0;
                break;
            }
            self.spaces[place].first += 1;
            let found = self.read_group(place, index);
            if found.is_empty() {
                continue;
            }
            let gone = found.iter().map(|(stored, _, _)| (stored.as_slice(), None));
            or_lost(self.store.write(gone));
            let space = &mut self.spaces[place];
            space.count = space.count.saturating_sub(found.len());
            for (_, key, value) in found {
                self.change(place, |cache| cache.remove(Hashed::new(&key)));
                take(key, value);
            }
            break;
        }
        let more = self.spaces[place].count > 0;
        if !more {
            self.flush(place);
            self.close(place);
        }
        more
    }

    /// Removes some of the values of a namespace that the store knows nothing of.
    fn drain_cached(&mut self, place: usize, mut take: impl FnMut(K, V)) -> bool {
        let drained = self.change(place, |cache| cache.take_some(DRAINED_AT_ONCE));
        let space = &mut self.spaces[place];
        for entry in drained {
            space.changed -= usize::from(entry.changed);
            if let Some(value) = entry.value {
                space.count -= 1;
                take(entry.key, value);
            }
        }
        let more = space.count > 0;
        if !more {
            self.close(place);
        }
        more
    }

    /// Removes keys that a visit has just seen: the store need not be asked for them.
    pub(crate) fn remove_seen(&mut self, namespace: &N, keys: &[K]) {
        let Some(place) = self.spaces.find(namespace) else { return };
        let (format, groups) = (Arc::clone(&self.format), self.groups);
        for keys in keys.chunks(REMOVED_AT_ONCE) {
            let mut written = Written::default();
            for key in keys {
                let removed = self.change(place, |cache| cache.remove(Hashed::new(key)));
                let space = &mut self.spaces[place];
                space.changed -= usize::from(removed.is_some_and(|entry| entry.changed));
                if space.stored {
                    written.add(&format, groups, &space.name, (key, None));
                }
            }
            let space = &mut self.spaces[place];
            space.count = space.count.saturating_sub(keys.len());
            self.write(place, written);
        }
    }

    pub(crate) fn clear(&mut self, namespace: &N) {
        while self.drain_some(namespace, |_, _| {}) {}
    }
}
