//! Active, idle, finished: how far a worker of a source may go when it has nothing to say.
//!
//! ```text
//! splits of one worker --SplitWatermarks--> Status --Gossip--> the stamp it moves to
//!
//! active    has records now and then: its watermark is the least of its active splits
//! idle      no records for a while: follows the least watermark of the active workers
//! finished  will never have records again: at the end, and not counted by anybody
//! ```
//!
//! The frontier is the minimum over all workers, so an idle worker must move itself forward or it
//! holds everybody back. When all are idle, they move once to the greatest watermark among them.
//! Finished workers do not count as active: otherwise one that has finished and one that is idle
//! would jump to the end of time, and every record that still comes would be late.
//!
//! A split or worker that becomes active again counts at once: while it is behind what has been
//! promised, the watermark stands still. That is what Flink does with the splits of one reader; a
//! channel between operators it ignores until it has caught up, so that more records are late.
//!
//! **Invariant**: it does not matter for the frontier which splits are read by which worker, once
//! all workers have told (`one_worker_says_what_several_do`).
//!
//! **Sources**: Flink's `CombinedWatermarkStatus`, `StatusWatermarkValve`, FLINK-38477
//! (finished is not idle).

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::metrics::SplitStatus;
use crate::watermark::to_stamp;

/// What one worker says of its splits of a source, with its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Some split is active; the least stamp of those.
    Active(i64),
    /// No split is active, but some may become so; the greatest stamp of those.
    Idle(i64),
    /// All splits have finished.
    Finished,
}

/// Tells other processes what a worker of this one says.
type PassOn = Box<dyn Fn(usize, Status) + Send + Sync>;

/// What the workers of one source have said last.
pub struct Gossip {
    statuses: Mutex<Vec<Status>>,
    pass_on: Option<PassOn>,
}

impl std::fmt::Debug for Gossip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gossip").field("statuses", &self.statuses).finish_non_exhaustive()
    }
}

impl Gossip {
    /// Returns the table of a source on so many workers, all active and without a watermark.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let statuses = Mutex::new(vec![Status::Active(i64::MIN); workers]);
        Gossip { statuses, pass_on: None }
    }

    /// Tells other processes, too.
    pub(crate) fn passed_on(self, pass_on: PassOn) -> Self {
        Gossip { pass_on: Some(pass_on), ..self }
    }

    /// Takes what a worker of another process has said.
    pub(crate) fn hear(&self, worker: usize, status: Status) {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = statuses.get_mut(worker) {
            *known = status;
        }
    }

    /// Tells the others, and returns the stamp the worker may move to: its own when it is active,
    /// the end when it has finished, and the others' when it is idle.
    pub fn tell(&self, worker: usize, status: Status) -> i64 {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut statuses[worker], status);
        if let Some(pass_on) = self.pass_on.as_ref().filter(|_| before != status) {
            pass_on(worker, status);
        }
        match status {
            Status::Active(stamp) => stamp,
            Status::Finished => i64::MAX,
            Status::Idle(own) => own.max(follow(&statuses)),
        }
    }
}

/// The stamp an idle worker follows.
fn follow(statuses: &[Status]) -> i64 {
    let active = statuses.iter().filter_map(|status| match status {
        Status::Active(stamp) => Some(*stamp),
        _ => None,
    });
    let idle = statuses.iter().filter_map(|status| match status {
        Status::Idle(stamp) => Some(*stamp),
        _ => None,
    });
    active.min().or_else(|| idle.max()).unwrap_or(i64::MIN)
}

/// Whether records of a split may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Active,
    Idle,
    Finished,
}

/// How far the splits of a source have come on one worker, and which have fallen silent.
///
/// # Examples
/// ```
/// use highwater_core::shell::{SplitWatermarks, Status};
///
/// let mut splits = SplitWatermarks::new(2);
/// splits.watermark(0, 99);
/// splits.watermark(1, 49);
/// assert_eq!(splits.status(), Status::Active(50));
/// splits.idle(1);
/// assert_eq!(splits.status(), Status::Active(100));
/// splits.finished(0);
/// assert_eq!(splits.status(), Status::Idle(50));
/// ```
#[derive(Clone, Debug)]
pub struct SplitWatermarks {
    splits: Vec<(i64, Activity)>,
}

impl SplitWatermarks {
    /// Returns the watermarks of so many splits, all active and without a watermark.
    #[must_use]
    pub fn new(splits: usize) -> Self {
        SplitWatermarks { splits: vec![(i64::MIN, Activity::Active); splits] }
    }

    /// Returns the stamp of a split, and whether it has fallen silent.
    #[must_use]
    pub fn position(&self, split: usize) -> (i64, bool) {
        let (stamp, activity) = self.splits[split];
        (stamp, activity == Activity::Idle)
    }

    /// Goes on with a split where a checkpoint says.
    pub fn resume(&mut self, split: usize, stamp: i64, idle: bool, finished: bool) {
        let activity = match (finished, idle) {
            (true, _) => Activity::Finished,
            (false, true) => Activity::Idle,
            (false, false) => Activity::Active,
        };
        self.splits[split] = (stamp, activity);
    }

    /// Takes the watermark of a split; ignored unless it is active, or if it goes back.
    ///
    /// - `watermark`: as Flink counts it.
    pub fn watermark(&mut self, split: usize, watermark: i64) {
        let (stamp, activity) = &mut self.splits[split];
        if *activity == Activity::Active {
            *stamp = to_stamp(watermark).max(*stamp);
        }
    }

    /// Takes the news that a split has fallen silent; ignored if it has finished.
    pub fn idle(&mut self, split: usize) {
        self.move_on(split, Activity::Idle);
    }

