//! What is said at a control socket.

use highwater_checkpoint::Status;
use serde::{Deserialize, Serialize};

use crate::observe::{Blame, JobView};
use crate::supervisor::Failure;

/// What a job is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// To take a savepoint and go on.
    Savepoint {
        /// Where to put it: a path, or an address such as `s3://bucket/savepoint`. A relative path
        /// is relative to the folder in which the job was started.
        url: String,
    },
    /// To take a checkpoint now and go on.
    Checkpoint,
    /// To end.
    Stop {
        /// How.
        how: How,
        /// Where to put a savepoint; without it a last checkpoint is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// How far it has come.
    Status,
    /// What its operators do.
    View,
    /// What holds back a watermark or a barrier.
    Why {
        /// The uid or the name of an operator; `None` for the job.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operator: Option<String>,
    },
}

/// How a job ends when it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Where it is, to go on later.
    Suspend,
    /// As if its input had ended there: windows fire, nothing is left to go on with.
    Drain,
}

/// What a job answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    /// The checkpoint with this number is complete, and the savepoint made of it.
    Checkpoint(u64),
    /// How far it has come.
    Status(Box<JobStatus>),
    /// What its operators do, as far as this process knows.
    View(Box<JobView>),
    /// Who holds back what.
    Why(Vec<Blame>),
    /// It could not be done, and why.
    Error(String),
}

/// How far a job has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The number of its process.
    pub pid: u32,
    /// Its worker threads.
    pub workers: usize,
    /// The records that its sources have read since it was started.
    pub records_in: u64,
    /// The records that its sinks have taken since it was started.
    pub records_out: u64,
    /// Its checkpoints.
    #[serde(flatten)]
    pub checkpoints: Status,
    /// The last failures after which it was started again, oldest first.
    pub restarts: Vec<Failure>,
}
