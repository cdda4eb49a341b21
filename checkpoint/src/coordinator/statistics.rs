//! What became of the checkpoints of a job: how many, how large, how long, and why not.
//!
//! **Sources**: Flink's `CheckpointStatsTracker`, which keeps ten, too.

use std::collections::VecDeque;
use std::time::Duration;

use highwater_core::time::Epoch;
use serde::{Deserialize, Serialize};

/// How many completed and failed checkpoints are kept.
const KEPT: usize = 10;

/// A checkpoint that is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedCheckpoint {
    /// Its number.
    pub checkpoint: u64,
    /// When it was triggered, in ms since 1970.
    pub triggered_ms: i64,
    /// The time from there until all its effects were visible, in ms.
    pub duration_ms: u64,
    /// The bytes that a restore reads.
    pub bytes: u64,
}

/// A checkpoint that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheckpoint {
    /// Its number.
    pub checkpoint: u64,
    /// When it was given up, in ms since 1970.
    pub failed_ms: i64,
    /// Why.
    pub why: String,
}

/// What became of the checkpoints of this start of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// How many are complete.
    pub completed: u64,
    /// How many were given up.
    pub failed: u64,
    /// The last ten that are complete, newest first.
    pub newest: VecDeque<CompletedCheckpoint>,
    /// The last ten that were given up, newest first.
    pub failures: VecDeque<FailedCheckpoint>,
}

impl Statistics {
    pub(super) fn complete(&mut self, checkpoint: Epoch, bytes: u64, took: Duration, now_ms: i64) {
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let triggered_ms = now_ms.saturating_sub_unsigned(duration_ms);
        self.completed += 1;
        let checkpoint = checkpoint.0;
        self.newest.push_front(CompletedCheckpoint {
            checkpoint,
            triggered_ms,
            duration_ms,
            bytes,
        });
        self.newest.truncate(KEPT);
    }

    pub(super) fn fail(&mut self, checkpoint: Epoch, why: &str, failed_ms: i64) {
        self.failed += 1;
        let (checkpoint, why) = (checkpoint.0, why.to_owned());
        self.failures.push_front(FailedCheckpoint { checkpoint, failed_ms, why });
        self.failures.truncate(KEPT);
    }
}

/// How far the checkpoints of a job have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which start of the job this is, from 1.
    pub attempt: u64,
    /// The epoch that runs: the number of the next checkpoint to be triggered.
    pub epoch: u64,
    /// How many checkpoints are under way.
    pub in_progress: usize,
    /// Those that are not.
    pub checkpoints: Statistics,
}
