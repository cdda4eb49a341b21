//! What one operator on one worker does: a subtask, in Flink's words.

use highwater_core::metrics;
use serde::{Deserialize, Serialize};

/// What an operator does in the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Records enter the job here.
    Source,
    /// Records are worked on here.
    #[default]
    Operator,
    /// Records leave the job here.
    Sink,
    /// Records pass through steps that hold nothing.
    Stateless,
}

/// What an operator does at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has nothing to do, or waits for its turn.
    #[default]
    Idle,
    /// It runs.
    Busy,
    /// It waits for credit.
    BackPressured,
}

/// Whether records of a split may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its watermark counts.
    #[default]
    Active,
    /// It is not waited for.
    Idle,
    /// It has been read to its end.
    Finished,
}

/// What happened per second, over about the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// `numRecordsInPerSecond`.
    pub records_in: f64,
    /// `numRecordsOutPerSecond`.
    pub records_out: f64,
    /// `numBytesOutPerSecond`, where bytes are counted.
    pub bytes_out: Option<f64>,
    /// `busyTimeMsPerSecond`.
    pub busy_ms: f64,
    /// `backPressuredTimeMsPerSecond`.
    pub back_pressured_ms: f64,
    /// `idleTimeMsPerSecond`: what is left of 1000.
    pub idle_ms: f64,
}

/// That an operator waits for credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The number of the edge in the plan.
    pub edge: usize,
    /// The worker at its other end that does not take what was sent.
    pub receiver: usize,
    /// For how long, in ms.
    pub for_ms: u64,
}

/// What is promised at an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputReport {
    /// The watermark that has arrived with everything before it, in ms: `currentInput<N>Watermark`.
    pub watermark: i64,
    /// The least epoch that may still come, `None` when nothing can come.
    pub epoch: Option<u64>,
}

/// How the last barrier got through an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarrierReport {
    /// The checkpoint.
    pub checkpoint: u64,
    /// `checkpointStartDelayNanos`.
    pub start_delay_ns: u64,
    /// `checkpointAlignmentTime`, in ns.
    pub alignment_ns: u64,
}

/// One split of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitReport {
    /// The split, as JSON.
    pub split: String,
    /// The place behind the last record that was read, as JSON.
    pub offset: String,
    /// `currentWatermark`, in ms.
    pub watermark: i64,
    /// Whether it is waited for.
    pub status: Status,
    /// The records that were read.
    pub records: u64,
    /// For how long it has had no record, in ms.
    pub silent_ms: u64,
}

/// One operator on one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The uid of the operator.
    pub uid: String,
    /// Its name, with those of the steps that share it.
    pub name: String,
    /// What it does in the graph.
    pub role: Role,
    /// The worker, counted over all processes.
    pub worker: usize,
    /// `numRecordsIn`.
    pub records_in: u64,
    /// `numRecordsOut`.
    pub records_out: u64,
    /// `numLateRecordsDropped`.
    pub late_records_dropped: u64,
    /// `numFiredTimers`.
    pub fired_timers: u64,
    /// `numBytesOut`, where bytes are counted: on edges that no other operator sends over.
    pub bytes_out: Option<u64>,
    /// `numBuffersOut`, as above.
    pub buffers_out: Option<u64>,
    /// `inputQueueLength`: the batches that have arrived and wait.
    pub queue: u64,
    /// The time spent in all, in ms.
    pub busy_ms: u64,
    /// The time without credit in all, in ms.
    pub back_pressured_ms: u64,
    /// What happened per second.
    pub rates: Rates,
    /// What it does now.
    pub phase: Phase,
    /// For how long, in ms.
    pub phase_ms: u64,
    /// The edge that is out of credit.
    pub held: Option<Held>,
    /// `currentInputWatermark`: how far it has worked, in ms; `i64::MIN` before the first.
    pub watermark: i64,
    /// `currentOutputWatermark`.
    pub output_watermark: i64,
    /// For how long its output watermark has not moved, in ms.
    pub watermark_ms: u64,
    /// What is promised at its inputs.
    pub inputs: Vec<InputReport>,
    /// The epoch it is in, `None` when it has ended.
    pub epoch: Option<u64>,
    /// For how long it has seen something of a later epoch, in ms.
    pub aligning_ms: Option<u64>,
    /// How the last barrier got through.
    pub barrier: Option<BarrierReport>,
    /// The splits that it reads.
    pub splits: Vec<SplitReport>,
    /// After how many ms without records a split is idle; `None` for never.
    pub idleness_ms: Option<i64>,
}

impl From<metrics::Role> for Role {
    fn from(role: metrics::Role) -> Self {
        match role {
            metrics::Role::Source => Role::Source,
            metrics::Role::Operator => Role::Operator,
            metrics::Role::Sink => Role::Sink,
            metrics::Role::Stateless => Role::Stateless,
        }
    }
}

impl From<metrics::Phase> for Phase {
    fn from(phase: metrics::Phase) -> Self {
        match phase {
            metrics::Phase::Idle => Phase::Idle,
            metrics::Phase::Busy => Phase::Busy,
            metrics::Phase::BackPressured => Phase::BackPressured,
        }
    }
}

impl From<metrics::SplitStatus> for Status {
    fn from(status: metrics::SplitStatus) -> Self {
        match status {
            metrics::SplitStatus::Active => Status::Active,
            metrics::SplitStatus::Idle => Status::Idle,
            metrics::SplitStatus::Finished => Status::Finished,
        }
    }
}
