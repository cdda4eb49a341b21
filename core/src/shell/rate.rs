//! A limit on the records per second of a source: a bucket that fills with time.
//!
//! It holds a tenth of a second's worth at the most, so that a source that was held up does not
//! make up for it in one burst.

use std::time::{Duration, Instant};

/// What a source may still read.
pub(crate) struct Rate {
    per_second: f64,
    allowed: f64,
    filled: Instant,
}

impl Rate {
    /// Returns an empty bucket.
    pub(crate) fn new(per_second: f64) -> Self {
        Rate { per_second, allowed: 0.0, filled: Instant::now() }
    }

    /// Fills the bucket for the time that has passed, and returns what is in it.
    pub(crate) fn fill(&mut self) -> usize {
        let now = Instant::now();
        let seconds = now.duration_since(self.filled).as_secs_f64();
        let most = (self.per_second / 10.0).max(1.0);
        self.allowed = (self.allowed + seconds * self.per_second).min(most);
        self.filled = now;
        self.allowed as usize
    }

    /// Counts records as read.
    pub(crate) fn take(&mut self, records: usize) {
        self.allowed -= records as f64;
    }

    /// Returns how long the next record takes to fill in, at least a millisecond.
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_secs_f64((1.0 / self.per_second).max(0.001))
    }
}
