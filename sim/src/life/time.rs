//! Simulated time: who sleeps until when, on the clock that the turns move.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use highwater_checkpoint::storage::Pace;
use highwater_core::clock::{Clock, ManualClock};

use crate::random::Random;

/// The clock of a simulation, and who waits for it.
#[derive(Debug)]
pub(crate) struct Time {
    clock: Arc<ManualClock>,
    sleepers: Mutex<Sleepers>,
}

#[derive(Debug)]
struct Sleepers {
    random: Random,
    /// By the instant at which they wake, in ms, and a number.
    until: BTreeMap<(i64, u64), Waker>,
    next: u64,
}

impl Time {
    /// - `random`: where numbers come from that nobody else draws.
    pub(crate) fn new(clock: Arc<ManualClock>, random: Random) -> Arc<Self> {
        let sleepers = Sleepers { random, until: BTreeMap::new(), next: 0 };
        Arc::new(Time { clock, sleepers: Mutex::new(sleepers) })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a future that is ready `ms` from now.
    pub(crate) fn sleep(self: &Arc<Self>, ms: i64) -> Sleep {
        let mut sleepers = self.lock();
        sleepers.next += 1;
        let id = (self.now_ms().saturating_add(ms), sleepers.next);
        Sleep { time: Arc::clone(self), id }
    }

    /// Wakes those whose time has come.
    pub(crate) fn wake(&self) {
        let now_ms = self.now_ms();
        let mut due = Vec::new();
        let mut sleepers = self.lock();
        while let Some(first) = sleepers.until.first_entry().filter(|e| e.key().0 <= now_ms) {
            due.push(first.remove());
        }
        drop(sleepers);
        due.into_iter().for_each(Waker::wake);
    }

    /// Lets time pass until somebody wakes, if anybody sleeps.
    pub(crate) fn jump(&self) {
        let first = self.lock().until.keys().next().copied();
        if let Some((until_ms, _)) = first {
            self.clock.advance_to(until_ms);
        }
    }
}

/// Is ready when its time has come.
#[derive(Debug)]
pub(crate) struct Sleep {
    time: Arc<Time>,
    id: (i64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.time.now_ms() >= self.id.0 {
            return Poll::Ready(());
        }
        self.time.lock().until.insert(self.id, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.time.lock().until.remove(&self.id);
    }
}

/// The pace of a simulation.
#[derive(Debug)]
pub(crate) struct SimulatedPace(pub(crate) Arc<Time>);

impl Pace for SimulatedPace {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let ms = duration.as_nanos().div_ceil(1_000_000);
        Box::pin(self.0.sleep(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    fn nonce(&self) -> u64 {
        self.0.lock().random.draw()
    }
}
