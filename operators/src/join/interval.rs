//! The interval join: pairs of one key whose event times are near each other.
//!
//! A left record at `l` and a right one at `r` are a pair if `lower <= r - l <= upper`.
//!
//! ```text
//! left at l    pairs with right records in   [l + lower .. l + upper]
//!              kept until the watermark is at  l + max(upper, 0)
//! right at r   pairs with left records in    [r - upper .. r - lower]
//!              kept until the watermark is at  r + max(-lower, 0)
//! ```
//!
//! The watermark is the least of both streams. A record below it is late; one *at* it is not, as in
//! Flink, although nobody promises that its partners are still there.
//!
//! **Invariants**
//! - *Once*: a pair is emitted by the record that comes second, before it is kept (`Logic::left`,
//!   `Logic::right`).
//! - *One timer*: each time at which a side of a key has kept records has one timer, which removes
//!   them (`Kept`).
//!
//! **Cost**: one table access per record, one step in an ordered map per partner, and one timer per
//! key, side and distinct event time.
//!
//! **Sources**: Flink's `KeyedStream#intervalJoin`, `IntervalJoinOperator`.

use std::marker::PhantomData;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::{Error, Result};
use highwater_core::key::Key;
use highwater_core::record::{Batch, Data, ExchangeData};
use highwater_core::shell::Logic;
use highwater_core::side::OutputTag;
use highwater_core::time::{EventTime, NO_EVENT_TIME};
use highwater_state::{Backend, Hashed, Table, Timers};

use super::bounds::{IntervalBounds, Side};
use super::kept::Kept;
use crate::connect::ConnectedStreams;
use crate::key_by::KeyedStream;
use crate::node::Identity;
use crate::stream::{DataStream, Named, Processed, drain};

/// How many timers fire between two looks at the clock.
const TIMERS_PER_CHECK: u64 = 16;

impl<'scope, K: Key, A: ExchangeData, FA: Fn(&A) -> K + 'static> KeyedStream<'scope, K, A, FA> {
    /// Pairs the records of each key with those of another stream that are near in event time:
    /// after [`between`](IntervalJoin::between) has said how near.
    #[must_use]
    pub fn interval_join<B: ExchangeData, FB: Fn(&B) -> K + 'static>(
        &self,
        right: &KeyedStream<'scope, K, B, FB>,
    ) -> IntervalJoin<'scope, K, A, FA, B, FB> {
        IntervalJoin { streams: self.connect(right) }
    }
}

/// Two keyed streams to be joined, after Flink's `IntervalJoin`.
pub struct IntervalJoin<'scope, K, A: Data, FA, B: Data, FB> {
    streams: ConnectedStreams<'scope, K, A, FA, B, FB>,
}

impl<K, A: Data, FA, B: Data, FB> std::fmt::Debug for IntervalJoin<'_, K, A, FA, B, FB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntervalJoin").field("streams", &self.streams).finish()
    }
}

impl<'scope, K, A: Data, FA, B: Data, FB> IntervalJoin<'scope, K, A, FA, B, FB> {
    /// Says which records are pairs: those for which the event time of the right one, less that of
    /// the left one, is from `lower_ms` to `upper_ms`, both included. Either may be negative.
    #[must_use]
    pub fn between(self, lower_ms: i64, upper_ms: i64) -> IntervalJoined<'scope, K, A, FA, B, FB> {
        let bounds = IntervalBounds::new(lower_ms, upper_ms);
        IntervalJoined { streams: self.streams, given: (lower_ms, upper_ms), bounds }
    }
}

/// Two keyed streams to be joined, and how near their records must be, after Flink's
/// `IntervalJoined`.
pub struct IntervalJoined<'scope, K, A: Data, FA, B: Data, FB> {
    streams: ConnectedStreams<'scope, K, A, FA, B, FB>,
    given: (i64, i64),
    bounds: IntervalBounds,
}

impl<K, A: Data, FA, B: Data, FB> std::fmt::Debug for IntervalJoined<'_, K, A, FA, B, FB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntervalJoined")
            .field("streams", &self.streams)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl<'scope, K, A, FA, B, FB> IntervalJoined<'scope, K, A, FA, B, FB>
