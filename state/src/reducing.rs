//! The combination of all values added for a key, after Flink's `ReducingState`.

use std::marker::PhantomData;

use highwater_core::cut::Cut;
use highwater_core::key::Key;
use serde::de::DeserializeOwned;

use crate::backend::StateValue;
use crate::cell::{Described, Values};
use crate::keyed::{Cell, Current, Handle, Kind};
use crate::snapshot::Migration;
use crate::ttl::{Now, StateTtlConfig};

/// The combination of all values added for a key.
#[derive(Debug)]
pub struct Reducing<V>(PhantomData<fn() -> V>);

/// A handle to the combination of all values added for a key.
pub type ReducingState<V> = Handle<Reducing<V>>;

/// Combines two values.
type Reduce<V> = Box<dyn Fn(V, V) -> V>;

/// The values of a reducing state, and how they are combined.
pub struct ReducingCell<K, V> {
    /// Always there: an option, so that it can be taken out to be combined.
    pub(crate) values: Values<K, Option<V>, Option<V>>,
    pub(crate) reduce: Reduce<V>,
}

impl<K: Key, V: StateValue> Cell for ReducingCell<K, V> {
    fn freeze(&mut self, cut: &mut Cut) {
        self.values.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.values.fold()
    }
}

impl<K, V> std::fmt::Debug for ReducingCell<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReducingCell").finish_non_exhaustive()
    }
}

impl<V: StateValue> Kind for Reducing<V> {
    type Cell<K: Key> = ReducingCell<K, V>;
    type Held = V;

    fn entries<K: Key>(cell: &mut Self::Cell<K>, now: Now) -> Vec<(K, V)> {
        let entries = cell.values.entries(now).into_iter();
        entries.filter_map(|(key, value)| value.map(|value| (key, value))).collect()
    }
}

/// Describes a [`ReducingState`].
pub struct ReducingStateDescriptor<K, V> {
    pub(crate) described: Described<K, Option<V>, Option<V>>,
    pub(crate) reduce: Reduce<V>,
}

impl<K, V> std::fmt::Debug for ReducingStateDescriptor<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReducingStateDescriptor").field(&self.described).finish()
    }
}

impl<K: Key, V: StateValue> ReducingStateDescriptor<K, V> {
    /// Describes a state by its name, unique within the operator.
    ///
    /// - `reduce`: combines what was added before with the next value.
    #[must_use]
    pub fn new(name: &str, reduce: impl Fn(V, V) -> V + 'static) -> Self {
        ReducingStateDescriptor { described: Described::new(name), reduce: Box::new(reduce) }
    }

    /// Lets the combination expire when nothing has been added for long enough.
    #[must_use]
    pub fn ttl(self, ttl: StateTtlConfig) -> Self {
        ReducingStateDescriptor { described: self.described.ttl(ttl), ..self }
    }

    /// Says how values of an older type become values of the present one.
    #[must_use]
    pub fn migration<From: DeserializeOwned + 'static>(
        self,
        migration: Migration<From, V>,
    ) -> Self {
        let whole = |value: Option<From>, convert: &dyn Fn(From) -> V| value.map(convert);
        ReducingStateDescriptor {
            described: self.described.migration(migration, whole, whole),
            ..self
        }
    }
}

impl<K: Key, V: StateValue> Current<'_, K, Reducing<V>> {
    /// Adds a value.
    pub fn add(&mut self, value: V) {
        let ReducingCell { values, reduce } = &mut *self.cell;
        let stored = values.get_or_insert_with(self.key, self.now, || None);
        *stored = Some(match stored.take() {
            Some(before) => reduce(before, value),
            None => value,
        });
    }

    /// Returns the combination of all values that were added; `None` if there were none.
    #[must_use]
    pub fn get(&mut self) -> Option<&V> {
        self.cell.values.get(self.key, self.now)?.as_ref()
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.cell.values.clear(self.key);
    }
}
