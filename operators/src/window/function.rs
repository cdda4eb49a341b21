//! What a window computes: the functions of users, and the one shape in which operators see them.
//!
//! ```text
//! record --add--> accumulator --.
//!                 accumulator --+-- merge --> accumulator --fire--> results
//! ```
//!
//! An aggregate keeps an accumulator of fixed size; [`Process`] keeps every value until the window
//! fires. Accumulators of one window may be merged in any grouping: `merge` must be associative.

use std::marker::PhantomData;

use highwater_core::key::Key;
use highwater_core::record::{Data, ExchangeData};
use highwater_state::StateValue;
use serde::{Deserialize, Serialize};

use super::time_window::TimeWindow;

pub use highwater_state::AggregateFunction;

/// Computes any number of results from all values of a window, after Flink's
/// `ProcessWindowFunction`.
pub trait ProcessWindowFunction<K, T>: 'static {
    /// The type of the results.
    type Output: Data;

    /// Called when the window fires; may be called again for the same window.
    ///
    /// - `values`: in the order of their arrival, as far as one window knows it.
    /// - `emit`: takes a result; its event time is the last instant of the window.
    fn process(
        &mut self,
        key: &K,
        window: &TimeWindow,
        values: &[T],
        emit: &mut dyn FnMut(Self::Output),
    );
}

/// A closure as a [`ProcessWindowFunction`].
pub struct ProcessFn<F, O> {
    function: F,
    output: PhantomData<fn() -> O>,
}

impl<F, O> ProcessFn<F, O> {
    /// Returns a window function that calls `function`.
    pub fn new<K, T>(function: F) -> Self
    where
        F: FnMut(&K, &TimeWindow, &[T], &mut dyn FnMut(O)) + 'static,
    {
        ProcessFn { function, output: PhantomData }
    }
}

impl<F: Clone, O> Clone for ProcessFn<F, O> {
    fn clone(&self) -> Self {
        ProcessFn { function: self.function.clone(), output: PhantomData }
    }
}

impl<F, O> std::fmt::Debug for ProcessFn<F, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessFn").finish_non_exhaustive()
    }
}

impl<K, T, O: Data, F> ProcessWindowFunction<K, T> for ProcessFn<F, O>
where
    F: FnMut(&K, &TimeWindow, &[T], &mut dyn FnMut(O)) + 'static,
{
    type Output = O;

    fn process(&mut self, key: &K, window: &TimeWindow, values: &[T], emit: &mut dyn FnMut(O)) {
        (self.function)(key, window, values, emit);
    }
}

/// A value that was computed for one key and window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Windowed<K, V> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: TimeWindow,
    /// The value.
    pub value: V,
}

/// What operators compute in a window; made of the functions of users by [`Aggregate`], [`Reduce`],
/// [`Process`] and [`Then`].
pub trait WindowFunction<K, T>: 'static {
    /// What is kept for a key and window.
    type Acc: StateValue;
    /// The type of the results.
    type Out: Data;
    /// Whether accumulators grow with the number of values, so that copies of them are dear.
    const GROWS: bool;

    /// Returns the accumulator of no values.
    fn create(&self) -> Self::Acc;

    /// Adds a value.
    fn add(&self, acc: &mut Self::Acc, value: T);

    /// Adds the values of another accumulator.
    fn merge(&self, into: &mut Self::Acc, other: Self::Acc);

    /// Passes the results of a window to `emit`.
    fn fire(
        &mut self,
        key: &K,
        window: &TimeWindow,
        acc: &Self::Acc,
        emit: &mut dyn FnMut(Self::Out),
    );
}

/// Emits the result of an [`AggregateFunction`] with its key and window.
#[derive(Clone, Copy, Debug)]
pub struct Aggregate<A>(pub A);

impl<K: Key, T, A: AggregateFunction<T>> WindowFunction<K, T> for Aggregate<A> {
    type Acc = A::Accumulator;
    type Out = Windowed<K, A::Output>;
    const GROWS: bool = false;

