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
mod cache;
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

use std::sync::Arc;

use highwater_core::error::{Error, ErrorKind, Result};
use highwater_core::key::{Key, KeyGroupRange, KeyGroups};
use highwater_core::store::{Stores, lose};

use crate::backend::{Hashed, Namespace, StateValue};
use crate::floors::CutFloors;
use crate::format::FormatError;
use crate::snapshot::StateFormat;
use crate::spaces::Spaces;
use cache::{Cache, Entry};
use entries::{Written, prefix};

/// The values of one namespace.
#[derive(Debug)]
struct Space<K, V> {
    /// The encoded namespace.
    name: Vec<u8>,
    cache: Cache<K, V>,
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
    spaces: Spaces<N, Space<K, V>>,
    /// Says how many bytes the caches may take.
    stores: Arc<dyn Stores>,
    /// Entries in all caches, and the bytes that these have allocated.
    cached: (usize, usize),
    /// Bytes and number of the values encoded or decoded so far.
    encoded: (u64, u64),
    /// The namespace and the piece of its cache that are looked through next.
    evict_at: (usize, usize),
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
            spaces: Spaces::default(),
            stores,
            cached: (0, 0),
            encoded: (0, 0),
            evict_at: (0, 0),
        }
    }

    fn open(&mut self, namespace: &N) -> usize {
        if let Some(place) = self.spaces.find(namespace) {
            return place;
        }
        let name = or_damaged(self.format.namespace_bytes(namespace));
        let (cache, changed, count): (Cache<K, V>, _, _) = (Cache::new(), 0, 0);
        self.cached.1 += cache.bytes();
        let space = Space { name, cache, changed, count, stored: false, first: 0 };
        self.spaces.insert(namespace.clone(), space)
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
        let space = &self.spaces[place];
        if space.cache.find(key).is_some() {
            return;
        }
        let found = if space.stored {
            let stored = self.stored_key(space, key);
            or_lost(self.store.get_many(&[&stored])).pop().flatten()
        } else {
            None
        };
        let value = found.map(|bytes| self.decode(&bytes));
        self.keep(place, key, value);
    }

    /// Adds a key that the cache does not know.
    fn keep(&mut self, place: usize, key: Hashed<'_, K>, value: Option<V>) {
        self.make_room(place, key.hash);
        let entry = Entry { key: key.key.clone(), value, changed: false, used: true };
        let pieces = self.pieces();
        self.change(place, |cache| cache.insert(key.hash, entry, pieces));
    }

    /// Returns what is known of a key.
    fn entry(&mut self, place: usize, key: Hashed<'_, K>) -> &mut Entry<K, V> {
        self.load(place, key);
        let Some(entry) = self.spaces[place].cache.find_mut(key) else {
            unreachable!("an entry that was just loaded is in the cache")
        };
        entry.used = true;
        entry
    }

    /// Writes entries that the table does not have straight into the store.
    pub(crate) fn add(&mut self, namespace: &N, entries: impl Iterator<Item = (K, V)>) {
        let place = self.open(namespace);
        let (format, groups) = (Arc::clone(&self.format), self.groups);
        let mut written = Written::default();
        let space = &mut self.spaces[place];
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
        let place = self.spaces.find(namespace)?;
        self.entry(place, key).value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<&mut V> {
        let place = self.spaces.find(namespace)?;
        self.entry(place, key);
        let space = &mut self.spaces[place];
        let entry = space.cache.find_mut(key)?;
        if entry.value.is_some() && !std::mem::replace(&mut entry.changed, true) {
            space.changed += 1;
        }
        entry.value.as_mut()
    }

    fn upsert(&mut self, place: usize, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V {
        self.load(place, key);
        let space = &mut self.spaces[place];
        let Some(entry) = space.cache.find_mut(key) else {
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
        let place = self.spaces.find(namespace)?;
        self.load(place, key);
        let space = &mut self.spaces[place];
        let entry = space.cache.find_mut(key)?;
        let value = entry.value.take()?;
        space.count -= 1;
        if !std::mem::replace(&mut entry.changed, true) {
            space.changed += 1;
        }
        Some(value)
    }

    pub(crate) fn next_namespace(&self, after: Option<&N>) -> Option<&N> {
        self.spaces.next(after)
    }

    pub(crate) fn is_empty(&self, namespace: &N) -> bool {
        self.spaces.find(namespace).is_none_or(|place| self.spaces[place].count == 0)
    }

    pub(crate) fn size(&self) -> usize {
        self.spaces.values().map(|space| space.count).sum()
    }

    /// Freezes all values: writes what has changed, for the view of the store that the operator takes
    /// when all its tables are frozen.
    pub(crate) fn freeze(&mut self, floors: CutFloors, name: &str) -> Result<FrozenCache<K, N, V>> {
        self.flush_all();
        Ok(FrozenCache {
            name: name.to_owned(),
            format: Arc::clone(&self.format),
            family: self.store.family,
            keys: (self.groups, self.range),
            floors,
            view: self.store.freeze()?,
            entries: self.size(),
            expired: None,
        })
    }
}
