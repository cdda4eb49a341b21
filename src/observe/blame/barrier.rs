//! Barriers: who has not answered for a checkpoint, and why.

use highwater_checkpoint::coordinator::Stage;

use super::super::task::{Role, TaskReport};
use super::super::view::{JobView, Vertex};
use super::{Blame, Cause, Trail, Way, What, on};

impl JobView {
    /// Says what holds back the oldest checkpoint under way; `None` if there is none.
    ///
    /// - `asked`: the operator whose answer counts, `None` for all.
    pub(super) fn why_barrier(&self, asked: Option<&Vertex>) -> Option<Blame> {
        let under_way = self.checkpoints.as_ref()?.under_way.first()?;
        let checkpoint = under_way.checkpoint;
        let mut trail = Trail::new(self);
        let cause = match under_way.stage {
            Stage::Storing => Cause::Manifest { checkpoint },
            Stage::Committing => Cause::SinkCommit { checkpoint },
            Stage::Freezing => {
                let silent = under_way.waits_for.iter().filter_map(|instance| {
                    let vertex = self.vertex(&instance.uid)?;
                    let is_asked = asked.is_none_or(|asked| asked.uid == vertex.uid);
                    Some((vertex, on(vertex, instance.worker)?)).filter(|_| is_asked)
                });
                let silent: Vec<_> = silent.collect();
                let has_cut = |task: &TaskReport| task.epoch.is_none_or(|at| at > checkpoint);
                let late = silent.iter().filter(|(_, task)| !has_cut(task));
                // Operators stand behind their inputs, so that the first one is the furthest back.
                match (late.min_by_key(|(vertex, _)| vertex.place), silent.first()) {
                    (Some((vertex, task)), _) => trail.not_cut(vertex, task.worker, checkpoint),
                    (None, Some((_, task))) => Cause::Upload { at: (*task).into(), checkpoint },
                    (None, None) if asked.is_some() => return None,
                    (None, None) => Cause::Unknown,
                }
            }
        };
        Some(trail.end(What::Barrier(checkpoint), cause))
    }
}

impl Trail<'_> {
    /// Says why an operator on a worker has not cut at the end of an epoch.
    pub(super) fn not_cut(&mut self, vertex: &Vertex, worker: usize, checkpoint: u64) -> Cause {
        let Some(task) = on(vertex, worker) else { return Cause::Unknown };
        if !self.visit(vertex, worker, Way::Barrier) {
            return Cause::InTransit { at: task.into() };
        }
        if vertex.role == Role::Source {
            let stuck = self.stuck(vertex, worker);
            return stuck.unwrap_or_else(|| Cause::NotTriggered { at: task.into() });
        }
        let is_behind = |epoch: Option<u64>| epoch.is_some_and(|epoch| epoch <= checkpoint);
        if !task.inputs.iter().any(|input| is_behind(input.epoch)) {
            self.link(vertex, Some(worker), "has everything of the epoch and is not done with it");
            return self.behind(vertex, worker);
        }
        let mut from = Vec::new();
        holders(self.view, vertex, &mut from);
        let late = from.iter().find_map(|from| {
            let mut tasks = from.subtasks.iter().map(|subtask| &subtask.task);
            tasks.find(|task| is_behind(task.epoch)).map(|task| (*from, task.worker))
        });
        let Some((from, from_worker)) = late else {
            self.link(vertex, Some(worker), "waits for what is on its way");
            let stuck = self.stuck_anywhere(vertex);
            return stuck.unwrap_or_else(|| Cause::InTransit { at: task.into() });
        };
        let says = format!("waits for the barrier of {:?} on worker {from_worker}", from.name);
        self.link(vertex, Some(worker), says);
        self.not_cut(from, from_worker, checkpoint)
    }
}

/// The operators with an epoch of their own that feed this one, through stateless ones.
fn holders<'v>(view: &'v JobView, vertex: &Vertex, found: &mut Vec<&'v Vertex>) {
    for input in &vertex.inputs {
        match view.at(input.from.operator) {
            // Steps stand behind what feeds them, so that this ends.
            Some(from) if from.role == Role::Stateless => holders(view, from, found),
            Some(from) => found.push(from),
            None => {}
        }
    }
}
