//! State beyond memory: a store of bytes, and the values in use decoded above it.
//!
//! ```text
//! access --> cache of the namespace --miss--> store: group, namespace, key -> value
//!                 | over budget                 ^
//!                 '-- evict: values not used since the last round; changed ones are written --'
//! ```
//!
//! Values are decoded once and encoded when they leave the cache, not at every access. A batch of
//! keys is looked up in the store at once ([`CachedSpace::prefetch`]).
//!
//! **Invariants**
//! - *Newest wins*: a value in the cache, or the knowledge that there is none, goes before the store
//!   (`CachedTable::entry`).
//! - *Counted*: a namespace knows how many values it has, so that an empty one costs no search.
//!
//! **Cost**: memory for `budget` bytes, estimated by the size of what has been encoded, and a little
//! per namespace. A freeze writes the changed values that are still in the cache.
//!
//! **Left out**: deltas of such tables: a store knows itself which of its files are new.
//!
//! # Panics
//! When the store fails: what an operator remembers is lost then, and the job must be restarted.

mod walk;

pub(crate) use walk::StoreWalk;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashTable;
use highwater_core::cut::{EncodedState, FrozenState};
use highwater_core::error::{Error, Result};
use highwater_core::key::{Key, KeyGroup, KeyGroupRange, KeyGroups, stable_hash};
use highwater_core::store::{Family, FrozenStore, Store};

use crate::backend::{Hashed, Namespace, StateValue};
use crate::expiring::Limit;
use crate::format::{Block, FormatError, RawEntry};
use crate::snapshot::StateFormat;
use crate::table::KeyedSpace;
use crate::ttl::used_in;

/// A store that the tables of one operator share.
pub(crate) type SharedStore = Rc<RefCell<Box<dyn Store>>>;

/// What a table keeps of one key in memory.
#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    /// `None` if there is none.
    value: Option<V>,
    /// Whether the store has something else.
    changed: bool,
    /// Whether it has been used since the last round of eviction.
    used: bool,
}

/// The values of one namespace.
#[derive(Debug)]
struct Space<K, V> {
    /// The encoded namespace.
    name: Vec<u8>,
    cache: HashTable<Entry<K, V>>,
    /// How many entries of the cache are changed.
    changed: usize,
    /// How many values there are, in the cache and in the store.
    count: usize,
    /// Whether the store may have entries.
    stored: bool,
    /// The next key group to be drained.
    first: usize,
}

/// A table whose values live in a store.
pub(crate) struct CachedTable<K, N, V> {
    groups: KeyGroups,
    range: KeyGroupRange,
    format: Arc<StateFormat<N, K, V>>,
    store: SharedStore,
    family: Family,
    /// Sorted by namespace.
    spaces: Vec<(N, Space<K, V>)>,
    last: Cell<usize>,
    budget: usize,
    /// Entries in all caches.
    cached: usize,
    /// Bytes and number of the values encoded or decoded so far.
    encoded: (u64, u64),
    /// The namespace whose cache is looked through next.
    evict_at: usize,
    /// The frozen views in which writes to the store would still show: the second of two freezes may
    /// be done before the first.
    frozen: Vec<Box<dyn FrozenStore>>,
}

impl<K, N: std::fmt::Debug, V> std::fmt::Debug for CachedTable<K, N, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedTable")
            .field("family", &self.family)
            .field("cached", &self.cached)
            .finish_non_exhaustive()
    }
}

/// Ends the job: the state of the operator cannot be read or written any more.
#[cold]
fn lost(error: &Error) -> ! {
    panic!("the state store failed: {}", error.sentence())
}

fn or_lost<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| lost(&error))
}

fn or_corrupt<T>(result: std::result::Result<T, FormatError>) -> T {
    result.unwrap_or_else(|error| lost(&Error::state(error)))
}

/// Returns what the entries of one key group and namespace begin with.
fn prefix(group: KeyGroup, name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(6 + name.len() + 16);
    bytes.extend_from_slice(&group.0.to_be_bytes());
    bytes.extend_from_slice(&(name.len() as u32).to_be_bytes());
    bytes.extend_from_slice(name);
    bytes
}

