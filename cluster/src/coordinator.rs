//! Decides what runs where: a pure machine, events in, commands out.
//!
//! ```text
//! agents   --Hello, Frame, Disconnected-->  Coordinator::handle  --Tell, Drop--> agents
//! users    --Submit, Cancel, Wish------->     (no clock, no I/O)  --Save------> ledger
//! clock    --Tick----------------------->                         --Observed--> views
//! ```
//!
//! A job has at most one attempt at a time, and an attempt is one set of processes, each in a slot of
//! an agent. When one of them is lost the others are ended, and when all are gone the next attempt is
//! started, from the last checkpoint (`coordinator/attempt.rs`).
//!
//! **Invariants**
//! - *Remembered first*: a `Save` stands before the commands that build on it, and whoever executes
//!   them waits for it. So no attempt is started whose number a later coordinator would use again.
//! - *One attempt*: processes are started only when none of the job is left on an agent that is there
//!   (`Coordinator::start_waiting`). What may be left on one that is not is fenced by the log of its
//!   checkpoints, and ended when the agent comes back.
//! - *Stale frames change nothing*: what is said of another attempt than the job's own is answered
//!   with the end of that process (`coordinator/frames.rs`).
//! - *Slots*: no agent has more processes than slots (`coordinator/placement.rs`).

pub mod event;
pub mod job;
mod agents;
mod attempt;
mod frames;
mod placement;
pub mod wishes;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use event::{At, Command, Event};
use highwater::supervisor::restart::Restarts;
use job::{Goal, Job, Process};

use crate::error::{Error, Result};
use crate::frame::{AgentId, Hardware, ToAgent};
use crate::id::JobId;
use crate::record::{JobRecord, JobState};

/// How often agents and coordinator show that they are alive.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// After how long without a sign of life an agent is lost.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an agent whose connection broke may take to come back: one that was killed does not.
const RETURN_TIMEOUT: Duration = Duration::from_millis(1500);
/// How many jobs that have ended are remembered, as in Flink's job store.
const ENDED_KEPT: usize = 100;

/// An agent, while it is there.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its host.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Where processes of other hosts reach those of this agent.
    pub address: std::net::IpAddr,
    /// How many processes it takes.
    pub slots: usize,
    /// Its machine.
    pub hardware: Hardware,
    /// When it last gave a sign of life.
    pub heard: Duration,
    /// The same, in ms since 1970.
    pub heard_ms: i64,
    /// Since when there is no connection.
    pub left: Option<Duration>,
}

/// What a coordinator knows.
#[derive(Debug)]
pub struct Coordinator {
    /// Which coordinator this is: the number in the ledger.
    number: u64,
    /// The port at which it answers HTTP.
    rest: u16,
    agents: BTreeMap<AgentId, Agent>,
    jobs: BTreeMap<JobId, Job>,
    /// The number of the next question to a process.
    next_ask: u64,
    /// Whether it is about to end: no job is started any more.
    closing: bool,
}

impl Coordinator {
    /// Returns a coordinator that takes over what the ones before it have left.
    ///
    /// - `number`: which one it is.
    /// - `rest`: the port at which it answers HTTP.
    #[must_use]
    pub fn new(number: u64, rest: u16, records: Vec<JobRecord>, at: At) -> Self {
        let jobs = records.into_iter().map(|record| (record.spec.id, Job::recovered(record, at)));
        let jobs = jobs.collect();
        Coordinator { number, rest, agents: BTreeMap::new(), jobs, next_ask: 1, closing: false }
    }

