//! Where the engine learns what time it is.
//!
//! Processing time enters through [`Clock`] alone, so that a simulation can hand out its own.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells processing time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the processing time in ms since 1970.
    fn now_ms(&self) -> i64;
}

/// The clock of the machine. It never goes back within a process.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    start_ms: i64,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
    fn default() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SystemClock { start: Instant::now(), start_ms: since_1970.as_millis() as i64 }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        self.start_ms + self.start.elapsed().as_millis() as i64
    }
}

/// A clock that moves only when it is told to, for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicI64,
}

impl ManualClock {
    /// Moves the clock forward to `now_ms`, in ms since 1970; never back.
    pub fn advance_to(&self, now_ms: i64) {
        self.now_ms.fetch_max(now_ms, Ordering::SeqCst);
    }

    /// Moves the clock forward by `ms` milliseconds.
    pub fn advance_by(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }
}
