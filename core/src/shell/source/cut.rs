//! How a source moves from one epoch to the next.
//!
//! ```text
//! trigger --> freeze the splits and their offsets --> (e, w) -> (e + 1, w), between two batches
//! ```
//!
//! **Invariant**: what was emitted at an epoch `<= e` is what was read before the offsets that are
//! frozen for `e` (`SourceShell::follow_trigger`).

use super::{SourceShell, SplitSnapshot};
use crate::credit::BUCKETS;
use crate::cut::Cut;
use crate::error::Result;
use crate::record::Data;
use crate::time::{Epoch, Time};
use crate::watermark::of_stamp;

impl<T: Data> SourceShell<T> {
    /// Moves to the epoch that the job is in, unless operators are too far behind.
    pub(super) fn follow_trigger(&mut self) -> Result<()> {
        let mut epoch = self.job.epoch();
        if epoch <= self.epoch {
            return Ok(());
        }
        if let Some(least) = self.job.least_epoch() {
            epoch = epoch.min(Epoch(least.0 + BUCKETS as u64 - 1));
        }
        while self.epoch < epoch {
            self.cut()?;
            let triggered = self.job.metrics().trigger_of(self.epoch);
            self.metrics.alignment.cuts(self.epoch, triggered, false);
            self.epoch = self.epoch.next();
            self.metrics.set_epoch(Some(self.epoch));
            self.output.downgrade(Time::new(self.epoch, self.stamp));
        }
        Ok(())
    }

    /// Whether the job is in a later epoch.
    pub(super) fn is_behind(&self) -> bool {
        self.epoch < self.job.epoch()
    }

    /// Freezes how far the splits have been read.
    fn cut(&mut self) -> Result<()> {
        let Some(snapshots) = &self.job.config().snapshots else { return Ok(()) };
        let (kind, now_ms) = (snapshots.kind(self.epoch), self.job.now_ms());
        let mut cut = Cut::new(self.epoch, kind, of_stamp(self.stamp), now_ms);
        let splits: Result<Vec<_>> = (0..self.splits.len()).map(|i| self.snapshot(i)).collect();
        if let Some(states) = &mut self.states {
            states.freeze(splits?, &mut cut);
        }
        snapshots.take(&self.metrics, cut);
        Ok(())
    }

    fn snapshot(&self, index: usize) -> Result<SplitSnapshot> {
        let split = &self.splits[index];
        let (name, offset) = split.reader.position()?;
        let (stamp, idle) = self.watermarks.position(index);
        Ok(SplitSnapshot {
            split: name,
            offset,
            generator: split.generator.as_ref().map(|g| g.snapshot()).unwrap_or_default(),
            stamp,
            idle,
            finished: split.finished,
        })
    }
}
