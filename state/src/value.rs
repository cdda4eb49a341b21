//! One value per key, after Flink's `ValueState`.

use std::marker::PhantomData;

use highwater_core::key::Key;
use serde::de::DeserializeOwned;

use crate::backend::StateValue;
use crate::cell::{Described, Values};
use crate::keyed::{Current, Handle, Kind};
use crate::snapshot::Migration;
use crate::ttl::{Expiring, Now, StateTtlConfig};

/// One value per key.
#[derive(Debug)]
pub struct Value<V>(PhantomData<fn() -> V>);

/// A handle to one value per key.
pub type ValueState<V> = Handle<Value<V>>;

impl<V: StateValue> Kind for Value<V> {
    type Cell<K: Key> = Values<K, V, V>;
    type Held = V;

    fn entries<K: Key>(cell: &mut Self::Cell<K>, now: Now) -> Vec<(K, V)> {
        cell.entries(now)
    }
}

/// Describes a [`ValueState`].
#[derive(Debug)]
pub struct ValueStateDescriptor<K, V>(pub(crate) Described<K, V, V>);

impl<K: Key, V: StateValue> ValueStateDescriptor<K, V> {
    /// Describes a state by its name, unique within the operator.
    #[must_use]
    pub fn new(name: &str) -> Self {
        ValueStateDescriptor(Described::new(name))
    }

    /// Lets values expire.
    #[must_use]
    pub fn ttl(self, ttl: StateTtlConfig) -> Self {
        ValueStateDescriptor(self.0.ttl(ttl))
    }

    /// Says how values of an older type become values of the present one.
    #[must_use]
    pub fn migration<From: DeserializeOwned + 'static>(
        self,
        migration: Migration<From, V>,
    ) -> Self {
        let whole = |value: From, convert: &dyn Fn(From) -> V| convert(value);
        ValueStateDescriptor(self.0.migration(migration, whole, whole))
    }
}

impl<'a, K: Key, V: StateValue> Current<'a, K, Value<V>> {
    /// Returns the value.
    #[must_use]
    pub fn get(&mut self) -> Option<&V> {
        self.cell.get(self.key, self.now)
    }

    /// Returns the value, for as long as the states are borrowed.
    #[must_use]
    pub fn into_ref(self) -> Option<&'a V> {
        self.cell.get(self.key, self.now)
    }

    /// Returns the value to be changed; made by default first.
    pub fn get_mut(&mut self) -> &mut V
    where
        V: Default,
    {
        self.cell.get_or_insert_with(self.key, self.now, V::default)
    }

    /// Returns the value to be changed, for as long as the states are borrowed.
    pub fn into_mut(self) -> &'a mut V
    where
        V: Default,
    {
        self.cell.get_or_insert_with(self.key, self.now, V::default)
    }

    /// Changes the value; made by default first.
    pub fn update(&mut self, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        change(self.get_mut());
    }

    /// Stores a value.
    pub fn set(&mut self, value: V) {
        self.cell.set(self.key, self.now, value);
    }

    /// Takes the value, and leaves none.
    pub fn take(&mut self) -> Option<V> {
        self.cell.take(self.key, self.now)
    }

    /// Removes the value.
    pub fn clear(&mut self) {
        self.cell.clear(self.key);
    }
}

/// Converts a value that has the instant of its last use in front.
pub(crate) fn stamped<From, To>(
    value: Expiring<From>,
    convert: &dyn Fn(From) -> To,
) -> Expiring<To> {
    value.map(convert)
}
