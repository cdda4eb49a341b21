//! How the processes of a job are started, ended, and started again.
//!
//! ```text
//! waiting --slots--> Start to each agent --> all joined: RUNNING --> all gone, exit code 0: FINISHED
//!    ^                                             |
//!    |                                   one failed, killed or lost
//!    |                                             v
//!    '-- delay -- all gone <-- Kill to the others, RESTARTING | FAILING
//! ```

use std::time::Duration;

use highwater::supervisor::Failure;
use highwater::supervisor::protocol::{Begin, MeshSpec, Order};
use highwater::supervisor::restart::Verdict;

use super::event::{At, Command};
use super::job::{Job, Outcome};
use super::{Coordinator, Goal, Process, Restarts, enter};
use crate::frame::{AgentId, Start, ToAgent};
use crate::id::JobId;
use crate::record::JobState;

/// How long the processes of an attempt that has failed may take to end by themselves: long enough
/// to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The same for those that know that there will be no other attempt, and write their last results.
const LAST_WORK: Duration = Duration::from_secs(30);

/// Why an attempt has failed.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    /// How its process ended.
    pub(super) exit: String,
    pub(super) sentence: String,
    /// Whether another attempt may succeed.
    pub(super) curable: bool,
}

impl Coordinator {
    /// Starts the jobs that wait, as far as there are slots.
    pub(super) fn start_waiting(&mut self, at: At, out: &mut Vec<Command>) {
        if self.closing {
            return;
        }
        let waiting = self.jobs.values().filter(|job| job.is_waiting() && job.start_at <= at.now);
        let mut waiting: Vec<_> =
            waiting.map(|job| (job.record.submitted_ms(), job.id())).collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            self.start(at, id, out);
        }
    }

    fn start(&mut self, at: At, id: JobId, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get(&id) else { return };
        let rescaling = job.rescaling.as_ref();
        let wanted = rescaling.map_or(job.record.spec.parallelism, |to| to.parallelism);
        let places = self.places(wanted);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.waits_for = places.is_none().then_some(wanted);
        let Some(places) = places else { return };
        job.record.spec.parallelism = wanted;
        if let Some(workers) = job.rescaling.as_ref().and_then(|to| to.workers) {
            job.record.spec.overrides.workers = Some(workers);
        }
        job.record.attempt += 1;
        job.record.enter(JobState::Created, at.now_ms);
        out.push(Command::Save(Box::new(job.record.clone())));
        job.status = None;
        job.processes = places.iter().cloned().map(Process::at).collect();
        for (index, agent) in places.iter().enumerate() {
            let Some(address) = self.agents.get(agent).map(|agent| agent.address) else { continue };
            let start = ToAgent::Start(Box::new(start_of(job, index, address)));
            out.push(Command::Tell(agent.clone(), start));
        }
    }

    /// Takes note of a failure of the attempt.
    pub(super) fn fail(&mut self, at: At, id: JobId, cause: Cause, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.goal != Goal::Run {
            // What follows from the failure before it, or from the end that was ordered.
            return self.settle(at, id, out);
        }
        let attempt = job.record.attempt;
        let Cause { exit, sentence, curable } = cause;
        let verdict = match curable {
            true => job.restarts.failed(at.now, at.chance),
            false => Verdict::GiveUp,
        };
        let what = match verdict {
            Verdict::After(delay) => format!("it is started again in {} ms", delay.as_millis()),
            Verdict::GiveUp => "it has failed for good".to_owned(),
        };
        out.push(Command::Log(format!("job {id}, attempt {attempt}: {exit}: {sentence}; {what}")));
        job.record.fail(Failure { at_ms: at.now_ms, attempt, exit, sentence });
        job.disappoint("the job has failed meanwhile");
        let (goal, state) = match verdict {
            Verdict::After(delay) => (Goal::Restart(delay), JobState::Restarting),
            Verdict::GiveUp => (Goal::End(JobState::Failed), JobState::Failing),
        };
        job.goal = goal;
        enter(job, state, at, out);
        end_processes(job, LAST_WORDS, out);
        self.settle(at, id, out);
    }

    /// Ends a job at once.
    pub(super) fn cancel(
        &mut self,
        at: At,
        id: JobId,
        out: &mut Vec<Command>,
    ) -> crate::error::Result<()> {
        let job = self.jobs.get_mut(&id).ok_or(crate::error::Error::NoJob { id })?;
        if job.record.state.is_terminal() {
            let state = job.record.state;
            return Err(crate::error::Error::Ended { id, state });
        }
        job.rescaling = None;
        job.disappoint("the job was canceled");
        job.goal = Goal::End(JobState::Canceled);
        enter(job, JobState::Cancelling, at, out);
        end_processes(job, Duration::ZERO, out);
        self.settle(at, id, out);
        Ok(())
    }

    /// Decides what becomes of a job when all its processes are gone; once, for then it is decided.
    pub(super) fn settle(&mut self, at: At, id: JobId, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.left().next().is_some() || job.record.state.is_terminal() {
            return;
        }
        job.processes.clear();
        job.reconcile_until = None;
        let state = match std::mem::replace(&mut job.goal, Goal::Run) {
            Goal::Run if self.closing => JobState::Suspended,
            Goal::Run if job.rescaling.is_some() => JobState::Restarting,
            Goal::Run => JobState::Finished,
            Goal::Restart(delay) => {
                job.start_at = at.now.saturating_add(delay);
                JobState::Restarting
            }
            Goal::End(state) => state,
            Goal::Suspend => JobState::Suspended,
        };
        if state.is_terminal() {
            job.disappoint("the job has ended");
            out.push(Command::Log(format!("job {id} is {state}")));
        }
        enter(job, state, at, out);
    }

    /// Takes note that nothing is left of a process.
    pub(super) fn gone(
        &mut self,
        at: At,
        (id, index): (JobId, usize),
        cause: Option<Cause>,
        out: &mut Vec<Command>,
    ) {
        let process = self.jobs.get_mut(&id).and_then(|job| job.processes.get_mut(index));
        let Some(process) = process else { return };
        process.leave();
        match cause {
            Some(cause) => self.fail(at, id, cause, out),
            None => self.settle(at, id, out),
        }
    }

    /// Takes note that all processes of a job have begun, if they have.
    pub(super) fn joined(&mut self, at: At, id: JobId, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let waits = matches!(job.record.state, JobState::Created | JobState::Reconciling);
        if job.goal == Goal::Run && waits && job.has_begun() {
            job.reconcile_until = None;
            enter(job, JobState::Running, at, out);
            if let Some(done) = job.rescaling.take() {
                let outcome = Outcome::Completed { checkpoint: done.checkpoint, url: None };
                job.conclude(done.trigger, outcome);
            }
        }
    }

    /// Gives up the processes that no agent has reported to a new coordinator.
    pub(super) fn give_up_missing(&mut self, at: At, id: JobId, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.reconcile_until = None;
        let missing = job.left().filter(|(_, process)| process.agent.is_none());
        let missing: Vec<usize> = missing.map(|(index, _)| index).collect();
        for index in missing {
            let sentence = format!("process {index} was lost while there was no coordinator");
            let cause = Cause { exit: "lost".to_owned(), sentence, curable: true };
            self.gone(at, (id, index), Some(cause), out);
        }
    }

    /// Ends a job in such a way that the next coordinator goes on with it.
    pub(super) fn suspend(&mut self, at: At, id: JobId, out: &mut Vec<Command>) {
        let ask = self.next_ask;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.record.state.is_terminal() || matches!(job.goal, Goal::End(_)) {
            return;
        }
        job.goal = Goal::Suspend;
        if job.left().next().is_none() {
            return self.settle(at, id, out);
        }
        self.next_ask += 1;
        super::wishes::suspend(job, ask, out);
        end_processes(job, LAST_WORK, out);
    }

    /// Sets how a job is started again, once it is known.
    pub(super) fn described(job: &mut Job) {
        job.restarts = Restarts::new(job.record.restart());
    }
}

