//! What process functions see while they run: the key, its states and timers, and the outputs.
//!
//! **Sources**: Flink's `KeyedProcessFunction.Context`, `RuntimeContext`.

use highwater_core::OutputTag;
use highwater_core::context::Context;
use highwater_core::key::Key;
use highwater_core::record::Data;
use highwater_core::time::EventTime;
use highwater_state::aggregating::{AggregateFunction, Aggregating};
use highwater_state::list::List;
use highwater_state::map::Map;
use highwater_state::reducing::Reducing;
use highwater_state::ttl::Now;
use highwater_state::value::Value;
use highwater_state::{Hashed, StateValue};

use super::ProcessTimers;
use crate::connect::Awaiting;
use crate::keyed_state::{
    AggregatingState, Current, ListState, MapState, ReducingState, States, ValueState,
};

/// What a process function may use: the current key, its states and timers, and the outputs.
#[derive(Debug)]
pub struct ProcessContext<'a, 'b, K: Key, O: Data> {
    pub(crate) cx: &'a mut Context<'b, O>,
    pub(crate) key: Hashed<'a, K>,
    pub(crate) event_time: EventTime,
    pub(crate) now: Now,
    pub(crate) states: &'a mut States<K>,
    pub(crate) timers: &'a mut ProcessTimers<K>,
    pub(crate) awaiting: &'a mut Awaiting<K>,
}

impl<K: Key, O: Data> ProcessContext<'_, '_, K, O> {
    /// Returns the key of the record or timer.
    #[must_use]
    pub fn key(&self) -> &K {
        self.key.key
    }

    /// Returns the event time of the record, or the time of the timer, in ms.
    #[must_use]
    pub fn event_time(&self) -> EventTime {
        self.event_time
    }

