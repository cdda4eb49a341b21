//! Timers: at most one per time, key and namespace, fired in the order of their times.
//!
//! ```text
//! time line    |--- loaded ---|--- bucket ---|--- bucket ---|   a bucket is about a second
//! table        [ .  .      .  |  . .         |    .   .     ]   by key, durable, any order
//! near         [ sorted       ]                                 a copy, for firing
//! ```
//!
//! Timers are entries of a [`Table`] whose namespaces are stretches of time: setting or deleting one
//! is an access to a hash table. When the time of a bucket comes, its timers are sorted.
//!
//! **Cost**: one table access to set or delete a timer; a sorted set of the timers of about a second.
//!
//! **Sources**: Varghese and Lauck, Hashed and Hierarchical Timing Wheels, SOSP 1987; Flink's
//! `InternalTimerService`.

use std::collections::BTreeSet;

use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::Key;
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Hashed, Namespace};
use crate::table::Table;

/// A bucket is 2 to this power ms long.
const BUCKET_BITS: u32 = 10;

fn bucket(time: i64) -> i64 {
    time >> BUCKET_BITS
}

/// The timers of one key in one bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TimerSet<N> {
    /// Most keys have one timer at a time.
    first: (i64, N),
    more: Vec<(i64, N)>,
}

impl<N: PartialEq> TimerSet<N> {
    /// Returns the namespace of the timer that was set last.
    fn last(&self) -> &N {
        self.more.last().map_or(&self.first.1, |timer| &timer.1)
    }

    fn has(&self, timer: &(i64, N)) -> bool {
        self.first == *timer || self.more.contains(timer)
    }
}

/// The timers of one operator on one worker, of one kind of time.
///
/// - `K`: the key, `N`: the namespace that the timer belongs to.
#[derive(Debug)]
pub struct Timers<K, N: std::fmt::Debug> {
    table: Table<K, i64, TimerSet<N>>,
    /// The timers of the last bucket that was loaded, the first at the end. Some may have been
    /// deleted since: the table knows.
    near: Vec<(i64, K, N)>,
    /// Timers that were set in a loaded bucket.
    late: BTreeSet<(i64, K, N)>,
    /// Buckets up to this one are loaded.
    loaded: Option<i64>,
}

impl<K: Key, N: Namespace> Timers<K, N> {
    /// Makes the timers of an operator, with those that are stored.
    ///
    /// - `name`: that of a state, unique within the operator.
    ///
    /// # Errors
    /// Those of [`Backend::table`].
    pub fn new(backend: &mut Backend, name: &str) -> Result<Self> {
        let table = backend.table(name)?;
        Ok(Timers { table, near: Vec::new(), late: BTreeSet::new(), loaded: None })
    }

    /// Sets a timer, in ms; returns false if there is one for the time, key and namespace already.
    pub fn set(&mut self, time: i64, key: Hashed<'_, K>, namespace: N) -> bool {
        let mut timer = Some((time, namespace));
        let bucket = bucket(time);
        let set = self.table.get_or_insert_with(key, &bucket, || match timer.take() {
            Some((time, namespace)) => TimerSet { first: (time, namespace), more: Vec::new() },
            None => unreachable!("a timer is made once"),
        });
        if let Some(timer) = timer {
            if set.has(&timer) {
                return false;
            }
            set.more.push(timer);
        }
        if self.loaded.is_some_and(|loaded| bucket <= loaded) {
            let namespace = set.last().clone();
            self.late.insert((time, key.key.clone(), namespace));
        }
        true
    }

    /// Deletes a timer; returns false if there is none.
    pub fn delete(&mut self, time: i64, key: Hashed<'_, K>, namespace: N) -> bool {
        self.forget(key, &(time, namespace))
    }

    /// Removes a timer from the table; returns whether it was there.
    fn forget(&mut self, key: Hashed<'_, K>, timer: &(i64, N)) -> bool {
        let mut found = false;
        self.table.retain(key, &bucket(timer.0), |set| {
            if set.first != *timer {
                let place = set.more.iter().position(|other| other == timer);
                found = place.map(|place| set.more.swap_remove(place)).is_some();
                return true;
            }
            found = true;
            match set.more.pop() {
                Some(other) => {
                    set.first = other;
                    true
                }
                None => false,
            }
        });
        found
    }

    /// Returns when the first timer may be due: a time before which none is.
    #[must_use]
    pub fn first(&self) -> Option<i64> {
        let near = self.near.last().map(|timer| timer.0);
        let late = self.late.first().map(|timer| timer.0);
        match (near, late) {
            (Some(near), Some(late)) => Some(near.min(late)),
            (Some(time), None) | (None, Some(time)) => Some(time),
            (None, None) => {
                self.table.next_namespace(self.loaded.as_ref()).map(|bucket| bucket << BUCKET_BITS)
            }
        }
    }