    #[inline]
    fn create(&self) -> Self::Acc {
        self.0.create()
    }
    #[inline]
    fn add(&self, acc: &mut Self::Acc, value: T) {
        self.0.add(acc, value);
    }
    #[inline]
    fn merge(&self, into: &mut Self::Acc, other: Self::Acc) {
        self.0.merge(into, other);
    }
    #[inline]
    fn fire(
        &mut self,
        key: &K,
        window: &TimeWindow,
        acc: &Self::Acc,
        emit: &mut dyn FnMut(Self::Out),
    ) {
        emit(Windowed { key: key.clone(), window: *window, value: self.0.result(acc) });
    }
}

/// Combines values two by two, in any grouping, and emits the last with its key and window.
#[derive(Clone, Copy, Debug)]
pub struct Reduce<F>(pub F);

impl<F> Reduce<F> {
    #[inline]
    fn combine<T>(&self, into: &mut Option<T>, value: T)
    where
        F: Fn(T, T) -> T,
    {
        *into = Some(match into.take() {
            Some(before) => (self.0)(before, value),
            None => value,
        });
    }
}

impl<K: Key, T: ExchangeData, F: Fn(T, T) -> T + 'static> WindowFunction<K, T> for Reduce<F> {
    type Acc = Option<T>;
    type Out = Windowed<K, T>;
    const GROWS: bool = false;

    fn create(&self) -> Option<T> {
        None
    }
    #[inline]
    fn add(&self, acc: &mut Option<T>, value: T) {
        self.combine(acc, value);
    }
    fn merge(&self, into: &mut Option<T>, other: Option<T>) {
        if let Some(value) = other {
            self.combine(into, value);
        }
    }
    fn fire(
        &mut self,
        key: &K,
        window: &TimeWindow,
        acc: &Option<T>,
        emit: &mut dyn FnMut(Self::Out),
    ) {
        if let Some(value) = acc.clone() {
            emit(Windowed { key: key.clone(), window: *window, value });
        }
    }
}

/// Keeps all values of a window for a [`ProcessWindowFunction`].
#[derive(Clone, Copy, Debug)]
pub struct Process<P>(pub P);

impl<K: Key, T: ExchangeData, P: ProcessWindowFunction<K, T>> WindowFunction<K, T> for Process<P> {
    type Acc = Vec<T>;
    type Out = P::Output;
    const GROWS: bool = true;

    fn create(&self) -> Vec<T> {
        Vec::new()
    }
    fn add(&self, acc: &mut Vec<T>, value: T) {
        acc.push(value);
    }
    fn merge(&self, into: &mut Vec<T>, mut other: Vec<T>) {
        into.append(&mut other);
    }
    fn fire(
        &mut self,
        key: &K,
        window: &TimeWindow,
        acc: &Vec<T>,
        emit: &mut dyn FnMut(P::Output),
    ) {
        self.0.process(key, window, acc, emit);
    }
}

/// Aggregates values as they come, and hands the one result to a [`ProcessWindowFunction`].
///
/// - `W`: [`Aggregate`] or [`Reduce`].
#[derive(Clone, Copy, Debug)]
pub struct Then<W, P>(pub W, pub P);

impl<K, T, V, W, P> WindowFunction<K, T> for Then<W, P>
where
    K: Key,
    V: Data,
    W: WindowFunction<K, T, Out = Windowed<K, V>>,
    P: ProcessWindowFunction<K, V>,
{
    type Acc = W::Acc;
    type Out = P::Output;
    const GROWS: bool = W::GROWS;

    fn create(&self) -> W::Acc {
        self.0.create()
    }
    fn add(&self, acc: &mut W::Acc, value: T) {
        self.0.add(acc, value);
    }
    fn merge(&self, into: &mut W::Acc, other: W::Acc) {
        self.0.merge(into, other);
    }
    fn fire(
        &mut self,
        key: &K,
        window: &TimeWindow,
        acc: &W::Acc,
        emit: &mut dyn FnMut(P::Output),
    ) {
        let Then(aggregate, process) = self;
        aggregate.fire(key, window, acc, &mut |windowed| {
            process.process(key, window, &[windowed.value], emit);
        });
    }
}
