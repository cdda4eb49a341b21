//! Upstream: whose promise an operator waits for.

use super::super::task::{Role, Status, TaskReport};
use super::super::view::{JobView, Vertex};
use super::{Blame, Cause, Trail, Way, What};

/// From when on a split without records is silent, in ms.
const SILENT_MS: u64 = 1_000;

impl JobView {
    /// Says what holds back the watermark of an operator.
    pub(super) fn why_watermark(&self, vertex: &Vertex) -> Blame {
        let mut trail = Trail::new(self);
        let cause = trail.watermark(vertex);
        trail.end(What::Watermark(vertex.watermark), cause)
    }
}

impl Trail<'_> {
    /// Says why the operator has not promised more than it has.
    fn watermark(&mut self, vertex: &Vertex) -> Cause {
        let Some(task) = least(vertex) else { return Cause::Unknown };
        if vertex.output_watermark == i64::MAX || vertex.finished {
            return Cause::Done;
        }
        if !self.visit(vertex, task.worker, Way::Upstream) {
            return Cause::InTransit { at: task.into() };
        }
        match vertex.role {
            Role::Source => self.source(vertex, task),
            Role::Stateless => self.upstream(vertex, task, vertex.watermark),
            Role::Operator | Role::Sink if vertex.makes_watermarks => {
                let stuck = self.stuck(vertex, task.worker);
                stuck.unwrap_or_else(|| Cause::OwnWatermarks { at: task.into() })
            }
            Role::Operator | Role::Sink => {
                match task.inputs.iter().map(|input| input.watermark).min() {
                    Some(promised) if promised <= task.watermark => {
                        self.upstream(vertex, task, promised)
                    }
                    _ => {
                        self.link(vertex, Some(task.worker), "is behind what it was promised");
                        self.behind(vertex, task.worker)
                    }
                }
            }
        }
    }

    /// Goes on with the input that has promised the least.
    fn upstream(&mut self, vertex: &Vertex, task: &TaskReport, promised: i64) -> Cause {
        let froms = vertex.inputs.iter().filter_map(|input| self.view.at(input.from.operator));
        let Some(from) = froms.min_by_key(|from| from.output_watermark) else {
            return Cause::Unknown;
        };
        let at = said(promised);
        if from.output_watermark > promised {
            // What was sent before the promise has not been taken by some worker.
            self.link(vertex, Some(task.worker), format!("waits at {at} for what is on its way"));
            let stuck = self.stuck_anywhere(vertex);
            return stuck.unwrap_or_else(|| Cause::InTransit { at: task.into() });
        }
        let worker = (vertex.role != Role::Stateless).then_some(task.worker);
        self.link(vertex, worker, format!("waits at {at} for {:?}", from.name));
        self.watermark(from)
    }

    /// Says what holds back a source.
    fn source(&mut self, vertex: &Vertex, task: &TaskReport) -> Cause {
        if let Some(cause) = self.stuck(vertex, task.worker) {
            self.link(vertex, Some(task.worker), "does not get to read");
            return cause;
        }
        if task.held.is_some() {
            return self.behind(vertex, task.worker);
        }
        if !vertex.makes_watermarks {
            return Cause::NoWatermarks { at: task.into() };
        }
        let active = task.splits.iter().filter(|split| split.status == Status::Active);
        let Some(split) = active.min_by_key(|split| (split.watermark, u64::MAX - split.silent_ms))
        else {
            return Cause::AllIdle { at: task.into() };
        };
        let (at, name) = (task.into(), split.split.clone());
        if split.silent_ms < SILENT_MS {
            return Cause::SlowestSplit { at, split: name, watermark: split.watermark };
        }
        let (silent_ms, idleness_ms) = (split.silent_ms, task.idleness_ms);
        Cause::SilentSplit { at, split: name, silent_ms, idleness_ms }
    }
}

/// The subtask that has promised the least; among several, one that is not idle.
fn least(vertex: &Vertex) -> Option<&TaskReport> {
    let tasks = vertex.subtasks.iter().map(|subtask| &subtask.task);
    // An idle worker follows the active ones: it is never the cause while there are others.
    let follows = |task: &TaskReport| {
        let active = task.splits.iter().any(|split| split.status == Status::Active);
        vertex.role == Role::Source && !active
    };
    tasks.min_by_key(|task| (task.output_watermark.min(task.watermark), follows(task)))
}

fn said(watermark: i64) -> String {
    if watermark == i64::MIN { "no watermark".to_owned() } else { watermark.to_string() }
}