    /// Takes the first timer if its time has come.
    ///
    /// - `until`: the last time that has come.
    pub fn pop(&mut self, until: i64) -> Option<(i64, K, N)> {
        loop {
            if self.near.is_empty() && self.late.is_empty() && !self.load(until) {
                return None;
            }
            let is_near = match (self.near.last(), self.late.first()) {
                (Some(near), Some(late)) => near <= late,
                (near, _) => near.is_some(),
            };
            let first = if is_near { self.near.last() } else { self.late.first() };
            if first.is_some_and(|first| first.0 > until) {
                return None;
            }
            let popped = if is_near { self.near.pop() } else { self.late.pop_first() };
            // A bucket whose timers have all been deleted is not the last one.
            let Some((time, key, namespace)) = popped else { continue };
            let timer = (time, namespace);
            if self.forget(Hashed::new(&key), &timer) {
                return Some((time, key, timer.1));
            }
        }
    }

    /// Sorts the timers of the next bucket, if it has begun by `until`; returns whether it has.
    fn load(&mut self, until: i64) -> bool {
        while let Some(first) = self.table.next_namespace(None).copied()
            && Some(first) <= self.loaded
        {
            self.table.clear(&first);
        }
        let Some(next) = self.table.next_namespace(None).copied() else { return false };
        if next > bucket(until) {
            return false;
        }
        let near = &mut self.near;
        self.table.visit(&next, |key, set| {
            let timers = std::iter::once(&set.first).chain(&set.more);
            near.extend(timers.map(|(time, namespace)| (*time, key.clone(), namespace.clone())));
        });
        near.sort_unstable_by(|a, b| b.cmp(a));
        self.loaded = Some(next);
        true
    }

    /// Freezes the timers and adds them to a cut.
    pub fn freeze(&mut self, cut: &mut Cut) {
        self.table.freeze(cut);
    }

    /// Does a little of the work that a freeze has left behind; returns whether there is more.
    pub fn fold(&mut self) -> bool {
        self.table.fold()
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::key::KeyGroups;

    use super::*;

    fn timers() -> Timers<u32, ()> {
        let mut backend = Backend::heap("test", KeyGroups::new(128, 1), 0);
        Timers::new(&mut backend, "timers").expect("a heap table can always be made")
    }

    fn set(timers: &mut Timers<u32, ()>, time: i64, key: u32) -> bool {
        timers.set(time, Hashed::new(&key), ())
    }

    #[test]
    fn timers_fire_once_and_in_the_order_of_their_times() {
        let mut timers = timers();
        assert!(set(&mut timers, 2000, 2));
        assert!(set(&mut timers, 10, 1));
        assert!(!set(&mut timers, 10, 1), "the same timer twice is one timer");
        assert!(set(&mut timers, 10, 2));
        assert!(set(&mut timers, 11, 2));
        assert!(timers.delete(10, Hashed::new(&2), ()));
        assert_eq!(timers.pop(9), None);
        assert_eq!(timers.pop(2000), Some((10, 1, ())));
        assert!(!set(&mut timers, 11, 2), "it is still there in the loaded bucket");
        assert!(set(&mut timers, 5, 7), "a timer for the past fires next");
        assert_eq!(timers.pop(2000), Some((5, 7, ())));
        assert_eq!(timers.pop(2000), Some((11, 2, ())));
        assert_eq!(timers.pop(2000), Some((2000, 2, ())));
        assert_eq!((timers.pop(i64::MAX), timers.first()), (None, None));
    }

    #[test]
    fn regression_a_bucket_whose_timers_are_deleted_does_not_hold_up_the_next() {
        let mut timers = timers();
        assert!(set(&mut timers, 10, 1) && set(&mut timers, 5_000, 1));
        assert!(timers.delete(10, Hashed::new(&1), ()));
        assert_eq!(timers.pop(i64::MAX), Some((5_000, 1, ())));
    }

    #[test]
    fn times_at_both_ends_are_buckets_like_others() {
        let mut timers = timers();
        assert!(set(&mut timers, i64::MAX, 1) && set(&mut timers, i64::MIN, 1));
        assert!(set(&mut timers, -1, 1) && set(&mut timers, 0, 1));
        let fired: Vec<_> = std::iter::from_fn(|| timers.pop(i64::MAX)).map(|t| t.0).collect();
        assert_eq!(fired, [i64::MIN, -1, 0, i64::MAX]);
    }
}
