//! What the processes of jobs last said about themselves, for whoever asks.
//!
//! ```text
//! process --Observed, every second--> agent --> coordinator --> Views --> REST, page
//! ```
//!
//! **Invariant**: what is seen of a job belongs to one attempt. The first report of a later attempt
//! forgets all that came before ([`JobView::observe`]), and one of an earlier attempt changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::id::JobId;

/// What the processes of one job last said.
#[derive(Clone, Debug, Default)]
pub struct JobView {
    /// The attempt that they belong to.
    pub attempt: u64,
    /// The last report of each process.
    pub processes: BTreeMap<usize, Observed>,
}

/// What a process last said.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When it arrived, in ms since 1970.
    pub at_ms: i64,
    /// What it said.
    pub report: Arc<Value>,
}

impl JobView {
    /// Takes note of what a process of an attempt says; returns whether it is of the newest one.
    pub fn observe(&mut self, attempt: u64, index: usize, observed: Observed) -> bool {
        if attempt < self.attempt {
            return false;
        }
        if attempt > self.attempt {
            *self = JobView { attempt, processes: BTreeMap::new() };
        }
        self.processes.insert(index, observed);
        true
    }
}

/// What the processes of all jobs last said.
#[derive(Debug, Default)]
pub struct Views {
    jobs: Mutex<BTreeMap<JobId, JobView>>,
}

impl Views {
    /// Takes note of what a process says.
    pub fn observe(&self, job: JobId, attempt: u64, index: usize, observed: Observed) {
        self.lock().entry(job).or_default().observe(attempt, index, observed);
    }

    /// Returns what is known of a job; nothing before its first report.
    pub fn of(&self, job: JobId) -> JobView {
        self.lock().get(&job).cloned().unwrap_or_default()
    }

    /// Returns the jobs of which anything is known.
    pub fn jobs(&self) -> Vec<JobId> {
        self.lock().keys().copied().collect()
    }

    /// Forgets all jobs but those.
    pub fn retain(&self, is_known: impl Fn(JobId) -> bool) {
        self.lock().retain(|job, _| is_known(*job));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, JobView>> {
        // A map is whole between two calls, whoever panicked.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(what: Value) -> Observed {
        Observed { at_ms: 0, report: Arc::new(what) }
    }

    #[test]
    fn a_view_is_of_the_newest_attempt_alone() {
        let (views, job) = (Views::default(), JobId::of(1));
        assert!(views.of(job).processes.is_empty());
        views.observe(job, 2, 0, said(json!("a")));
        views.observe(job, 2, 1, said(json!("b")));
        views.observe(job, 1, 1, said(json!("late")));
        let view = views.of(job);
        let reports: Vec<_> = view.processes.values().map(|seen| &*seen.report).collect();
        assert_eq!((view.attempt, reports), (2, vec![&json!("a"), &json!("b")]));
        views.observe(job, 3, 1, said(json!("c")));
        assert_eq!(views.of(job).processes.keys().collect::<Vec<_>>(), [&1]);
        views.retain(|known| known != job);
        assert!(views.of(job).processes.is_empty());
    }
}
