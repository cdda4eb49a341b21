//! Agents that come, come back, and are lost.
//!
//! An agent says with its first message which processes it has. Those of attempts that count are taken
//! over, whatever the coordinator knew of them: a coordinator that was started just now learns in this
//! way what runs. All others are ended.

use super::attempt::Cause;
use super::event::{At, Command};
use super::job::Job;
use super::{Agent, Coordinator};
use crate::frame::{AgentId, Hello, Known, ToAgent};
use crate::id::JobId;

impl Coordinator {
    pub(super) fn welcome(&mut self, at: At, hello: Hello, out: &mut Vec<Command>) {
        let Hello { id, host, pid, address, slots, hardware, processes, .. } = hello;
        let (heard, heard_ms) = (at.now, at.now_ms);
        let agent = Agent { host, pid, address, slots, hardware, heard, heard_ms, left: None };
        self.agents.insert(id.clone(), agent);
        let (coordinator, rest) = (self.number, self.rest);
        out.push(Command::Tell(id.clone(), ToAgent::Welcome { coordinator, rest }));
        // What it was to start when the connection broke it does not have.
        let has = |job: &Job, index| processes.iter().any(|known| known.key == job.key(index));
        let lost: Vec<(JobId, usize)> = self
            .jobs
            .values()
            .flat_map(|job| job.left().map(move |(index, process)| (job, index, process)))
            .filter(|(job, index, process)| {
                process.agent.as_ref() == Some(&id) && !has(job, *index)
            })
            .map(|(job, index, _)| (job.id(), index))
            .collect();
        for (job, index) in lost {
            let sentence = format!("agent {id} came back without process {index}");
            let cause = Cause { exit: "lost".to_owned(), sentence, curable: true };
            self.gone(at, (job, index), Some(cause), out);
        }
        for known in processes {
            self.adopt(at, &id, known, out);
        }
    }

    /// Takes over a process, or lets it end.
    fn adopt(&mut self, at: At, agent: &AgentId, known: Known, out: &mut Vec<Command>) {
        let Known { key, pid, said, exit } = known;
        let process = self.jobs.get_mut(&key.job).and_then(|job| {
            let is_current = job.record.attempt == key.attempt;
            job.processes.get_mut(key.index).filter(|_| is_current)
        });
        let is_ours = |of: &Option<AgentId>| of.is_none() || of.as_ref() == Some(agent);
        let Some(process) = process.filter(|p| !p.is_gone() && is_ours(&p.agent)) else {
            out.push(Command::Tell(agent.clone(), ToAgent::Kill { key, grace_ms: 0 }));
            if exit.is_some() {
                out.push(Command::Tell(agent.clone(), ToAgent::Forget(key)));
            }
            return;
        };
        process.agent = Some(agent.clone());
        process.pid = pid;
        for report in said {
            self.said(at, key, report, out);
        }
        if let Some(exit) = exit {
            out.push(Command::Tell(agent.clone(), ToAgent::Forget(key)));
            self.exited(at, key, &exit, out);
        }
        if let Some(job) = self.jobs.get(&key.job) {
            super::attempt::end_if_told(job, key.index, out);
        }
    }

    /// Gives up an agent, and all processes that it has.
    pub(super) fn lose(&mut self, at: At, id: &AgentId, out: &mut Vec<Command>) {
        let Some(agent) = self.agents.remove(id) else { return };
        out.push(Command::Drop(id.clone()));
        let why = match agent.left {
            Some(_) => "the connection with it has ended".to_owned(),
            None => format!("nothing was heard of it for {:?}", at.now.saturating_sub(agent.heard)),
        };
        out.push(Command::Log(format!("agent {id} on {} is lost: {why}", agent.host)));
        let processes = self.jobs.values().flat_map(|job| {
            let had = job.left().filter(|(_, process)| process.agent.as_ref() == Some(id));
            had.map(|(index, _)| (job.id(), index))
        });
        for (job, index) in processes.collect::<Vec<_>>() {
            let sentence =
                format!("agent {id} on {} was lost with process {index}: {why}", agent.host);
            let cause = Cause { exit: "lost".to_owned(), sentence, curable: true };
            self.gone(at, (job, index), Some(cause), out);
        }
    }
}
