//! Watermark strategies: how records get their event times, and how far event time has come.
//!
//! Called on a source, or on stateless steps behind one, a strategy works inside the source: one
//! generator per split, merged by minimum. Anywhere else it is an operator of its own that forgets
//! the watermarks of its input.
//!
//! **Sources**: Flink's `WatermarkStrategy`.

use std::rc::Rc;
use std::time::Duration;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::metrics::Role;
use highwater_core::record::{Batch, Data};
use highwater_core::shell::{Assign, Inlet, Logic, ShellBuilder, Strategy};
use highwater_core::time::EventTime;
use highwater_core::watermark::{
    BoundedOutOfOrderness, NoWatermarks, WatermarkGenerator, of_stamp, to_stamp,
};
use highwater_state::OperatorListState;

use crate::node::Pending;
use crate::stateful::backend;
use crate::stream::{DataStream, drain};

type MakeGenerator<T> = Rc<dyn Fn() -> Box<dyn WatermarkGenerator<T>>>;

/// How records get event times and watermarks, after Flink's `WatermarkStrategy`.
///
/// - `F`: the function that reads the event time from a value.
#[derive(Clone)]
pub struct Watermarks<T, F = fn(&T) -> EventTime> {
    generator: MakeGenerator<T>,
    event_time: Option<F>,
    idleness: Option<Duration>,
}

impl<T, F> std::fmt::Debug for Watermarks<T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watermarks").field("idleness", &self.idleness).finish_non_exhaustive()
    }
}

impl<T: Data> Watermarks<T> {
    /// Event times never go back within a split.
    #[must_use]
    pub fn monotonous() -> Self {
        Self::bounded(Duration::ZERO)
    }

    /// Event times go back by at most `out_of_orderness`: the watermark is the greatest event time,
    /// less that, less 1 ms.
    #[must_use]
    pub fn bounded(out_of_orderness: Duration) -> Self {
        let delay_ms = millis(out_of_orderness);
        Self::custom(move || BoundedOutOfOrderness::new(delay_ms))
    }

    /// There are no watermarks before the end of the input.
    #[must_use]
    pub fn none() -> Self {
        Self::custom(|| NoWatermarks)
    }

    /// A generator of one's own; `make` is called once per split.
    pub fn custom<G: WatermarkGenerator<T>>(make: impl Fn() -> G + 'static) -> Self {
        let generator: MakeGenerator<T> = Rc::new(move || Box::new(make()));
        Watermarks { generator, event_time: None, idleness: None }
    }
}

impl<T: Data, F> Watermarks<T, F> {
    /// Reads the event time, in ms since 1970, from each value. Without it, records keep the event
    /// time that their source gave them.
    #[must_use]
    pub fn event_time<G: Fn(&T) -> EventTime + 'static>(self, event_time: G) -> Watermarks<T, G> {
        let Watermarks { generator, idleness, .. } = self;
        Watermarks { generator, event_time: Some(event_time), idleness }
    }

    /// Leaves a split out of the minimum when it has had no record for this long, in processing
    /// time, until it has one again.
    #[must_use]
    pub fn with_idleness(self, idleness: Duration) -> Self {
        Watermarks { idleness: Some(idleness), ..self }
    }
}

impl<T: Data, F: Fn(&T) -> EventTime + 'static> Watermarks<T, F> {
    fn strategy(self) -> Strategy<T> {
        let assign = self.event_time.map(|event_time| -> Assign<T> {
            Box::new(move |batch: &mut Batch<T>| {
                for record in batch {
                    record.event_time = event_time(&record.value);
                }
            })
        });
        let generator = self.generator;
        Strategy { assign, generator: Box::new(move || generator()), idleness: self.idleness }
    }
}

