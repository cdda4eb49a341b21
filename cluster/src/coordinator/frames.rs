//! What agents say about processes.
//!
//! Who speaks of another attempt than the job's own, or for a process that another agent has, is told
//! to end that process: nothing else comes of it.

use std::collections::btree_map::Entry;

use highwater::supervisor::protocol::{Order, Report, Reported};
use highwater::supervisor::{RestartStrategy, signal_name};

use super::attempt::{Cause, pass};
use super::event::{At, Command};
use super::job::Job;
use super::{Coordinator, Goal};
use crate::frame::{AgentId, Exit, FromAgent, Key, ToAgent};

/// The exit code of a Rust program whose main thread panicked.
const PANICKED: i32 = 101;

impl Coordinator {
    pub(super) fn hear(
        &mut self,
        at: At,
        agent: &AgentId,
        frame: FromAgent,
        out: &mut Vec<Command>,
    ) {
        // One that was given up says hello before it says anything else.
        let Some(known) = self.agents.get_mut(agent) else { return };
        known.heard = at.now;
        known.heard_ms = at.now_ms;
        match frame {
            FromAgent::Heartbeat(hardware) => {
                known.hardware = hardware;
                out.push(Command::Tell(agent.clone(), ToAgent::Heartbeat));
            }
            FromAgent::Started { key, pid } => {
                if let Some(job) = self.speaker(agent, key, out) {
                    job.processes[key.index].pid = Some(pid);
                }
            }
            FromAgent::NotStarted { key, reported } => {
                out.push(Command::Tell(agent.clone(), ToAgent::Forget(key)));
                if self.speaker(agent, key, out).is_some() {
                    let Reported { sentence, curable, .. } = reported;
                    let cause = Cause { exit: "not started".to_owned(), sentence, curable };
                    self.gone(at, (key.job, key.index), Some(cause), out);
                }
            }
            FromAgent::Said { key, report } => {
                if self.speaker(agent, key, out).is_some() {
                    self.said(at, key, report, out);
                }
            }
            FromAgent::Exited { key, exit } => {
                out.push(Command::Tell(agent.clone(), ToAgent::Forget(key)));
                if self.speaker(agent, key, out).is_some() {
                    self.exited(at, key, &exit, out);
                }
            }
            // Whoever asked takes it before it comes here.
            FromAgent::Log { .. } => {}
            FromAgent::Bye => self.lose(at, agent, out),
        }
    }

    /// Returns the job of a process that this agent may speak for; else lets it end the process.
    fn speaker(&mut self, agent: &AgentId, key: Key, out: &mut Vec<Command>) -> Option<&mut Job> {
        let job = self.jobs.get_mut(&key.job).filter(|job| {
            let process = job.processes.get(key.index);
            job.record.attempt == key.attempt
                && process.is_some_and(|process| {
                    !process.is_gone() && process.agent.as_ref() == Some(agent)
                })
        });
        if job.is_none() {
            out.push(Command::Tell(agent.clone(), ToAgent::Kill { key, grace_ms: 0 }));
        }
        job
    }

    /// Takes note of what a process of the attempt says.
    pub(super) fn said(&mut self, at: At, key: Key, report: Report, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get_mut(&key.job) else { return };
        let process = &mut job.processes[key.index];
        match report {
            Report::Joined { .. } => {
                process.joined = true;
                self.joined(at, key.job, out);
            }
            Report::Listening { address } => {
                process.address = Some(address);
                introduce(job, out);
            }
            Report::Described(described) => {
                if job.record.described.as_ref() == Some(&*described) {
                    return;
                }
                if described.restart.parse::<RestartStrategy>().is_ok() {
                    let is_first = job.record.described.is_none();
                    job.record.described = Some(*described);
                    out.push(Command::Save(Box::new(job.record.clone())));
                    if is_first {
                        Coordinator::described(job);
                    }
                }
            }
            Report::Begun { url, attempt } => {
                if let Entry::Vacant(vacant) = job.record.since.entry(url) {
                    vacant.insert(attempt);
                    out.push(Command::Save(Box::new(job.record.clone())));
                }
            }
            Report::Observed(report) => out.push(Command::Observed { key, report }),
            Report::Answer { id, response } => self.answered(at, key, id, response, out),
            Report::Ended(None) => process.succeeded = true,
            Report::Ended(Some(reported)) => {
                process.reported = Some(reported.clone());
                let Reported { code, sentence, curable } = reported;
                let cause = Cause { exit: format!("exit code {code}"), sentence, curable };
                match job.goal {
                    Goal::Run => self.fail(at, key.job, cause, out),
                    ref goal => {
                        let again = !matches!(goal, Goal::End(_));
                        pass(job, key.index, Order::Verdict { again }, out);
                    }
                }
            }
        }
    }

    pub(super) fn exited(&mut self, at: At, key: Key, exit: &Exit, out: &mut Vec<Command>) {
        let Some(job) = self.jobs.get_mut(&key.job) else { return };
        let process = &job.processes[key.index];
        let cause = match exit {
            Exit { code: Some(0), .. } => None,
            Exit { killed: Some(why), .. } if !exit.ordered => {
                Some(Cause { exit: text(exit), sentence: why.clone(), curable: true })
            }
            Exit { code: Some(PANICKED), .. } if !process.succeeded => {
                let sentence = "its main thread panicked".to_owned();
                Some(Cause { exit: text(exit), sentence, curable: true })
            }
            Exit { code: Some(_), .. } => {
                // The program has chosen its exit code itself.
                let sentence = format!("process {} says why in its log", key.index);
                Some(Cause { exit: text(exit), sentence, curable: false })
            }
            Exit { code: None, .. } => {
                let sentence = format!("process {} was killed", key.index);
                Some(Cause { exit: text(exit), sentence, curable: true })
            }
        };
        self.gone(at, (key.job, key.index), cause, out);
    }
}

/// Tells all processes of an attempt where the others are, once all listen.
fn introduce(job: &Job, out: &mut Vec<Command>) {
    let addresses: Option<Vec<_>> = job.processes.iter().map(|process| process.address).collect();
    let Some(addresses) = addresses else { return };
    for index in 0..addresses.len() {
        pass(job, index, Order::Peers { addresses: addresses.clone() }, out);
    }
}

/// Writes how a process ended.
fn text(exit: &Exit) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => signal_name(signal),
        (None, None) => "lost".to_owned(),
    }
}
