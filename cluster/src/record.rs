//! What a coordinator must not forget of a job: what a later one needs to take it up again.
//!
//! ```text
//! CREATED --> RUNNING --> FINISHED             states have Flink's names
//!    ^           |------> RESTARTING --.
//!    '-----------|---------------------'
//!                |------> FAILING ----> FAILED
//!                |------> CANCELLING -> CANCELED
//!                '------> SUSPENDED             the cluster was told to end: the next one goes on
//! a new coordinator: RECONCILING --> what it was, if its processes are still there
//! ```

use std::collections::BTreeMap;
use std::fmt;

use highwater::supervisor::protocol::{Described, Overrides};
use highwater::supervisor::{Failure, RestartStrategy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{JobId, TriggerId};

/// How many failures of a job are remembered, as in Flink's web interface.
const FAILURES_KEPT: usize = 16;

/// What a job is doing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobState {
    /// It waits for slots, or for its processes to begin.
    Created,
    /// All its processes have begun.
    Running,
    /// It has failed for good, and its processes are being ended.
    Failing,
    /// It has failed for good.
    Failed,
    /// It is being canceled.
    Cancelling,
    /// It was canceled.
    Canceled,
    /// It has come to its end, or was stopped with a checkpoint.
    Finished,
    /// It has failed, and will be started again.
    Restarting,
    /// It was stopped with the cluster, and goes on with the next one.
    Suspended,
    /// A new coordinator waits to hear from its processes.
    Reconciling,
}

impl JobState {
    /// Every state.
    pub const ALL: [JobState; 10] = [
        JobState::Created,
        JobState::Running,
        JobState::Failing,
        JobState::Failed,
        JobState::Cancelling,
        JobState::Canceled,
        JobState::Finished,
        JobState::Restarting,
        JobState::Suspended,
        JobState::Reconciling,
    ];

    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, JobState::Failed | JobState::Canceled | JobState::Finished)
    }

    /// Returns its name as Flink writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            JobState::Created => "CREATED",
            JobState::Running => "RUNNING",
            JobState::Failing => "FAILING",
            JobState::Failed => "FAILED",
            JobState::Cancelling => "CANCELLING",
            JobState::Canceled => "CANCELED",
            JobState::Finished => "FINISHED",
            JobState::Restarting => "RESTARTING",
            JobState::Suspended => "SUSPENDED",
            JobState::Reconciling => "RECONCILING",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be run, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What the job is called.
    pub id: JobId,
    /// What people call it.
    pub name: String,
    /// The SHA-256 of its program, in hexadecimal digits.
    pub program: String,
    /// The name of the file that the program was in.
    pub program_name: String,
    /// The arguments of the program.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// The folder in which its processes run, if the agent has it.
    pub folder: Option<String>,
    /// How many processes it has, each in a slot of its own.
    pub parallelism: usize,
    /// What counts instead of what its command line says.
    pub overrides: Overrides,
    /// Whether and when it is started again; what the program says if this says nothing.
    pub restart: Option<String>,
}

/// A savepoint that was taken of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Savepoint {
    /// Which request has asked for it.
    pub trigger: TriggerId,
    /// Where it is.
    pub url: String,
    /// The number of its checkpoint.
    pub checkpoint: u64,
}

/// What must not be forgotten of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// What is run.
    pub spec: JobSpec,
    /// What it is doing.
    pub state: JobState,
    /// How often its processes were started.
    pub attempt: u64,
    /// What its processes prove to each other to know.
    pub secret: String,
    /// For each place of checkpoints, the first attempt in its log that belongs to this job.
    pub since: BTreeMap<String, u64>,
    /// What its program says about itself.
    pub described: Option<Described>,
    /// The last failures, oldest first.
    pub failures: Vec<Failure>,
    /// How often it has failed.
    pub failed: u64,
    /// Its savepoints, oldest first.
    pub savepoints: Vec<Savepoint>,
    /// When it last came into each state, in ms since 1970.
    pub entered_ms: BTreeMap<JobState, i64>,
}

impl JobRecord {
    /// Returns the record of a job that was submitted just now.
    ///
    /// - `secret`: hard to guess.
    #[must_use]
    pub fn new(spec: JobSpec, secret: String, now_ms: i64) -> Self {
        JobRecord {
            spec,
            state: JobState::Created,
            attempt: 0,
            secret,
            since: BTreeMap::new(),
            described: None,
            failures: Vec::new(),
            failed: 0,
            savepoints: Vec::new(),
            entered_ms: BTreeMap::from([(JobState::Created, now_ms)]),
        }
    }

    /// Moves on to another state; returns whether it is another.
    pub fn enter(&mut self, state: JobState, now_ms: i64) -> bool {
        let changes = self.state != state;
        if changes {
            self.state = state;
            self.entered_ms.insert(state, now_ms);
        }
        changes
    }

    /// Remembers a failure.
    pub fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        self.failures.push(failure);
        let surplus = self.failures.len().saturating_sub(FAILURES_KEPT);
        self.failures.drain(..surplus);
    }

    /// Returns whether and when the job is started again.
    #[must_use]
    pub fn restart(&self) -> RestartStrategy {
        let said = self.described.as_ref().map(|described| described.restart.as_str());
        let strategy = self.spec.restart.as_deref().or(said);
        // Both were parsed before they were taken.
        strategy.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Returns when it was submitted, in ms since 1970.
    #[must_use]
    pub fn submitted_ms(&self) -> i64 {
        self.entered_ms.values().copied().min().unwrap_or_default()
    }

    /// Returns when it ended, in ms since 1970.
    #[must_use]
    pub fn ended_ms(&self) -> Option<i64> {
        self.state.is_terminal().then(|| self.entered_ms.get(&self.state).copied()).flatten()
    }
}
