//! Timers: at most one per time, key and namespace, fired in the order of their times.
//!
//! **Cost**: logarithmic per timer set, deleted or fired; deduplicated by construction.
//!
//! **Sources**: Flink's `InternalTimerService`.

use std::collections::BTreeSet;

/// The timers of one operator on one worker, of one kind of time.
///
/// - `K`: the key, `N`: the namespace that the timer belongs to.
#[derive(Debug)]
pub struct Timers<K, N> {
    timers: BTreeSet<(i64, K, N)>,
}

impl<K: Ord, N: Ord> Default for Timers<K, N> {
    fn default() -> Self {
        Timers { timers: BTreeSet::new() }
    }
}

impl<K: Ord, N: Ord> Timers<K, N> {
    /// Sets a timer, in ms; returns false if there is one for the time, key and namespace already.
    pub fn set(&mut self, time: i64, key: K, namespace: N) -> bool {
        self.timers.insert((time, key, namespace))
    }

    /// Deletes a timer; returns false if there is none.
    pub fn delete(&mut self, time: i64, key: K, namespace: N) -> bool {
        self.timers.remove(&(time, key, namespace))
    }

    /// Returns the time of the first timer.
    #[must_use]
    pub fn first(&self) -> Option<i64> {
        self.timers.first().map(|(time, _, _)| *time)
    }

    /// Takes the first timer if its time has come.
    ///
    /// - `until`: the last time that has come.
    pub fn pop(&mut self, until: i64) -> Option<(i64, K, N)> {
        if self.first()? > until {
            return None;
        }
        self.timers.pop_first()
    }

    /// Returns how many timers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_once_and_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        assert!(timers.set(20, "b", ()));
        assert!(timers.set(10, "a", ()));
        assert!(!timers.set(10, "a", ()), "the same timer twice is one timer");
        assert!(timers.set(10, "b", ()));
        assert!(timers.delete(10, "b", ()));
        assert_eq!(timers.pop(9), None);
        assert_eq!(timers.pop(20), Some((10, "a", ())));
        assert_eq!(timers.pop(20), Some((20, "b", ())));
        assert_eq!(timers.pop(20), None);
    }
}
