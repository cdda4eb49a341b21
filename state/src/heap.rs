//! State in memory: hash tables for each namespace and key group.
//!
//! Namespaces stand in a sorted list that is searched only when the namespace changes: records of
//! one batch mostly fall into the same window. A namespace begins as one table and is divided by
//! key group when it has many keys, so that few keys need little memory, and growing or folding
//! never stops the worker for long. Tables of a namespace that has been emptied are used again for
//! the next one, which saves growing them from nothing for every window.
//!
//! **Freezing** moves each table into an `Arc` (`group.rs`), which another thread encodes
//! (`frozen.rs`); folding the copies that were made meanwhile back is done little by little, by
//! [`HeapTable::fold`].
//!
//! **Cost**: one table lookup per access with the hash of the record. A freeze costs a few
//! allocations per table that is not empty, whatever is in them.

mod dirty;
mod frozen;
mod group;
mod past;
mod space;
mod walk;

pub(crate) use frozen::FrozenTable;
pub(crate) use walk::Walk;

use std::cell::Cell;

use highwater_core::key::{Key, KeyGroupRange, KeyGroups};

use crate::backend::{Hashed, Namespace, StateValue};
use crate::table::KeyedSpace;
pub(crate) use dirty::Dirty;
use frozen::FrozenSpace;
use group::Group;
use space::{Order, Space};

/// A namespace with more keys than this, and than half as many as there are key groups, is divided
/// by key group.
const UNDIVIDED_KEYS: usize = 64;

/// With every so many freezes it is found out anew how many keys change until the next.
const DOUBT: u32 = 8;

/// How many emptied namespaces are kept for the next ones.
const SPARE_SPACES: usize = 2;

/// A table in memory.
#[derive(Debug)]
pub(crate) struct HeapTable<K, N, V> {
    groups: KeyGroups,
    range: KeyGroupRange,
    /// A namespace with more keys is divided.
    undivided_keys: usize,
    /// Sorted by namespace.
    spaces: Vec<(N, Space<K, V>)>,
    /// Where the namespace of the last access stands.
    last: Cell<usize>,
    spare: Vec<Space<K, V>>,
    /// Namespaces that a delta must forget, if changes are tracked.
    dropped: Option<Vec<N>>,
    freezes: u32,
    /// Where folding goes on: a namespace and a group.
    fold_at: Option<(usize, usize)>,
}

