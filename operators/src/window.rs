//! Windows over keyed streams: which records belong together, when they fire, what comes out.
//!
//! ```text
//! KeyedStream --window(Tumbling | Sliding | Session | Global)--> WindowedStream
//!     [.trigger(..)] [.allowed_lateness(..)] --reduce | aggregate | process--> WindowResult
//!                                                                    |  '--late()--> late records
//!                                                                    '--> Windowed { key, window, value }
//! ```
//!
//! Three operators share the work: [`aligned`] for tumbling and sliding windows in event time with
//! the default trigger, whose sliding windows share slices; [`session`] for windows that merge; and
//! [`general`] for everything else. They give the same results where they overlap.
//!
//! **Sources**: Flink's `WindowedStream`, `WindowOperator`; The Dataflow Model, VLDB 2015
//! (papers/dataflow-model.md).

pub mod time_window;
pub mod assigner;
pub mod session_gap;

pub mod trigger;
pub mod repeated;

pub mod function;
mod lifetime;
mod pane;
mod slices;
mod two_stacks;
mod session_set;

pub mod aligned;
pub mod general;
pub mod session;
mod timed;
mod choice;

#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod session_behaviour;
#[cfg(test)]
mod rescaled;
#[cfg(test)]
mod agreement;

use std::time::Duration;

use highwater_core::OutputTag;
use highwater_core::key::Key;
use highwater_core::record::{Data, ExchangeData};

use crate::key_by::KeyedStream;
use crate::node::Identity;
use crate::stream::{DataStream, Named, Processed};

pub use assigner::{Assigner, Global, Sliding, Tumbling};
pub use choice::{Assigned, By, ByDefault, TriggerChoice, Windows};
pub use function::{AggregateFunction, ProcessFn, ProcessWindowFunction, Windowed};
pub use lifetime::WindowOptions;
pub use repeated::{ContinuousEventTime, ContinuousProcessingTime, Count, Purging};
pub use session_gap::{Session, SessionAssigner};
pub use time_window::TimeWindow;
pub use trigger::{AtEnd, Trigger, TriggerContext, TriggerResult};

use choice::Setup;
use function::{Aggregate, Process, Reduce, Then, WindowFunction};

/// A keyed stream whose records are sorted into windows, after Flink's `WindowedStream`.
///
/// - `A`: the windows, `G`: the choice of trigger.
pub struct WindowedStream<'scope, K, T: Data, F, A, G = ByDefault> {
    keyed: KeyedStream<'scope, K, T, F>,
    windows: A,
    trigger: G,
    allowed_lateness: Duration,
}

impl<K, T: Data, F, A, G> std::fmt::Debug for WindowedStream<'_, K, T, F, A, G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowedStream").field("keyed", &self.keyed).finish_non_exhaustive()
    }
}

impl<'scope, K: Key, T: ExchangeData, F: Fn(&T) -> K + 'static> KeyedStream<'scope, K, T, F> {
    /// Sorts the records of each key into windows.
    ///
    /// - `windows`: [`Tumbling`], [`Sliding`], [`Session`], [`Global`], or [`Assigned`] for one's own.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use std::time::Duration;
    /// # use highwater_operators::window::Session;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let clicks = [(1_000, 'a'), (2_000, 'a'), (9_000, 'a')];
    /// env.read(Collection::timestamped(clicks))
    ///     .key_by(|user| *user)
    ///     .window(Session::gap(Duration::from_secs(3)))
    ///     .reduce(|user, _| user)
    ///     .map(|session| (session.window.start, session.window.end))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [(1_000, 5_000), (9_000, 12_000)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn window<A: Windows<T>>(&self, windows: A) -> WindowedStream<'scope, K, T, F, A> {
        let (trigger, allowed_lateness) = (ByDefault, Duration::ZERO);
        WindowedStream { keyed: self.clone(), windows, trigger, allowed_lateness }
    }

    /// Sorts the records of each key into windows of `size` records.
    ///
    /// - `output`: one result for each `size` records of a key, at event time `i64::MAX`; a rest of
    ///   fewer records gives none, in batch mode one at the end.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// let numbers = env.read(Collection::of(1..=7));
    /// numbers.key_by(|_| ()).count_window(3).reduce(|a, b| a + b).map(|w| w.value).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [6, 15]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn count_window(
        &self,
        size: u64,
    ) -> WindowedStream<'scope, K, T, F, Global, By<Purging<Count>>> {
        self.window(Global).trigger(Purging(Count(size)))
    }
}

