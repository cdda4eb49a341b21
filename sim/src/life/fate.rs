//! How an attempt ends, and how it is set up, drawn from the seed.
//!
//! ```text
//! seed --> Fate: complete, killed at a turn or a call of the store, overtaken
//!      '-> Troubles: calls of the store and of the sinks that fail
//!      '-> options, state in memory or above a store, how long everything takes
//! ```

use std::time::Duration;

use highwater_checkpoint::storage::Retry;
use highwater_checkpoint::{CheckpointOptions, Restore};

use super::disk::{FAILED, SinkFaults};
use super::link::{LinkFaults, STORE};
use crate::random::Random;

/// How often a call of the store is tried.
const TRIES: u32 = 3;

/// How an attempt ends that does not run to the end of the job; turns count from its start.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It runs to the end, or until it cannot go on.
    Complete,
    /// It is killed after this many turns.
    Killed { turns: u64 },
    /// It is killed at this step of its calls of the store.
    KilledAt { step: u64 },
    /// After this many turns the next attempt starts, while this one stands still for some turns
    /// and then goes on.
    Overtaken { turns: u64, still: u64 },
}

impl Fate {
    pub(super) fn draw(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Fate::Killed { turns: random.below(600) },
            1 => Fate::KilledAt { step: random.below(120) + 1 },
            2 => Fate::Overtaken { turns: random.below(600), still: random.below(400) },
            _ => Fate::Complete,
        }
    }

    /// Returns the step of its calls of the store at which it is killed.
    pub(super) fn last_step(self) -> Option<u64> {
        match self {
            Fate::KilledAt { step } => Some(step),
            _ => None,
        }
    }
}

/// What goes wrong in an attempt that is not killed for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Troubles {
    pub(super) store: LinkFaults,
    pub(super) sinks: SinkFaults,
    /// Whether there are any.
    pub(super) any: bool,
}

impl Troubles {
    pub(super) fn draw(random: &mut Random) -> Self {
        let (store, sinks) = (LinkFaults::draw(random), SinkFaults::draw(random));
        Troubles { store, sinks, any: true }
    }

    /// Returns whether they explain that an attempt ended with this error.
    pub(super) fn explain(&self, error: &str) -> bool {
        let unavailable = format!("in {TRIES} tries");
        let said = [STORE, &unavailable, FAILED, "tolerable are"];
        self.any && said.iter().any(|said| error.contains(said))
    }
}

/// Draws how checkpoints are taken.
///
/// - `patient`: whether any number of them may fail.
pub(super) fn options(random: &mut Random, patient: bool) -> CheckpointOptions {
    CheckpointOptions {
        interval: Duration::from_millis(random.pick(&[10, 20, 50, 100])),
        timeout: Duration::from_millis(random.pick(&[60_000, 600_000])),
        min_pause: Duration::from_millis(random.pick(&[0, 0, 30])),
        max_concurrent: random.pick(&[1, 1, 2, 3]),
        tolerable_failures: if patient { u32::MAX } else { random.pick(&[2, 1000]) },
        retained: random.pick(&[1, 2, 3]),
        deltas: random.pick(&[0, 1, 3]),
        restore: Restore::Latest,
        ..CheckpointOptions::at("memory://")
    }
}

/// How calls of the store are tried again.
pub(super) fn retry() -> Retry {
    Retry {
        tries: TRIES,
        pause: Duration::from_millis(5),
        pause_max: Duration::from_millis(50),
        timeout: Duration::from_millis(5000),
    }
}
