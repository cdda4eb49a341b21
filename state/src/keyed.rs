//! The states that user code keeps for each key: made by name, held by a handle, scoped to one key.
//!
//! ```text
//! when the function is made     KeyedStates --value, list, map, reducing, aggregating--> Handle
//! for each record and timer     KeyedStates --of(handle, key, now)--> Current --get, add, put--> ...
//! ```
//!
//! | kind | a key holds | in the state backend |
//! |---|---|---|
//! | [`ValueState`] | one value | the value |
//! | [`ListState`] | values in the order in which they were added | all of them, together |
//! | [`MapState`] | values by a second key, sorted by it | all of them, together |
//! | [`ReducingState`] | the combination of all values added | one value |
//! | [`AggregatingState`] | the aggregate of all values added | the accumulator |
//!
//! Handles are small and can be copied. They belong to the function that made them.
//!
//! **Cost**: a list or a map is read from a store, written to it and copied while it is frozen as a
//! whole, once per key; keys that hold many thousands of entries are better divided by key.
//!
//! **Sources**: Flink's `RuntimeContext#getState` and its siblings, `DefaultKeyedStateStore`.

use std::any::Any;
use std::marker::PhantomData;

use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::Key;

use crate::aggregating::{
    AggregateFunction, Aggregating, AggregatingCell, AggregatingState, AggregatingStateDescriptor,
};
use crate::backend::{Backend, Hashed, StateValue};
use crate::cell::Values;
use crate::list::{ListState, ListStateDescriptor};
use crate::map::{MapState, MapStateDescriptor};
use crate::reducing::{ReducingCell, ReducingState, ReducingStateDescriptor};
use crate::ttl::Now;
use crate::value::{ValueState, ValueStateDescriptor};

/// A kind of state. The kinds are those of this crate.
pub trait Kind: 'static {
    /// Where the values are.
    type Cell<K: Key>: Cell;
    /// What one key holds.
    type Held;

    /// Returns what all keys hold.
    fn entries<K: Key>(cell: &mut Self::Cell<K>, now: Now) -> Vec<(K, Self::Held)>;
}

/// What stands behind a handle, whatever its type.
pub trait Cell: Any {
    /// Freezes what all keys hold and adds it to a cut.
    fn freeze(&mut self, cut: &mut Cut);
    /// Does a little of the work that a freeze has left behind; returns whether there is more.
    fn fold(&mut self) -> bool;
}

impl<K: Key, P: StateValue, X: StateValue> Cell for Values<K, P, X> {
    fn freeze(&mut self, cut: &mut Cut) {
        Values::freeze(self, cut);
    }

    fn fold(&mut self) -> bool {
        Values::fold(self)
    }
}

/// A handle to a state of kind `C`.
pub struct Handle<C> {
    slot: usize,
    kind: PhantomData<fn() -> C>,
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Handle<C> {}

impl<C> std::fmt::Debug for Handle<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle<{}>({})", std::any::type_name::<C>(), self.slot)
    }
}

/// The state of one key.
pub struct Current<'a, K: Key, C: Kind> {
    pub(crate) cell: &'a mut C::Cell<K>,
    pub(crate) key: Hashed<'a, K>,
    pub(crate) now: Now,
}

impl<K: Key, C: Kind> std::fmt::Debug for Current<'_, K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("now", &self.now).finish_non_exhaustive()
    }
}

/// The states of one function on one worker.
///
/// # Examples
/// ```
/// use highwater_core::key::KeyGroups;
/// use highwater_state::keyed::KeyedStates;
/// use highwater_state::ttl::Now;
/// use highwater_state::{Backend, Hashed};
///
/// let mut states = KeyedStates::new(Backend::heap("uid", KeyGroups::new(128, 1), 0));
/// let seen = states.list::<u64>("seen")?;
/// let now = Now::clocks(0, i64::MIN);
/// for (key, value) in [("b", 1), ("a", 2), ("b", 3)] {
///     states.of(seen, Hashed::new(&key.to_string()), now).add(value);
/// }
/// assert_eq!(states.entries(seen, now), [("a".to_string(), vec![2]), ("b".to_string(), vec![1, 3])]);
/// # Ok::<(), highwater_core::Error>(())
/// ```
pub struct KeyedStates<K> {
    backend: Backend,
    cells: Vec<Box<dyn Cell>>,
    key: PhantomData<fn() -> K>,
}

