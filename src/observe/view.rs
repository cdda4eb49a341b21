//! A job as one picture: the reports of its processes, put together operator by operator.
//!
//! ```text
//! reports of all processes --> JobView --> Vertex (an operator) --> Subtask (on a worker)
//!                                          sums and rates            Level of back-pressure
//!                                          least watermark
//! ```
//!
//! **Sources**: Flink's `JobVertexDetailsHandler`, `JobVertexBackPressureHandler`, its page of data
//! skew.

use std::collections::BTreeMap;

use highwater_checkpoint::Status;
use highwater_core::plan::{PlannedInput, PlannedOperator};
use serde::{Deserialize, Serialize};

use super::report::ProcessReport;
use super::task::{Rates, Role, TaskReport};

/// How much of its time an operator waits for credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// At most a tenth.
    #[default]
    Ok,
    /// At most half.
    Low,
    /// More than half.
    High,
}

impl Level {
    /// Returns the level of a share of time from 0 to 1.
    #[must_use]
    pub fn of(ratio: f64) -> Self {
        match ratio {
            ratio if ratio <= 0.1 => Level::Ok,
            ratio if ratio <= 0.5 => Level::Low,
            _ => Level::High,
        }
    }
}

/// One operator on one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subtask {
    /// The process of its worker.
    pub process: usize,
    /// How old its report is, in ms.
    pub age_ms: u64,
    /// How much of its time it waits for credit.
    pub level: Level,
    /// What it does.
    pub task: TaskReport,
}

/// One operator on all its workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vertex {
    /// Its place in the plan.
    pub place: usize,
    /// Its uid.
    pub uid: String,
    /// Its name, with those of the steps that share it.
    pub name: String,
    /// What it does in the graph.
    pub role: Role,
    /// Whether it makes watermarks of its own.
    pub makes_watermarks: bool,
    /// What flows into it.
    pub inputs: Vec<PlannedInput>,
    /// Whether it has ended on all workers.
    pub finished: bool,
    /// Sums over the subtasks; times are those of the busiest and the most back-pressured one.
    pub rates: Rates,
    /// The records taken in by all subtasks.
    pub records_in: u64,
    /// The records given out by all subtasks.
    pub records_out: u64,
    /// The least of the subtasks, in ms.
    pub watermark: i64,
    /// The least that they promise downstream, in ms.
    pub output_watermark: i64,
    /// The worst of the subtasks.
    pub level: Level,
    /// How unevenly records are divided among the subtasks, in percent: 0 is evenly.
    pub skew: f64,
    /// The subtasks, in the order of their workers.
    pub subtasks: Vec<Subtask>,
}

/// A job as one picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// When the newest report was made, in ms since 1970.
    pub at_ms: i64,
    /// When the first process began, in ms since 1970.
    pub started_ms: i64,
    /// The worker threads of the job.
    pub workers: usize,
    /// The operators, in the order in which they were built, with their inputs before them.
    pub vertices: Vec<Vertex>,
    /// The uids of stateless steps, each with that of the operator that they share.
    pub parts: BTreeMap<String, String>,
    /// The epoch that sources are told to be in.
    pub epoch: u64,
    /// The checkpoints, if any are taken.
    pub checkpoints: Option<Status>,
}

