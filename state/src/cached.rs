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
//! - *Counted*: a namespace knows how many values it has at most, so that an empty one costs no
//!   search. A store may drop expired ones by itself.
//!
//! **Cost**: memory for its share of bytes, estimated by the size of what has been encoded, and a little
//! per namespace. A freeze writes the changed values that are still in the cache.
//!
//! **Left out**: deltas of such tables: a store knows itself which of its files are new.
//!
//! When the store fails, what an operator remembers is lost, and the job ends with that error
//! ([`store::lose`]).

mod store;
mod entries;
mod evict;
mod frozen;
mod space;
mod visit;
mod walk;

pub(crate) use frozen::FrozenCache;
pub(crate) use space::CachedSpace;
pub(crate) use store::{SharedStore, TableStore};
pub(crate) use walk::StoreWalk;

use std::cell::Cell;
use std::sync::Arc;

use hashbrown::HashTable;
use highwater_core::error::{Error, ErrorKind, Result};
use highwater_core::key::{Key, KeyGroupRange, KeyGroups, stable_hash};
use highwater_core::store::{Stores, lose};

use crate::backend::{Hashed, Namespace, StateValue};
use crate::format::FormatError;
use crate::snapshot::StateFormat;
use entries::{Written, prefix};

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
    store: TableStore,
    /// Sorted by namespace.
    spaces: Vec<(N, Space<K, V>)>,
    last: Cell<usize>,
    /// Says how many bytes the caches may take.
    stores: Arc<dyn Stores>,
    /// Entries in all caches.
    cached: usize,
    /// Bytes and number of the values encoded or decoded so far.
    encoded: (u64, u64),
    /// The namespace whose cache is looked through next.
    evict_at: usize,
}

impl<K, N: std::fmt::Debug, V> std::fmt::Debug for CachedTable<K, N, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedTable")
            .field("family", &self.store.family)
            .field("cached", &self.cached)
            .finish_non_exhaustive()
    }
}

/// Ends the job: the state of the operator cannot be read or written any more.
#[cold]
fn lost(error: Error) -> ! {
    lose(error)
}

/// A store that fails once is not tried again: the job starts again from its last checkpoint.
fn or_lost<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| match error.kind() {
        ErrorKind::Retry => lost(Error::scratch(error)),
        _ => lost(error),
    })
}

/// Reads or writes values as a store holds them: what is damaged there is not lost for ever, since
/// the job starts again from its last checkpoint.
fn or_damaged<T>(result: std::result::Result<T, FormatError>) -> T {
    result.unwrap_or_else(|error| match error.kind() {
        ErrorKind::Corrupt => lost(Error::scratch(error)),
        _ => lost(error.into()),
    })
}

impl<K: Key, N: Namespace, V: StateValue> CachedTable<K, N, V> {
    /// Makes an empty table over a family of a store.
    pub(crate) fn new(
        (groups, range): (KeyGroups, KeyGroupRange),
        format: Arc<StateFormat<N, K, V>>,
        store: TableStore,
        stores: Arc<dyn Stores>,
    ) -> Self {
        CachedTable {
            groups,
            range,
            format,
            store,
            spaces: Vec::new(),
            last: Cell::new(0),
            stores,
            cached: 0,
            encoded: (0, 0),
            evict_at: 0,
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
            let name = or_damaged(self.format.namespace_bytes(namespace));
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
        or_damaged(self.format.key_bytes(key.key, &mut bytes));
        bytes
    }

    fn decode(&mut self, bytes: &[u8]) -> V {
        self.encoded = (self.encoded.0 + bytes.len() as u64, self.encoded.1 + 1);
        or_damaged(self.format.value_from(bytes))
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
            or_lost(self.store.get_many(&[&stored])).pop().flatten()
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

    /// Freezes all values: writes what has changed, for the view of the store that the operator takes
    /// when all its tables are frozen.
    pub(crate) fn freeze(&mut self, floor: i64, name: &str) -> Result<FrozenCache<K, N, V>> {
        for place in 0..self.spaces.len() {
            self.flush(place);
        }
        Ok(FrozenCache {
            name: name.to_owned(),
            format: Arc::clone(&self.format),
            family: self.store.family,
            keys: (self.groups, self.range),
            floor,
            view: self.store.freeze()?,
            entries: self.size(),
            expired: None,
        })
    }
}
