//! What became of the checkpoints of a job: how many, how large, how long, and why not.
//!
//! **Sources**: Flink's `CheckpointStatsTracker`, which keeps ten, too.

use std::collections::VecDeque;
use std::time::Duration;

use highwater_core::time::Epoch;
use serde::{Deserialize, Serialize};

use crate::messages::Instance;

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
    /// How long the completed ones took, in ms.
    #[serde(default)]
    pub duration_ms: Summary,
    /// How large the completed ones are, in bytes.
    #[serde(default)]
    pub bytes: Summary,
}

impl Statistics {
    pub(super) fn complete(&mut self, checkpoint: Epoch, bytes: u64, took: Duration, now_ms: i64) {
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let triggered_ms = now_ms.saturating_sub_unsigned(duration_ms);
        self.duration_ms.add(duration_ms, self.completed == 0);
        self.bytes.add(bytes, self.completed == 0);
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
    /// The checkpoints under way, oldest first.
    #[serde(default)]
    pub under_way: Vec<UnderWay>,
}

/// What a checkpoint under way waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// For operators to cut, and for what they froze to be stored.
    Freezing,
    /// For its manifest to be written and put into the log.
    Storing,
    /// For sinks to make its results visible.
    Committing,
}

/// A checkpoint under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Its number.
    pub checkpoint: u64,
    /// When it was triggered, in ms since 1970.
    pub triggered_ms: i64,
    /// What it waits for.
    pub stage: Stage,
    /// How many operators on workers have answered.
    pub acknowledged: usize,
    /// Who has not answered.
    pub waits_for: Vec<Instance>,
}

/// The least, the sum and the greatest of a number over all completed checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The least.
    pub min: u64,
    /// The sum.
    pub sum: u64,
    /// The greatest.
    pub max: u64,
}

impl Summary {
    fn add(&mut self, n: u64, is_first: bool) {
        self.min = if is_first { n } else { self.min.min(n) };
        self.max = self.max.max(n);
        self.sum = self.sum.saturating_add(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_holds_the_least_and_the_greatest_of_all_that_completed() {
        let mut statistics = Statistics::default();
        for (n, (bytes, ms)) in [(30, 7), (10, 9), (20, 8)].into_iter().enumerate() {
            statistics.complete(Epoch(n as u64), bytes, Duration::from_millis(ms), 0);
        }
        assert_eq!(statistics.bytes, Summary { min: 10, sum: 60, max: 30 });
        assert_eq!(statistics.duration_ms, Summary { min: 7, sum: 24, max: 9 });
    }
}
