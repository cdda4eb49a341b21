//! The inputs of an operator: pulling batches, and giving their credit back.

use std::sync::Arc;

use crate::credit::Edge;
use crate::record::{Batch, Data};
use crate::time::{Epoch, Time};

/// Takes a batch with its stamp and its sender.
pub(crate) type Deliver<'a, T> = &'a mut dyn FnMut(Time, Batch<T>, usize);

/// Pulls everything that has arrived.
pub(crate) type Puller<T> = Box<dyn FnMut(Deliver<'_, T>)>;

/// One input of an operator on one worker.
pub(crate) struct Input<T: Data> {
    pub(crate) puller: Puller<T>,
    pub(crate) edge: Arc<Edge>,
    /// Measures a batch as its sender did.
    pub(crate) measure: fn(&Batch<T>) -> u64,
}

impl<T: Data> Input<T> {
    pub(crate) fn pull(&mut self, deliver: Deliver<'_, T>) {
        (self.puller)(deliver);
    }

    pub(crate) fn bytes(&self, batch: &Batch<T>) -> u64 {
        (self.measure)(batch)
    }

    pub(crate) fn release(&self, from: usize, to: usize, epoch: Epoch, bytes: u64) {
        self.edge.release(from, to, epoch, bytes);
    }
}
