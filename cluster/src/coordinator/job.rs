//! A job and its processes, as the coordinator sees them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use highwater::control::JobStatus;
use highwater::supervisor::protocol::Reported;

use super::event::{At, Wish};
use super::{HEARTBEAT_TIMEOUT, Restarts};
use crate::frame::{AgentId, Key};
use crate::id::{JobId, TriggerId};
use crate::record::{JobRecord, JobState};

/// How many outcomes of wishes are remembered for each job.
const OPERATIONS_KEPT: usize = 100;

/// What becomes of a job when all its processes are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It has finished, if they ended well.
    Run,
    /// It is started again after this time.
    Restart(Duration),
    /// It is over.
    End(JobState),
    /// It goes on with the next coordinator.
    Suspend,
}

/// One process of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// The agent that has it; unknown to a new coordinator.
    pub agent: Option<AgentId>,
    /// Its number.
    pub pid: Option<u32>,
    /// Whether it runs a job of ours.
    pub joined: bool,
    /// Where the others reach it.
    pub address: Option<SocketAddr>,
    /// Whether its job has succeeded.
    pub succeeded: bool,
    /// Why its job has failed.
    pub reported: Option<Reported>,
    /// Whether nothing is left of it.
    gone: bool,
}

impl Process {
    /// Whether nothing is left of it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    pub(super) fn at(agent: AgentId) -> Self {
        Process { agent: Some(agent), ..Process::default() }
    }

    pub(super) fn leave(&mut self) {
        self.gone = true;
    }
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is being fulfilled.
    InProgress,
    /// It is fulfilled.
    Completed {
        /// The checkpoint that was taken for it.
        checkpoint: Option<u64>,
        /// Where the savepoint is.
        url: Option<String>,
    },
    /// It could not be.
    Failed {
        /// Why.
        why: String,
    },
}

/// A wish and what became of it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What was wanted.
    pub wish: Wish,
    /// When, in ms since 1970.
    pub since_ms: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What happens when a stopped job has left its slots.
#[derive(Clone, Debug)]
pub(super) struct Rescaling {
    pub(super) trigger: TriggerId,
    pub(super) parallelism: usize,
    pub(super) workers: Option<usize>,
    /// The checkpoint that it goes on from; unknown until it has been taken.
    pub(super) checkpoint: Option<u64>,
}

/// A job.
#[derive(Debug)]
pub struct Job {
    /// What is remembered of it.
    pub record: JobRecord,
    /// The processes of its attempt; none between attempts.
    pub processes: Vec<Process>,
    /// What became of wishes, by their names.
    pub operations: BTreeMap<TriggerId, Operation>,
    /// How far it had come when it was last asked.
    pub status: Option<JobStatus>,
    /// How many slots it waits for, if it does.
    pub waits_for: Option<usize>,
    pub(super) goal: Goal,
    pub(super) restarts: Restarts,
    /// When it may be started.
    pub(super) start_at: Duration,
    /// Until when a new coordinator waits for its processes.
    pub(super) reconcile_until: Option<Duration>,
    pub(super) rescaling: Option<Rescaling>,
    /// Whether it was stopped by a user: then its end is its end.
    pub(super) asks: BTreeMap<u64, TriggerId>,
}

impl Job {
    pub(super) fn new(record: JobRecord, at: At) -> Self {
        let restarts = Restarts::new(record.restart());
        Job {
            record,
            processes: Vec::new(),
            operations: BTreeMap::new(),
            status: None,
            waits_for: None,
            goal: Goal::Run,
            restarts,
            start_at: at.now,
            reconcile_until: None,
            rescaling: None,
            asks: BTreeMap::new(),
        }
    }

    /// Takes a job over from another coordinator, of which processes may be left anywhere.
    pub(super) fn recovered(record: JobRecord, at: At) -> Self {
        let mut job = Job::new(record, at);
        let until = at.now.saturating_add(HEARTBEAT_TIMEOUT);
        job.goal = match job.record.state {
            JobState::Failing => Goal::End(JobState::Failed),
            JobState::Cancelling => Goal::End(JobState::Canceled),
            _ => Goal::Run,
        };
        let state = match job.record.state {
            // Nothing was started yet, or all has ended.
            JobState::Created if job.record.attempt == 0 => return job,
            state if state.is_terminal() => return job,
            JobState::Suspended | JobState::Restarting => JobState::Restarting,
            JobState::Failing => JobState::Failing,
            JobState::Cancelling => JobState::Cancelling,
            _ => JobState::Reconciling,
        };
        job.record.enter(state, at.now_ms);
        if state != JobState::Restarting {
            job.processes = vec![Process::default(); job.record.spec.parallelism];
            job.reconcile_until = Some(until);
        }
        job
    }

    /// Returns its name.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.record.spec.id
    }

    /// Names one of its processes.
    #[must_use]
    pub fn key(&self, index: usize) -> Key {
        Key { job: self.id(), attempt: self.record.attempt, index }
    }

    /// Returns the processes that are left, with their places.
    pub fn left(&self) -> impl Iterator<Item = (usize, &Process)> {
        self.processes.iter().enumerate().filter(|(_, process)| !process.gone)
    }

    /// Whether all its processes have begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !self.processes.is_empty() && self.processes.iter().all(|process| process.joined)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.goal == Goal::Run
            && self.processes.is_empty()
            && matches!(self.record.state, JobState::Created | JobState::Restarting)
    }

    /// Takes note of a wish, and forgets the first if there are too many.
    pub(super) fn begin(&mut self, trigger: TriggerId, wish: Wish, at: At) {
        let operation = Operation { wish, since_ms: at.now_ms, outcome: Outcome::InProgress };
        self.operations.insert(trigger, operation);
        while self.operations.len() > OPERATIONS_KEPT {
            let oldest = self.operations.iter().min_by_key(|(_, operation)| operation.since_ms);
            let Some(oldest) = oldest.map(|(trigger, _)| *trigger) else { return };
            self.operations.remove(&oldest);
        }
    }

    pub(super) fn conclude(&mut self, trigger: TriggerId, outcome: Outcome) {
        if let Some(operation) = self.operations.get_mut(&trigger) {
            operation.outcome = outcome;
        }
    }

    /// Ends all wishes that nobody will fulfil any more.
    pub(super) fn disappoint(&mut self, why: &str) {
        let waiting: Vec<_> = std::mem::take(&mut self.asks).into_values().collect();
        for trigger in waiting {
            self.conclude(trigger, Outcome::Failed { why: why.to_owned() });
        }
        // One that has its checkpoint goes on, however the job ended after it.
        if let Some(rescaling) = self.rescaling.take_if(|rescaling| rescaling.checkpoint.is_none())
        {
            self.conclude(rescaling.trigger, Outcome::Failed { why: why.to_owned() });
        }
    }
}
