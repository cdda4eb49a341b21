//! Byte credits: the flow control that timely leaves to its users.
//!
//! ```text
//!            sent += bytes                          released -= bytes
//! operator --------------> [edge: queue in flight] --------------> operator
//!     '-- stops while in flight > credit for any receiver
//! ```
//!
//! Bytes in flight are counted per (edge, sender, receiver, epoch bucket). An operator that finds an
//! edge behind its outputs over the limit stops emitting until the receiver has caught up to half
//! of it; it keeps pulling its own input, whose credits it then does not release.
//!
//! Buckets are per epoch because bytes of epoch `e + 1` that wait for alignment must never block
//! epoch `e`: otherwise two operators that share an edge deadlock as soon as one of them is done
//! with `e` before the other.
//!
//! What a worker of another process has sent is not counted here but owed to it, until it is told
//! (`across/credits.rs`).
//!
//! **Invariant** I7: in flight per edge and bucket <= credit + one activation, asserted by
//! `tests/memory.rs`.
//!
//! **Sources**: Flink's credit-based flow control; Karimov et al., ICDE 2018, on sustainable load.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use timely::scheduling::activate::SyncActivator;

use crate::across::Credits;
use crate::metrics::Counter;
use crate::time::Epoch;

/// How many epochs can be open on an edge: as many as have buckets of their own. Sources run ahead
/// of the slowest operator by less than that, or bytes of a later epoch would block an earlier one.
pub(crate) const BUCKETS: usize = 4;

/// The bytes in flight between one sender and one receiver.
type Lane = [AtomicI64; BUCKETS];

/// The bytes in flight on one edge of the dataflow, shared by all workers of the process.
///
/// A lane whose sender is in another process counts what was processed and not yet told there.
#[derive(Debug)]
pub struct Edge {
    place: usize,
    limit: i64,
    /// The limit of lanes to other processes.
    limit_across: i64,
    workers: usize,
    lanes: Vec<Lane>,
    waiting: Vec<Waiting>,
    /// Which workers are elsewhere, if any are.
    credits: Option<Arc<Credits>>,
    /// Whether anything is owed to senders elsewhere.
    owing: AtomicBool,
    /// What every sender has sent, for metrics.
    sent: Vec<Sent>,
}

/// What one worker has sent over an edge.
#[derive(Debug, Default)]
struct Sent {
    bytes: Counter,
    batches: Counter,
}

/// Who on one worker waits for credit.
#[derive(Default)]
struct Waiting {
    any: AtomicBool,
    activators: Mutex<Vec<(usize, SyncActivator)>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("any", &self.any).finish_non_exhaustive()
    }
}

fn bucket(epoch: Epoch) -> usize {
    (epoch.0 % BUCKETS as u64) as usize
}

impl Edge {
    /// Returns an edge between `workers` senders and as many receivers.
    ///
    /// - `limit`: the bytes that may be in flight per sender, receiver and epoch.
    #[must_use]
    pub fn new(workers: usize, limit: u64) -> Self {
        Edge {
            place: 0,
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            limit_across: 0,
            workers,
            lanes: (0..workers * workers).map(|_| Lane::default()).collect(),
            waiting: (0..workers).map(|_| Waiting::default()).collect(),
            credits: None,
            owing: AtomicBool::new(false),
            sent: (0..workers).map(|_| Sent::default()).collect(),
        }
    }

    /// Lets some of the workers be in other processes.
    ///
    /// - `limit`: the bytes that may be in flight between processes per sender, receiver and epoch.
    pub(crate) fn across(self, credits: &Arc<Credits>, limit: u64) -> Self {
        let limit_across = i64::try_from(limit).unwrap_or(i64::MAX);
        Edge { limit_across, credits: Some(Arc::clone(credits)), ..self }
    }

    pub(crate) fn is_here(&self, worker: usize) -> bool {
        self.credits.as_ref().is_none_or(|credits| credits.is_here(worker))
    }

    /// The bytes that may be in flight to a receiver.
    fn limit_to(&self, receiver: usize) -> i64 {
        if self.is_here(receiver) { self.limit } else { self.limit_across }
    }

    /// Gives the edge its number in the plan.
    #[must_use]
    pub fn at(self, place: usize) -> Self {
        Edge { place, ..self }
    }

    /// Returns the number of the edge in the plan.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }

    /// Returns the bytes that may be in flight per sender, receiver and epoch.
    #[must_use]
    pub fn limit(&self) -> i64 {
        self.limit
    }

    /// Returns the bytes and the batches that a worker has sent so far.
    #[must_use]
    pub fn sent(&self, sender: usize) -> (u64, u64) {
        (self.sent[sender].bytes.get(), self.sent[sender].batches.get())
    }

