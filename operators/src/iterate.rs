//! Loops: a body of ordinary operators whose results enter it again until there are none.
//!
//! ```text
//! stream --> body --> (again, result)
//!             ^-----------'       '--> what iterate returns
//! ```
//!
//! A loop works in supersteps, as Pregel does. What has come from outside enters in superstep 0,
//! what comes back from superstep `n` in superstep `n + 1`; all workers are done with one before the
//! next begins. When nothing comes back the loop is at rest: exactly then, without any time-out, it
//! takes in what has come meanwhile.
//!
//! - *Event time*: the watermark moves when the loop is at rest. What circulates is never late
//!   because of what has come from outside after it, and downstream the watermark moves only when
//!   all that it set off is at rest, too.
//! - *State and timers* are as everywhere, and are kept when the loop is at rest.
//! - *Checkpoints* wait until the loop is at rest, and find nothing that circulates.
//! - *Loops in loops*: the inner one comes to rest in each superstep of the outer one.
//!
//! # Nondeterminism
//! In streaming mode, which records enter together depends on when they arrive; in batch mode all
//! enter in one superstep. Processing-time timers in a loop wait until it has something to do.
//!
//! **Sources**: Naiad, SOSP 2013 (papers/naiad.md); Flink's `DataStream#iterate`, removed in 2.0,
//! and the bounded iterations of Flink ML (FLIP-176).

use highwater_core::iterate::{Iteration, WayBack};
use highwater_core::record::Data;

use crate::environment::Env;
use crate::node::Pending;
use crate::stream::DataStream;

/// A loop, as its body sees it.
#[derive(Clone, Debug)]
pub struct Loop<'scope> {
    outside: Env<'scope>,
    inside: Env<'scope>,
    iteration: Iteration<'scope>,
}

impl<'scope, T: Data> DataStream<'scope, T> {
    /// Lets the records of the stream go round in a loop until nothing comes back.
    ///
    /// - `body`: is given the loop and the stream of what enters, and returns what enters again and
    ///   what leaves.
    /// - `output`: what leaves; it carries the watermark of the stream, once all is at rest.
    ///
    /// # Examples
    /// How many steps a number takes to 1, if even ones are halved and odd ones tripled, plus one.
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let numbers = env.read(Collection::of([1_u64, 6, 7])).map(|n| (n, n, 0));
    /// let steps = numbers.iterate(|_, numbers| {
    ///     let again = numbers.filter(|(_, n, _)| *n > 1).map(|(start, n, steps)| {
    ///         (start, if n % 2 == 0 { n / 2 } else { 3 * n + 1 }, steps + 1)
    ///     });
    ///     (again, numbers.filter(|(_, n, _)| *n == 1))
    /// });
    /// steps.map(|(start, _, steps)| (start, steps)).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [(1, 0), (6, 8), (7, 16)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn iterate<R: Data>(
        &self,
        body: impl FnOnce(
            &Loop<'scope>,
            DataStream<'scope, T>,
        ) -> (DataStream<'scope, T>, DataStream<'scope, R>),
    ) -> DataStream<'scope, R> {
        self.go_round(None, body)
    }

    /// As [`iterate`](Self::iterate), but there are at most so many supersteps; what comes back
    /// from the last one is dropped.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let powers = env.read(Collection::of([2, 3])).iterate_at_most(4, |_, numbers| {
    ///     (numbers.map(|n| n * n), numbers.clone())
    /// });
    /// powers.sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [2, 3, 4, 9, 16, 81, 256, 6561]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn iterate_at_most<R: Data>(
        &self,
        supersteps: u64,
        body: impl FnOnce(
            &Loop<'scope>,
            DataStream<'scope, T>,
        ) -> (DataStream<'scope, T>, DataStream<'scope, R>),
    ) -> DataStream<'scope, R> {
        self.go_round(Some(supersteps), body)
    }

    fn go_round<R: Data>(
        &self,
        at_most: Option<u64>,
        body: impl FnOnce(
            &Loop<'scope>,
            DataStream<'scope, T>,
        ) -> (DataStream<'scope, T>, DataStream<'scope, R>),
    ) -> DataStream<'scope, R> {
        let scope = Loop::new(self.env(), at_most);
        let way_back = WayBack::default();
        let (again, result) = body(&scope, scope.entrance(self, Some(way_back.clone())));
        scope.give_back(&again, way_back);
        scope.leave(&result)
    }
}

