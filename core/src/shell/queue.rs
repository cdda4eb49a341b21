//! The queue of an operator: batches that have arrived and are not yet processed.
//!
//! ```text
//! pulled --epoch <= e_op--> ready --pop--> logic
//!    '-----epoch > e_op---> later --open(e)--> ready
//! ```
//!
//! Batches of later epochs wait for the cut, in the order of their arrival. The stamps of both
//! halves count towards the operator's epoch and watermark: timely has forgotten a batch as soon as
//! it was pulled.

use std::collections::VecDeque;

use crate::record::Batch;
use crate::time::{Epoch, Time};

/// A batch of one of two inputs.
pub(crate) enum Pull<A, B> {
    Left(Batch<A>),
    Right(Batch<B>),
}

/// A batch that has arrived and waits in the queue, with its stamp and its sender.
pub(crate) struct Delivered<A, B> {
    pub(crate) time: Time,
    pub(crate) batch: Pull<A, B>,
    pub(crate) from: usize,
}

impl<A, B> Delivered<A, B> {
    pub(crate) fn records(&self) -> usize {
        match &self.batch {
            Pull::Left(batch) => batch.len(),
            Pull::Right(batch) => batch.len(),
        }
    }
}

/// The batches of both inputs of an operator on one worker.
pub(crate) struct Queue<A, B> {
    ready: VecDeque<Delivered<A, B>>,
    later: VecDeque<Delivered<A, B>>,
}

impl<A, B> Default for Queue<A, B> {
    fn default() -> Self {
        Queue { ready: VecDeque::new(), later: VecDeque::new() }
    }
}

impl<A, B> Queue<A, B> {
    /// Takes a batch that has arrived while the operator is at `epoch`.
    pub(crate) fn deliver(&mut self, delivered: Delivered<A, B>, epoch: Epoch) {
        let ready = delivered.time.epoch <= epoch;
        if ready { &mut self.ready } else { &mut self.later }.push_back(delivered);
    }

    /// Returns whether no batch may be processed before the next cut.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Returns how many batches there are, those of later epochs included.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.later.len()
    }

    /// Returns whether batches of later epochs wait for the cut.
    pub(crate) fn has_later(&self) -> bool {
        !self.later.is_empty()
    }

    /// Takes the batch that is next.
    pub(crate) fn pop(&mut self) -> Option<Delivered<A, B>> {
        self.ready.pop_front()
    }

    /// Returns the stamps of all batches, those of later epochs included.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = &Time> {
        self.ready.iter().chain(&self.later).map(|delivered| &delivered.time)
    }

    /// Lets the batches of `epoch` in.
    pub(crate) fn open(&mut self, epoch: Epoch) {
        for _ in 0..self.later.len() {
            let Some(delivered) = self.later.pop_front() else { break };
            self.deliver(delivered, epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    #[test]
    fn batches_of_later_epochs_wait_and_keep_their_order() {
        let mut queue: Queue<u64, u64> = Queue::default();
        for (value, epoch) in [(1, 1), (2, 0), (3, 2), (4, 1)] {
            let batch = Pull::Left(vec![Record::new(0, value)]);
            queue.deliver(Delivered { time: Time::new(Epoch(epoch), 0), batch, from: 0 }, Epoch(0));
        }
        let mut seen = Vec::new();
        for epoch in 0..3 {
            queue.open(Epoch(epoch));
            while let Some(Delivered { time, batch: Pull::Left(batch), .. }) = queue.pop() {
                assert_eq!(time.epoch, Epoch(epoch));
                seen.push(batch[0].value);
            }
            assert_eq!(queue.stamps().count(), 4 - seen.len(), "what waits still counts");
        }
        assert_eq!(seen, [2, 1, 4, 3]);
    }
}
