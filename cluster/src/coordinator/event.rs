//! What a coordinator is told, and what it says is to be done.

use std::time::Duration;

use highwater::control::How;
use serde_json::Value;

use crate::frame::{AgentId, FromAgent, Hello, Key, ToAgent};
use crate::id::{JobId, TriggerId};
use crate::record::{JobRecord, JobSpec};

/// When something happens, and what chance has to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct At {
    /// Since the coordinator began.
    pub now: Duration,
    /// In ms since 1970.
    pub now_ms: i64,
    /// A random number from 0 to 1.
    pub chance: f64,
}

/// What happens to a coordinator.
#[derive(Debug)]
pub enum Event {
    /// Time has passed; often.
    Tick,
    /// The coordinator itself did not run for some time: nobody else is to blame.
    Slept,
    /// An agent has connected, and may.
    Hello(Box<Hello>),
    /// The connection with an agent has ended.
    Disconnected(AgentId),
    /// An agent has said something.
    Frame(AgentId, FromAgent),
    /// A job is to be run.
    Submit {
        /// The job.
        spec: Box<JobSpec>,
        /// What its processes prove to each other to know.
        secret: String,
    },
    /// A job is to be ended at once.
    Cancel(JobId),
    /// Something is wanted of a job that takes time.
    Wish {
        /// Of which.
        job: JobId,
        /// The name under which its outcome is found.
        trigger: TriggerId,
        /// What.
        wish: Wish,
    },
    /// The cluster is to end, and its jobs with it, to go on later.
    Close,
}

/// What a user wants of a job that takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A checkpoint.
    Checkpoint,
    /// A savepoint there.
    Savepoint {
        /// A folder, or an address such as `s3://bucket/savepoint`.
        url: String,
    },
    /// That it ends, with a checkpoint or a savepoint.
    Stop {
        /// How.
        how: How,
        /// Where to put the savepoint.
        url: Option<String>,
    },
    /// Another number of processes, or of workers in each.
    Rescale {
        /// How many processes.
        parallelism: usize,
        /// How many workers in each; as before if it is not said.
        workers: Option<usize>,
    },
}

impl Wish {
    /// Returns what it is called in sentences.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Wish::Checkpoint => "checkpoint",
            Wish::Savepoint { .. } => "savepoint",
            Wish::Stop { .. } => "stop",
            Wish::Rescale { .. } => "rescaling",
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Command {
    /// To remember a job; nothing after it may be done before.
    Save(Box<JobRecord>),
    /// To forget a job.
    Forget(JobId),
    /// To tell an agent something, if it is connected.
    Tell(AgentId, ToAgent),
    /// To close the connection with an agent.
    Drop(AgentId),
    /// To show what a process says about itself.
    Observed {
        /// Which process.
        key: Key,
        /// What it says.
        report: Box<Value>,
    },
    /// To say something in the log.
    Log(String),
}
