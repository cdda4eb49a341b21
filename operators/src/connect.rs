//! Connected streams: two keyed streams of different types that share state, key by key.
//!
//! **Sources**: Flink's `ConnectedStreams`, `KeyedCoProcessFunction`.

use std::collections::BTreeMap;
use std::rc::Rc;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::{Key, stable_hash};
use highwater_core::metrics::Role;
use highwater_core::record::{Batch, Data, ExchangeData};
use highwater_core::shell::{Inlet, Logic, ShellBuilder};
use highwater_core::time::EventTime;
use highwater_state::ttl::Now;
use highwater_state::{Backend, Hashed};

use crate::floored::{Floored, HashOf};
use crate::key_by::KeyedStream;
use crate::keyed_state::States;
use crate::process::{ProcessContext, ProcessTimers};
use crate::stateful::backend;
use crate::stream::{Processed, drain};

/// What happens to the records of two streams and the timers of a key, after Flink's
/// `KeyedCoProcessFunction`. Between the two streams there is no order.
pub trait KeyedCoProcessFunction<K: Key, A: Data, B: Data>: 'static {
    /// What it emits.
    type Out: Data;

    /// Works on one record of the first stream.
    fn process_left(&mut self, value: A, cx: &mut ProcessContext<'_, '_, K, Self::Out>);

    /// Works on one record of the second stream.
    fn process_right(&mut self, value: B, cx: &mut ProcessContext<'_, '_, K, Self::Out>);

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

/// Two keyed streams side by side.
pub struct ConnectedStreams<'scope, K, A: Data, FA, B: Data, FB> {
    left: KeyedStream<'scope, K, A, FA>,
    right: KeyedStream<'scope, K, B, FB>,
}

impl<K, A: Data, FA, B: Data, FB> std::fmt::Debug for ConnectedStreams<'_, K, A, FA, B, FB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectedStreams")
            .field("left", &self.left)
            .field("right", &self.right)
            .finish()
    }
}

impl<'scope, K: Key, A: ExchangeData, FA: Fn(&A) -> K + 'static> KeyedStream<'scope, K, A, FA> {
    /// Puts another stream with the same keys beside this one.
    #[must_use]
    pub fn connect<B: ExchangeData, FB: Fn(&B) -> K + 'static>(
        &self,
        right: &KeyedStream<'scope, K, B, FB>,
    ) -> ConnectedStreams<'scope, K, A, FA, B, FB> {
        ConnectedStreams { left: self.clone(), right: right.clone() }
    }
}

