//! The aggregate of all values added for a key, after Flink's `AggregatingState`.

use std::marker::PhantomData;

use highwater_core::cut::Cut;
use highwater_core::key::Key;
use highwater_core::record::Data;
use serde::de::DeserializeOwned;

use crate::backend::StateValue;
use crate::cell::{Described, Values};
use crate::keyed::{Cell, Current, Handle, Kind};
use crate::snapshot::Migration;
use crate::ttl::{Now, StateTtlConfig};

/// Aggregates values of type `T` one by one, after Flink's `AggregateFunction`.
///
/// # Contract
/// - *Merging is adding*: `merge(a, b)` is the accumulator that had got the values of both.
/// - *Order does not count*: values and accumulators come in any order.
pub trait AggregateFunction<T>: Clone + 'static {
    /// What is kept while values come in.
    type Accumulator: StateValue;
    /// What is made of it in the end.
    type Output: Data;

    /// Returns the accumulator of no values.
    fn create(&self) -> Self::Accumulator;

    /// Adds a value.
    fn add(&self, accumulator: &mut Self::Accumulator, value: T);

    /// Adds the values of another accumulator.
    fn merge(&self, into: &mut Self::Accumulator, other: Self::Accumulator);

    /// Returns the result.
    fn result(&self, accumulator: &Self::Accumulator) -> Self::Output;
}

/// The aggregate of all values of type `T` added for a key, by the function `A`.
#[derive(Debug)]
pub struct Aggregating<T, A>(PhantomData<fn(T) -> A>);

/// A handle to the aggregate of all values added for a key.
pub type AggregatingState<T, A> = Handle<Aggregating<T, A>>;

/// The accumulators of an aggregating state, and how they are made.
pub struct AggregatingCell<K, T, A: AggregateFunction<T>> {
    pub(crate) values: Values<K, A::Accumulator, A::Accumulator>,
    pub(crate) function: A,
}

impl<K: Key, T: 'static, A: AggregateFunction<T>> Cell for AggregatingCell<K, T, A> {
    fn freeze(&mut self, cut: &mut Cut) {
        self.values.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.values.fold()
    }
}

impl<K, T, A: AggregateFunction<T>> std::fmt::Debug for AggregatingCell<K, T, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AggregatingCell").finish_non_exhaustive()
    }
}

impl<T: 'static, A: AggregateFunction<T>> Kind for Aggregating<T, A> {
    type Cell<K: Key> = AggregatingCell<K, T, A>;
    type Held = A::Accumulator;

    fn entries<K: Key>(cell: &mut Self::Cell<K>, now: Now) -> Vec<(K, A::Accumulator)> {
        cell.values.entries(now)
    }
}

/// Describes an [`AggregatingState`].
pub struct AggregatingStateDescriptor<K, T, A: AggregateFunction<T>> {
    pub(crate) described: Described<K, A::Accumulator, A::Accumulator>,
    pub(crate) function: A,
}

impl<K, T, A: AggregateFunction<T>> std::fmt::Debug for AggregatingStateDescriptor<K, T, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AggregatingStateDescriptor").field(&self.described).finish()
    }
}

impl<K: Key, T: 'static, A: AggregateFunction<T>> AggregatingStateDescriptor<K, T, A> {
    /// Describes a state by its name, unique within the operator.
    #[must_use]
    pub fn new(name: &str, function: A) -> Self {
        AggregatingStateDescriptor { described: Described::new(name), function }
    }

    /// Lets the aggregate expire when nothing has been added for long enough.
    #[must_use]
    pub fn ttl(self, ttl: StateTtlConfig) -> Self {
        AggregatingStateDescriptor { described: self.described.ttl(ttl), ..self }
    }

    /// Says how accumulators of an older type become accumulators of the present one.
    #[must_use]
    pub fn migration<From: DeserializeOwned + 'static>(
        self,
        migration: Migration<From, A::Accumulator>,
    ) -> Self {
        let whole = |value: From, convert: &dyn Fn(From) -> A::Accumulator| convert(value);
        AggregatingStateDescriptor {
            described: self.described.migration(migration, whole, whole),
            ..self
        }
    }
}

impl<K: Key, T: 'static, A: AggregateFunction<T>> Current<'_, K, Aggregating<T, A>> {
    /// Adds a value.
    pub fn add(&mut self, value: T) {
        let AggregatingCell { values, function } = &mut *self.cell;
        let accumulator = values.get_or_insert_with(self.key, self.now, || function.create());
        function.add(accumulator, value);
    }

    /// Returns the aggregate of all values that were added; `None` if there were none.
    #[must_use]
    pub fn get(&mut self) -> Option<A::Output> {
        let AggregatingCell { values, function } = &mut *self.cell;
        values.get(self.key, self.now).map(|accumulator| function.result(accumulator))
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.cell.values.clear(self.key);
    }
}