impl<'scope, K, T, F, A, G> WindowedStream<'scope, K, T, F, A, G>
where
    K: Key,
    T: ExchangeData,
    F: Fn(&T) -> K + 'static,
    A: Windows<T>,
    G: TriggerChoice<T>,
{
    /// Replaces the trigger.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use std::time::Duration;
    /// # use highwater_operators::window::{Count, Purging, Tumbling};
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let sales = [(1_000, ('a', 1)), (1_500, ('a', 2)), (7_000, ('a', 4)), (1_000, ('b', 8))];
    /// let windows = env
    ///     .read(Collection::timestamped(sales))
    ///     .key_by(|sale| sale.0)
    ///     .window(Tumbling::of(Duration::from_secs(5)));
    /// windows
    ///     .trigger(Purging(Count(2)))
    ///     .reduce(|a, b| (a.0, a.1 + b.1))
    ///     .map(|w| w.value)
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [('a', 3)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn trigger<H: Trigger<T>>(self, trigger: H) -> WindowedStream<'scope, K, T, F, A, By<H>> {
        let WindowedStream { keyed, windows, allowed_lateness, .. } = self;
        WindowedStream { keyed, windows, trigger: By::new(trigger), allowed_lateness }
    }

    /// Keeps each window for this long, in event time, after its end: records that are late but
    /// still find their window make it fire again.
    #[must_use]
    pub fn allowed_lateness(self, allowed_lateness: Duration) -> Self {
        WindowedStream { allowed_lateness, ..self }
    }

    /// Aggregates the values of each key and window as they come.
    ///
    /// - `output`: the result with its key and window, at the last instant of the window, each time
    ///   it fires.
    /// - `state`: one accumulator per key and window (per key and slice where windows slide), until
    ///   the allowed lateness is over.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use std::time::Duration;
    /// # use highwater_operators::window::{AggregateFunction, Tumbling};
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
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let sales = [(1_000, ('a', 1)), (1_500, ('a', 2)), (7_000, ('a', 4)), (1_000, ('b', 8))];
    /// let windows = env
    ///     .read(Collection::timestamped(sales))
    ///     .key_by(|sale| sale.0)
    ///     .window(Tumbling::of(Duration::from_secs(5)));
    /// windows.aggregate(Sum).map(|w| (w.key, w.window.start, w.value)).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [('a', 0, 3), ('a', 5_000, 4), ('b', 0, 8)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn aggregate<S: AggregateFunction<T>>(
        self,
        function: S,
    ) -> WindowResult<'scope, Windowed<K, S::Output>, T> {
        self.apply("window_aggregate", Aggregate(function))
    }

    /// Aggregates the values of each key and window as they come, and computes results from the
    /// aggregate.
    ///
    /// - `output`, `state`: as [`aggregate`](Self::aggregate), with what `process` emits.
    #[must_use]
    pub fn aggregate_then<S, P>(self, function: S, process: P) -> WindowResult<'scope, P::Output, T>
    where
        S: AggregateFunction<T>,
        P: ProcessWindowFunction<K, S::Output>,
    {
        self.apply("window_aggregate", Then(Aggregate(function), process))
    }

    /// Combines the values of each key and window, two by two, in any grouping.
    ///
    /// - `output`, `state`: as [`aggregate`](Self::aggregate).
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use std::time::Duration;
    /// # use highwater_operators::window::Tumbling;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let sales = [(1_000, ('a', 1)), (1_500, ('a', 2)), (7_000, ('a', 4)), (1_000, ('b', 8))];
    /// let windows = env
    ///     .read(Collection::timestamped(sales))
    ///     .key_by(|sale| sale.0)
    ///     .window(Tumbling::of(Duration::from_secs(5)));
    /// windows.reduce(|a, b| (a.0, a.1.max(b.1))).map(|w| w.value).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [('a', 2), ('a', 4), ('b', 8)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn reduce(
        self,
        combine: impl Fn(T, T) -> T + 'static,
    ) -> WindowResult<'scope, Windowed<K, T>, T> {
        self.apply("window_reduce", Reduce(combine))
    }

    /// Computes results from all values of each key and window.
    ///
    /// - `output`: what the function emits, at the last instant of the window.
    /// - `state`: all values, until the allowed lateness is over.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use std::time::Duration;
    /// # use highwater_operators::window::{ProcessFn, Tumbling};
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let sales = [(1_000, ('a', 1)), (1_500, ('a', 2)), (7_000, ('a', 4)), (1_000, ('b', 8))];
    /// let windows = env
    ///     .read(Collection::timestamped(sales))
    ///     .key_by(|sale| sale.0)
    ///     .window(Tumbling::of(Duration::from_secs(5)));
    /// let spread = ProcessFn::new(|key: &char, _window: &_, sales: &[(char, u64)], emit: &mut dyn FnMut(_)| {
    ///     emit((*key, sales.len()));
    /// });
    /// windows.process(spread).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [('a', 1), ('a', 2), ('b', 1)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn process<P: ProcessWindowFunction<K, T>>(
        self,
        function: P,
    ) -> WindowResult<'scope, P::Output, T> {
        self.apply("window_process", Process(function))
    }

    fn apply<W: WindowFunction<K, T>>(
        self,
        kind: &'static str,
        function: W,
    ) -> WindowResult<'scope, W::Out, T> {
        let late = OutputTag::new("late-data");
        let WindowedStream { keyed, windows, trigger, allowed_lateness } = self;
        let setup = Setup::new(kind, keyed, function, allowed_lateness, late.clone());
        WindowResult { results: trigger.apply(windows, setup), late }
    }
}

/// The results of windows, and the records that came too late for them.
pub struct WindowResult<'scope, O: Data, T> {
    results: Processed<'scope, O>,
    late: OutputTag<T>,
}

impl<O: Data, T> std::fmt::Debug for WindowResult<'_, O, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.results.fmt(f)
    }
}

impl<'scope, O: Data, T> std::ops::Deref for WindowResult<'scope, O, T> {
    type Target = Processed<'scope, O>;
    fn deref(&self) -> &Self::Target {
        &self.results
    }
}

impl<O: Data, T> Named for WindowResult<'_, O, T> {
    fn identity(&self) -> &Identity {
        self.results.identity()
    }
}

impl<'scope, O: Data, T: Data> WindowResult<'scope, O, T> {
    /// Returns the records that came when all their windows were gone, after Flink's
    /// `sideOutputLateData`. Without this call they are counted and dropped.
    #[must_use]
    pub fn late(&self) -> DataStream<'scope, T> {
        self.results.side_output(&self.late)
    }
}
