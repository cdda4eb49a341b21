//! Values by key and namespace, wherever they live: what operators keep their state in.
//!
//! ```text
//! record -> key -> stable hash --> Table::space(namespace) --> get_or_insert_with --> &mut value
//! cut    -> Table::freeze        --> FrozenState --any thread--> EncodedState
//! ```
//!
//! # Contract
//! - *Own groups only*: every key belongs to a group in the range of the backend.
//! - *Fixed order*: whatever iterates does so in an order that depends on the operations alone, on
//!   when an encoder was done with what was frozen among them.

mod restore;

use std::sync::Arc;

use highwater_core::cut::{Cut, EncodedState, FrozenState};
use highwater_core::error::Result;
use highwater_core::key::Key;
use highwater_core::store;

use crate::backend::{Hashed, Namespace, StateValue};
use crate::cached::{CachedSpace, CachedTable, StoreWalk};
use crate::descriptor::Expiry;
use crate::expiring::Limit;
use crate::heap::{FrozenTable, HeapSpace, HeapTable, Walk};
use crate::snapshot::StateFormat;
pub(crate) use restore::Filled;

/// How many groups are looked at when an operator folds.
const FOLD_GROUPS: usize = 16;

/// Where the values are.
#[derive(Debug)]
pub(crate) enum Rows<K, N: std::fmt::Debug, V> {
    Heap(HeapTable<K, N, V>),
    Cached(Box<CachedTable<K, N, V>>),
}

/// Where a walk through a table goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableWalk {
    heap: Walk,
    store: StoreWalk,
}

/// Values by key and namespace.
pub struct Table<K, N: std::fmt::Debug, V> {
    pub(crate) name: String,
    pub(crate) rows: Rows<K, N, V>,
    /// How it is encoded; `None` if it never is.
    pub(crate) format: Option<Arc<StateFormat<N, K, V>>>,
    pub(crate) expiry: Option<Expiry<V>>,
}