    /// Returns the bytes in flight from one sender to one receiver, in the epoch that has the most.
    #[must_use]
    pub fn in_flight_most(&self, sender: usize, receiver: usize) -> i64 {
        let lane = self.lane(sender, receiver).iter();
        lane.map(|bytes| bytes.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    fn lane(&self, sender: usize, receiver: usize) -> &Lane {
        &self.lanes[sender * self.workers + receiver]
    }

    /// Counts bytes as sent.
    pub fn send(&self, sender: usize, receiver: usize, epoch: Epoch, bytes: u64) {
        self.lane(sender, receiver)[bucket(epoch)].fetch_add(bytes as i64, Ordering::SeqCst);
        self.sent[sender].bytes.add(bytes);
        self.sent[sender].batches.add(1);
    }

    /// Counts bytes as processed, and wakes the sender if it waits and half its credit is back.
    pub fn release(&self, sender: usize, receiver: usize, epoch: Epoch, bytes: u64) {
        match &self.credits {
            Some(credits) if !credits.is_here(sender) => {
                let lane = &self.lane(sender, receiver)[bucket(epoch)];
                let owed = lane.fetch_add(bytes as i64, Ordering::SeqCst) + bytes as i64;
                self.owing.store(true, Ordering::SeqCst);
                if owed > self.limit_across / 2 {
                    credits.hurry();
                }
            }
            _ => self.give_back(sender, receiver, bucket(epoch), bytes),
        }
    }

    /// Takes what is owed to senders elsewhere: sender, receiver, bucket, bytes.
    pub(crate) fn take_owed(&self, mut take: impl FnMut(usize, usize, usize, u64)) {
        if !self.owing.swap(false, Ordering::SeqCst) {
            return;
        }
        for sender in (0..self.workers).filter(|sender| !self.is_here(*sender)) {
            for receiver in (0..self.workers).filter(|receiver| self.is_here(*receiver)) {
                for (bucket, owed) in self.lane(sender, receiver).iter().enumerate() {
                    let bytes = owed.swap(0, Ordering::SeqCst);
                    if bytes > 0 {
                        take(sender, receiver, bucket, bytes.unsigned_abs());
                    }
                }
            }
        }
    }

    /// Counts bytes of a sender of this process as processed.
    ///
    /// - `bucket`: of their epoch.
    pub(crate) fn give_back(&self, sender: usize, receiver: usize, bucket: usize, bytes: u64) {
        let lane = &self.lane(sender, receiver)[bucket % BUCKETS];
        let left = lane.fetch_sub(bytes as i64, Ordering::SeqCst) - bytes as i64;
        debug_assert!(left >= 0, "more bytes processed than sent: {left}");
        let waiting = &self.waiting[sender];
        if left <= self.limit_to(receiver) / 2 && waiting.any.swap(false, Ordering::SeqCst) {
            let mut activators = waiting.activators.lock().unwrap_or_else(PoisonError::into_inner);
            for (_operator, activator) in activators.drain(..) {
                // The worker may be gone already, which is no concern of ours.
                let _ = activator.activate();
            }
        }
    }

    /// Returns the bytes in flight from one sender to one receiver in an epoch.
    #[must_use]
    pub fn in_flight(&self, sender: usize, receiver: usize, epoch: Epoch) -> i64 {
        self.lane(sender, receiver)[bucket(epoch)].load(Ordering::SeqCst)
    }

    fn blocked(&self, sender: usize, epoch: Epoch) -> bool {
        self.blocker(sender, epoch).is_some()
    }

    /// The first receiver for which a sender has no credit.
    fn blocker(&self, sender: usize, epoch: Epoch) -> Option<usize> {
        (0..self.workers)
            .find(|&receiver| self.in_flight(sender, receiver, epoch) > self.limit_to(receiver))
    }

    /// Registers a sender to be woken; returns false if there is credit after all.
    fn wait(&self, sender: usize, epoch: Epoch, waiter: &Waiter) -> bool {
        let waiting = &self.waiting[sender];
        let mut activators = waiting.activators.lock().unwrap_or_else(PoisonError::into_inner);
        if activators.iter().all(|(operator, _)| *operator != waiter.operator) {
            activators.push((waiter.operator, waiter.activator.clone()));
        }
        waiting.any.store(true, Ordering::SeqCst);
        drop(activators);
        self.blocked(sender, epoch)
    }
}

/// An operator that may have to wait for credit.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// Its number within the worker.
    pub operator: usize,
    /// What wakes it from any thread.
    pub activator: SyncActivator,
}

/// The edges into which an operator's output flows, directly or through stateless operators.
///
/// Shared between the operator that emits and the streams made from its output: an edge that is
/// attached to any of them holds the operator back.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    edges: Rc<RefCell<Vec<Arc<Edge>>>>,
}

impl Gate {
    /// Adds an edge behind the gate.
    pub fn attach(&self, edge: &Arc<Edge>) {
        self.edges.borrow_mut().push(Arc::clone(edge));
    }

    /// Returns whether an edge behind the gate is out of credit for this sender.
    #[must_use]
    pub fn blocked(&self, sender: usize, epoch: Epoch) -> bool {
        self.edges.borrow().iter().any(|edge| edge.blocked(sender, epoch))
    }

    /// Returns the number of an edge that is out of credit for this sender, and the receiver.
    #[must_use]
    pub fn blocker(&self, sender: usize, epoch: Epoch) -> Option<(usize, usize)> {
        let edges = self.edges.borrow();
        edges.iter().find_map(|edge| Some((edge.place, edge.blocker(sender, epoch)?)))
    }

    /// Arranges to be woken when there is credit; returns false if there is some already.
    #[must_use]
    pub fn wait(&self, sender: usize, epoch: Epoch, waiter: &Waiter) -> bool {
        let edges = self.edges.borrow();
        let blocked = edges.iter().find(|edge| edge.blocked(sender, epoch));
        blocked.is_some_and(|edge| edge.wait(sender, epoch, waiter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_the_next_epoch_do_not_block_this_one() {
        let edge = Arc::new(Edge::new(2, 100));
        let gate = Gate::default();
        gate.attach(&edge);
        edge.send(0, 1, Epoch(1), 1000);
        assert!(gate.blocked(0, Epoch(1)));
        assert!(!gate.blocked(0, Epoch(0)), "another epoch has its own credit");
        assert!(!gate.blocked(1, Epoch(1)), "another sender has its own credit");
        edge.release(0, 1, Epoch(1), 950);
        assert!(!gate.blocked(0, Epoch(1)));
    }
}
