//! State in memory: one hash table for each namespace and key group.
//!
//! Namespaces stand in a sorted list that is searched only when the namespace changes: records of
//! one batch mostly fall into the same window. Tables of a namespace that has been emptied are used
//! again for the next one, which saves growing them from nothing for every window.
//!
//! **Cost**: one table lookup per access with the hash of the record; a table is small (one group),
//! so growing it never stops the worker for long.

use std::cell::Cell;

use hashbrown::HashTable;
use highwater_core::key::{Key, KeyGroupRange, KeyGroups, stable_hash};

use crate::backend::{Hashed, KeyedBackend, KeyedSpace, KeyedTable, Namespace, StateValue};

/// Makes tables in memory.
#[derive(Clone, Copy, Debug)]
pub struct HeapBackend {
    groups: KeyGroups,
    range: KeyGroupRange,
}

impl HeapBackend {
    /// Returns a backend for the key groups of a worker.
    #[must_use]
    pub fn new(groups: KeyGroups, worker: usize) -> Self {
        HeapBackend { groups, range: groups.range(worker) }
    }
}

impl KeyedBackend for HeapBackend {
    type Table<K: Key, N: Namespace, V: StateValue> = HeapTable<K, N, V>;

    fn table<K: Key, N: Namespace, V: StateValue>(&mut self, _name: &str) -> HeapTable<K, N, V> {
        HeapTable {
            groups: self.groups,
            range: self.range,
            spaces: Vec::new(),
            last: Cell::new(0),
            spare: Vec::new(),
        }
    }

    fn key_groups(&self) -> KeyGroups {
        self.groups
    }

    fn range(&self) -> KeyGroupRange {
        self.range
    }
}

/// The values of one namespace, by key group.
#[derive(Debug)]
struct Space<K, V> {
    groups: Vec<HashTable<(K, V)>>,
    /// The first group that may have values; draining moves it.
    first: usize,
}

impl<K, V> Space<K, V> {
    fn new(groups: usize) -> Self {
        Space { groups: (0..groups).map(|_| HashTable::new()).collect(), first: 0 }
    }

    fn is_empty(&self) -> bool {
        self.groups.iter().all(HashTable::is_empty)
    }
}

/// How many emptied namespaces are kept for the next ones.
const SPARE_SPACES: usize = 2;

/// A table in memory.
#[derive(Debug)]
pub struct HeapTable<K, N, V> {
    groups: KeyGroups,
    range: KeyGroupRange,
    /// Sorted by namespace.
    spaces: Vec<(N, Space<K, V>)>,
    /// Where the namespace of the last access stands.
    last: Cell<usize>,
    spare: Vec<Space<K, V>>,
}

impl<K: Key, N: Namespace, V: StateValue> HeapTable<K, N, V> {
    /// Finds a namespace: its place, or the place where it would stand.
    #[inline]
    fn find(&self, namespace: &N) -> Result<usize, usize> {
        let last = self.last.get();
        if let Some((name, _)) = self.spaces.get(last)
            && name == namespace
        {
            return Ok(last);
        }
        self.search(namespace)
    }

    #[cold]
    fn search(&self, namespace: &N) -> Result<usize, usize> {
        let found = self.spaces.binary_search_by(|(name, _)| name.cmp(namespace));
        if let Ok(place) = found {
            self.last.set(place);
        }
        found
    }

    #[cold]
    fn open(&mut self, place: usize, namespace: &N) -> usize {
        let groups = self.range.count();
        let space = self.spare.pop().unwrap_or_else(|| Space::new(groups));
        self.spaces.insert(place, (namespace.clone(), space));
        self.last.set(place);
        place
    }

    fn close(&mut self, place: usize) {
        let (_, mut space) = self.spaces.remove(place);
        if self.spare.len() < SPARE_SPACES {
            space.first = 0;
            self.spare.push(space);
        }
    }

    #[inline]
    fn group(&self, hash: u64) -> usize {
        self.range.index_of(self.groups.of_hash(hash))
    }
}

