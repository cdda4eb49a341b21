//! The states that user code keeps for each key: made by name, held by a handle.

use std::any::Any;
use std::marker::PhantomData;

use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::Key;
use highwater_state::{Backend, Hashed, StateValue, Table};

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

/// A table of any type of value.
trait AnyTable: Any {
    fn freeze(&mut self, cut: &mut Cut);
    fn fold(&mut self) -> bool;
}

impl<K: Key, V: StateValue> AnyTable for Table<K, (), V> {
    fn freeze(&mut self, cut: &mut Cut) {
        Table::freeze(self, cut);
    }

    fn fold(&mut self) -> bool {
        Table::fold(self)
    }
}

/// The states of one function on one worker.
pub struct States<K> {
    backend: Backend,
    tables: Vec<Box<dyn AnyTable>>,
    key: PhantomData<fn() -> K>,
}

impl<K> std::fmt::Debug for States<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("States").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl<K: Key> States<K> {
    pub(crate) fn new(backend: Backend) -> Self {
        States { backend, tables: Vec::new(), key: PhantomData }
    }

    /// Makes a state that holds one value per key.
    ///
    /// - `name`: unique within the function; the state is found again by it.
    ///
    /// # Errors
    /// When the function has a state of that name already, or what is stored of it cannot be read.
    pub fn value<V: StateValue>(&mut self, name: &str) -> Result<ValueState<V>> {
        let table: Table<K, (), V> = self.backend.table(name)?;
        self.tables.push(Box::new(table));
        Ok(ValueState { slot: self.tables.len() - 1, value: PhantomData })
    }

    pub(crate) fn freeze(&mut self, cut: &mut Cut) {
        self.tables.iter_mut().for_each(|table| table.freeze(cut));
    }

    pub(crate) fn fold(&mut self) -> bool {
        self.tables.iter_mut().fold(false, |more, table| more | table.fold())
    }

    /// # Panics
    /// When the handle was made by another function.
    fn table<V: StateValue>(&mut self, state: ValueState<V>) -> &mut Table<K, (), V> {
        let table = self.tables.get_mut(state.slot);
        let table = table.and_then(|table| (table.as_mut() as &mut dyn Any).downcast_mut());
        match table {
            Some(table) => table,
            None => panic!("{state:?} was made by another function"),
        }
    }

    pub(crate) fn get<V: StateValue>(
        &mut self,
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
        self.table(state).get_or_insert_with(key, &(), V::default)
    }

    pub(crate) fn set<V: StateValue>(
        &mut self,
        state: ValueState<V>,
        key: Hashed<'_, K>,
        value: V,
    ) {
        self.table(state).insert(key, &(), value);
    }

    pub(crate) fn take<V: StateValue>(
        &mut self,
        state: ValueState<V>,
        key: Hashed<'_, K>,
    ) -> Option<V> {
        self.table(state).remove(key, &())
    }
}