/// Divides the key of a stored entry into namespace and key.
fn divide(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entry.get(2..)?.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

impl<K: Key, N: Namespace, V: StateValue> CachedTable<K, N, V> {
    /// Makes an empty table over a family of a store.
    pub(crate) fn new(
        (groups, range): (KeyGroups, KeyGroupRange),
        format: Arc<StateFormat<N, K, V>>,
        (store, family): (SharedStore, Family),
        budget: usize,
    ) -> Self {
        CachedTable {
            groups,
            range,
            format,
            store,
            family,
            spaces: Vec::new(),
            last: Cell::new(0),
            budget,
            cached: 0,
            encoded: (0, 0),
            evict_at: 0,
            frozen: Vec::new(),
        }
    }

    #[inline]
    fn find(&self, namespace: &N) -> Result<usize, usize> {
        let last = self.last.get();
        if let Some((name, _)) = self.spaces.get(last)
            && name == namespace
        {
            return Ok(last);
        }
        let found = self.spaces.binary_search_by(|(name, _)| name.cmp(namespace));
        if let Ok(place) = found {
            self.last.set(place);
        }
        found
    }

    fn open(&mut self, namespace: &N) -> usize {
        self.find(namespace).unwrap_or_else(|place| {
            let name = or_corrupt(self.format.namespace_bytes(namespace));
            let space = Space {
                name,
                cache: HashTable::new(),
                changed: 0,
                count: 0,
                stored: false,
                first: 0,
            };
            self.spaces.insert(place, (namespace.clone(), space));
            self.last.set(place);
            place
        })
    }

    fn stored_key(&self, space: &Space<K, V>, key: Hashed<'_, K>) -> Vec<u8> {
        let mut bytes = prefix(self.groups.of_hash(key.hash), &space.name);
        or_corrupt(self.format.key_bytes(key.key, &mut bytes));
        bytes
    }

    fn decode(&mut self, bytes: &[u8]) -> V {
        self.encoded = (self.encoded.0 + bytes.len() as u64, self.encoded.1 + 1);
        or_corrupt(self.format.value_from(bytes))
    }

    /// The bytes that an entry of a cache takes, as far as one can tell.
    fn entry_bytes(&self) -> usize {
        let (bytes, values) = self.encoded;
        let mean = bytes.checked_div(values).unwrap_or(0) as usize;
        let heap = if std::mem::needs_drop::<(K, V)>() { 2 * mean } else { 0 };
        size_of::<Entry<K, V>>() * 8 / 7 + 1 + heap
    }

    /// Makes sure that the cache knows a key.
    fn load(&mut self, place: usize, key: Hashed<'_, K>) {
        let space = &self.spaces[place].1;
        if space.cache.find(key.hash, |entry| entry.key == *key.key).is_some() {
            return;
        }
        self.make_room();
        let space = &self.spaces[place].1;
        let found = if space.stored {
            let stored = self.stored_key(space, key);
            let read = self.store.borrow().get_many(self.family, &[&stored]);
            or_lost(read).pop().flatten()
        } else {
            None
        };
        let value = found.map(|bytes| self.decode(&bytes));
        self.keep(place, key, value);
    }

    fn keep(&mut self, place: usize, key: Hashed<'_, K>, value: Option<V>) {
        let entry = Entry { key: key.key.clone(), value, changed: false, used: true };
        let hasher = |entry: &Entry<K, V>| stable_hash(&entry.key);
        self.spaces[place].1.cache.insert_unique(key.hash, entry, hasher);
        self.cached += 1;
    }

    /// Returns what is known of a key.
    fn entry(&mut self, place: usize, key: Hashed<'_, K>) -> &mut Entry<K, V> {
        self.load(place, key);
        let cache = &mut self.spaces[place].1.cache;
        match cache.find_mut(key.hash, |entry| entry.key == *key.key) {
            Some(entry) => {
                entry.used = true;
                entry
            }
            None => unreachable!("an entry that was just loaded is in the cache"),
        }
    }

    /// Evicts values that are not in use if there are too many, about an eighth of them.
    fn make_room(&mut self) {
        let room = (self.budget / self.entry_bytes()).max(64);
        if self.cached < room || !self.may_write() {
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

    /// Returns whether the store may be written: what was frozen would not show it.
    fn may_write(&mut self) -> bool {
        self.frozen.retain(|frozen| !frozen.is_apart());
        self.frozen.is_empty()
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
    fn flush(&mut self, place: usize) {
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
        debug_assert_eq!(written.ends.len(), space.changed, "changed entries are counted");
        space.changed = 0;
        self.write(place, written);
    }

    fn write(&mut self, place: usize, written: Written) {
        if written.ends.is_empty() {
            return;
        }
        while !self.may_write() {
            std::thread::yield_now();
        }
        self.encoded.0 += written.value_bytes;
        self.encoded.1 += written.ends.len() as u64;
        self.spaces[place].1.stored = true;
        let family = self.family;
        or_lost(self.store.borrow_mut().write(family, &mut written.entries()));
    }

    /// Writes entries that the table does not have straight into the store.
    pub(crate) fn add(&mut self, namespace: &N, entries: impl Iterator<Item = (K, V)>) {
        let place = self.open(namespace);
        let (format, groups) = (Arc::clone(&self.format), self.groups);
        let mut written = Written::default();
        let space = &mut self.spaces[place].1;
        for (key, value) in entries {
            written.add(&format, groups, &space.name, (&key, Some(&value)));
            space.count += 1;
        }
        space.first = 0;
        self.write(place, written);
    }

    /// Opens a namespace for several accesses in a row.
    pub(crate) fn space(&mut self, namespace: &N) -> CachedSpace<'_, K, N, V> {
        let place = self.open(namespace);
        CachedSpace { table: self, place }
    }

    pub(crate) fn get(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<&V> {
        let place = self.find(namespace).ok()?;
        self.entry(place, key).value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<&mut V> {
        let place = self.find(namespace).ok()?;
        self.entry(place, key);
        let space = &mut self.spaces[place].1;
        let entry = space.cache.find_mut(key.hash, |entry| entry.key == *key.key)?;
        if entry.value.is_some() && !std::mem::replace(&mut entry.changed, true) {
            space.changed += 1;
        }
        entry.value.as_mut()
    }

    fn upsert(&mut self, place: usize, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V {
        self.load(place, key);
        let space = &mut self.spaces[place].1;
        let Some(entry) = space.cache.find_mut(key.hash, |entry| entry.key == *key.key) else {
            unreachable!("an entry that was just loaded is in the cache")
        };
        entry.used = true;
        if !std::mem::replace(&mut entry.changed, true) {
            space.changed += 1;
        }
        let count = &mut space.count;
        let first = &mut space.first;
        entry.value.get_or_insert_with(|| {
            *count += 1;
            *first = 0;
            make()
        })
    }

    pub(crate) fn remove(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<V> {
        let place = self.find(namespace).ok()?;
        self.load(place, key);
        let space = &mut self.spaces[place].1;
        let entry = space.cache.find_mut(key.hash, |entry| entry.key == *key.key)?;
        let value = entry.value.take()?;
        space.count -= 1;
        if !std::mem::replace(&mut entry.changed, true) {
            space.changed += 1;
        }
        Some(value)
    }

    pub(crate) fn next_namespace(&self, after: Option<&N>) -> Option<&N> {
        let place = match after {
            None => 0,
            Some(after) => self.spaces.partition_point(|(name, _)| name <= after),
        };
        self.spaces.get(place).map(|(name, _)| name)
    }

    pub(crate) fn is_empty(&self, namespace: &N) -> bool {
        self.find(namespace).map_or(true, |place| self.spaces[place].1.count == 0)
    }

    pub(crate) fn size(&self) -> usize {
        self.spaces.iter().map(|(_, space)| space.count).sum()
    }

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
                or_corrupt(format.key_from(key)),
                or_corrupt(format.value_from(value)),
            ));
            true
        };
        or_lost(self.store.borrow().scan(self.family, &prefix, None, &mut visit));
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
            self.spaces[place].1.first += 1;
            let found = self.read_group(place, index);
            if found.is_empty() {
                debug_assert!(index < self.range.count(), "values are counted, but not found");
                continue;
            }
            while !self.may_write() {
                std::thread::yield_now();
            }
            let mut gone = found.iter().map(|(stored, _, _)| (stored.as_slice(), None));
            or_lost(self.store.borrow_mut().write(self.family, &mut gone));
            let space = &mut self.spaces[place].1;
            space.count -= found.len();
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

    pub(crate) fn clear(&mut self, namespace: &N) {
        while self.drain_some(namespace, |_, _| {}) {}
    }

    /// Freezes all values: writes what has changed, and takes a view of the store.
    pub(crate) fn freeze(&mut self, floor: i64, name: &str) -> Result<FrozenCache<K, N, V>> {
        for place in 0..self.spaces.len() {
            self.flush(place);
        }
        let view = self.store.borrow_mut().freeze()?;
        self.frozen.push(view.share());
        Ok(FrozenCache {
            name: name.to_owned(),
            format: Arc::clone(&self.format),
            family: self.family,
            range: self.range,
            floor,
            view,
            expired: None,
        })
    }
}

/// The encoded entries of one write.
#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    /// Where the key and the value of each entry end; `None` for a removed one.
    ends: Vec<(usize, Option<usize>)>,
    value_bytes: u64,
}

impl Written {
    fn add<K: Key, N: Namespace, V: StateValue>(
        &mut self,
        format: &StateFormat<N, K, V>,
        groups: KeyGroups,
        name: &[u8],
        (key, value): (&K, Option<&V>),
    ) {
        let group = groups.of_hash(stable_hash(key));
        self.bytes.extend_from_slice(&prefix(group, name));
        or_corrupt(format.key_bytes(key, &mut self.bytes));
        let key_end = self.bytes.len();
        let value_end = value.map(|value| {
            or_corrupt(format.value_bytes(value, &mut self.bytes));
            self.value_bytes += (self.bytes.len() - key_end) as u64;
            self.bytes.len()
        });
        self.ends.push((key_end, value_end));
    }

    fn entries(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut begin = 0;
        self.ends.iter().map(move |(key_end, value_end)| {
            let key = self.bytes.get(begin..*key_end).unwrap_or_default();
            let value = value_end.map(|end| self.bytes.get(*key_end..end).unwrap_or_default());
            begin = value_end.unwrap_or(*key_end);
            (key, value)
        })
    }
}

/// The values of one namespace, opened for several accesses.
#[derive(Debug)]
pub struct CachedSpace<'a, K, N: std::fmt::Debug, V> {
    table: &'a mut CachedTable<K, N, V>,
    place: usize,
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

/// A table in a store as it was when it was frozen.
pub(crate) struct FrozenCache<K, N, V> {
    name: String,
    format: Arc<StateFormat<N, K, V>>,
    family: Family,
    range: KeyGroupRange,
    floor: i64,
    view: Box<dyn FrozenStore>,
    /// What is left out.
    expired: Option<Limit>,
}

impl<K, N, V> FrozenCache<K, N, V> {
    /// Leaves out what has expired.
    pub(crate) fn without(self, expired: Option<Limit>) -> Self {
        FrozenCache { expired, ..self }
    }

    fn has_expired(&self, value: &[u8]) -> bool {
        let used = used_in(value);
        self.expired.zip(used).is_some_and(|(limit, used)| limit.has_expired(used))
    }
}

impl<K: Key, N: Namespace, V: StateValue> FrozenState for FrozenCache<K, N, V> {
    fn state(&self) -> &str {
        &self.name
    }

    fn encode(self: Box<Self>) -> Result<EncodedState> {
        let mut blocks = Vec::new();
        for group in (self.range.first.0..=self.range.last.0).map(KeyGroup) {
            let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            let mut visit = |stored: &[u8], value: &[u8]| {
                if !self.has_expired(value) {
                    entries.push((stored.to_vec(), value.to_vec()));
                }
                true
            };
            self.view.scan(self.family, &group.0.to_be_bytes(), &mut visit)?;
            let raw = entries.iter().filter_map(|(stored, value)| {
                let (namespace, key) = divide(stored)?;
                Some(RawEntry { namespace, key, value })
            });
            let block = Block::new(group, self.floor, raw.collect()).map_err(Error::state)?;
            blocks.push(block);
        }
        let part = self.format.part(self.range, blocks).map_err(Error::state)?;
        Ok(EncodedState { state: self.name, part, slots: None })
    }
}