/// The values of one namespace in memory, opened for several accesses.
#[derive(Debug)]
pub struct HeapSpace<'a, K, V> {
    key_groups: KeyGroups,
    first_group: usize,
    groups: &'a mut [HashTable<(K, V)>],
    first: &'a mut usize,
}

impl<'a, K: Key, V: StateValue> HeapSpace<'a, K, V> {
    #[inline]
    fn index(&self, hash: u64) -> usize {
        usize::from(self.key_groups.of_hash(hash).0) - self.first_group
    }

    #[inline]
    fn into_value(self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &'a mut V {
        let index = self.index(key.hash);
        upsert(&mut self.groups[index], self.first, index, key, make)
    }
}

/// Finds a value or makes it.
#[inline]
fn upsert<'a, K: Key, V: StateValue>(
    group: &'a mut HashTable<(K, V)>,
    first: &mut usize,
    index: usize,
    key: Hashed<'_, K>,
    make: impl FnOnce() -> V,
) -> &'a mut V {
    match group.find_entry(key.hash, |(k, _)| k == key.key) {
        Ok(found) => &mut found.into_mut().1,
        Err(absent) => {
            *first = (*first).min(index);
            let entry = (key.key.clone(), make());
            let inserted =
                absent.into_table().insert_unique(key.hash, entry, |(k, _)| stable_hash(k));
            &mut inserted.into_mut().1
        }
    }
}

impl<K: Key, V: StateValue> KeyedSpace<K, V> for HeapSpace<'_, K, V> {
    #[inline]
    fn touch(&self, key: Hashed<'_, K>) -> bool {
        self.groups[self.index(key.hash)].find(key.hash, |(k, _)| k == key.key).is_some()
    }

    #[inline]
    fn get_or_insert_with(&mut self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V {
        let index = self.index(key.hash);
        upsert(&mut self.groups[index], self.first, index, key, make)
    }
}

impl<K: Key, N: Namespace, V: StateValue> KeyedTable<K, N, V> for HeapTable<K, N, V> {
    type Space<'a>
        = HeapSpace<'a, K, V>
    where
        Self: 'a;

