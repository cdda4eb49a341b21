//! What an operator shows of its inputs: how far they are, and whether a barrier is on its way.

use std::time::Instant;

use timely::progress::frontier::MutableAntichain;

use super::Shell;
use crate::record::Data;
use crate::time::{Bounds, Time};
use crate::watermark::of_stamp;

impl<A: Data, B: Data, O: Data> Shell<A, B, O> {
    /// Notes what is promised at the inputs, and whether anything of a later epoch has come.
    pub(super) fn look(&self, frontiers: &[MutableAntichain<Time>], now: Instant) {
        let inside = self.phases.is_inside();
        let mut later = self.queue.has_later();
        for (input, frontier) in frontiers.iter().enumerate() {
            let mut bounds = Bounds::closed();
            bounds.include_all(&frontier.frontier());
            // Phases of a loop are no epochs: its operators are in the one that they cut last.
            let epoch = if inside { self.metrics.epoch() } else { bounds.epoch };
            self.metrics.set_input(input, of_stamp(bounds.watermark), epoch);
            later |= bounds.epoch.is_some_and(|epoch| epoch > self.epoch);
        }
        if later && !inside {
            self.metrics.alignment.sees_later(now);
        }
    }
}