impl JobView {
    /// Puts the reports of all processes together, by their index.
    #[must_use]
    pub fn of<'a>(reports: impl IntoIterator<Item = (usize, &'a ProcessReport)>) -> Self {
        let reports: Vec<_> = reports.into_iter().collect();
        let reports = || reports.iter().map(|(_, report)| *report).zip(reports.iter().map(|r| r.0));
        let at_ms = reports().map(|(report, _)| report.at_ms).max().unwrap_or(0);
        let mut tasks: BTreeMap<&str, Vec<Subtask>> = BTreeMap::new();
        for (report, process) in reports() {
            let age_ms = at_ms.saturating_sub(report.at_ms).unsigned_abs();
            for task in &report.tasks {
                let level = Level::of(task.rates.back_pressured_ms / 1000.0);
                let subtask = Subtask { process, age_ms, level, task: task.clone() };
                tasks.entry(&task.uid).or_default().push(subtask);
            }
        }
        let plan = reports().map(|(report, _)| &report.plan).max_by_key(|plan| plan.len());
        let plan = plan.map(Vec::as_slice).unwrap_or_default();
        let mut view = JobView {
            at_ms,
            started_ms: reports().map(|(report, _)| report.started_ms).min().unwrap_or(0),
            workers: reports().map(|(report, _)| report.workers).max().unwrap_or(0),
            epoch: reports().map(|(report, _)| report.epoch).max().unwrap_or(0),
            checkpoints: reports().find_map(|(report, _)| report.checkpoints.clone()),
            ..JobView::default()
        };
        for (place, planned) in plan.iter().enumerate() {
            if let Some(whole) = &planned.part_of {
                view.parts.insert(planned.uid.clone(), whole.clone());
            } else if let Some(subtasks) = tasks.remove(planned.uid.as_str()) {
                view.vertices.push(vertex(place, planned, subtasks));
            }
        }
        view.pass_watermarks_through();
        view
    }

    /// Returns the operator with this uid or name, or that a step with it shares.
    #[must_use]
    pub fn vertex(&self, uid_or_name: &str) -> Option<&Vertex> {
        let uid = self.parts.get(uid_or_name).map_or(uid_or_name, String::as_str);
        let by_uid = self.vertices.iter().find(|vertex| vertex.uid == uid);
        by_uid.or_else(|| self.vertices.iter().find(|vertex| vertex.name == uid))
    }

    /// Returns the operator at a place in the plan.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&Vertex> {
        self.vertices.iter().find(|vertex| vertex.place == place)
    }

    /// Returns the operators that an edge leads to.
    pub fn behind_edge(&self, edge: usize) -> impl Iterator<Item = &Vertex> {
        let is_fed = move |vertex: &&Vertex| vertex.inputs.iter().any(|i| i.edge == Some(edge));
        self.vertices.iter().filter(is_fed)
    }

    /// A stateless operator promises what its inputs do.
    fn pass_watermarks_through(&mut self) {
        // Once for each operator in a chain of them, in whatever order they were built.
        for _ in 0..self.vertices.len() {
            let mut changed = false;
            for at in 0..self.vertices.len() {
                if self.vertices[at].role != Role::Stateless {
                    continue;
                }
                let froms = self.vertices[at].inputs.iter().map(|input| input.from.operator);
                let promised = froms.filter_map(|from| self.at(from)).map(|v| v.output_watermark);
                let least = promised.min().unwrap_or(i64::MIN);
                let vertex = &mut self.vertices[at];
                changed |= vertex.output_watermark != least;
                (vertex.watermark, vertex.output_watermark) = (least, least);
                vertex.finished = least == i64::MAX;
                for subtask in &mut vertex.subtasks {
                    subtask.task.watermark = least;
                    subtask.task.output_watermark = least;
                }
            }
            if !changed {
                return;
            }
        }
    }
}

fn vertex(place: usize, planned: &PlannedOperator, mut subtasks: Vec<Subtask>) -> Vertex {
    subtasks.sort_by_key(|subtask| subtask.task.worker);
    let tasks = || subtasks.iter().map(|subtask| &subtask.task);
    let most = |of: fn(&Rates) -> f64| tasks().map(|t| of(&t.rates)).fold(0.0, f64::max);
    let bytes: Vec<f64> = tasks().filter_map(|task| task.rates.bytes_out).collect();
    let busy_ms = most(|rates| rates.busy_ms);
    let back_pressured_ms = most(|rates| rates.back_pressured_ms);
    let rates = Rates {
        records_in: tasks().map(|task| task.rates.records_in).sum(),
        records_out: tasks().map(|task| task.rates.records_out).sum(),
        bytes_out: (!bytes.is_empty()).then(|| bytes.iter().sum()),
        busy_ms,
        back_pressured_ms,
        idle_ms: tasks().map(|task| task.rates.idle_ms).fold(1000.0, f64::min),
    };
    let first = subtasks.first().map(|subtask| &subtask.task);
    Vertex {
        place,
        uid: planned.uid.clone(),
        name: first.map_or_else(|| planned.name.clone(), |task| task.name.clone()),
        role: first.map(|task| task.role).unwrap_or_default(),
        makes_watermarks: planned.makes_watermarks,
        inputs: planned.inputs.clone(),
        finished: tasks().all(|task| task.epoch.is_none()),
        records_in: tasks().map(|task| task.records_in).sum(),
        records_out: tasks().map(|task| task.records_out).sum(),
        watermark: tasks().map(|task| task.watermark).min().unwrap_or(i64::MIN),
        output_watermark: tasks().map(|task| task.output_watermark).min().unwrap_or(i64::MIN),
        level: subtasks.iter().map(|subtask| subtask.level).max().unwrap_or_default(),
        skew: skew(tasks().map(|task| task.records_in as f64)),
        rates,
        subtasks,
    }
}

/// The mean distance from the mean, as a share of the mean, in percent; 100 at the most.
fn skew(counts: impl Iterator<Item = f64> + Clone) -> f64 {
    let (sum, count) = counts.clone().fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
    if sum == 0.0 {
        return 0.0;
    }
    let mean = sum / count;
    let distance = counts.map(|x| (x - mean).abs()).sum::<f64>() / count;
    (distance / mean * 100.0).min(100.0)
}

#[cfg(test)]
mod tests;
