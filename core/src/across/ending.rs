//! How the processes of a job end together.
//!
//! ```text
//! every process: its workers have ended --Done { totals }--> process 0
//! process 0: all are done --Verdict--> every process: makes its results visible
//!                     --Settled--> process 0: all have settled --End--> every process returns
//! ```
//!
//! A failure before the verdict leaves no result visible anywhere. A process that is lost between
//! the verdict and its commit leaves part of them: whoever must not see that takes checkpoints, whose
//! log decides instead.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::{Across, News};

/// What the workers have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The records that sources read.
    pub records_in: u64,
    /// The records that sinks took.
    pub records_out: u64,
    /// The records that came too late and were dropped.
    pub late_records_dropped: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.records_in += other.records_in;
        self.records_out += other.records_out;
        self.late_records_dropped += other.late_records_dropped;
    }
}

/// One step of the end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// The workers of a process have ended without an error.
    Done(Totals),
    /// All have: results may become visible.
    Verdict,
    /// The results of a process are visible.
    Settled,
    /// All are.
    End,
}

/// How far the end has come.
#[derive(Debug)]
pub(super) struct Ending {
    done: Vec<Option<Totals>>,
    settled: Vec<bool>,
    verdict: bool,
    end: bool,
}

impl Ending {
    pub(super) fn new(processes: usize) -> Self {
        let (done, settled) = (vec![None; processes], vec![false; processes]);
        Ending { done, settled, verdict: false, end: false }
    }

    pub(super) fn take(&mut self, from: usize, step: Step) {
        match step {
            Step::Done(totals) => self.done[from] = Some(totals),
            Step::Settled => self.settled[from] = true,
            // Only process 0 decides.
            Step::Verdict => self.verdict |= from == 0,
            Step::End => self.end |= from == 0,
        }
    }
}

impl Across {
    /// Says that the workers of this process have ended without an error, and waits until those of
    /// all have; returns what all have counted together, in process 0. `None` if the job fails
    /// meanwhile.
    pub(crate) fn all_done(&self, totals: Totals) -> Option<Totals> {
        if self.peers.index() > 0 {
            self.tell(0, &News::Ending(Step::Done(totals)));
            return self.wait(|state| state.ending.verdict.then_some(totals));
        }
        let sum = self.wait(|state| {
            state.ending.done[0] = Some(totals);
            let all: Option<Vec<Totals>> = state.ending.done.iter().copied().collect();
            all.map(|all| {
                all.into_iter().fold(Totals::default(), |mut sum, totals| {
                    sum += totals;
                    sum
                })
            })
        })?;
        self.tell_all(&News::Ending(Step::Verdict));
        Some(sum)
    }

    /// Says that the results of this process are visible, and waits until all are; false if the job
    /// fails meanwhile.
    pub(crate) fn all_settled(&self) -> bool {
        if self.peers.index() > 0 {
            self.tell(0, &News::Ending(Step::Settled));
            return self.wait(|state| state.ending.end.then_some(())).is_some();
        }
        let settled = self.wait(|state| {
            state.ending.settled[0] = true;
            state.ending.settled.iter().all(|settled| *settled).then_some(())
        });
        if settled.is_some() {
            self.tell_all(&News::Ending(Step::End));
        }
        settled.is_some()
    }
}
