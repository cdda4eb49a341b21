//! The outputs of an operator: a timely output, the capability it is used with, and its gate.

use timely::dataflow::channels::pushers;
use timely::dataflow::operators::Capability;

use crate::context::Port;
use crate::credit::Gate;
use crate::record::{Batch, Data};
use crate::side::SidePort;
use crate::time::Time;

/// One output of an operator on one worker.
pub(crate) struct Output<T: Data> {
    pub(crate) output: pushers::Output<Time, Batch<T>>,
    pub(crate) capability: Option<Capability<Time>>,
    pub(crate) gate: Gate,
    /// Whether batches were shipped since the last flush.
    pub(crate) dirty: bool,
}

impl<T: Data> Output<T> {
    pub(crate) fn new(
        output: pushers::Output<Time, Batch<T>>,
        capability: Option<Capability<Time>>,
        gate: Gate,
    ) -> Self {
        Output { output, capability, gate, dirty: false }
    }

    /// Sends on what the way to other workers has collected.
    pub(crate) fn done(&mut self) {
        if std::mem::take(&mut self.dirty) {
            // Dropping a session flushes the channels behind it.
            drop(self.output.activate());
        }
    }

    /// Moves the capability.
    pub(crate) fn downgrade(&mut self, time: Time) {
        if let Some(capability) = &mut self.capability
            && *capability.time() != time
        {
            capability.downgrade(&time);
        }
    }
}

impl<T: Data> Port<T> for Output<T> {
    fn ship(&mut self, batch: &mut Batch<T>) {
        if let Some(capability) = &self.capability {
            self.output.give(capability, batch);
            self.dirty = true;
        }
    }

    fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl<T: Data> SidePort<T> for Output<T> {
    fn ship(&mut self, batch: &mut Batch<T>) {
        Port::ship(self, batch);
    }

    fn done(&mut self) {
        Output::done(self);
    }

    fn downgrade(&mut self, time: Option<Time>) {
        match time {
            Some(time) => Output::downgrade(self, time),
            None => self.capability = None,
        }
    }

    fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// Divides a batch that has grown too large and ships the pieces.
pub(crate) fn in_pieces<T>(batch: &mut Batch<T>, most: usize, mut ship: impl FnMut(&mut Batch<T>)) {
    while batch.len() > most.saturating_mul(2) {
        let rest = batch.split_off(most);
        ship(batch);
        *batch = rest;
    }
    if !batch.is_empty() {
        ship(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    #[test]
    fn a_batch_that_has_grown_too_large_leaves_in_pieces() {
        for len in 0..50 {
            let mut batch: Batch<usize> = (0..len).map(|i| Record::new(0, i)).collect();
            let mut seen = Vec::new();
            in_pieces(&mut batch, 8, |piece| {
                assert!((1..=16).contains(&piece.len()));
                seen.extend(piece.drain(..).map(|r| r.value));
            });
            assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }
}