    /// Returns the watermark: no record with an event time at or below it is on time any more.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.cx.watermark()
    }

    /// Returns the processing time, in ms since 1970.
    #[must_use]
    pub fn processing_time(&self) -> i64 {
        self.cx.processing_time()
    }

    /// Returns the superstep of the loop that the operator stands in: 0 for what enters and for
    /// timers, and how often it has gone round for what came back. `None` outside of loops.
    #[must_use]
    pub fn superstep(&self) -> Option<u64> {
        self.cx.superstep()
    }

    /// Asks for the key to be worked on once more at the end of the superstep, at the same event
    /// time; when that is being done, at the end of the next one. Never comes outside of loops.
    pub fn await_superstep_end(&mut self) {
        let latest = self.awaiting.end.entry(self.key.key.clone()).or_insert(self.event_time);
        *latest = self.event_time.max(*latest);
    }

    /// Asks for the key to be worked on when the loop has come to rest, at the same event time.
    /// Never comes outside of loops.
    pub fn await_rest(&mut self) {
        let latest = self.awaiting.rest.entry(self.key.key.clone()).or_insert(self.event_time);
        *latest = self.event_time.max(*latest);
    }

    /// Emits a value at the event time of the record or timer.
    pub fn emit(&mut self, value: O) {
        self.cx.emit(self.event_time, value);
    }

    /// Emits a value into the side output with this tag, at the same event time.
    pub fn emit_to<X: Data>(&mut self, tag: &OutputTag<X>, value: X) {
        self.cx.emit_to(tag, self.event_time, value);
    }

    /// Returns the value of a state for the current key.
    #[must_use]
    pub fn get<V: StateValue>(&mut self, state: ValueState<V>) -> Option<&V> {
        self.states.of(state, self.key, self.now).into_ref()
    }

    /// Returns the value of a state for the current key, to be changed; made by default first.
    pub fn get_mut<V: StateValue + Default>(&mut self, state: ValueState<V>) -> &mut V {
        self.states.of(state, self.key, self.now).into_mut()
    }

    /// Stores the value of a state for the current key.
    pub fn set<V: StateValue>(&mut self, state: ValueState<V>, value: V) {
        self.value(state).set(value);
    }

    /// Takes the value of a state for the current key, and leaves none.
    pub fn take<V: StateValue>(&mut self, state: ValueState<V>) -> Option<V> {
        self.value(state).take()
    }

    /// Opens the value of a state for the current key.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::keyed_state::*;
    /// # use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
    /// # use std::time::Duration;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// /// Emits what was sold of an article within the last minute, at 100 seconds.
    /// struct Sold { sold: ValueState<u64> }
    ///
    /// impl KeyedProcessFunction<char, (char, u64)> for Sold {
    ///     type Out = (char, Option<u64>);
    ///     fn process_element(&mut self, (_, n): (char, u64), cx: &mut ProcessContext<char, Self::Out>) {
    ///         cx.value(self.sold).update(|sold| *sold += n);
    ///         cx.set_event_timer(100_000);
    ///     }
    ///     fn on_timer(&mut self, _time: i64, cx: &mut ProcessContext<char, Self::Out>) {
    ///         let sold = cx.value(self.sold).take();
    ///         cx.emit((*cx.key(), sold));
    ///     }
    /// }
    ///
    /// env.read(Collection::timestamped([(0, ('a', 1)), (50_000, ('b', 2)), (60_000, ('b', 3))]))
    ///     .key_by(|record| record.0)
    ///     .process(|states| {
    ///         let minute = StateTtlConfig::new(Duration::from_secs(60)).time(TtlTime::Event);
    ///         let sold = ValueStateDescriptor::new("sold").ttl(minute);
    ///         Ok(Sold { sold: states.value_with(sold)? })
    ///     })
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// assert_eq!(results.take_values(), [('a', None), ('b', Some(5))]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn value<V: StateValue>(&mut self, state: ValueState<V>) -> Current<'_, K, Value<V>> {
        self.states.of(state, self.key, self.now)
    }

    /// Opens the list of a state for the current key.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::keyed_state::*;
    /// # use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// /// Emits the records of a key three by three.
    /// struct Threes { waiting: ListState<u64> }
    ///
    /// impl KeyedProcessFunction<char, (char, u64)> for Threes {
    ///     type Out = Vec<u64>;
    ///     fn process_element(&mut self, (_, n): (char, u64), cx: &mut ProcessContext<char, Vec<u64>>) {
    ///         let mut waiting = cx.list(self.waiting);
    ///         waiting.add(n);
    ///         let three: Vec<u64> = waiting.iter().copied().collect();
    ///         if three.len() == 3 {
    ///             waiting.clear();
    ///             cx.emit(three);
    ///         }
    ///     }
    /// }
    ///
    /// env.read(Collection::timestamped([(0, ('a', 1)), (1, ('b', 2)), (2, ('a', 3)), (3, ('a', 5))]))
    ///     .key_by(|record| record.0)
    ///     .process(|states| Ok(Threes { waiting: states.list("waiting")? }))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// assert_eq!(results.take_values(), [[1, 3, 5]]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn list<V: StateValue>(&mut self, state: ListState<V>) -> Current<'_, K, List<V>> {
        self.states.of(state, self.key, self.now)
    }

    /// Opens the map of a state for the current key.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::keyed_state::*;
    /// # use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// /// Emits each number of a key once, and how many it makes.
    /// struct Distinct { seen: MapState<u64, u64> }
    ///
    /// impl KeyedProcessFunction<char, (char, u64)> for Distinct {
    ///     type Out = (u64, usize);
    ///     fn process_element(&mut self, (_, n): (char, u64), cx: &mut ProcessContext<char, (u64, usize)>) {
    ///         let mut seen = cx.map(self.seen);
    ///         *seen.get_mut(n) += 1;
    ///         if seen.get(&n) == Some(&1) {
    ///             let distinct = seen.keys().count();
    ///             cx.emit((n, distinct));
    ///         }
    ///     }
    /// }
    ///
    /// env.read(Collection::timestamped([(0, ('a', 7)), (1, ('a', 5)), (2, ('a', 7)), (3, ('b', 7))]))
    ///     .key_by(|record| record.0)
    ///     .process(|states| Ok(Distinct { seen: states.map("seen")? }))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// assert_eq!(results.take_values(), [(7, 1), (5, 2), (7, 1)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn map<U: StateValue + Ord, V: StateValue>(
        &mut self,
        state: MapState<U, V>,
    ) -> Current<'_, K, Map<U, V>> {
        self.states.of(state, self.key, self.now)
    }

    /// Opens what is reduced for the current key.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::keyed_state::*;
    /// # use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// /// Emits the greatest number of a key so far.
    /// struct Greatest { greatest: ReducingState<u64> }
    ///
    /// impl KeyedProcessFunction<char, (char, u64)> for Greatest {
    ///     type Out = u64;
    ///     fn process_element(&mut self, (_, n): (char, u64), cx: &mut ProcessContext<char, u64>) {
    ///         let mut greatest = cx.reducing(self.greatest);
    ///         greatest.add(n);
    ///         if let Some(greatest) = greatest.get().copied() {
    ///             cx.emit(greatest);
    ///         }
    ///     }
    /// }
    ///
    /// env.read(Collection::timestamped([(0, ('a', 7)), (1, ('a', 5)), (2, ('b', 1)), (3, ('a', 9))]))
    ///     .key_by(|record| record.0)
    ///     .process(|states| Ok(Greatest { greatest: states.reducing("greatest", u64::max)? }))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// assert_eq!(results.take_values(), [7, 7, 1, 9]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn reducing<V: StateValue>(
        &mut self,
        state: ReducingState<V>,
    ) -> Current<'_, K, Reducing<V>> {
        self.states.of(state, self.key, self.now)
    }

    /// Opens what is aggregated for the current key.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::keyed_state::*;
    /// # use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
    /// # use highwater_operators::window::AggregateFunction;
    /// # #[derive(Clone)]
    /// # struct Mean;
    /// # impl AggregateFunction<u64> for Mean {
    /// #     type Accumulator = (u64, u64);
    /// #     type Output = u64;
    /// #     fn create(&self) -> (u64, u64) { (0, 0) }
    /// #     fn add(&self, (sum, count): &mut (u64, u64), n: u64) { *sum += n; *count += 1 }
    /// #     fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) { into.0 += other.0; into.1 += other.1 }
    /// #     fn result(&self, (sum, count): &(u64, u64)) -> u64 { sum / count }
    /// # }
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// /// Emits the mean of the numbers of a key so far.
    /// struct Means { mean: AggregatingState<u64, Mean> }
    ///
    /// impl KeyedProcessFunction<char, (char, u64)> for Means {
    ///     type Out = u64;
    ///     fn process_element(&mut self, (_, n): (char, u64), cx: &mut ProcessContext<char, u64>) {
    ///         let mut mean = cx.aggregating(self.mean);
    ///         mean.add(n);
    ///         if let Some(mean) = mean.get() {
    ///             cx.emit(mean);
    ///         }
    ///     }
    /// }
    ///
    /// env.read(Collection::timestamped([(0, ('a', 7)), (1, ('a', 5)), (2, ('b', 1)), (3, ('a', 9))]))
    ///     .key_by(|record| record.0)
    ///     .process(|states| Ok(Means { mean: states.aggregating("mean", Mean)? }))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// assert_eq!(results.take_values(), [7, 6, 1, 7]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn aggregating<T: 'static, A: AggregateFunction<T>>(
        &mut self,
        state: AggregatingState<T, A>,
    ) -> Current<'_, K, Aggregating<T, A>> {
        self.states.of(state, self.key, self.now)
    }

    /// Sets a timer for the current key that fires when the watermark reaches `time`, in ms. The
    /// same time twice is one timer; a time that has passed fires when the watermark next moves.
    pub fn set_event_timer(&mut self, time: i64) {
        self.timers.event.set(time, self.key, ());
    }

    /// Deletes an event-time timer of the current key; nothing happens if there is none.
    pub fn delete_event_timer(&mut self, time: i64) {
        self.timers.event.delete(time, self.key, ());
    }

    /// Sets a timer for the current key that fires when the clock has passed `time_ms` since 1970.
    pub fn set_processing_timer(&mut self, time_ms: i64) {
        self.timers.processing.set(time_ms, self.key, ());
    }

    /// Deletes a processing-time timer of the current key; nothing happens if there is none.
    pub fn delete_processing_timer(&mut self, time_ms: i64) {
        self.timers.processing.delete(time_ms, self.key, ());
    }
}