impl<K: Key, N: Namespace, V: StateValue> HeapTable<K, N, V> {
    /// Makes an empty table for a range of key groups.
    pub(crate) fn new(groups: KeyGroups, range: KeyGroupRange) -> Self {
        HeapTable {
            groups,
            range,
            undivided_keys: UNDIVIDED_KEYS.max(range.count() / 2),
            spaces: Vec::new(),
            last: Cell::new(0),
            spare: Vec::new(),
            dropped: None,
            freezes: 0,
            fold_at: None,
        }
    }

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
        let space = self.spare.pop().unwrap_or_else(Space::new);
        self.spaces.insert(place, (namespace.clone(), space));
        self.last.set(place);
        place
    }

    /// Removes a namespace that has no values.
    fn close(&mut self, place: usize) {
        let (namespace, space) = self.spaces.remove(place);
        if let Some(dropped) = &mut self.dropped {
            dropped.push(namespace);
        }
        if self.spare.len() < SPARE_SPACES {
            self.spare.push(space);
        }
    }

    #[inline]
    fn index(&self, hash: u64) -> usize {
        self.range.index_of(self.groups.of_hash(hash))
    }

    /// Opens a namespace that is about to hold about as many keys of each group as `alike` does.
    pub(crate) fn make_room(&mut self, namespace: &N, alike: &N) {
        let (Err(place), Ok(alike)) = (self.find(namespace), self.find(alike)) else { return };
        let alike = &self.spaces[alike].1;
        if !alike.is_divided() {
            return;
        }
        let sizes: Vec<usize> = alike.groups.iter().map(Group::len).collect();
        self.open(place, namespace);
        if !self.spaces[place].1.is_divided() {
            self.divide(place);
        }
        for (group, size) in self.spaces[place].1.groups.iter_mut().zip(sizes) {
            group.reserve(size);
        }
    }

    /// Divides a namespace by key group.
    #[cold]
    fn divide(&mut self, place: usize) {
        let (groups, range) = (self.groups, self.range);
        let space = &mut self.spaces[place].1;
        if range.count() > 1 && space.groups[0].fold() {
            let index = |hash| range.index_of(groups.of_hash(hash));
            space.groups = space.groups[0].split(range.count(), index);
            space.order = Order::divided(groups, range);
        }
    }

    /// Opens a namespace for several accesses in a row, which is cheaper than one by one.
    #[inline]
    pub(crate) fn space(&mut self, namespace: &N) -> HeapSpace<'_, K, V> {
        let place = match self.find(namespace) {
            Ok(place) => place,
            Err(place) => self.open(place, namespace),
        };
        let space = &self.spaces[place].1;
        if !space.is_divided() && space.groups[0].len() > self.undivided_keys {
            self.divide(place);
        }
        let space = &mut self.spaces[place].1;
        HeapSpace { order: space.order, groups: &mut space.groups }
    }

    /// Adds entries of the `index`-th key group of the range that the table does not have.
    pub(crate) fn add(
        &mut self,
        namespace: &N,
        index: usize,
        entries: impl ExactSizeIterator<Item = (K, V)>,
    ) {
        let place = self.find(namespace).unwrap_or_else(|place| self.open(place, namespace));
        let space = &self.spaces[place].1;
        if !space.is_divided() && space.groups[0].len() + entries.len() > self.undivided_keys {
            self.divide(place);
        }
        let space = &mut self.spaces[place].1;
        let index = space.at(index);
        space.groups[index].add(entries);
    }

    /// Returns the value of a key.
    #[inline]
    pub(crate) fn get(&self, key: Hashed<'_, K>, namespace: &N) -> Option<&V> {
        let (_, space) = &self.spaces[self.find(namespace).ok()?];
        space.groups[space.order.index(key.hash)].get(key)
    }

    /// Returns the value of a key, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<&mut V> {
        let place = self.find(namespace).ok()?;
        let space = &mut self.spaces[place].1;
        space.groups[space.order.index(key.hash)].get_mut(key)
    }

    /// Changes the value of a key, and removes it if `change` says that it is not to be kept;
    /// returns what it says, `None` if there is no value.
    pub(crate) fn retain(
        &mut self,
        key: Hashed<'_, K>,
        namespace: &N,
        change: impl FnOnce(&mut V) -> bool,
    ) -> Option<bool> {
        let place = self.find(namespace).ok()?;
        let space = &mut self.spaces[place].1;
        space.groups[space.order.index(key.hash)].retain(key, change)
    }

    /// Removes the value of a key and returns it.
    pub(crate) fn remove(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<V> {
        let place = self.find(namespace).ok()?;
        let space = &mut self.spaces[place].1;
        space.groups[space.order.index(key.hash)].remove(key)
    }

    /// Returns the first namespace after `after` that may have values.
    pub(crate) fn next_namespace(&self, after: Option<&N>) -> Option<&N> {
        let place = match after {
            None => 0,
            Some(after) => self.spaces.partition_point(|(name, _)| name <= after),
        };
        self.spaces.get(place).map(|(name, _)| name)
    }

    /// Returns whether a namespace has no values.
    pub(crate) fn is_empty(&self, namespace: &N) -> bool {
        match self.find(namespace) {
            Ok(place) => self.spaces[place].1.is_empty(),
            Err(_) => true,
        }
    }

    /// Removes some of the values of a namespace, those of one key group or all of few, and passes
    /// them to `take`; returns whether the namespace has more.
    pub(crate) fn drain_some(&mut self, namespace: &N, mut take: impl FnMut(K, V)) -> bool {
        let Ok(place) = self.find(namespace) else { return false };
        let space = &mut self.spaces[place].1;
        if let Some(group) = space.groups.iter_mut().find(|group| !group.is_empty()) {
            group.drain(&mut take);
        }
        let more = !space.is_empty();
        if !more {
            self.close_emptied(place);
        }
        more
    }

    /// Removes a namespace whose groups have been drained, those that were empty before included.
    fn close_emptied(&mut self, place: usize) {
        self.spaces[place].1.groups.iter_mut().for_each(Group::clear);
        self.close(place);
    }

    /// Passes the values of the `index`-th key group of the range to `visit`.
    pub(crate) fn visit_group(&self, namespace: &N, index: usize, mut visit: impl FnMut(&K, &V)) {
        let Ok(place) = self.find(namespace) else { return };
        let space = &self.spaces[place].1;
        let group = &space.groups[space.at(index)];
        if !space.is_divided() && self.range.count() > 1 {
            let mine = |key: &K| self.index(highwater_core::key::stable_hash(key)) == index;
            group.iter().filter(|(key, _)| mine(key)).for_each(|(key, value)| visit(key, value));
        } else {
            group.iter().for_each(|(key, value)| visit(key, value));
        }
    }

    /// Passes all values of a namespace to `visit`.
    pub(crate) fn visit(&self, namespace: &N, mut visit: impl FnMut(&K, &V)) {
        if let Ok(place) = self.find(namespace) {
            let groups = self.spaces[place].1.groups.iter();
            groups.flat_map(Group::iter).for_each(|(key, value)| visit(key, value));
        }
    }

    /// Removes all values of a namespace.
    pub(crate) fn clear(&mut self, namespace: &N) {
        if let Ok(place) = self.find(namespace) {
            self.close_emptied(place);
        }
    }

    /// Returns how many values there are in all namespaces.
    pub(crate) fn size(&self) -> usize {
        self.spaces.iter().flat_map(|(_, space)| &space.groups).map(Group::len).sum()
    }

    /// Freezes all values, in a time that does not depend on how many there are.
    ///
    /// - `track`: whether what changes from now on is marked, for a delta the next time.
    pub(crate) fn freeze(&mut self, track: bool) -> FrozenTable<K, N, V> {
        let tracked = std::mem::replace(&mut self.dropped, track.then(Vec::new));
        let doubt = self.freezes.is_multiple_of(DOUBT);
        self.freezes = self.freezes.wrapping_add(1);
        let mut spaces = Vec::with_capacity(self.spaces.len());
        for (namespace, space) in &mut self.spaces {
            let divided = space.is_divided();
            let groups = space.groups.iter_mut().map(|group| group.freeze(track, doubt)).collect();
            spaces.push(FrozenSpace { namespace: namespace.clone(), divided, groups });
        }
        self.spare.clear();
        self.fold_at = Some((0, 0));
        FrozenTable { groups: self.groups, range: self.range, spaces, dropped: tracked }
    }

    /// Folds the tables that were frozen, and are not read any more, for `budget` groups; returns
    /// whether there are more.
    pub(crate) fn fold(&mut self, budget: usize) -> bool {
        let Some((mut place, mut index)) = self.fold_at else { return false };
        for _ in 0..budget {
            let Some((_, space)) = self.spaces.get_mut(place) else {
                let frozen = |group: &Group<K, V>| group.is_frozen();
                let more = self.spaces.iter().any(|(_, s)| s.groups.iter().any(frozen));
                self.fold_at = more.then_some((0, 0));
                return more;
            };
            match space.groups.get_mut(index) {
                None => (place, index) = (place + 1, 0),
                Some(group) => {
                    group.fold();
                    index += 1;
                }
            }
        }
        self.fold_at = Some((place, index));
        true
    }
}

/// The values of one namespace in memory, opened for several accesses.
#[derive(Debug)]
pub struct HeapSpace<'a, K, V> {
    order: Order,
    groups: &'a mut [Group<K, V>],
}

impl<'a, K: Key, V: StateValue> HeapSpace<'a, K, V> {
    /// Returns the value of a key to be changed, made by `make` if there is none, for as long as the
    /// table is borrowed.
    #[inline]
    pub(crate) fn into_value(self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &'a mut V {
        self.groups[self.order.index(key.hash)].upsert(key, make)
    }
}

impl<K: Key, V: StateValue> KeyedSpace<K, V> for HeapSpace<'_, K, V> {
    #[inline]
    fn prefetch(&mut self, keys: &[(K, u64)]) {
        let near = |(key, hash): &(K, u64)| {
            usize::from(self.groups[self.order.index(*hash)].touch(Hashed { key, hash: *hash }))
        };
        std::hint::black_box(keys.iter().map(near).sum::<usize>());
    }

    #[inline]
    fn get_or_insert_with(&mut self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V {
        self.groups[self.order.index(key.hash)].upsert(key, make)
    }
}
