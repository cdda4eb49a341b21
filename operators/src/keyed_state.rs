//! The states that user code keeps for each key: made by name, held by a handle.

use std::any::Any;
use std::marker::PhantomData;

use highwater_core::error::{Error, Result};
use highwater_core::key::Key;
use highwater_state::{Hashed, HeapBackend, HeapTable, KeyedBackend, KeyedTable, StateValue};

/// A handle to one value per key, after Flink's `ValueState`.
pub struct ValueState<V> {
    slot: usize,
    value: PhantomData<fn() -> V>,
}

impl<V> Clone for ValueState<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for ValueState<V> {}

impl<V> std::fmt::Debug for ValueState<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValueState").field("slot", &self.slot).finish()
    }
}

/// The states of one function on one worker.
pub struct States<K> {
    backend: HeapBackend,
    tables: Vec<(String, Box<dyn Any>)>,
    key: PhantomData<fn() -> K>,
}

impl<K> std::fmt::Debug for States<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.tables.iter().map(|(name, _)| name).collect();
        f.debug_struct("States").field("names", &names).finish_non_exhaustive()
    }
}

impl<K: Key> States<K> {
    pub(crate) fn new(backend: HeapBackend) -> Self {
        States { backend, tables: Vec::new(), key: PhantomData }
    }

    /// Makes a state that holds one value per key.
    ///
    /// - `name`: unique within the function; the state is found again by it.
    ///
    /// # Errors
    /// When the function has a state of that name already.
    pub fn value<V: StateValue>(&mut self, name: &str) -> Result<ValueState<V>> {
        if self.tables.iter().any(|(taken, _)| taken == name) {
            return Err(Error::program(format!("state {name:?} is made twice by one function")));
        }
        let table: HeapTable<K, (), V> = self.backend.table(name);
        self.tables.push((name.to_owned(), Box::new(table)));
        Ok(ValueState { slot: self.tables.len() - 1, value: PhantomData })
    }

    /// # Panics
    /// When the handle was made by another function.
    fn table<V: StateValue>(&self, state: ValueState<V>) -> &HeapTable<K, (), V> {
        let table = self.tables.get(state.slot).and_then(|(_, table)| table.downcast_ref());
        match table {
            Some(table) => table,
            None => panic!("{state:?} was made by another function"),
        }
    }

    /// # Panics
    /// When the handle was made by another function.
    fn table_mut<V: StateValue>(&mut self, state: ValueState<V>) -> &mut HeapTable<K, (), V> {
        let table = self.tables.get_mut(state.slot).and_then(|(_, table)| table.downcast_mut());
        match table {
            Some(table) => table,
            None => panic!("{state:?} was made by another function"),
        }
    }

    pub(crate) fn get<V: StateValue>(
        &self,
        state: ValueState<V>,
        key: Hashed<'_, K>,
    ) -> Option<&V> {
        self.table(state).get(key, &())
    }

    pub(crate) fn get_mut<V: StateValue + Default>(
        &mut self,
        state: ValueState<V>,
        key: Hashed<'_, K>,
    ) -> &mut V {
        self.table_mut(state).get_or_insert_with(key, &(), V::default)
    }

    pub(crate) fn set<V: StateValue>(
        &mut self,
        state: ValueState<V>,
        key: Hashed<'_, K>,
        value: V,
    ) {
        self.table_mut(state).insert(key, &(), value);
    }

    pub(crate) fn take<V: StateValue>(
        &mut self,
        state: ValueState<V>,
        key: Hashed<'_, K>,
    ) -> Option<V> {
        self.table_mut(state).remove(key, &())
    }
}
