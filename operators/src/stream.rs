//! Streams: what a program names, transforms and joins.
//!
//! A [`DataStream`] is a description: its operator is built when the program has described the
//! whole job. Stateless steps (`map`, `filter`, ...) that have one consumer share an operator.

mod processed;

use std::rc::Rc;

use highwater_core::error::{Error, Result};
use highwater_core::metrics::Role;
use highwater_core::record::{Batch, Data};
use highwater_core::shell::{Built, Inlet, Logic, ShellBuilder, Stage};

use crate::environment::Env;
use crate::node::{Identity, Node, Pending};

pub use processed::Processed;

/// A stream of `T`, after Flink's `DataStream`. Cloning it is cheap and means the same stream.
pub struct DataStream<'scope, T: Data> {
    env: Env<'scope>,
    node: Rc<Node<'scope, T>>,
}

impl<T: Data> Clone for DataStream<'_, T> {
    fn clone(&self) -> Self {
        DataStream { env: self.env.clone(), node: Rc::clone(&self.node) }
    }
}

impl<T: Data> std::fmt::Debug for DataStream<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataStream").field("operator", self.node.identity()).finish_non_exhaustive()
    }
}

/// What can be given a name and a uid: the operator that a stream comes from.
pub trait Named: Sized {
    /// Returns the identity of the operator.
    #[doc(hidden)]
    fn identity(&self) -> &Identity;

    /// Names the operator for people: in messages, logs and metrics.
    #[must_use]
    fn name(self, name: &str) -> Self {
        self.identity().set_name(name);
        self
    }

    /// Gives the operator a stable identity: its state is found again by it, wherever the operator
    /// stands in a later version of the program. Two equal uids in a job are an error.
    #[must_use]
    fn uid(self, uid: &str) -> Self {
        self.identity().set_uid(uid);
        self
    }
}

impl<T: Data> Named for DataStream<'_, T> {
    fn identity(&self) -> &Identity {
        self.node.identity()
    }
}

impl<'scope, T: Data> DataStream<'scope, T> {
    pub(crate) fn new(env: Env<'scope>, node: Rc<Node<'scope, T>>) -> Self {
        DataStream { env, node }
    }