impl<K> std::fmt::Debug for KeyedStates<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedStates").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl<K: Key> KeyedStates<K> {
    /// Returns the states of a function, none so far.
    #[must_use]
    pub fn new(backend: Backend) -> Self {
        KeyedStates { backend, cells: Vec::new(), key: PhantomData }
    }

    /// Makes a state that holds one value per key.
    ///
    /// - `name`: unique within the operator; the state is found again by it.
    ///
    /// # Errors
    /// When the operator has a state of that name already, or what is stored of it cannot be read.
    pub fn value<V: StateValue>(&mut self, name: &str) -> Result<ValueState<V>> {
        self.value_with(ValueStateDescriptor::new(name))
    }

    /// Makes a state that holds one value per key, as it is described.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn value_with<V: StateValue>(
        &mut self,
        descriptor: ValueStateDescriptor<K, V>,
    ) -> Result<ValueState<V>> {
        let values = descriptor.0.open(&mut self.backend)?;
        Ok(self.add(values))
    }

    /// Makes a state that holds a list of values per key.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn list<V: StateValue>(&mut self, name: &str) -> Result<ListState<V>> {
        self.list_with(ListStateDescriptor::new(name))
    }

    /// Makes a state that holds a list of values per key, as it is described.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn list_with<V: StateValue>(
        &mut self,
        descriptor: ListStateDescriptor<K, V>,
    ) -> Result<ListState<V>> {
        let values = descriptor.0.open(&mut self.backend)?;
        Ok(self.add(values))
    }

    /// Makes a state that holds a map per key: values by a second key.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn map<U: StateValue + Ord, V: StateValue>(
        &mut self,
        name: &str,
    ) -> Result<MapState<U, V>> {
        self.map_with(MapStateDescriptor::new(name))
    }

    /// Makes a state that holds a map per key, as it is described.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn map_with<U: StateValue + Ord, V: StateValue>(
        &mut self,
        descriptor: MapStateDescriptor<K, U, V>,
    ) -> Result<MapState<U, V>> {
        let values = descriptor.0.open(&mut self.backend)?;
        Ok(self.add(values))
    }

    /// Makes a state that holds the combination of all values that are added for a key.
    ///
    /// - `reduce`: combines what was added before with the next value.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn reducing<V: StateValue>(
        &mut self,
        name: &str,
        reduce: impl Fn(V, V) -> V + 'static,
    ) -> Result<ReducingState<V>> {
        self.reducing_with(ReducingStateDescriptor::new(name, reduce))
    }

    /// Makes a state that holds the combination of all values, as it is described.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn reducing_with<V: StateValue>(
        &mut self,
        descriptor: ReducingStateDescriptor<K, V>,
    ) -> Result<ReducingState<V>> {
        let ReducingStateDescriptor { described, reduce } = descriptor;
        let values = described.open(&mut self.backend)?;
        Ok(self.add(ReducingCell { values, reduce }))
    }

    /// Makes a state that holds the aggregate of all values that are added for a key.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn aggregating<T: 'static, A: AggregateFunction<T>>(
        &mut self,
        name: &str,
        function: A,
    ) -> Result<AggregatingState<T, A>> {
        self.aggregating_with(AggregatingStateDescriptor::new(name, function))
    }

    /// Makes a state that holds the aggregate of all values, as it is described.
    ///
    /// # Errors
    /// Those of [`value`](Self::value).
    pub fn aggregating_with<T: 'static, A: AggregateFunction<T>>(
        &mut self,
        descriptor: AggregatingStateDescriptor<K, T, A>,
    ) -> Result<AggregatingState<T, A>> {
        let AggregatingStateDescriptor { described, function } = descriptor;
        let values = described.open(&mut self.backend)?;
        Ok(self.add::<Aggregating<T, A>>(AggregatingCell { values, function }))
    }

    fn add<C: Kind>(&mut self, cell: C::Cell<K>) -> Handle<C> {
        self.cells.push(Box::new(cell));
        Handle { slot: self.cells.len() - 1, kind: PhantomData }
    }

    /// # Panics
    /// When the handle was made by another function.
    fn cell<C: Kind>(&mut self, state: Handle<C>) -> &mut C::Cell<K> {
        let cell = self.cells.get_mut(state.slot);
        match cell.and_then(|cell| (cell.as_mut() as &mut dyn Any).downcast_mut()) {
            Some(cell) => cell,
            None => panic!("{state:?} was made by another function"),
        }
    }

    /// Opens the state of a key.
    ///
    /// - `now`: the instant of the access, for states with a time to live.
    ///
    /// # Panics
    /// When the handle was made by another function.
    #[inline]
    pub fn of<'a, C: Kind>(
        &'a mut self,
        state: Handle<C>,
        key: Hashed<'a, K>,
        now: Now,
    ) -> Current<'a, K, C> {
        Current { cell: self.cell(state), key, now }
    }

    /// Returns what all keys of the worker hold that a read would return now, sorted by key; for
    /// tests, and tools that look into savepoints. Nothing is changed.
    ///
    /// # Panics
    /// When the handle was made by another function.
    pub fn entries<C: Kind>(&mut self, state: Handle<C>, now: Now) -> Vec<(K, C::Held)> {
        let mut entries = C::entries(self.cell(state), now);
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries
    }

    /// Returns the keys of the worker that hold something, sorted.
    ///
    /// # Panics
    /// When the handle was made by another function.
    pub fn keys<C: Kind>(&mut self, state: Handle<C>, now: Now) -> Vec<K> {
        self.entries(state, now).into_iter().map(|(key, _)| key).collect()
    }

    /// Freezes all states and adds them to a cut.
    pub fn freeze(&mut self, cut: &mut Cut) {
        self.cells.iter_mut().for_each(|cell| cell.freeze(cut));
    }

    /// Does a little of the work that a freeze has left behind; returns whether there is more.
    pub fn fold(&mut self) -> bool {
        self.cells.iter_mut().fold(false, |more, cell| more | cell.fold())
    }
}
