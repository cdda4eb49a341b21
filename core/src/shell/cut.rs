//! How an operator leaves an epoch, or a phase of a loop: the cut, and the end.

use timely::progress::frontier::MutableAntichain;

use super::Shell;
use crate::context::Allowance;
use crate::cut::Cut;
use crate::error::Error;
use crate::failpoint::reach;
use crate::record::Data;
use crate::time::{Epoch, Time};
use crate::watermark::of_stamp;

/// Whether an operator has left its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It has, and goes on in the next one.
    Yes,
    /// It is not over.
    No,
    /// What is done at the end of a superstep has been interrupted.
    Interrupted,
}

impl<A: Data, B: Data, O: Data> Shell<A, B, O> {
    /// Step 6: leaves this epoch if it is complete, and cuts if that is what its end means.
    pub(super) fn leave(
        &mut self,
        frontiers: &[MutableAntichain<Time>],
        allowance: &mut Allowance,
        now_ms: i64,
        failure: &mut Option<Error>,
    ) -> Left {
        let Some(least) = self.bounds(frontiers).epoch else { return Left::No };
        if least <= self.epoch {
            return Left::No;
        }
        debug_assert!(self.queue.is_empty(), "I4: batches of {} are left at its cut", self.epoch);
        if self.phases.is_inside() && !self.phases.has_ended {
            let at_rest = self.phases.is_at_rest(self.epoch);
            self.phases.has_ended = self.run(allowance, now_ms, failure, |logic, cx| {
                if at_rest { logic.at_rest(cx) } else { logic.end_superstep(cx) }
            });
            self.flush(allowance, now_ms, failure);
            if !self.phases.has_ended || failure.is_some() {
                return Left::Interrupted;
            }
        }
        let cut = self.phases.cut(self.epoch);
        if let Some(epoch) = cut {
            if let Err(error) = self.freeze(epoch) {
                *failure = Some(error);
                return Left::Interrupted;
            }
            self.metrics.set_epoch(Some(epoch.next()));
        }
        self.phases.has_ended = false;
        self.queue.open(self.epoch.next());
        if let Some(epoch) = cut {
            let triggered = self.job.metrics().trigger_of(epoch);
            let later = !self.phases.is_inside() && self.queue.has_later();
            self.metrics.alignment.cuts(epoch, triggered, later);
        }
        self.downgrade(self.epoch.next(), self.watermark, self.job.now_ms());
        Left::Yes
    }

    /// Hands over the state as of the end of an epoch.
    fn freeze(&mut self, epoch: Epoch) -> Result<(), Error> {
        if let Some(snapshots) = &self.job.config().snapshots {
            let (kind, watermark) = (snapshots.kind(epoch), of_stamp(self.watermark));
            let mut cut = Cut::new(epoch, kind, watermark, self.job.now_ms());
            let before = reach("freeze-before");
            self.logic.freeze(&mut cut);
            let reached = before.and_then(|()| reach("freeze-after"));
            if let Some(error) = cut.take_failure().or(reached.err()) {
                return Err(error);
            }
            snapshots.take(&self.metrics, cut);
            self.folding = true;
        }
        if let Some(witness) = &self.job.config().witness {
            witness.cut(&self.metrics, epoch);
        }
        Ok(())
    }

    /// Ends the operator if nothing can come any more and everything has fired.
    pub(super) fn close(
        &mut self,
        frontiers: &[MutableAntichain<Time>],
        allowance: &mut Allowance,
        now_ms: i64,
    ) -> bool {
        if self.bounds(frontiers).epoch.is_some() || self.watermark != i64::MAX {
            return false;
        }
        let mut failure = None;
        self.run(allowance, now_ms, &mut failure, |logic, cx| logic.end(cx));
        self.flush(allowance, now_ms, &mut failure);
        self.output.capability = None;
        self.sides.downgrade(None);
        self.metrics.set_epoch(None);
        self.ended = true;
        if let Some(error) = failure {
            self.fail(error);
        }
        true
    }
}