impl<'scope, K, A, FA, B, FB> ConnectedStreams<'scope, K, A, FA, B, FB>
where
    K: Key,
    A: ExchangeData,
    B: ExchangeData,
    FA: Fn(&A) -> K + 'static,
    FB: Fn(&B) -> K + 'static,
{
    /// Runs a function on the records of both streams.
    ///
    /// - `make`: makes the function with its states, once per worker, before the first record.
    /// - `output`: what it emits, on the worker that owns the key.
    /// - `state`: its states and timers, until it clears them.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::connect::KeyedCoProcessFunction;
    /// # use highwater_operators::keyed_state::ValueState;
    /// # use highwater_operators::process::ProcessContext;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// /// Joins each order with its customer's name, whichever comes first.
    /// struct Orders { name: ValueState<String>, waiting: ValueState<Vec<u32>> }
    ///
    /// impl KeyedCoProcessFunction<u32, (u32, String), (u32, u32)> for Orders {
    ///     type Out = (String, u32);
    ///     fn process_left(&mut self, (_, name): (u32, String), cx: &mut ProcessContext<u32, Self::Out>) {
    ///         for order in cx.take(self.waiting).unwrap_or_default() {
    ///             cx.emit((name.clone(), order));
    ///         }
    ///         cx.set(self.name, name);
    ///     }
    ///     fn process_right(&mut self, (_, order): (u32, u32), cx: &mut ProcessContext<u32, Self::Out>) {
    ///         match cx.get(self.name).cloned() {
    ///             Some(name) => cx.emit((name, order)),
    ///             None => cx.get_mut(self.waiting).push(order),
    ///         }
    ///     }
    /// }
    ///
    /// let customers = env.read(Collection::of([(1, "ada".to_string()), (2, "bob".to_string())]));
    /// let orders = env.read(Collection::of([(2, 20), (1, 10), (2, 21)]));
    /// let orders = orders.key_by(|order| order.0);
    /// customers
    ///     .key_by(|customer| customer.0)
    ///     .connect(&orders)
    ///     .process(|states| Ok(Orders { name: states.value("name")?, waiting: states.value("waiting")? }))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// let bob = |order| ("bob".to_string(), order);
    /// assert_eq!(results, [("ada".to_string(), 10), bob(20), bob(21)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn process<P>(
        &self,
        make: impl FnOnce(&mut States<K>) -> Result<P> + 'scope,
    ) -> Processed<'scope, P::Out>
    where
        P: KeyedCoProcessFunction<K, A, B>,
    {
        self.operator("co_process", move |backend, keys| CoProcess::new(backend, keys, make))
    }

    /// Adds an operator with two inputs behind the streams.
    pub(crate) fn operator<L>(
        &self,
        kind: &str,
        logic: impl FnOnce(Backend, (Rc<FA>, Rc<FB>)) -> Result<L> + 'scope,
    ) -> Processed<'scope, L::Out>
    where
        L: Logic<Left = A, Right = B>,
    {
        let (left, right) = (self.left.stream.consumed(), self.right.stream.consumed());
        let keys = (Rc::clone(&self.left.key), Rc::clone(&self.right.key));
        Processed::new(self.left.stream.env(), kind, move |env, identity, sides| {
            let dataflow = env.dataflow();
            let (left, right) = (left.built(env)?, right.built(env)?);
            let (by_left, by_right) = (Rc::clone(&keys.0), Rc::clone(&keys.1));
            let builder = ShellBuilder {
                uid: identity.uid(),
                name: identity.name(),
                role: Role::Operator,
                left: Inlet::by_key(dataflow, left, move |value| by_left(value)),
                right: Some(Inlet::by_key(dataflow, right, move |value| by_right(value))),
                sides,
                follows_input: true,
            };
            builder.build(dataflow, || {
                let backend = backend(env, identity)?;
                let floors = backend.floors();
                let (left, right) = (Rc::clone(&keys.0), Rc::clone(&keys.1));
                let left: HashOf<A> = Box::new(move |value| stable_hash(&left(value)));
                let right: HashOf<B> = Box::new(move |value| stable_hash(&right(value)));
                Ok(Floored::new(logic(backend, keys)?, &floors, (left, right)))
            })
        })
    }
}

/// The keys that wait for something, with the event time of their last record.
#[derive(Debug)]
pub(crate) struct Awaiting<K> {
    /// For the end of the superstep.
    pub(crate) end: BTreeMap<K, EventTime>,
    /// For the loop to come to rest.
    pub(crate) rest: BTreeMap<K, EventTime>,
}

/// What a function is run for.
#[derive(Clone, Copy, Debug)]
enum Use {
    Record,
    EventTimer,
    ProcessingTimer,
    SuperstepEnd,
}

/// Runs a keyed function of two streams.
pub(crate) struct CoProcess<K: Key, A, FA, B, FB, P> {
    keys: (Rc<FA>, Rc<FB>),
    function: P,
    states: States<K>,
    timers: ProcessTimers<K>,
    awaiting: Awaiting<K>,
    /// The keys whose turn it is at the end of a superstep, or at rest.
    ending: BTreeMap<K, EventTime>,
    /// The event time by which states expire: the watermark, or the time of the timer that runs.
    event_clock: i64,
    values: std::marker::PhantomData<fn() -> (A, B)>,
}

impl<K: Key, A: Data, FA, B: Data, FB, P> CoProcess<K, A, FA, B, FB, P>
where
    P: KeyedCoProcessFunction<K, A, B>,
{
    pub(crate) fn new(
        mut backend: Backend,
        keys: (Rc<FA>, Rc<FB>),
        make: impl FnOnce(&mut States<K>) -> Result<P>,
    ) -> Result<Self> {
        let timers = ProcessTimers::new(&mut backend)?;
        let mut states = States::new(backend);
        let function = make(&mut states)?;
        let values = std::marker::PhantomData;
        let ending = BTreeMap::new();
        let awaiting = Awaiting { end: BTreeMap::new(), rest: BTreeMap::new() };
        let event_clock = i64::MIN;
        Ok(CoProcess { keys, function, states, timers, awaiting, ending, event_clock, values })
    }

    fn run(
        &mut self,
        key: &K,
        event_time: EventTime,
        used: Use,
        cx: &mut Context<'_, P::Out>,
        part: impl FnOnce(&mut P, &mut ProcessContext<'_, '_, K, P::Out>),
    ) {
        let (clock, of_record) = match used {
            Use::Record => (cx.watermark(), event_time),
            Use::EventTimer => (event_time.min(cx.watermark()), i64::MIN),
            Use::ProcessingTimer | Use::SuperstepEnd => (cx.watermark(), i64::MIN),
        };
        self.event_clock = self.event_clock.max(clock);
        let now = Now {
            processing_ms: cx.processing_time(),
            watermark: self.event_clock,
            event_time: of_record,
        };
        let (states, timers, awaiting) = (&mut self.states, &mut self.timers, &mut self.awaiting);
        let key = Hashed::new(key);
        let mut cx = ProcessContext { cx, key, event_time, now, states, timers, awaiting };
        part(&mut self.function, &mut cx);
    }
}

