//! What a join keeps of one key: its records by event time.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use highwater_core::time::EventTime;
use serde::{Deserialize, Serialize};

/// The records of one side of a key, those with one event time in the order of their arrival.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Buffer<V> {
    by_time: BTreeMap<EventTime, Vec<V>>,
}

impl<V> Default for Buffer<V> {
    fn default() -> Self {
        Buffer { by_time: BTreeMap::new() }
    }
}

impl<V> Buffer<V> {
    /// Adds a record; returns whether it is the first with its event time.
    pub(super) fn keep(&mut self, time: EventTime, value: V) -> bool {
        let values = self.by_time.entry(time).or_default();
        values.push(value);
        values.len() == 1
    }

    /// Returns the records with these event times, in order.
    pub(super) fn within(
        &self,
        times: Option<RangeInclusive<EventTime>>,
    ) -> impl Iterator<Item = (EventTime, &V)> {
        let found = times.into_iter().flat_map(|times| self.by_time.range(times));
        found.flat_map(|(time, values)| values.iter().map(|value| (*time, value)))
    }

    /// Drops the first records, as long as `is_over` holds for their event times.
    pub(super) fn forget(&mut self, is_over: impl Fn(EventTime) -> bool) {
        while let Some(first) = self.by_time.first_entry()
            && is_over(*first.key())
        {
            first.remove();
        }
    }

    /// Returns the event times of all records, in order.
    pub(super) fn times(&self) -> Vec<EventTime> {
        let times = self.by_time.iter();
        times.flat_map(|(time, values)| values.iter().map(|_| *time)).collect()
    }

    fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

/// The records of one key that may still find a partner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept<A, B> {
    pub(super) left: Buffer<A>,
    pub(super) right: Buffer<B>,
}

impl<A, B> Default for Kept<A, B> {
    fn default() -> Self {
        Kept { left: Buffer::default(), right: Buffer::default() }
    }
}

impl<A, B> Kept<A, B> {
    /// Returns whether there is no record of either side.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.right.is_empty()
    }
}