impl<'scope> Loop<'scope> {
    fn new(outside: &Env<'scope>, at_most: Option<u64>) -> Self {
        let iteration = Iteration::new(outside.dataflow(), at_most);
        let inside = outside.within(iteration.clone());
        Loop { outside: outside.clone(), inside, iteration }
    }

    /// Brings a stream from outside into the loop: its records enter in superstep 0, together with
    /// those of the stream that goes round.
    ///
    /// # Examples
    /// What can be reached from `a`.
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::connect::KeyedCoProcessFunction;
    /// # use highwater_operators::keyed_state::{ListState, ValueState};
    /// # use highwater_operators::process::ProcessContext;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// struct Follow { reached: ValueState<bool>, next: ListState<char> }
    ///
    /// impl KeyedCoProcessFunction<char, char, (char, char)> for Follow {
    ///     type Out = char;
    ///     fn process_left(&mut self, _: char, cx: &mut ProcessContext<char, char>) {
    ///         if !std::mem::replace(cx.get_mut(self.reached), true) {
    ///             let next: Vec<char> = cx.list(self.next).iter().copied().collect();
    ///             next.into_iter().for_each(|next| cx.emit(next));
    ///         }
    ///     }
    ///     fn process_right(&mut self, (_, next): (char, char), cx: &mut ProcessContext<char, char>) {
    ///         cx.list(self.next).add(next);
    ///         if cx.get(self.reached) == Some(&true) {
    ///             cx.emit(next);
    ///         }
    ///     }
    /// }
    ///
    /// let edges = env.read(Collection::of([('a', 'b'), ('b', 'c'), ('c', 'a'), ('d', 'a')]));
    /// let reached = env.read(Collection::of(['a'])).iterate(|scope, reached| {
    ///     let edges = scope.enter(&edges).key_by(|edge| edge.0);
    ///     let next = reached.key_by(|vertex| *vertex).connect(&edges).process(|states| {
    ///         Ok(Follow { reached: states.value("reached")?, next: states.list("next")? })
    ///     });
    ///     (next.stream(), next.stream())
    /// });
    /// reached.sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, ['a', 'b', 'c']);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn enter<T: Data>(&self, stream: &DataStream<'scope, T>) -> DataStream<'scope, T> {
        self.entrance(stream, None)
    }

    /// Lets a stream of the body out of the loop, besides the one that the body returns.
    #[must_use]
    pub fn leave<T: Data>(&self, stream: &DataStream<'scope, T>) -> DataStream<'scope, T> {
        let (node, inside) = (stream.consumed(), self.inside.clone());
        let iteration = self.iteration.clone();
        self.outside.node(self.outside.identity("leave"), move |_, identity| {
            let built = node.built(&inside)?;
            Ok(Pending::built(iteration.leave((&identity.uid(), &identity.name()), built)?))
        })
    }

    fn entrance<T: Data>(
        &self,
        stream: &DataStream<'scope, T>,
        way_back: Option<WayBack<T>>,
    ) -> DataStream<'scope, T> {
        let (node, outside) = (stream.consumed(), self.outside.clone());
        let iteration = self.iteration.clone();
        self.inside.node(self.inside.identity("enter"), move |_, identity| {
            let built = node.built(&outside)?;
            let identity = (&*identity.uid(), &*identity.name());
            Ok(Pending::built(iteration.enter(identity, built, way_back)?))
        })
    }

    fn give_back<T: Data>(&self, stream: &DataStream<'scope, T>, way_back: WayBack<T>) {
        let (node, inside) = (stream.consumed(), self.inside.clone());
        let (iteration, identity) = (self.iteration.clone(), self.inside.identity("give_back"));
        self.inside.finally(move || {
            let built = node.built(&inside)?;
            iteration.give_back((&identity.uid(), &identity.name()), built, way_back)
        });
    }
}