/// Lets the processes that are left end.
fn end_processes(job: &Job, grace: Duration, out: &mut Vec<Command>) {
    let again = !matches!(job.goal, Goal::End(_));
    for (index, process) in job.left() {
        let Some(agent) = &process.agent else { continue };
        let key = job.key(index);
        let mut grace_ms = grace.as_millis() as u64;
        if process.reported.is_some() && job.goal != Goal::End(JobState::Canceled) {
            let order = Box::new(Order::Verdict { again });
            out.push(Command::Tell(agent.clone(), ToAgent::Pass { key, order }));
            grace_ms = LAST_WORK.as_millis() as u64;
        }
        out.push(Command::Tell(agent.clone(), ToAgent::Kill { key, grace_ms }));
    }
}

/// Returns what a process is started with.
fn start_of(job: &Job, index: usize, listen: std::net::IpAddr) -> Start {
    let record = &job.record;
    let spec = &record.spec;
    let mesh = (spec.parallelism > 1).then(|| MeshSpec {
        job: spec.id.to_string(),
        attempt: record.attempt,
        index,
        processes: spec.parallelism,
        secret: record.secret.clone(),
        listen,
    });
    let (since, failures) = (record.since.clone(), record.failures.clone());
    let begin = Begin { since, failures, mesh, overrides: spec.overrides.clone() };
    Start {
        key: job.key(index),
        program: spec.program.clone(),
        program_name: spec.program_name.clone(),
        arguments: spec.arguments.clone(),
        environment: spec.environment.clone(),
        folder: spec.folder.clone(),
        begin,
    }
}

/// Tells the process that its agent has, if it has one.
pub(super) fn pass(job: &Job, index: usize, order: Order, out: &mut Vec<Command>) {
    let agent = job.processes.get(index).filter(|process| !process.is_gone());
    if let Some(agent) = agent.and_then(|process| process.agent.as_ref()) {
        let (key, order) = (job.key(index), Box::new(order));
        out.push(Command::Tell(AgentId::clone(agent), ToAgent::Pass { key, order }));
    }
}

/// Ends a process that an agent has brought back, if its job is to end.
pub(super) fn end_if_told(job: &Job, index: usize, out: &mut Vec<Command>) {
    let process = job.processes.get(index).filter(|process| !process.is_gone());
    let agent = process.and_then(|process| process.agent.as_ref());
    if let (Some(agent), false) = (agent, job.goal == Goal::Run) {
        let (key, grace_ms) = (job.key(index), LAST_WORDS.as_millis() as u64);
        out.push(Command::Tell(agent.clone(), ToAgent::Kill { key, grace_ms }));
    }
}
