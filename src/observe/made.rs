//! Reports that nobody made, for tests: a source, a window and a sink on two workers.
//!
//! ```text
//! read (place 0) --HASH, edge 0--> window (place 1) --FORWARD, edge 1--> sink (place 2)
//! ```

use highwater_core::plan::{Outlet, PlannedInput, PlannedOperator, Way};

use super::report::ProcessReport;
use super::task::{InputReport, Phase, Role, SplitReport, TaskReport};
use super::view::JobView;

/// The workers.
pub(crate) const WORKERS: usize = 2;
/// The watermark of everything.
pub(crate) const NOW: i64 = 1_000;
/// The epoch of everything.
pub(crate) const EPOCH: u64 = 5;

fn planned(uid: &str, from: Option<(usize, Way, usize)>) -> PlannedOperator {
    let input = from.map(|(operator, way, edge)| PlannedInput {
        from: Outlet { operator, tag: None },
        input: 0,
        way,
        edge: Some(edge),
    });
    PlannedOperator {
        uid: uid.to_owned(),
        name: uid.to_owned(),
        part_of: None,
        inputs: input.into_iter().collect(),
        makes_watermarks: from.is_none(),
    }
}

fn task(uid: &str, role: Role, worker: usize) -> TaskReport {
    let split = SplitReport { split: worker.to_string(), watermark: NOW, ..SplitReport::default() };
    let is_source = role == Role::Source;
    let input = InputReport { watermark: NOW, epoch: Some(EPOCH) };
    TaskReport {
        uid: uid.to_owned(),
        name: uid.to_owned(),
        role,
        worker,
        watermark: NOW,
        output_watermark: NOW,
        epoch: Some(EPOCH),
        inputs: if is_source { Vec::new() } else { vec![input] },
        splits: if is_source { vec![split] } else { Vec::new() },
        ..TaskReport::default()
    }
}

/// A job in which nothing is held back, each worker in a process of its own.
pub(crate) struct Made {
    pub(crate) reports: Vec<ProcessReport>,
}

impl Made {
    pub(crate) fn new() -> Self {
        let plan = vec![
            planned("read", None),
            planned("window", Some((0, Way::Hash, 0))),
            planned("sink", Some((1, Way::Forward, 1))),
        ];
        let report = |worker| ProcessReport {
            at_ms: 1_000_000,
            workers: WORKERS,
            plan: plan.clone(),
            epoch: EPOCH,
            tasks: vec![
                task("read", Role::Source, worker),
                task("window", Role::Operator, worker),
                task("sink", Role::Sink, worker),
            ],
            ..ProcessReport::default()
        };
        Made { reports: (0..WORKERS).map(report).collect() }
    }

    /// Changes an operator on a worker.
    pub(crate) fn with(
        mut self,
        uid: &str,
        worker: usize,
        change: impl FnOnce(&mut TaskReport),
    ) -> Self {
        let mut tasks = self.reports[worker].tasks.iter_mut();
        change(tasks.find(|task| task.uid == uid).expect("it is made"));
        self
    }

    /// Lets an operator on a worker be inside one call.
    pub(crate) fn hanging(self, uid: &str, worker: usize, for_ms: u64) -> Self {
        self.with(uid, worker, |task| (task.phase, task.phase_ms) = (Phase::Busy, for_ms))
    }

    pub(crate) fn view(&self) -> JobView {
        JobView::of(self.reports.iter().enumerate())
    }
}
