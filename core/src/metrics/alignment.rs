//! How long a barrier takes to reach an operator, and to get through it.
//!
//! ```text
//! trigger(e) ---- start delay ----> first sign of e + 1 ---- alignment ----> cut between e and e + 1
//! ```
//!
//! The first sign is a batch of a later epoch in the queue, or one of two inputs whose frontier has
//! left `e`. An operator that sees none before it cuts has aligned in no time.
//!
//! **Sources**: Flink's `checkpointStartDelayNanos`, `checkpointAlignmentTime`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::activity::since;
use crate::time::Epoch;

/// How the last barriers got through an operator on a worker.
#[derive(Debug)]
pub struct Alignment {
    start: Instant,
    /// Since when a later epoch has been seen, in ns since the start; 0 for not.
    seen: AtomicU64,
    align_ns: AtomicU64,
    delay_ns: AtomicU64,
    /// The epoch of the last cut, plus 1; 0 before the first.
    cut: AtomicU64,
}

/// How one barrier got through an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The epoch that ended: the number of the checkpoint.
    pub epoch: Epoch,
    /// From the trigger to the first sign of the next epoch: `checkpointStartDelayNanos`.
    pub start_delay: Duration,
    /// From there to the cut: `checkpointAlignmentTime`.
    pub alignment: Duration,
}

impl Alignment {
    pub(super) fn new(start: Instant) -> Self {
        let zero = || AtomicU64::new(0);
        Alignment { start, seen: zero(), align_ns: zero(), delay_ns: zero(), cut: zero() }
    }

    /// Notes that something of a later epoch has been seen; only the first time before a cut counts.
    pub(crate) fn sees_later(&self, now: Instant) {
        if self.seen.load(Ordering::Relaxed) == 0 {
            self.seen.store(since(self.start, now).max(1), Ordering::Relaxed);
        }
    }

    /// Notes the cut at the end of an epoch.
    ///
    /// - `triggered`: when the sources were told to end it, in ns since the start.
    /// - `later`: whether something of the epoch after the next is here already.
    pub(crate) fn cuts(&self, epoch: Epoch, triggered: Option<u64>, later: bool) {
        let now = since(self.start, Instant::now());
        let seen = match self.seen.load(Ordering::Relaxed) {
            0 => now,
            seen => seen,
        };
        self.align_ns.store(now.saturating_sub(seen), Ordering::Relaxed);
        let delay = triggered.map_or(0, |at| seen.saturating_sub(at));
        self.delay_ns.store(delay, Ordering::Relaxed);
        self.seen.store(if later { now.max(1) } else { 0 }, Ordering::Relaxed);
        self.cut.store(epoch.0.saturating_add(1), Ordering::Release);
    }

    /// Returns for how long something of a later epoch has been here, `None` if nothing is.
    #[must_use]
    pub fn waits(&self, now: Instant) -> Option<Duration> {
        let seen = self.seen.load(Ordering::Relaxed);
        let waits = since(self.start, now).saturating_sub(seen);
        (seen > 0).then(|| Duration::from_nanos(waits))
    }

    /// Returns how the last barrier got through, `None` before the first.
    #[must_use]
    pub fn last(&self) -> Option<Barrier> {
        let epoch = Epoch(self.cut.load(Ordering::Acquire).checked_sub(1)?);
        let load = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        let (start_delay, alignment) = (load(&self.delay_ns), load(&self.align_ns));
        Some(Barrier { epoch, start_delay, alignment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_counts_from_the_first_sign_of_a_later_epoch() {
        let start = Instant::now();
        let alignment = Alignment::new(start);
        assert_eq!((alignment.last(), alignment.waits(start)), (None, None));
        let first = start + Duration::from_nanos(100);
        alignment.sees_later(first);
        alignment.sees_later(first + Duration::from_secs(5));
        assert_eq!(alignment.waits(first + Duration::from_secs(1)), Some(Duration::from_secs(1)));
        alignment.cuts(Epoch(7), Some(40), false);
        let barrier = alignment.last().expect("one got through");
        assert_eq!((barrier.epoch, barrier.start_delay), (Epoch(7), Duration::from_nanos(60)));
        assert_eq!(alignment.waits(Instant::now()), None, "the next one has not come");
    }

    #[test]
    fn an_operator_that_sees_nothing_before_its_cut_aligns_in_no_time() {
        let alignment = Alignment::new(Instant::now());
        alignment.cuts(Epoch(0), Some(0), false);
        assert_eq!(alignment.last().map(|b| b.alignment), Some(Duration::ZERO));
    }
}