    pub(crate) fn env(&self) -> &Env<'scope> {
        &self.env
    }

    /// Counts one more consumer and returns the node.
    pub(crate) fn consumed(&self) -> Rc<Node<'scope, T>> {
        self.node.consume();
        Rc::clone(&self.node)
    }

    /// Builds the stream.
    pub(crate) fn built(node: &Node<'scope, T>, env: &Env<'scope>) -> Result<Built<'scope, T>> {
        node.built(env)
    }

    /// Adds a stateless step, which shares an operator with the steps around it.
    pub(crate) fn stage<U: Data>(&self, kind: &str, stage: Stage<T, U>) -> DataStream<'scope, U> {
        let input = self.consumed();
        self.env.node(self.env.identity(kind), move |env, identity| {
            input.take(env)?.then(env, identity, stage)
        })
    }

    /// Turns every value into another. Event times stay.
    ///
    /// - `output`: one record for each, on the same worker, in the same order.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let numbers = env.read(Collection::of(1..=3));
    /// numbers.map(|n| n * 10).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [10, 20, 30]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn map<U: Data>(&self, mut f: impl FnMut(T) -> U + 'static) -> DataStream<'scope, U> {
        self.stage(
            "map",
            Box::new(move |batch, out| {
                out.extend(batch.drain(..).map(|record| highwater_core::Record {
                    event_time: record.event_time,
                    value: f(record.value),
                }));
            }),
        )
    }

    /// Keeps the records whose value passes the test.
    ///
    /// - `output`: those records, on the same worker, in the same order.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let numbers = env.read(Collection::of(1..=6));
    /// numbers.filter(|n| n % 2 == 0).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [2, 4, 6]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn filter(&self, mut test: impl FnMut(&T) -> bool + 'static) -> DataStream<'scope, T> {
        self.stage(
            "filter",
            Box::new(move |batch, out| {
                if out.is_empty() {
                    std::mem::swap(batch, out);
                    out.retain(|record| test(&record.value));
                } else {
                    out.extend(batch.drain(..).filter(|record| test(&record.value)));
                }
            }),
        )
    }

    /// Turns every value into any number of others. Event times stay.
    ///
    /// - `output`: the results, on the same worker, in the same order.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let lines = env.read(Collection::of(["to be", "or not"]));
    /// lines.flat_map(|line| line.split(' ')).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, ["be", "not", "or", "to"]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn flat_map<U: Data, I: IntoIterator<Item = U>>(
        &self,
        mut f: impl FnMut(T) -> I + 'static,
    ) -> DataStream<'scope, U> {
        self.stage(
            "flat_map",
            Box::new(move |batch, out| {
                for record in batch.drain(..) {
                    let event_time = record.event_time;
                    let values = f(record.value).into_iter();
                    out.extend(values.map(|value| highwater_core::Record { event_time, value }));
                }
            }),
        )
    }

    /// Shows every value, with its event time in ms, to `look` and passes it on.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let numbers = env.read(Collection::timestamped([(5, 1), (6, 2)]));
    /// numbers.inspect(|event_time, n| assert_eq!(event_time, n + 4)).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [1, 2]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn inspect(&self, mut look: impl FnMut(i64, &T) + 'static) -> DataStream<'scope, T> {
        self.stage(
            "inspect",
            Box::new(move |batch, out| {
                batch.iter().for_each(|record| look(record.event_time, &record.value));
                out.append(batch);
            }),
        )
    }

    /// Merges the stream with others of the same type; merged with itself it comes twice.
    ///
    /// - `output`: all records, in no particular order between the streams; the watermark is the
    ///   least of theirs.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let small = env.read(Collection::of([1, 2]));
    /// let great = env.read(Collection::of([100]));
    /// small.union(&[&great, &small]).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [1, 1, 2, 2, 100]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn union(&self, others: &[&DataStream<'scope, T>]) -> DataStream<'scope, T> {
        let all = std::iter::once(&self).chain(others).map(|stream| stream.consumed());
        let inputs: Vec<_> = all.collect();
        self.env.node(self.env.identity("union"), move |env, identity| {
            env.dataflow().add(&identity.uid(), &identity.name())?;
            let streams = inputs.iter().map(|input| input.built(env));
            let streams = streams.collect::<Result<Vec<_>>>()?;
            Ok(Pending::built(Built::union(env.dataflow(), streams)))
        })
    }

    /// Adds an operator with one input behind this stream.
    ///
    /// - `inlet`: how records get to it.
    /// - `logic`: makes its logic on this worker; the flag says whether the job is in batch mode.
    pub(crate) fn operator<L>(
        &self,
        kind: &str,
        inlet: impl FnOnce(&Env<'scope>, Built<'scope, T>) -> Inlet<'scope, T> + 'scope,
        logic: impl FnOnce(&Env<'scope>, &Identity, bool) -> Result<L> + 'scope,
    ) -> Processed<'scope, L::Out>
    where
        L: Logic<Left = T, Right = std::convert::Infallible>,
    {
        let shape = Shape { role: Role::Operator, follows_input: true };
        self.operator_of(kind, shape, inlet, logic)
    }

    /// As [`operator`](Self::operator), for operators that differ in shape.
    pub(crate) fn operator_of<L>(
        &self,
        kind: &str,
        shape: Shape,
        inlet: impl FnOnce(&Env<'scope>, Built<'scope, T>) -> Inlet<'scope, T> + 'scope,
        logic: impl FnOnce(&Env<'scope>, &Identity, bool) -> Result<L> + 'scope,
    ) -> Processed<'scope, L::Out>
    where
        L: Logic<Left = T, Right = std::convert::Infallible>,
    {
        let input = self.consumed();
        Processed::new(&self.env, kind, move |env, identity, sides| {
            let built = DataStream::built(&input, env)?;
            if shape.role == Role::Sink && env.level() > 0 {
                let name = identity.name();
                let message =
                    format!("sink {name:?} stands in a loop: streams go to sinks outside");
                return Err(Error::program(message));
            }
            let builder = ShellBuilder {
                uid: identity.uid(),
                name: identity.name(),
                role: shape.role,
                left: inlet(env, built),
                right: None,
                sides,
                follows_input: shape.follows_input,
            };
            let batch_mode = env.is_batch()?;
            builder.build(env.dataflow(), || logic(env, identity, batch_mode))
        })
    }
}

/// How an operator differs from most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) role: Role,
    /// False for operators that make watermarks of their own.
    pub(crate) follows_input: bool,
}

/// Moves the records of a batch, one by one.
pub(crate) fn drain<T>(batch: &mut Batch<T>) -> impl Iterator<Item = (i64, T)> + '_ {
    batch.drain(..).map(|record| (record.event_time, record.value))
}
