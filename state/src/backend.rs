//! The state of one operator on one worker: its tables, made by name, and what they start with.
//!
//! ```text
//! descriptor --> Backend::open --> Table    empty, or with the entries of the stored snapshots
//!                    |                      that belong to the worker's key groups
//!                    '-- heap, or a store of the operator's own
//! ```

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use highwater_core::cut::EncodedState;
use highwater_core::error::{Error, Result};
use highwater_core::key::{Key, KeyGroupRange, KeyGroups, stable_hash};
use highwater_core::store::Stores;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cached::{CachedTable, SharedStore, TableStore};
use crate::descriptor::TableDescriptor;
use crate::floors::Floors;
use crate::heap::HeapTable;
use crate::snapshot::StateFormat;
use crate::table::{Filled, Rows, Table};

/// What can be stored for a key: an owned value that another thread may encode.
pub trait StateValue: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}
impl<V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> StateValue for V {}

/// A second key beside the key of the record: the window of a window operator, or nothing.
pub trait Namespace: StateValue + Ord + std::fmt::Debug {}
impl<N: StateValue + Ord + std::fmt::Debug> Namespace for N {}

/// A key with its hash, so that it is hashed once per record.
#[derive(Debug)]
pub struct Hashed<'a, K> {
    /// The key.
    pub key: &'a K,
    /// Its [`stable_hash`].
    pub hash: u64,
}

impl<K> Clone for Hashed<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Hashed<'_, K> {}

impl<'a, K: Key> Hashed<'a, K> {
    /// Hashes a key.
    #[inline]
    pub fn new(key: &'a K) -> Self {
        Hashed { key, hash: stable_hash(key) }
    }
}

/// Makes the tables of one operator on one worker.
pub struct Backend {
    uid: String,
    worker: usize,
    groups: KeyGroups,
    range: KeyGroupRange,
    stores: Option<Arc<dyn Stores>>,
    store: Option<Rc<SharedStore>>,
    stored: Vec<Arc<EncodedState>>,
    /// Whether what the tables hold will be encoded, so that its types must show how.
    durable: bool,
    names: BTreeSet<String>,
    floors: Rc<RefCell<Floors>>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend")
            .field("uid", &self.uid)
            .field("range", &self.range)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Backend {
    /// Returns a backend in memory for the key groups of a worker, for state that is never frozen
    /// unless [`durable`](Self::durable) says so.
    #[must_use]
    pub fn heap(uid: &str, groups: KeyGroups, worker: usize) -> Self {
        let range = groups.range(worker);
        Backend {
            uid: uid.to_owned(),
            worker,
            groups,
            range,
            stores: None,
            store: None,
            stored: Vec::new(),
            durable: false,
            names: BTreeSet::new(),
            floors: Rc::new(RefCell::new(Floors::new(groups, range))),
        }
    }

    /// Keeps the values in stores instead of memory; `None` changes nothing.
    #[must_use]
    pub fn stores(self, stores: Option<Arc<dyn Stores>>) -> Self {
        Backend { durable: self.durable || stores.is_some(), stores, ..self }
    }

    /// Prepares the tables to be frozen.
    #[must_use]
    pub fn durable(self, durable: bool) -> Self {
        Backend { durable: self.durable || durable, ..self }
    }

    /// Lets the tables start with what is stored of them: full snapshots of any former workers, each
    /// before the deltas after it.
    #[must_use]
    pub fn restored(self, stored: Vec<Arc<EncodedState>>) -> Self {
        Backend { durable: true, stored, ..self }
    }

    /// Makes a table that needs nothing but a name.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn table<K: Key, N: Namespace, V: StateValue>(
        &mut self,
        name: &str,
    ) -> Result<Table<K, N, V>> {
        self.open(TableDescriptor::new(name))
    }

    /// Makes a table as it is described, with the entries that are stored of it.
    ///
    /// # Errors
    /// When the operator has a state of that name already, its types do not show their schema, or
    /// what is stored of it cannot be read.
    pub fn open<K: Key, N: Namespace, V: StateValue>(
        &mut self,
        descriptor: TableDescriptor<K, N, V>,
    ) -> Result<Table<K, N, V>> {
        let TableDescriptor { name, formats, expiry } = descriptor;
        let format = match self.claim(&name)? {
            None => None,
            Some(format) => {
                let format = formats.into_iter().try_fold(format, |format, with| with(format));
                Some(Arc::new(format?))
            }
        };
        let rows = match (&self.stores, &format) {
            (Some(stores), Some(format)) => {
                let (stores, format) = (Arc::clone(stores), Arc::clone(format));
                let store = self.store(&stores)?;
                let expiry_ms = expiry.and_then(|(ttl, _)| ttl.store_expiry_ms());
                let store = TableStore::new(&store, &name, expiry_ms)?;
                let keys = (self.groups, self.range);
                Rows::Cached(Box::new(CachedTable::new(keys, format, store, stores)))
            }
            _ => Rows::Heap(HeapTable::new(self.groups, self.range)),
        };
        let mut table = Table { name: name.clone(), rows, format, expiry };
        let mut filled = Filled::new(self.groups, self.range);
        for stored in self.stored.iter().filter(|stored| stored.state == name) {
            let mut floors = self.floors.borrow_mut();
            table.restore(stored, &mut filled, &mut floors)?;
        }
        Ok(table)
    }

    /// Gives a name to a state; returns how it is stored, if it is.
    pub(crate) fn claim<N: Namespace, K: Key, V: StateValue>(
        &mut self,
        name: &str,
    ) -> Result<Option<StateFormat<N, K, V>>> {
        if !self.names.insert(name.to_owned()) {
            return Err(Error::program(format!("state {name:?} is made twice by one operator")));
        }
        if !self.durable {
            return Ok(None);
        }
        Ok(Some(StateFormat::new(&self.uid, name, self.groups)?))
    }

    /// Returns what is stored of a state.
    pub(crate) fn stored(&self, name: &str) -> impl Iterator<Item = &EncodedState> {
        self.stored.iter().map(|stored| &**stored).filter(move |stored| stored.state == name)
    }

    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    fn store(&mut self, stores: &Arc<dyn Stores>) -> Result<Rc<SharedStore>> {
        if let Some(store) = &self.store {
            return Ok(Rc::clone(store));
        }
        let store = SharedStore::new(stores.open(&self.uid, self.worker)?);
        self.store = Some(Rc::clone(&store));
        Ok(store)
    }

    /// Returns how keys are divided into groups.
    #[must_use]
    pub fn key_groups(&self) -> KeyGroups {
        self.groups
    }

    /// Returns the groups that the worker owns.
    #[must_use]
    pub fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// Returns the watermark up to which all key groups of the restored tables have fired,
    /// `i64::MIN` for none.
    #[must_use]
    pub fn floor(&self) -> i64 {
        self.floors.borrow().least()
    }

    /// Returns the floors of the key groups, which rise when tables are opened.
    #[must_use]
    pub fn floors(&self) -> Rc<RefCell<Floors>> {
        Rc::clone(&self.floors)
    }
}
