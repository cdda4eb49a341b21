//! What one process knows of its job.

use highwater_checkpoint::Status;
use highwater_core::plan::PlannedOperator;
use serde::{Deserialize, Serialize};

use super::task::TaskReport;

/// What one process knows of its job at an instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// When it was made, in ms since 1970.
    pub at_ms: i64,
    /// When the process began with the job, in ms since 1970.
    pub started_ms: i64,
    /// The number of the process in its operating system.
    pub pid: u32,
    /// The worker threads of the whole job.
    pub workers: usize,
    /// The operators of the job; empty until the first worker has built its dataflow.
    pub plan: Vec<PlannedOperator>,
    /// The epoch that sources are told to be in.
    pub epoch: u64,
    /// The operators on the workers of this process.
    pub tasks: Vec<TaskReport>,
    /// The checkpoints of the job, if this is the process that takes them.
    pub checkpoints: Option<Status>,
}