    /// Takes note of what happened, and returns what is to be done, in this order.
    ///
    /// # Errors
    /// When something is asked that cannot be done; then nothing has changed.
    pub fn handle(&mut self, at: At, event: Event) -> Result<Vec<Command>> {
        let mut out = Vec::new();
        match event {
            Event::Tick => self.tick(at, &mut out),
            Event::Slept => self.agents.values_mut().for_each(|agent| agent.heard = at.now),
            Event::Hello(hello) => self.welcome(at, *hello, &mut out),
            Event::Frame(agent, frame) => self.hear(at, &agent, frame, &mut out),
            Event::Disconnected(agent) => {
                if let Some(agent) = self.agents.get_mut(&agent) {
                    agent.left.get_or_insert(at.now);
                }
            }
            Event::Submit { spec, secret } => {
                let id = spec.id;
                if self.closing {
                    return Err(Error::Closing);
                }
                if self.jobs.contains_key(&id) {
                    return Err(Error::KnownJob { id });
                }
                let job = Job::new(JobRecord::new(*spec, secret, at.now_ms), at);
                out.push(Command::Save(Box::new(job.record.clone())));
                self.jobs.insert(id, job);
            }
            Event::Cancel(id) => self.cancel(at, id, &mut out)?,
            Event::Wish { job, trigger, wish } => self.wish(at, job, trigger, wish, &mut out)?,
            Event::Close => self.close(at, &mut out),
        }
        self.start_waiting(at, &mut out);
        self.forget_oldest(&mut out);
        Ok(out)
    }

    /// Whether it has been told to end, and no job has processes any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closing && self.jobs.values().all(|job| job.processes.iter().all(|p| p.is_gone()))
    }

    /// Returns which coordinator this is.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns all jobs that it remembers.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// Returns a job.
    ///
    /// # Errors
    /// When there is none with this name.
    pub fn job(&self, id: JobId) -> Result<&Job> {
        self.jobs.get(&id).ok_or(Error::NoJob { id })
    }

    /// Returns all agents that are there.
    pub fn agents(&self) -> impl Iterator<Item = (&AgentId, &Agent)> {
        self.agents.iter()
    }

    /// Returns what all jobs remember, for a new beginning of the ledger.
    #[must_use]
    pub fn records(&self) -> Vec<JobRecord> {
        self.jobs.values().map(|job| job.record.clone()).collect()
    }

    fn tick(&mut self, at: At, out: &mut Vec<Command>) {
        let is_lost = |agent: &Agent| {
            at.now.saturating_sub(agent.heard) >= HEARTBEAT_TIMEOUT
                || agent.left.is_some_and(|left| at.now.saturating_sub(left) >= RETURN_TIMEOUT)
        };
        let lost = self.agents.iter().filter(|(_, agent)| is_lost(agent));
        for agent in lost.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.lose(at, &agent, out);
        }
        let overdue = |job: &Job| job.reconcile_until.is_some_and(|until| at.now >= until);
        let ids: Vec<_> = self.jobs.values().filter(|job| overdue(job)).map(Job::id).collect();
        for id in ids {
            self.give_up_missing(at, id, out);
        }
    }

    /// Lets all jobs end with a last checkpoint, to go on with the next coordinator.
    fn close(&mut self, at: At, out: &mut Vec<Command>) {
        self.closing = true;
        for id in self.jobs.keys().copied().collect::<Vec<_>>() {
            self.suspend(at, id, out);
        }
    }

    /// Forgets the jobs that ended first, if there are too many.
    fn forget_oldest(&mut self, out: &mut Vec<Command>) {
        let ended = self.jobs.values().filter_map(|job| Some((job.record.ended_ms()?, job.id())));
        let mut ended: Vec<_> = ended.collect();
        ended.sort_unstable();
        let surplus = ended.len().saturating_sub(ENDED_KEPT);
        for (_, id) in ended.drain(..surplus) {
            self.jobs.remove(&id);
            out.push(Command::Forget(id));
        }
    }

    /// Tells every agent the same.
    pub fn tell_all(&self, what: &ToAgent) -> Vec<Command> {
        self.agents.keys().map(|agent| Command::Tell(agent.clone(), what.clone())).collect()
    }
}

/// Moves a job on to another state and remembers it.
fn enter(job: &mut Job, state: JobState, at: At, out: &mut Vec<Command>) {
    if job.record.enter(state, at.now_ms) {
        out.push(Command::Save(Box::new(job.record.clone())));
    }
}