impl<K, N: std::fmt::Debug, V> std::fmt::Debug for Table<K, N, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K: Key, N: Namespace, V: StateValue> Table<K, N, V> {
    /// Opens a namespace for several accesses in a row, which is cheaper than one by one.
    #[inline]
    pub fn space(&mut self, namespace: &N) -> Space<'_, K, N, V> {
        match &mut self.rows {
            Rows::Heap(table) => Space::Heap(table.space(namespace)),
            Rows::Cached(table) => Space::Cached(table.space(namespace)),
        }
    }

    /// Opens a namespace that is about to hold about as many keys as another one does.
    pub fn make_room(&mut self, namespace: &N, alike: &N) {
        if let Rows::Heap(table) = &mut self.rows {
            table.make_room(namespace, alike);
        }
    }

    /// Returns the value of a key.
    #[inline]
    pub fn get(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<&V> {
        match &mut self.rows {
            Rows::Heap(table) => table.get(key, namespace),
            Rows::Cached(table) => table.get(key, namespace),
        }
    }

    /// Returns the value of a key, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<&mut V> {
        match &mut self.rows {
            Rows::Heap(table) => table.get_mut(key, namespace),
            Rows::Cached(table) => table.get_mut(key, namespace),
        }
    }

    /// Returns the value of a key to be changed, made by `make` if there is none.
    #[inline]
    pub fn get_or_insert_with(
        &mut self,
        key: Hashed<'_, K>,
        namespace: &N,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        match &mut self.rows {
            Rows::Heap(table) => table.space(namespace).into_value(key, make),
            Rows::Cached(table) => table.space(namespace).into_value(key, make),
        }
    }

    /// Stores a value.
    pub fn insert(&mut self, key: Hashed<'_, K>, namespace: &N, value: V) {
        let mut value = Some(value);
        let stored = self.get_or_insert_with(key, namespace, || match value.take() {
            Some(value) => value,
            None => unreachable!("a value is made once"),
        });
        if let Some(value) = value {
            *stored = value;
        }
    }

    /// Changes the value of a key, and removes it if `change` says that it is not to be kept;
    /// returns what it says, `None` if there is no value.
    pub fn retain(
        &mut self,
        key: Hashed<'_, K>,
        namespace: &N,
        change: impl FnOnce(&mut V) -> bool,
    ) -> Option<bool> {
        match &mut self.rows {
            Rows::Heap(table) => table.retain(key, namespace, change),
            Rows::Cached(table) => {
                let kept = change(table.get_mut(key, namespace)?);
                if !kept {
                    table.remove(key, namespace);
                }
                Some(kept)
            }
        }
    }

    /// Removes the value of a key and returns it.
    pub fn remove(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<V> {
        match &mut self.rows {
            Rows::Heap(table) => table.remove(key, namespace),
            Rows::Cached(table) => table.remove(key, namespace),
        }
    }

    /// Returns the first namespace after `after` that may have values.
    #[must_use]
    pub fn next_namespace(&self, after: Option<&N>) -> Option<&N> {
        match &self.rows {
            Rows::Heap(table) => table.next_namespace(after),
            Rows::Cached(table) => table.next_namespace(after),
        }
    }

    /// Returns whether a namespace has no values.
    #[must_use]
    pub fn is_empty(&self, namespace: &N) -> bool {
        match &self.rows {
            Rows::Heap(table) => table.is_empty(namespace),
            Rows::Cached(table) => table.is_empty(namespace),
        }
    }

    /// Removes some of the values of a namespace and passes them to `take`; returns whether the
    /// namespace has more. Called again and again it empties the namespace.
    pub fn drain_some(&mut self, namespace: &N, take: impl FnMut(K, V)) -> bool {
        match &mut self.rows {
            Rows::Heap(table) => table.drain_some(namespace, take),
            Rows::Cached(table) => table.drain_some(namespace, take),
        }
    }

    /// Passes the values of the `index`-th key group of the range to `visit`.
    pub fn visit_group(&mut self, namespace: &N, index: usize, visit: impl FnMut(&K, &V)) {
        match &mut self.rows {
            Rows::Heap(table) => table.visit_group(namespace, index, visit),
            Rows::Cached(table) => table.visit_group(namespace, index, visit),
        }
    }

    /// Passes all values of a namespace to `visit`.
    pub fn visit(&mut self, namespace: &N, visit: impl FnMut(&K, &V)) {
        match &mut self.rows {
            Rows::Heap(table) => table.visit(namespace, visit),
            Rows::Cached(table) => table.visit(namespace, visit),
        }
    }

    /// Returns a few keys of a namespace whose values may have expired, others on each call; none if
    /// the store removes what has expired itself.
    ///
    /// - `entries`: about so many are looked at.
    pub(crate) fn walk(
        &self,
        namespace: &N,
        at: &mut TableWalk,
        entries: usize,
        limit: Limit,
    ) -> Vec<K> {
        let Some((ttl, used)) = self.expiry else { return Vec::new() };
        match &self.rows {
            Rows::Heap(table) => {
                let mut expired = Vec::new();
                table.walk(namespace, &mut at.heap, entries, |key, value| {
                    if limit.has_expired(used(value)) {
                        expired.push(key.clone());
                    }
                });
                expired
            }
            Rows::Cached(table) if ttl.store_expiry_ms().is_none() => {
                table.walk(&mut at.store, entries, limit)
            }
            Rows::Cached(_) => Vec::new(),
        }
    }

    /// Removes all values of a namespace.
    pub fn clear(&mut self, namespace: &N) {
        match &mut self.rows {
            Rows::Heap(table) => table.clear(namespace),
            Rows::Cached(table) => table.clear(namespace),
        }
    }

    /// Returns how many values there are in all namespaces.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.rows {
            Rows::Heap(table) => table.size(),
            Rows::Cached(table) => table.size(),
        }
    }

    /// Freezes all values and adds them to a cut.
    ///
    /// # Panics
    /// When the table was not made to be frozen.
    pub fn freeze(&mut self, cut: &mut Cut) {
        let Some(format) = &self.format else {
            panic!("state {:?} was not made to be frozen (Backend::durable)", self.name)
        };
        let expired = self.expiry.map(|(ttl, used)| (ttl.limit_at_cut(cut), used));
        let frozen: Box<dyn FrozenState> = match &mut self.rows {
            Rows::Heap(table) => {
                let table = table.freeze(cut.kind.track);
                Box::new(FrozenHeap {
                    name: self.name.clone(),
                    format: Arc::clone(format),
                    delta: cut.kind.delta && table.is_tracked(),
                    floor: cut.watermark,
                    table,
                    expired,
                })
            }
            Rows::Cached(table) => match table.freeze(cut.watermark, &self.name) {
                Ok(frozen) => Box::new(frozen.without(expired.map(|(limit, _)| limit))),
                Err(error) => store::lose(error),
            },
        };
        cut.add(frozen);
    }

    /// Does a little of the work that a freeze has left behind; returns whether there is more.
    pub fn fold(&mut self) -> bool {
        match &mut self.rows {
            Rows::Heap(table) => table.fold(FOLD_GROUPS),
            Rows::Cached(_) => false,
        }
    }
}

/// Which values have expired, and how their last use is read.
type Expired<V> = (Limit, fn(&V) -> i64);

/// A table in memory as it was when it was frozen.
struct FrozenHeap<K, N, V> {
    name: String,
    format: Arc<StateFormat<N, K, V>>,
    delta: bool,
    floor: i64,
    table: FrozenTable<K, N, V>,
    expired: Option<Expired<V>>,
}

impl<K: Key, N: Namespace, V: StateValue> FrozenState for FrozenHeap<K, N, V> {
    fn state(&self) -> &str {
        &self.name
    }

    fn encode(self: Box<Self>) -> Result<EncodedState> {
        let FrozenHeap { name, format, delta, floor, table, expired } = *self;
        let keep = |value: &V| {
            expired.as_ref().is_none_or(|(limit, used)| !limit.has_expired(used(value)))
        };
        let (part, slots) = table.encode(&format, delta, floor, &keep)?;
        Ok(EncodedState { state: name, part, slots })
    }
}

/// The values of one namespace, opened for several accesses: match on it outside of the loop, and
/// write the loop for any [`KeyedSpace`].
#[derive(Debug)]
pub enum Space<'a, K, N: std::fmt::Debug, V> {
    /// In memory.
    Heap(HeapSpace<'a, K, V>),
    /// Above a store.
    Cached(CachedSpace<'a, K, N, V>),
}

/// What can be done with an open namespace.
pub trait KeyedSpace<K: Key, V: StateValue> {
    /// Brings the values of several keys near, for accesses that follow soon: their cache misses, or
    /// their reads of the store, are done together.
    ///
    /// - `keys`: each with its hash.
    fn prefetch(&mut self, keys: &[(K, u64)]);

    /// Returns the value of a key to be changed, made by `make` if there is none.
    fn get_or_insert_with(&mut self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V;
}