impl<K: Key, A: Data, FA, B: Data, FB, P> CoProcess<K, A, FA, B, FB, P>
where
    P: KeyedCoProcessFunction<K, A, B>,
{
    /// Runs a part of the function for the keys whose turn it is; returns whether that is all.
    fn run_ending(
        &mut self,
        cx: &mut Context<'_, P::Out>,
        part: impl Fn(&mut P, &mut ProcessContext<'_, '_, K, P::Out>),
    ) -> bool {
        while let Some((key, event_time)) = self.ending.pop_first() {
            self.run(&key, event_time, Use::SuperstepEnd, cx, &part);
            if cx.should_yield() {
                break;
            }
        }
        self.ending.is_empty()
    }
}

impl<K, A, FA, B, FB, P> Logic for CoProcess<K, A, FA, B, FB, P>
where
    K: Key,
    A: Data,
    B: Data,
    FA: Fn(&A) -> K + 'static,
    FB: Fn(&B) -> K + 'static,
    P: KeyedCoProcessFunction<K, A, B>,
{
    type Left = A;
    type Right = B;
    type Out = P::Out;

    fn left(&mut self, batch: &mut Batch<A>, cx: &mut Context<'_, P::Out>) {
        for (event_time, value) in drain(batch) {
            let key = (self.keys.0)(&value);
            self.run(&key, event_time, Use::Record, cx, |f, cx| f.process_left(value, cx));
        }
    }

    fn right(&mut self, batch: &mut Batch<B>, cx: &mut Context<'_, P::Out>) {
        for (event_time, value) in drain(batch) {
            let key = (self.keys.1)(&value);
            self.run(&key, event_time, Use::Record, cx, |f, cx| f.process_right(value, cx));
        }
    }

    fn fire(&mut self, watermark: i64, cx: &mut Context<'_, P::Out>) -> Option<i64> {
        while let Some(first) = self.timers.first_event().filter(|t| *t <= watermark) {
            if cx.should_yield() {
                return Some(first);
            }
            if let Some((time, key)) = self.timers.pop_event(watermark) {
                cx.count_fired(1);
                self.run(&key, time, Use::EventTimer, cx, |f, cx| f.on_timer(time, cx));
            }
        }
        None
    }

    fn fire_processing(&mut self, now_ms: i64, cx: &mut Context<'_, P::Out>) {
        while !cx.should_yield()
            && let Some((time, key)) = self.timers.pop_processing(now_ms)
        {
            cx.count_fired(1);
            self.run(&key, time, Use::ProcessingTimer, cx, |f, cx| f.on_timer(time, cx));
        }
    }

    fn end_superstep(&mut self, cx: &mut Context<'_, P::Out>) -> bool {
        if self.ending.is_empty() {
            std::mem::swap(&mut self.ending, &mut self.awaiting.end);
        }
        self.run_ending(cx, P::on_superstep_end)
    }

    fn at_rest(&mut self, cx: &mut Context<'_, P::Out>) -> bool {
        if self.ending.is_empty() {
            std::mem::swap(&mut self.ending, &mut self.awaiting.rest);
        }
        self.run_ending(cx, P::on_rest)
    }

    fn judge_at(&mut self, watermark: i64) {
        self.event_clock = watermark;
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.states.freeze(cut);
        self.timers.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.states.fold() | self.timers.fold()
    }

    fn first_timer(&self) -> Option<i64> {
        self.timers.first_event()
    }

    fn first_processing_timer(&self) -> Option<i64> {
        self.timers.first_processing()
    }
}