/// A duration in whole ms.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<'scope, T: Data> DataStream<'scope, T> {
    /// Gives the records event times and makes watermarks of them.
    ///
    /// - `output`: the same records, on the same worker, in the same order. The watermark moves on
    ///   the grid of `--watermark-interval`, in batch mode only at the end.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use std::time::Duration;
    /// # use highwater_operators::watermarks::Watermarks;
    /// # use highwater_operators::window::{AggregateFunction, Tumbling};
    /// # #[derive(Clone)]
    /// # struct Letters;
    /// # impl AggregateFunction<(i64, char)> for Letters {
    /// #     type Accumulator = String;
    /// #     type Output = String;
    /// #     fn create(&self) -> String { String::new() }
    /// #     fn add(&self, letters: &mut String, (_, letter): (i64, char)) { letters.push(letter) }
    /// #     fn merge(&self, into: &mut String, other: String) { into.push_str(&other) }
    /// #     fn result(&self, letters: &String) -> String { letters.clone() }
    /// # }
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(1), move |env| {
    /// let events = env.read(Collection::of([(100, 'a'), (300, 'b'), (200, 'c')]));
    /// let watermarks = Watermarks::bounded(Duration::from_millis(150)).event_time(|event: &(i64, char)| event.0);
    /// events
    ///     .watermarks(watermarks)
    ///     .key_by(|_| ())
    ///     .window(Tumbling::of(Duration::from_millis(250)))
    ///     .aggregate(Letters)
    ///     .map(|window| (window.window.start, window.value))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [(0, "ac".to_string()), (250, "b".to_string())]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn watermarks<F>(&self, watermarks: Watermarks<T, F>) -> DataStream<'scope, T>
    where
        F: Fn(&T) -> EventTime + 'static,
    {
        let input = self.consumed();
        let env = self.env();
        env.node(env.identity("watermarks"), move |env, identity| {
            let mut strategy = Some(watermarks.strategy());
            let built = input.take(env)?.build(env, &mut strategy)?;
            let Some(strategy) = strategy else { return Ok(Pending::built(built)) };
            let dataflow = env.dataflow();
            let builder = ShellBuilder {
                uid: identity.uid(),
                name: identity.name(),
                role: Role::Operator,
                left: Inlet::straight(dataflow, built),
                right: None,
                sides: Vec::new(),
                follows_input: false,
            };
            let interval_ms = millis(dataflow.job().config().watermark_interval);
            let now_ms = dataflow.job().now_ms();
            let batch_mode = env.is_batch()?;
            let logic = || {
                let progress = backend(env, identity)?.union_state("progress")?;
                let place = (env.worker(), env.workers());
                Assigner::new(strategy, interval_ms, now_ms, batch_mode, progress, place)
            };
            Ok(Pending::built(builder.build(dataflow, logic)?))
        })
    }
}

/// Assigns event times and watermarks in the middle of a dataflow.
struct Assigner<T> {
    assign: Option<Assign<T>>,
    generator: Box<dyn WatermarkGenerator<T>>,
    promised: i64,
    batch_mode: bool,
    interval_ms: i64,
    /// When the watermark moves next, in ms since 1970.
    tick_ms: i64,
    /// Of every worker, in checkpoints: what it promised, and what its generator said of itself.
    progress: OperatorListState<(i64, String)>,
}

impl<T: Data> Assigner<T> {
    /// Goes on from the least that any former worker had promised. Generators go on where they
    /// were if there are as many workers as before.
    fn new(
        strategy: Strategy<T>,
        interval_ms: i64,
        now_ms: i64,
        batch_mode: bool,
        progress: OperatorListState<(i64, String)>,
        (worker, workers): (usize, usize),
    ) -> Result<Self> {
        let mut generator = (strategy.generator)();
        let former = progress.get();
        if former.len() == workers
            && let Some((_, snapshot)) = former.get(worker)
        {
            generator.restore(snapshot)?;
        }
        Ok(Assigner {
            assign: strategy.assign,
            generator,
            promised: former.iter().map(|(promised, _)| *promised).min().unwrap_or(i64::MIN),
            batch_mode,
            interval_ms,
            tick_ms: now_ms + interval_ms,
            progress,
        })
    }
}

impl<T: Data> Logic for Assigner<T> {
    type Left = T;
    type Right = std::convert::Infallible;
    type Out = T;

    fn left(&mut self, batch: &mut Batch<T>, cx: &mut Context<'_, T>) {
        if let Some(assign) = &mut self.assign {
            assign(batch);
        }
        self.generator.on_batch(batch);
        for (event_time, value) in drain(batch) {
            cx.emit(event_time, value);
        }
    }

    fn first_processing_timer(&self) -> Option<i64> {
        (!self.batch_mode).then_some(self.tick_ms)
    }

    fn fire_processing(&mut self, now_ms: i64, _cx: &mut Context<'_, T>) {
        self.tick_ms = now_ms - now_ms.rem_euclid(self.interval_ms) + self.interval_ms;
        let watermark = self.generator.on_periodic_emit().map_or(i64::MIN, to_stamp);
        self.promised = self.promised.max(watermark);
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.progress.update([(self.promised, self.generator.snapshot())]);
        self.progress.freeze(cut);
    }

    fn promise(&mut self, stamp: i64, _now_ms: i64) -> i64 {
        if of_stamp(stamp) == i64::MAX { i64::MAX } else { self.promised }
    }
}
