//! How long to wait between tries, and by whose clock.
//!
//! Waiting and chance enter through [`Pace`] alone, so that a simulation can run everything in this
//! crate on an executor of its own, in simulated time and from a seed.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use highwater_core::clock::{Clock, SystemClock};

/// Waits, and draws numbers that nobody else draws.
pub trait Pace: fmt::Debug + Send + Sync + 'static {
    /// Returns a future that is ready after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Returns a number that no other process draws, by which two attempts that want the same slot
    /// of the log tell whose it is.
    fn nonce(&self) -> u64;
}

/// The pace of the real world; its futures need the timer of a tokio runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioPace;

impl Pace for TokioPace {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Made when it is first awaited, hence within the runtime.
        Box::pin(async move { tokio::time::sleep(duration).await })
    }

    fn nonce(&self) -> u64 {
        // Two attempts that start without a source of chance still differ in process or time.
        getrandom::u64().unwrap_or_else(|_| {
            let now_ms = SystemClock::default().now_ms();
            xxhash_rust::xxh3::xxh3_64_with_seed(&now_ms.to_le_bytes(), std::process::id().into())
        })
    }
}

/// How often something is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often at most; at least once.
    pub tries: u32,
    /// The pause after the first try, doubled after each further one.
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How long one try may take.
    pub timeout: Duration,
}

impl Default for Retry {
    /// Six tries within about three seconds, each of which may take a minute.
    fn default() -> Self {
        Retry {
            tries: 6,
            pause: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
        }
    }
}

impl Retry {
    /// Returns how long to wait after try number `tries`, counted from 1.
    #[must_use]
    pub fn pause_after(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(20);
        self.pause.saturating_mul(1 << doublings).min(self.pause_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry { pause_max: Duration::from_millis(500), ..Retry::default() };
        let pauses: Vec<u128> = (1..=5).map(|n| retry.pause_after(n).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 500, 500]);
        assert_eq!(retry.pause_after(u32::MAX), retry.pause_max);
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(TokioPace.nonce(), TokioPace.nonce());
    }
}