    #[inline]
    fn space(&mut self, namespace: &N) -> HeapSpace<'_, K, V> {
        let place = match self.find(namespace) {
            Ok(place) => place,
            Err(place) => self.open(place, namespace),
        };
        let space = &mut self.spaces[place].1;
        HeapSpace {
            key_groups: self.groups,
            first_group: usize::from(self.range.first.0),
            groups: &mut space.groups,
            first: &mut space.first,
        }
    }

    fn make_room(&mut self, namespace: &N, alike: &N) {
        let (Err(place), Ok(alike)) = (self.find(namespace), self.find(alike)) else { return };
        let sizes: Vec<usize> = self.spaces[alike].1.groups.iter().map(HashTable::len).collect();
        let opened = self.open(place, namespace);
        for (group, size) in self.spaces[opened].1.groups.iter_mut().zip(sizes) {
            group.reserve(size, |(k, _)| stable_hash(k));
        }
    }

    #[inline]
    fn get(&self, key: Hashed<'_, K>, namespace: &N) -> Option<&V> {
        let (_, space) = &self.spaces[self.find(namespace).ok()?];
        let group = &space.groups[self.group(key.hash)];
        group.find(key.hash, |(k, _)| k == key.key).map(|(_, value)| value)
    }

    #[inline]
    fn get_mut(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<&mut V> {
        let place = self.find(namespace).ok()?;
        let group = self.group(key.hash);
        let group = &mut self.spaces[place].1.groups[group];
        group.find_mut(key.hash, |(k, _)| k == key.key).map(|(_, value)| value)
    }

    #[inline]
    fn get_or_insert_with(
        &mut self,
        key: Hashed<'_, K>,
        namespace: &N,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        self.space(namespace).into_value(key, make)
    }

    fn insert(&mut self, key: Hashed<'_, K>, namespace: &N, value: V) -> Option<V> {
        match self.get_mut(key, namespace) {
            Some(stored) => Some(std::mem::replace(stored, value)),
            None => {
                self.get_or_insert_with(key, namespace, || value);
                None
            }
        }
    }

    fn remove(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<V> {
        let place = self.find(namespace).ok()?;
        let group = self.group(key.hash);
        let group = &mut self.spaces[place].1.groups[group];
        let entry = group.find_entry(key.hash, |(k, _)| k == key.key).ok()?;
        let ((_, value), _) = entry.remove();
        Some(value)
    }

    fn first_namespace(&self) -> Option<&N> {
        self.spaces.first().map(|(name, _)| name)
    }

    fn is_empty(&self, namespace: &N) -> bool {
        match self.find(namespace) {
            Ok(place) => self.spaces[place].1.is_empty(),
            Err(_) => true,
        }
    }

    fn drain_group(&mut self, namespace: &N, take: &mut dyn FnMut(K, V)) -> bool {
        let Ok(place) = self.find(namespace) else { return false };
        let space = &mut self.spaces[place].1;
        while space.first < space.groups.len() && space.groups[space.first].is_empty() {
            space.first += 1;
        }
        if let Some(group) = space.groups.get_mut(space.first) {
            group.drain().for_each(|(key, value)| take(key, value));
            space.first += 1;
        }
        let more =
            space.groups[space.first.min(space.groups.len())..].iter().any(|g| !g.is_empty());
        if !more {
            self.close(place);
        }
        more
    }

    fn visit_group(&self, namespace: &N, index: usize, visit: &mut dyn FnMut(&K, &V)) {
        if let Ok(place) = self.find(namespace) {
            self.spaces[place].1.groups[index].iter().for_each(|(key, value)| visit(key, value));
        }
    }

    fn clear(&mut self, namespace: &N) {
        if let Ok(place) = self.find(namespace) {
            self.spaces[place].1.groups.iter_mut().for_each(HashTable::clear);
            self.close(place);
        }
    }

    fn size(&self) -> usize {
        self.spaces.iter().flat_map(|(_, space)| &space.groups).map(HashTable::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> HeapTable<u64, i64, u64> {
        HeapBackend::new(KeyGroups::new(128, 2), 0).table("test")
    }

    /// Keys that belong to worker 0 of 2.
    fn own_keys(count: usize) -> Vec<u64> {
        let groups = KeyGroups::new(128, 2);
        let own = |key: &u64| groups.owner(groups.of_hash(stable_hash(key))) == 0;
        (0..).filter(own).take(count).collect()
    }

    #[test]
    fn values_live_under_their_key_and_namespace() {
        let mut table = table();
        let keys = own_keys(1000);
        for namespace in [10, -5, 7] {
            for key in &keys {
                *table.get_or_insert_with(Hashed::new(key), &namespace, || 0) += key + 1;
            }
        }
        assert_eq!(table.size(), 3000);
        assert_eq!(table.first_namespace(), Some(&-5));
        assert_eq!(table.get(Hashed::new(&keys[3]), &7), Some(&(keys[3] + 1)));
        assert_eq!(table.remove(Hashed::new(&keys[3]), &7), Some(keys[3] + 1));
        assert_eq!(table.get(Hashed::new(&keys[3]), &7), None);
        assert_eq!(table.insert(Hashed::new(&keys[4]), &7, 1), Some(keys[4] + 1));
    }

    #[test]
    fn draining_group_by_group_yields_everything_once() {
        let mut table = table();
        let keys = own_keys(1000);
        for round in 0..3 {
            for key in &keys {
                table.insert(Hashed::new(key), &round, *key);
            }
            let mut drained = Vec::new();
            while table.drain_group(&round, &mut |key, value| drained.push((key, value))) {}
            drained.sort_unstable();
            assert_eq!(drained, keys.iter().map(|k| (*k, *k)).collect::<Vec<_>>());
            assert!(table.is_empty(&round));
            assert_eq!(table.first_namespace(), None);
        }
    }
}
