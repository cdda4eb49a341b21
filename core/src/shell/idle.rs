//! Active, idle, finished: how far a worker of a source may go when it has nothing to say.
//!
//! ```text
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
//! **Sources**: Flink's `StatusWatermarkValve`, FLINK-38477 (finished is not idle).

use std::sync::{Mutex, PoisonError};

/// What one worker says of its splits of a source, with its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Active(i64),
    Idle(i64),
    Finished,
}

/// What the workers of one source have said last.
#[derive(Debug)]
pub(crate) struct Gossip {
    statuses: Mutex<Vec<Status>>,
}

impl Gossip {
    pub(crate) fn new(workers: usize) -> Self {
        Gossip { statuses: Mutex::new(vec![Status::Active(i64::MIN); workers]) }
    }

    /// Tells the others, and returns the stamp the worker may move to: its own when it is active,
    /// the end when it has finished, and the others' when it is idle.
    pub(crate) fn tell(&self, worker: usize, status: Status) -> i64 {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses[worker] = status;
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

/// What the splits of one worker say together.
///
/// - `splits`: the stamps of its splits that have not finished, and whether they are active.
pub(crate) fn of_splits(splits: impl Iterator<Item = (i64, bool)> + Clone) -> Status {
    let active = splits.clone().filter(|(_, active)| *active).map(|(stamp, _)| stamp).min();
    let idle = splits.map(|(stamp, _)| stamp).max();
    match (active, idle) {
        (Some(stamp), _) => Status::Active(stamp),
        (None, Some(stamp)) => Status::Idle(stamp),
        (None, None) => Status::Finished,
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
        assert_eq!(of_splits([(10, true), (5, false)].into_iter()), Status::Active(10));
        assert_eq!(of_splits([(10, false), (5, false)].into_iter()), Status::Idle(10));
        assert_eq!(of_splits(std::iter::empty()), Status::Finished);
    }
}
