//! What is said of a table before it is made: its name, how old values are read, how long they live.

use std::fmt;

use highwater_core::key::Key;
use serde::de::DeserializeOwned;

use crate::backend::{Namespace, StateValue};
use crate::format::FormatError;
use crate::snapshot::{Migration, StateFormat};
use crate::ttl::{Expiring, StateTtlConfig};

/// Changes the format of a table before it is used.
type WithFormat<K, N, V> =
    Box<dyn FnOnce(StateFormat<N, K, V>) -> Result<StateFormat<N, K, V>, FormatError>>;

/// When values expire, and how the instant of their last use is read.
pub(crate) type Expiry<V> = (StateTtlConfig, fn(&V) -> i64);

/// Describes a table.
pub struct TableDescriptor<K, N, V> {
    pub(crate) name: String,
    pub(crate) formats: Vec<WithFormat<K, N, V>>,
    pub(crate) expiry: Option<Expiry<V>>,
}

impl<K, N, V> fmt::Debug for TableDescriptor<K, N, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableDescriptor").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K: Key, N: Namespace, V: StateValue> TableDescriptor<K, N, V> {
    /// Describes a table by its name, unique within the operator.
    pub fn new(name: &str) -> Self {
        let name = name.to_owned();
        TableDescriptor { name, formats: Vec::new(), expiry: None }
    }

    /// Says how values of an older type become values of the present one.
    #[must_use]
    pub fn migration<From: DeserializeOwned + 'static>(
        mut self,
        migration: Migration<From, V>,
    ) -> Self {
        self.formats.push(Box::new(|format| format.with_migration(migration)));
        self
    }
}

impl<K: Key, N: Namespace, V: StateValue> TableDescriptor<K, N, Expiring<V>> {
    /// Lets snapshots and stores leave out what has expired.
    #[must_use]
    pub(crate) fn expiring(mut self, ttl: StateTtlConfig) -> Self {
        self.expiry = Some((ttl, Expiring::used));
        self
    }
}