where
    K: Key,
    A: ExchangeData,
    B: ExchangeData,
    FA: Fn(&A) -> K + 'static,
    FB: Fn(&B) -> K + 'static,
{
    /// Leaves out the pairs whose distance is the lower bound itself.
    #[must_use]
    pub fn exclusive_lower(self) -> Self {
        IntervalJoined { bounds: self.bounds.exclusive_lower(), ..self }
    }

    /// Leaves out the pairs whose distance is the upper bound itself.
    #[must_use]
    pub fn exclusive_upper(self) -> Self {
        IntervalJoined { bounds: self.bounds.exclusive_upper(), ..self }
    }

    /// Makes a result of each pair. Both streams must have event times.
    ///
    /// - `pair`: makes the result of a left and a right record.
    /// - `output`: the results, on the worker that owns the key, each at the later of the two event
    ///   times; the pairs of one record in the order of its partners' event times.
    /// - `state`: every record until the watermark says that no partner can come: a left one for
    ///   the upper bound after its event time, a right one for the lower bound, and not at all if
    ///   the bound points to the other side. In batch mode, every record until the end.
    ///
    /// # Examples
    /// Clicks within two seconds of the impression that they follow:
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::Record;
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let shown = env.read(Collection::timestamped([(1_000, (7, 'a')), (4_000, (8, 'b'))]));
    /// let clicks = Collection::timestamped([(2_500, 7), (3_000, 7), (3_001, 7), (3_999, 8)]);
    /// let clicks = env.read(clicks).key_by(|ad| *ad);
    /// shown
    ///     .key_by(|(ad, _)| *ad)
    ///     .interval_join(&clicks)
    ///     .between(0, 2_000)
    ///     .process(|(_, place), ad| (*ad, *place))
    ///     .sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take();
    /// results.sort();
    /// let clicked = |event_time| Record::new(event_time, (7, 'a'));
    /// assert_eq!(results, [clicked(2_500), clicked(3_000)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn process<O: Data>(
        self,
        pair: impl FnMut(&A, &B) -> O + 'static,
    ) -> JoinResult<'scope, O, A, B> {
        let (lower_ms, upper_ms) = self.given;
        let bounds = self.bounds;
        let results = self.streams.operator("interval_join", move |mut backend, keys| {
            if lower_ms > upper_ms {
                let expected = format!("at most the upper bound, {upper_ms} ms");
                return Err(Error::option("the lower bound of between", lower_ms, expected));
            }
            let keys = (move |left: &A| (keys.0)(left), move |right: &B| (keys.1)(right));
            IntervalPairs::new(&mut backend, keys, bounds, pair)
        });
        JoinResult { results, late: PhantomData }
    }
}

/// The operator of the interval join.
pub struct IntervalPairs<K: Key, A: ExchangeData, FA, B: ExchangeData, FB, F> {
    keys: (FA, FB),
    bounds: IntervalBounds,
    pair: F,
    table: Table<K, (), Kept<A, B>>,
    timers: Timers<K, Side>,
}

impl<K: Key, A: ExchangeData, FA, B: ExchangeData, FB, F> std::fmt::Debug
    for IntervalPairs<K, A, FA, B, FB, F>
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntervalPairs").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl<K: Key, A: ExchangeData, FA, B: ExchangeData, FB, F> IntervalPairs<K, A, FA, B, FB, F> {
    /// Returns the operator.
    ///
    /// - `keys`: read the key of a left and of a right record.
    /// - `pair`: makes the result of a pair.
    ///
    /// # Errors
    /// When what is stored of it cannot be read.
    pub fn new(
        backend: &mut Backend,
        keys: (FA, FB),
        bounds: IntervalBounds,
        pair: F,
    ) -> Result<Self> {
        let table = backend.table("interval-join")?;
        let timers = Timers::new(backend, "timers/event")?;
        Ok(IntervalPairs { keys, bounds, pair, table, timers })
    }

    /// Returns the event times of the left records that are kept for a key, in order.
    #[must_use]
    pub fn left_times(&mut self, key: &K) -> Vec<EventTime> {
        self.kept(key).map_or_else(Vec::new, |kept| kept.left.times())
    }

    /// Returns the event times of the right records that are kept for a key, in order.
    #[must_use]
    pub fn right_times(&mut self, key: &K) -> Vec<EventTime> {
        self.kept(key).map_or_else(Vec::new, |kept| kept.right.times())
    }

    fn kept(&mut self, key: &K) -> Option<&Kept<A, B>> {
        self.table.get(Hashed::new(key), &())
    }

    /// Removes what a timer was set for, and everything if nothing is left of the key.
    fn forget(&mut self, until: i64, key: &K, side: Side) {
        let (hashed, bounds) = (Hashed::new(key), self.bounds);
        let Some(kept) = self.table.get_mut(hashed, &()) else { return };
        let is_over = |time| bounds.until(side, time) <= until;
        match side {
            Side::Left => kept.left.forget(is_over),
            Side::Right => kept.right.forget(is_over),
        }
        if kept.is_empty() {
            self.table.remove(hashed, &());
        }
    }
}

