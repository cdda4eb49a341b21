//! What is said of a table before it is made: its name, how old values are read, how long they live.

use std::fmt;
use std::sync::Arc;

use highwater_core::key::Key;
use serde::de::DeserializeOwned;

use crate::backend::{Namespace, StateValue};
use crate::format::FormatError;
use crate::snapshot::{Migration, StateFormat};

/// Changes the format of a table before it is used.
type WithFormat<K, N, V> =
    Box<dyn FnOnce(StateFormat<N, K, V>) -> Result<StateFormat<N, K, V>, FormatError>>;

/// Says of a value whether it is worth keeping at an instant, in ms since 1970.
pub(crate) type Keep<V> = Arc<dyn Fn(&V, i64) -> bool + Send + Sync>;

/// Describes a table.
pub struct TableDescriptor<K, N, V> {
    pub(crate) name: String,
    pub(crate) formats: Vec<WithFormat<K, N, V>>,
    pub(crate) expiry_ms: Option<i64>,
    pub(crate) keep: Option<Keep<V>>,
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
        TableDescriptor { name, formats: Vec::new(), expiry_ms: None, keep: None }
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

    /// Says which values snapshots leave out.
    #[must_use]
    pub(crate) fn keep(mut self, keep: Keep<V>, expiry_ms: Option<i64>) -> Self {
        self.keep = Some(keep);
        self.expiry_ms = expiry_ms;
        self
    }
}