    /// Takes the news that a split has a record; ignored if it has finished.
    pub fn active(&mut self, split: usize) {
        self.move_on(split, Activity::Active);
    }

    /// Takes the end of a split.
    pub fn finished(&mut self, split: usize) {
        self.move_on(split, Activity::Finished);
    }

    fn move_on(&mut self, split: usize, to: Activity) {
        let (_, activity) = &mut self.splits[split];
        if *activity != Activity::Finished {
            *activity = to;
        }
    }

    /// Returns whether records of a split may come.
    #[must_use]
    pub fn progress(&self, split: usize) -> SplitStatus {
        match self.splits[split].1 {
            Activity::Active => SplitStatus::Active,
            Activity::Idle => SplitStatus::Idle,
            Activity::Finished => SplitStatus::Finished,
        }
    }

    /// Returns whether a split is active.
    #[must_use]
    pub fn is_active(&self, split: usize) -> bool {
        self.splits[split].1 == Activity::Active
    }

    /// Returns what the splits say together.
    #[must_use]
    pub fn status(&self) -> Status {
        let stamps = |of: Activity| {
            self.splits.iter().filter(move |(_, activity)| *activity == of).map(|(stamp, _)| *stamp)
        };
        let (active, idle) = (stamps(Activity::Active).min(), stamps(Activity::Idle).max());
        active.map(Status::Active).or(idle.map(Status::Idle)).unwrap_or(Status::Finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every mix of three workers against the table in the head of this file.
    #[test]
    fn idle_workers_follow_active_ones_and_nobody_follows_finished_ones() {
        let options = [Status::Active(10), Status::Active(20), Status::Idle(5), Status::Idle(30)];
        let with_finished = options.iter().chain([&Status::Finished]);
        for a in with_finished.clone() {
            for b in with_finished.clone() {
                for own in [0, 15, 40] {
                    let gossip = Gossip::new(3);
                    gossip.tell(0, *a);
                    gossip.tell(1, *b);
                    let got = gossip.tell(2, Status::Idle(own));
                    let stamps =
                        |pick: fn(&Status) -> Option<i64>| [a, b].into_iter().filter_map(pick);
                    let active =
                        stamps(|s| if let Status::Active(w) = s { Some(*w) } else { None });
                    let idle = stamps(|s| if let Status::Idle(w) = s { Some(*w) } else { None });
                    let expected = active.min().or(idle.max()).map_or(own, |w| w.max(own));
                    assert_eq!(got, expected, "{a:?} {b:?} own {own}");
                    assert_ne!(got, i64::MAX, "never the end while somebody can come back");
                }
            }
        }
    }

    #[test]
    fn a_worker_is_as_active_as_its_most_active_split() {
        let mut splits = SplitWatermarks::new(2);
        splits.watermark(0, 9);
        splits.watermark(1, 4);
        splits.idle(1);
        assert_eq!(splits.status(), Status::Active(10));
        splits.idle(0);
        assert_eq!(splits.status(), Status::Idle(10));
        splits.finished(0);
        assert_eq!(splits.status(), Status::Idle(5));
        splits.finished(1);
        splits.active(1);
        assert_eq!(splits.status(), Status::Finished);
    }

    #[test]
    fn watermarks_of_idle_splits_do_not_count() {
        let mut splits = SplitWatermarks::new(1);
        splits.watermark(0, 9);
        splits.idle(0);
        splits.watermark(0, 19);
        splits.active(0);
        assert_eq!(splits.status(), Status::Active(10));
        splits.watermark(0, 7);
        assert_eq!(splits.status(), Status::Active(10));
    }

    /// A source whose splits are divided among workers, and its frontier.
    struct Divided {
        workers: Vec<SplitWatermarks>,
        gossip: Gossip,
        stamps: Vec<i64>,
    }

    impl Divided {
        fn new(splits: usize, workers: usize) -> Self {
            let tables = (0..workers).map(|_| SplitWatermarks::new(splits / workers));
            let (workers, gossip) = (tables.collect(), Gossip::new(workers));
            let mut divided = Divided { workers, gossip, stamps: Vec::new() };
            divided.stamps = vec![i64::MIN; divided.workers.len()];
            divided
        }

        /// Returns the frontier once nobody has anything new to tell.
        fn frontier(&mut self) -> i64 {
            // One round carries the news, the next one lets all follow.
            for _ in 0..2 {
                for (worker, table) in self.workers.iter().enumerate() {
                    let may = self.gossip.tell(worker, table.status());
                    self.stamps[worker] = self.stamps[worker].max(may);
                }
            }
            self.stamps.iter().copied().min().expect("there are workers")
        }
    }

    /// Every script of six steps for two splits, each on a worker of its own and both on one.
    #[test]
    fn one_worker_says_what_several_do() {
        type Step = fn(&mut SplitWatermarks, usize, i64);
        let steps: [Step; 4] = [
            |table, split, now| table.watermark(split, now),
            |table, split, _| table.idle(split),
            |table, split, _| table.active(split),
            |table, split, _| table.finished(split),
        ];
        const LENGTH: u32 = 6;
        for script in 0..8_usize.pow(LENGTH) {
            let (mut one, mut two) = (Divided::new(2, 1), Divided::new(2, 2));
            for place in 0..LENGTH {
                let choice = script / 8_usize.pow(place) % 8;
                let (step, split, now) = (steps[choice / 2], choice % 2, i64::from(place * 10));
                step(&mut one.workers[0], split, now);
                step(&mut two.workers[split], 0, now);
                assert_eq!(one.frontier(), two.frontier(), "script {script:o}, step {place}");
            }
        }
    }
}
