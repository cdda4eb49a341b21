//! Keyed process functions: user code with state and timers for each key.
//!
//! **Sources**: Flink's `KeyedProcessFunction`, `KeyedProcessOperator`.

mod context;

pub use context::ProcessContext;

use std::convert::Infallible;
use std::rc::Rc;

use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::Key;
use highwater_core::record::{Data, ExchangeData};
use highwater_state::{Backend, Timers};

use crate::connect::{CoProcess, KeyedCoProcessFunction};
use crate::key_by::KeyedStream;
use crate::keyed_state::States;
use crate::stream::Processed;

/// What happens to the records and timers of a key, after Flink's `KeyedProcessFunction`.
///
/// # Contract
/// - *State by key*: what must be remembered for a key lives in states that are made with the
///   function; its other fields are shared by all keys of the worker and are not part of
///   checkpoints.
pub trait KeyedProcessFunction<K: Key, T: Data>: 'static {
    /// What it emits.
    type Out: Data;

    /// Works on one record.
    fn process_element(&mut self, value: T, cx: &mut ProcessContext<'_, '_, K, Self::Out>);

    /// Works on a timer of the key that has come.
    ///
    /// - `time`: the time it was set for, in ms.
    fn on_timer(&mut self, _time: i64, _cx: &mut ProcessContext<'_, '_, K, Self::Out>) {}

    /// Works on a key at the end of a superstep of a loop, after the last record of all keys, if
    /// [`ProcessContext::await_superstep_end`] was called for it.
    fn on_superstep_end(&mut self, _cx: &mut ProcessContext<'_, '_, K, Self::Out>) {}

    /// Works on a key when the loop has come to rest, if [`ProcessContext::await_rest`] was called
    /// for it. What is emitted may leave the loop; what would go round is dropped.
    fn on_rest(&mut self, _cx: &mut ProcessContext<'_, '_, K, Self::Out>) {}
}

/// The timers of a process function on one worker.
#[derive(Debug)]
pub(crate) struct ProcessTimers<K> {
    event: Timers<K, ()>,
    processing: Timers<K, ()>,
}

impl<K: Key> ProcessTimers<K> {
    pub(crate) fn new(backend: &mut Backend) -> Result<Self> {
        let event = Timers::new(backend, "timers/event")?;
        Ok(ProcessTimers { event, processing: Timers::new(backend, "timers/processing")? })
    }

    pub(crate) fn freeze(&mut self, cut: &mut Cut) {
        self.event.freeze(cut);
        self.processing.freeze(cut);
    }

    pub(crate) fn fold(&mut self) -> bool {
        self.event.fold() | self.processing.fold()
    }

    pub(crate) fn first_event(&self) -> Option<i64> {
        self.event.first()
    }

    pub(crate) fn first_processing(&self) -> Option<i64> {
        self.processing.first()
    }

    /// Takes the first event-time timer that has come.
    pub(crate) fn pop_event(&mut self, watermark: i64) -> Option<(i64, K)> {
        self.event.pop(watermark).map(|(time, key, ())| (time, key))
    }

    /// Takes the first processing-time timer that has come.
    pub(crate) fn pop_processing(&mut self, now_ms: i64) -> Option<(i64, K)> {
        self.processing.pop(now_ms).map(|(time, key, ())| (time, key))
    }
}

impl<'scope, K: Key, T: ExchangeData, F: Fn(&T) -> K + 'static> KeyedStream<'scope, K, T, F> {
    /// Runs a process function on every record.
    ///
    /// - `make`: makes the function with its states, once per worker, before the first record.
    /// - `output`: what it emits, on the worker that owns the key.
    /// - `state`: its states and timers, until it clears them.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::keyed_state::ValueState;
    /// # use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// /// Emits a sensor's greatest reading of each second, a second after it began.
    /// struct Greatest { greatest: ValueState<i64> }
    ///
    /// impl KeyedProcessFunction<char, (char, i64)> for Greatest {
    ///     type Out = (char, i64);
    ///     fn process_element(&mut self, reading: (char, i64), cx: &mut ProcessContext<char, (char, i64)>) {
    ///         cx.set_event_timer(cx.event_time() / 1000 * 1000 + 999);
    ///         let greatest = cx.get_mut(self.greatest);
    ///         *greatest = reading.1.max(*greatest);
    ///     }
    ///     fn on_timer(&mut self, _time: i64, cx: &mut ProcessContext<char, (char, i64)>) {
    ///         if let Some(greatest) = cx.take(self.greatest) {
    ///             cx.emit((*cx.key(), greatest));
    ///         }
    ///     }
    /// }
    ///
    /// let readings = [(100, ('a', 5)), (300, ('a', 7)), (200, ('b', 6))];
    /// env.read(Collection::timestamped(readings))
    ///     .key_by(|reading| reading.0)
    ///     .process(|states| Ok(Greatest { greatest: states.value("greatest")? }))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [('a', 7), ('b', 6)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn process<P: KeyedProcessFunction<K, T>>(
        &self,
        make: impl FnOnce(&mut States<K>) -> Result<P> + 'scope,
    ) -> Processed<'scope, P::Out> {
        self.operator("process", move |backend, key, _| {
            let no_key: Rc<fn(&Infallible) -> K> = Rc::new(|never| match *never {});
            CoProcess::new(backend, (key, no_key), |states| Ok(OneSided(make(states)?)))
        })
    }
}

/// A function of one stream as one of two streams, the second of which never has a record.
struct OneSided<P>(P);

impl<K, T, P> KeyedCoProcessFunction<K, T, Infallible> for OneSided<P>
where
    K: Key,
    T: Data,
    P: KeyedProcessFunction<K, T>,
{
    type Out = P::Out;

    fn process_left(&mut self, value: T, cx: &mut ProcessContext<'_, '_, K, P::Out>) {
        self.0.process_element(value, cx);
    }

    fn process_right(&mut self, never: Infallible, _: &mut ProcessContext<'_, '_, K, P::Out>) {
        match never {}
    }

    fn on_timer(&mut self, time: i64, cx: &mut ProcessContext<'_, '_, K, P::Out>) {
        self.0.on_timer(time, cx);
    }

    fn on_superstep_end(&mut self, cx: &mut ProcessContext<'_, '_, K, P::Out>) {
        self.0.on_superstep_end(cx);
    }

    fn on_rest(&mut self, cx: &mut ProcessContext<'_, '_, K, P::Out>) {
        self.0.on_rest(cx);
    }
}
