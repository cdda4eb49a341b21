//! Rolling aggregates of a keyed stream: the new value for each record.
//!
//! In batch mode there is one value per key, at the end.
//!
//! **Sources**: Flink's `KeyedStream#reduce`, `StreamGroupedReduceOperator`, and
//! `BatchGroupedReduceOperator`.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::rc::Rc;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::key::Key;
use highwater_core::record::{Batch, Data, ExchangeData};
use highwater_core::shell::Logic;
use highwater_core::time::EventTime;
use highwater_state::{KeyedSpace, Space, StateValue, Table};

use crate::key_by::KeyedStream;
use crate::keys::Keys;
use crate::stream::{Processed, drain};
use crate::window::AggregateFunction;

impl<'scope, K: Key, T: ExchangeData, F: Fn(&T) -> K + 'static> KeyedStream<'scope, K, T, F> {
    /// Combines the values of a key, two by two.
    ///
    /// - `output`: for each record the combination of all values of its key so far, at the record's
    ///   event time; in batch mode the last one only.
    /// - `state`: one value per key, for ever.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// let numbers = env.read(Collection::of([1, 2, 3, 4, 5]));
    /// let by_parity = numbers.key_by(|n| n % 2);
    /// by_parity.reduce(|a, b| a + b).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [1, 2, 4, 6, 9]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn reduce(&self, combine: impl Fn(T, T) -> T + Clone + 'static) -> Processed<'scope, T> {
        let result = |_: &K, value: &Option<T>| value.clone();
        let add = move |acc: &mut Option<T>, value: T| {
            *acc = Some(match acc.take() {
                Some(before) => combine(before, value),
                None => value,
            });
        };
        self.rolling("reduce", || None, add, result)
    }

    /// Aggregates the values of a key.
    ///
    /// - `output`: for each record its key and the aggregate of all values of the key so far, at
    ///   the record's event time; in batch mode the last one only.
    /// - `state`: one accumulator per key, for ever.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::window::AggregateFunction;
    /// # #[derive(Clone)]
    /// # struct Sum;
    /// # impl AggregateFunction<(char, u64)> for Sum {
    /// #     type Accumulator = u64;
    /// #     type Output = u64;
    /// #     fn create(&self) -> u64 { 0 }
    /// #     fn add(&self, sum: &mut u64, (_, n): (char, u64)) { *sum += n }
    /// #     fn merge(&self, into: &mut u64, other: u64) { *into += other }
    /// #     fn result(&self, sum: &u64) -> u64 { *sum }
    /// # }
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// let sold = env.read(Collection::of([('a', 10), ('b', 1), ('a', 5)]));
    /// sold.key_by(|sale| sale.0).aggregate(Sum).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [('a', 10), ('a', 15), ('b', 1)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn aggregate<A: AggregateFunction<T>>(
        &self,
        function: A,
    ) -> Processed<'scope, (K, A::Output)> {
        let (create, add) = (function.clone(), function.clone());
        let result = move |key: &K, acc: &A::Accumulator| Some((key.clone(), function.result(acc)));
        self.rolling("aggregate", move || create.create(), move |a, v| add.add(a, v), result)
    }

    /// Counts the records of a key.
    ///
    /// - `output`: for each record its key and how many there were so far; in batch mode the last
    ///   one only.
    /// - `state`: one number per key, for ever.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let words = env.read(Collection::of(["to", "be", "or", "not", "to", "be"].map(String::from)));
    /// words.key_by(|word| word.clone()).count().sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results[..2], [("be".to_string(), 1), ("be".to_string(), 2)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> Processed<'scope, (K, u64)> {
        let result = |key: &K, count: &u64| Some((key.clone(), *count));
        self.rolling("count", || 0, |count, _| *count += 1, result)
    }

    fn rolling<V: StateValue, R: Data>(
        &self,
        kind: &str,
        create: impl Fn() -> V + 'static,
        add: impl Fn(&mut V, T) + 'static,
        result: impl Fn(&K, &V) -> Option<R> + 'static,
    ) -> Processed<'scope, R> {
        self.operator(kind, move |mut backend, key, batch_mode| {
            let table: Table<K, (), V> = backend.table("rolling")?;
            let groups = backend.range().count();
            let end = End { batch_mode, next_group: 0, groups, latest: i64::MIN };
            Ok(Rolling {
                table,
                key,
                create,
                add,
                result,
                end,
                keys: Keys::default(),
                types: PhantomData,
            })
        })
    }
}

/// How far the final results of batch mode have come.
struct End {
    batch_mode: bool,
    next_group: usize,
    groups: usize,
    /// The greatest event time so far: that of the final results.
    latest: EventTime,
}

/// One value per key: made by `create`, changed by `add`, emitted as `result` says.
struct Rolling<K, T, V, R, F, C, A, M> {
    table: Table<K, (), V>,
    key: Rc<F>,
    create: C,
    add: A,
    result: M,
    end: End,
    keys: Keys<K>,
    types: PhantomData<(K, T, V, R)>,
}

/// Changes the value of the key of each record, and emits what comes of it.
fn roll<K: Key, T, V: StateValue, R: Data>(
    mut space: impl KeyedSpace<K, V>,
    keys: &Keys<K>,
    batch: &mut Batch<T>,
    (create, add, result): (impl Fn() -> V, impl Fn(&mut V, T), impl Fn(&K, &V) -> Option<R>),
    end: &mut End,
    cx: &mut Context<'_, R>,
) {
    let records = 0..batch.len();
    keys.each(records, drain(batch), &mut space, |space, key, (event_time, value)| {
        let stored = space.get_or_insert_with(key, &create);
        add(stored, value);
        if end.batch_mode {
            end.latest = end.latest.max(event_time);
        } else if let Some(result) = result(key.key, stored) {
            cx.emit(event_time, result);
        }
    });
}

impl<K, T, V, R, F, C, A, M> Logic for Rolling<K, T, V, R, F, C, A, M>
where
    K: Key,
    T: Data,
    V: StateValue,
    R: Data,
    F: Fn(&T) -> K + 'static,
    C: Fn() -> V + 'static,
    A: Fn(&mut V, T) + 'static,
    M: Fn(&K, &V) -> Option<R> + 'static,
{
    type Left = T;
    type Right = Infallible;
    type Out = R;

    fn left(&mut self, batch: &mut Batch<T>, cx: &mut Context<'_, R>) {
        self.keys.read(batch, &*self.key);
        let Rolling { table, create, add, result, end, keys, .. } = self;
        let functions = (&*create, &*add, &*result);
        match table.space(&()) {
            Space::Heap(space) => roll(space, keys, batch, functions, end, cx),
            Space::Cached(space) => roll(space, keys, batch, functions, end, cx),
        }
    }

    fn fire(&mut self, watermark: i64, cx: &mut Context<'_, R>) -> Option<i64> {
        if !self.end.batch_mode || watermark < i64::MAX {
            return None;
        }
        while self.end.next_group < self.end.groups {
            if cx.should_yield() {
                return Some(i64::MAX);
            }
            let (result, latest) = (&self.result, self.end.latest);
            self.table.visit_group(&(), self.end.next_group, |key, value| {
                if let Some(result) = result(key, value) {
                    cx.emit(latest, result);
                }
            });
            self.end.next_group += 1;
        }
        None
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.table.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.table.fold()
    }
}
