//! A list of values per key, after Flink's `ListState`.
//!
//! With a time to live, each element has one of its own. Elements that have expired are removed when
//! the list is read, and before it would have to grow.

use std::marker::PhantomData;

use highwater_core::key::Key;
use serde::de::DeserializeOwned;

use crate::backend::StateValue;
use crate::cell::{Described, Values};
use crate::expiring::Elements;
use crate::keyed::{Current, Handle, Kind};
use crate::snapshot::Migration;
use crate::ttl::{Expiring, Now, StateTtlConfig};
use crate::value::stamped;

/// A list of values per key.
#[derive(Debug)]
pub struct List<V>(PhantomData<fn() -> V>);

/// A handle to a list of values per key.
pub type ListState<V> = Handle<List<V>>;

impl<V: StateValue> Kind for List<V> {
    type Cell<K: Key> = Values<K, Vec<V>, Vec<Expiring<V>>>;
    type Held = Vec<V>;

    fn entries<K: Key>(cell: &mut Self::Cell<K>, now: Now) -> Vec<(K, Vec<V>)> {
        let mut entries = Vec::new();
        match cell {
            Values::Plain(table) => {
                table.visit(&(), |key, list| entries.push((key.clone(), list.clone())));
            }
            Values::Expiring(values) => values.visit_alive(now, |key, list| {
                let list = list.into_iter().map(|element| element.value);
                entries.push((key.clone(), list.collect()));
            }),
        }
        entries
    }
}

/// Describes a [`ListState`].
#[derive(Debug)]
pub struct ListStateDescriptor<K, V>(pub(crate) Described<K, Vec<V>, Vec<Expiring<V>>>);

impl<K: Key, V: StateValue> ListStateDescriptor<K, V> {
    /// Describes a state by its name, unique within the operator.
    #[must_use]
    pub fn new(name: &str) -> Self {
        ListStateDescriptor(Described::new(name))
    }

    /// Lets elements expire, each for itself.
    #[must_use]
    pub fn ttl(self, ttl: StateTtlConfig) -> Self {
        ListStateDescriptor(self.0.ttl(ttl))
    }

    /// Says how elements of an older type become elements of the present one.
    #[must_use]
    pub fn migration<From: DeserializeOwned + 'static>(
        self,
        migration: Migration<From, V>,
    ) -> Self {
        let plain = |list: Vec<From>, convert: &dyn Fn(From) -> V| {
            list.into_iter().map(convert).collect::<Vec<V>>()
        };
        let expiring = |list: Vec<Expiring<From>>, convert: &dyn Fn(From) -> V| {
            list.into_iter().map(|element| stamped(element, convert)).collect::<Vec<_>>()
        };
        ListStateDescriptor(self.0.migration(migration, plain, expiring))
    }
}

impl<K: Key, V: StateValue> Current<'_, K, List<V>> {
    /// Adds a value at the end.
    pub fn add(&mut self, value: V) {
        self.add_all([value]);
    }

    /// Adds values at the end, in their order.
    pub fn add_all(&mut self, values: impl IntoIterator<Item = V>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        match self.cell {
            Values::Plain(table) => {
                table.get_or_insert_with(self.key, &(), Vec::new).extend(values);
            }
            Values::Expiring(lists) => {
                let (limit, stamp) = lists.begin(self.now);
                let empty = || Expiring::new(stamp, Vec::new());
                let list = lists.table.get_or_insert_with(self.key, &(), empty);
                list.touch(stamp);
                for value in values {
                    if list.value.len() == list.value.capacity() {
                        list.value.retain_alive(limit);
                    }
                    list.value.push(Expiring::new(stamp, value));
                }
            }
        }
    }

    /// Returns the values, in the order in which they were added.
    pub fn iter(&mut self) -> impl Iterator<Item = &V> {
        let (plain, expiring) = match self.cell {
            Values::Plain(table) => (table.get(self.key, &()), None),
            Values::Expiring(lists) => (None, lists.read(self.key, self.now)),
        };
        let expiring = expiring.into_iter().flatten().map(|element| &element.value);
        plain.into_iter().flatten().chain(expiring)
    }

    /// Replaces all values.
    pub fn update(&mut self, values: impl IntoIterator<Item = V>) {
        self.clear();
        self.add_all(values);
    }

    /// Returns whether there are no values.
    #[must_use]
    pub fn is_empty(&mut self) -> bool {
        self.iter().next().is_none()
    }

    /// Removes all values.
    pub fn clear(&mut self) {
        self.cell.clear(self.key);
    }
}