/// Passes a record on if it is in time; else it goes to its side output, or is counted.
///
/// # Errors
/// When it has no event time.
fn in_time<O: Data, V: Data>(
    time: EventTime,
    value: V,
    late: &'static str,
    cx: &mut Context<'_, O>,
) -> Result<Option<V>> {
    if time == NO_EVENT_TIME {
        let message = "the records of a join have no event time: call watermarks() before the join";
        return Err(Error::program(message));
    }
    if time >= cx.watermark() {
        return Ok(Some(value));
    }
    let late = OutputTag::new(late);
    if cx.has_listener(&late) {
        cx.emit_to(&late, time, value);
    } else {
        cx.count_late(1);
    }
    Ok(None)
}

/// The names of the side outputs.
const LATE_LEFT: &str = "late-left";
const LATE_RIGHT: &str = "late-right";

impl<K, A, FA, B, FB, F, O> Logic for IntervalPairs<K, A, FA, B, FB, F>
where
    K: Key,
    A: ExchangeData,
    B: ExchangeData,
    O: Data,
    FA: Fn(&A) -> K + 'static,
    FB: Fn(&B) -> K + 'static,
    F: FnMut(&A, &B) -> O + 'static,
{
    type Left = A;
    type Right = B;
    type Out = O;

    fn left(&mut self, batch: &mut Batch<A>, cx: &mut Context<'_, O>) {
        for (time, value) in drain(batch) {
            let value = match in_time(time, value, LATE_LEFT, cx) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(error) => return cx.fail(error),
            };
            let key = (self.keys.0)(&value);
            let hashed = Hashed::new(&key);
            let kept = self.table.get_or_insert_with(hashed, &(), Kept::default);
            for (other, right) in kept.right.within(self.bounds.partners_of_left(time)) {
                cx.emit(time.max(other), (self.pair)(&value, right));
            }
            if kept.left.keep(time, value) {
                self.timers.set(self.bounds.until(Side::Left, time), hashed, Side::Left);
            }
        }
    }

    fn right(&mut self, batch: &mut Batch<B>, cx: &mut Context<'_, O>) {
        for (time, value) in drain(batch) {
            let value = match in_time(time, value, LATE_RIGHT, cx) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(error) => return cx.fail(error),
            };
            let key = (self.keys.1)(&value);
            let hashed = Hashed::new(&key);
            let kept = self.table.get_or_insert_with(hashed, &(), Kept::default);
            for (other, left) in kept.left.within(self.bounds.partners_of_right(time)) {
                cx.emit(time.max(other), (self.pair)(left, &value));
            }
            if kept.right.keep(time, value) {
                self.timers.set(self.bounds.until(Side::Right, time), hashed, Side::Right);
            }
        }
    }

    fn fire(&mut self, watermark: i64, cx: &mut Context<'_, O>) -> Option<i64> {
        let mut fired = 0;
        while let Some((time, key, side)) = self.timers.pop(watermark) {
            self.forget(time, &key, side);
            fired += 1;
            if fired % TIMERS_PER_CHECK == 0 && cx.should_yield() {
                break;
            }
        }
        cx.count_fired(fired);
        self.timers.first().filter(|time| *time <= watermark)
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.table.freeze(cut);
        self.timers.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.table.fold() | self.timers.fold()
    }

    fn first_timer(&self) -> Option<i64> {
        self.timers.first()
    }
}

/// The results of a join, and the records that came too late for it.
pub struct JoinResult<'scope, O: Data, A, B> {
    results: Processed<'scope, O>,
    late: PhantomData<fn() -> (A, B)>,
}

impl<O: Data, A, B> std::fmt::Debug for JoinResult<'_, O, A, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.results.fmt(f)
    }
}

impl<'scope, O: Data, A, B> std::ops::Deref for JoinResult<'scope, O, A, B> {
    type Target = Processed<'scope, O>;
    fn deref(&self) -> &Self::Target {
        &self.results
    }
}

impl<O: Data, A, B> Named for JoinResult<'_, O, A, B> {
    fn identity(&self) -> &Identity {
        self.results.identity()
    }
}

impl<'scope, O: Data, A: Data, B: Data> JoinResult<'scope, O, A, B> {
    /// Returns the left records whose event time was below the watermark when they came, after
    /// Flink's `sideOutputLeftLateData`. Without this call they are counted and dropped.
    #[must_use]
    pub fn late_left(&self) -> DataStream<'scope, A> {
        self.results.side_output(&OutputTag::new(LATE_LEFT))
    }

    /// Returns the right records whose event time was below the watermark when they came, after
    /// Flink's `sideOutputRightLateData`. Without this call they are counted and dropped.
    #[must_use]
    pub fn late_right(&self) -> DataStream<'scope, B> {
        self.results.side_output(&OutputTag::new(LATE_RIGHT))
    }
}
