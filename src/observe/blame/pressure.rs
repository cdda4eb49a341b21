//! Downstream: why an operator does not take what was sent to it.

use super::super::task::{Phase, TaskReport};
use super::super::view::Vertex;
use super::{Cause, Trail, Way, on};

/// From when on one call is long, in ms: an activation should take about one.
const LONG_MS: u64 = 100;
/// From when on an operator is busy all the time, in ms of every second.
const BUSY_MS: f64 = 500.0;
/// From when on the report of a process is old, in ms: it should come every second.
const OLD_MS: u64 = 5_000;

impl Trail<'_> {
    /// Says why an operator on a worker is behind what has been sent to it.
    pub(super) fn behind(&mut self, vertex: &Vertex, worker: usize) -> Cause {
        let Some(task) = on(vertex, worker) else { return Cause::Unknown };
        let backlog = || Cause::Backlog { at: task.into(), batches: task.queue };
        if !self.visit(vertex, worker, Way::Downstream) {
            return backlog();
        }
        if let Some(cause) = self.stuck(vertex, worker) {
            return cause;
        }
        if let Some(held) = task.held {
            let says = format!("has no credit towards worker {}", held.receiver);
            self.link(vertex, Some(worker), says);
            let queued = |taker: &&Vertex| on(taker, held.receiver).map(|task| task.queue);
            if let Some(taker) = self.view.behind_edge(held.edge).max_by_key(queued) {
                return self.behind(taker, held.receiver);
            }
        }
        let behind = |epoch: u64| task.inputs.iter().any(|i| i.epoch.is_some_and(|e| e <= epoch));
        if let Some(epoch) = task.epoch.filter(|epoch| task.aligning_ms.is_some() && behind(*epoch))
        {
            self.link(vertex, Some(worker), "keeps what came after the barrier until it has cut");
            return self.not_cut(vertex, worker, epoch);
        }
        if task.rates.busy_ms >= BUSY_MS {
            return Cause::Slow { at: task.into(), busy_ms: task.rates.busy_ms as u64 };
        }
        backlog()
    }

    /// Says what keeps the whole worker of an operator from running, if anything does.
    pub(super) fn stuck(&self, vertex: &Vertex, worker: usize) -> Option<Cause> {
        let subtask = vertex.subtasks.iter().find(|subtask| subtask.task.worker == worker)?;
        if subtask.age_ms >= OLD_MS {
            return Some(Cause::Silent { process: subtask.process, age_ms: subtask.age_ms });
        }
        let all = self.view.vertices.iter().filter_map(|vertex| on(vertex, worker));
        let hangs = |task: &&TaskReport| task.phase == Phase::Busy && task.phase_ms >= LONG_MS;
        let longest = all.filter(hangs).max_by_key(|task| task.phase_ms)?;
        Some(Cause::Hangs { at: longest.into(), for_ms: longest.phase_ms })
    }

    /// Says what keeps any worker of an operator from running.
    pub(super) fn stuck_anywhere(&self, vertex: &Vertex) -> Option<Cause> {
        let mut workers = vertex.subtasks.iter().map(|subtask| subtask.task.worker);
        workers.find_map(|worker| self.stuck(vertex, worker))
    }
}
