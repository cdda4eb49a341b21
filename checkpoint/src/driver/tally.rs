//! What all processes of a job say together.

use std::collections::BTreeMap;

use highwater_core::time::Epoch;

use crate::messages::{Instance, Report};

/// What each process has said so far.
#[derive(Debug)]
pub(super) struct Tally {
    started: Vec<Option<Vec<Instance>>>,
    drained: Vec<bool>,
    /// How many have made the results of a checkpoint visible.
    committed: BTreeMap<Epoch, usize>,
}

impl Tally {
    pub(super) fn new(processes: usize) -> Self {
        let (started, drained) = (vec![None; processes], vec![false; processes]);
        Tally { started, drained, committed: BTreeMap::new() }
    }

    /// Takes a report of one process, and returns what the job reports: what concerns a single
    /// operator at once, what concerns all processes when the last has said it.
    pub(super) fn take(&mut self, from: usize, report: Report) -> Option<Report> {
        match report {
            Report::Acked(_) => Some(report),
            Report::Started { instances } => {
                *self.started.get_mut(from)? = Some(instances);
                let all: Option<Vec<_>> = self.started.iter().cloned().collect();
                all.map(|all| Report::Started { instances: all.concat() })
            }
            Report::Committed { checkpoint } => {
                let committed = self.committed.entry(checkpoint).or_default();
                *committed += 1;
                if *committed < self.started.len() {
                    return None;
                }
                self.committed.remove(&checkpoint);
                Some(report)
            }
            Report::Drained => {
                *self.drained.get_mut(from)? = true;
                self.drained.iter().all(|drained| *drained).then_some(Report::Drained)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_all_processes_is_reported_when_the_last_has_said_it() {
        let mut tally = Tally::new(2);
        let instance = |worker| Instance { uid: "o".to_owned(), worker };
        let started = |worker| Report::Started { instances: vec![instance(worker)] };
        assert_eq!(tally.take(1, started(1)), None);
        let all = Report::Started { instances: vec![instance(0), instance(1)] };
        assert_eq!(tally.take(0, started(0)), Some(all));
        for checkpoint in [1, 2].map(Epoch) {
            let committed = Report::Committed { checkpoint };
            assert_eq!(tally.take(0, committed.clone()), None);
            assert_eq!(tally.take(1, committed.clone()), Some(committed));
        }
        assert_eq!(tally.take(0, Report::Drained), None);
        assert_eq!(tally.take(0, Report::Drained), None, "one process counts once");
        assert_eq!(tally.take(1, Report::Drained), Some(Report::Drained));
        assert_eq!(Tally::new(1).take(0, Report::Drained), Some(Report::Drained));
        assert_eq!(Tally::new(1).take(7, Report::Drained), None, "there is no such process");
    }
}
