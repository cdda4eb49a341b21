//! Who decides what a loop does next: a machine without a dataflow, on the first worker.
//!
//! ```text
//! Wave --something has come, or its watermark has moved--> closed --> Round* --> Advance --> Round*
//!  ^                                                                                          |
//!  |-- Rest <---------------------------------------------------------------------------------|
//!  '-- End, or then Stop <--the input has left its position-----------------------------------'
//! ```
//!
//! A wave is open from when the loop is at rest: what comes enters at once. When it is closed every
//! worker lets in the last of what has come, and goes on. A phase is complete when every worker has told what came back in it. If anything did, another
//! round follows. What circulates is at rest before the watermark moves, so that it is not late
//! because of what came after it; and the loop is at rest before its position ends, so that a
//! checkpoint finds nothing in it.
//!
//! **Invariants**: `End` and `Rest` are decided only when nothing has come back (`Leader::decide`);
//! the watermark that they carry is at most that of every worker (`Leader::report`).
//!
//! **Sources**: Valiant, A bridging model for parallel computation, 1990; Pregel, SIGMOD 2010,
//! section 3 (votes to halt).

use serde::{Deserialize, Serialize};

use crate::time::{Bounds, Epoch};

/// What happens in a phase of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// What has arrived for the position of the loop enters.
    Wave,
    /// What came back in the phase before enters again, for the so many-th time.
    Round(u64),
    /// The watermark moves to this stamp: timers fire.
    Advance(i64),
    /// All that was entered has come to rest below this stamp.
    Rest(i64),
    /// As `Rest`, and nothing more comes at this position.
    End { stamp: i64, cut: Option<Epoch> },
    /// There is no further position.
    Stop,
}

/// What one worker tells of a phase.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The phase.
    pub(crate) phase: u64,
    /// The records that came back in it.
    pub(crate) returned: u64,
    /// The stamp that what enters on the worker promises.
    pub(crate) stamp: i64,
}

/// What all workers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A phase begins.
    Begin(u64, Kind),
    /// The wave that is open closes.
    Close(u64),
}

/// Decides on one phase after the other.
#[derive(Debug)]
pub(crate) struct Leader {
    workers: usize,
    at_most: Option<u64>,
    /// The phase that was begun last, `None` before the first.
    phase: Option<(u64, Kind)>,
    reports: usize,
    returned: u64,
    least: i64,
    /// The position of the input whose records enter.
    position: Epoch,
    /// The stamp of the last `Advance`.
    stamp: i64,
    /// The stamp below which everything is at rest.
    rested: i64,
    round: u64,
    /// What the input promised when the last wave was closed.
    target: Bounds,
    /// Whether the wave is closed.
    is_closed: bool,
    has_entered: bool,
}

impl Leader {
    /// - `at_most`: after how many rounds what comes back is dropped.
    /// - `position`: of the input, at the start.
    pub(crate) fn new(workers: usize, at_most: Option<u64>, position: Epoch) -> Self {
        Leader {
            workers,
            at_most,
            phase: None,
            reports: 0,
            returned: 0,
            least: i64::MAX,
            position,
            stamp: i64::MIN,
            rested: i64::MIN,
            round: 0,
            target: Bounds { epoch: Some(position), watermark: i64::MIN },
            is_closed: false,
            has_entered: false,
        }
    }

    /// Takes what a worker tells.
    pub(crate) fn report(&mut self, report: Report) {
        debug_assert_eq!(Some(report.phase), self.phase.map(|(phase, _)| phase));
        self.reports += 1;
        self.returned += report.returned;
        self.least = self.least.min(report.stamp);
    }

    /// Says that a worker has let something into the open wave.
    pub(crate) fn entered(&mut self) {
        self.has_entered = true;
    }

    /// Decides what is next, if it is time for it.
    ///
    /// - `input`: the least position and stamp that may still come.
    /// - `each_move`: whether a wave is closed by whatever enters and each move of the watermark, or
    ///   only by the last.
    /// - `cut`: the checkpoint that is cut at the end of the present position, if any.
    pub(crate) fn decide(
        &mut self,
        input: Bounds,
        each_move: bool,
        cut: impl FnOnce(Epoch) -> Option<Epoch>,
    ) -> Option<Decision> {
        let kind = match self.phase {
            None => Kind::Wave,
            Some((phase, Kind::Wave)) if !self.is_closed => {
                return self.close(input, each_move).then_some(Decision::Close(phase));
            }
            Some(_) if self.reports < self.workers => return None,
            Some((_, Kind::Stop)) => return None,
            Some((_, Kind::Wave | Kind::Round(_) | Kind::Advance(_))) => self.go_on(cut),
            Some((_, Kind::End { .. })) if self.target.epoch.is_none() => Kind::Stop,
            Some((_, Kind::Rest(_) | Kind::End { .. })) => Kind::Wave,
        };
        match kind {
            Kind::End { .. } => self.position = self.position.next(),
            Kind::Wave => (self.is_closed, self.has_entered, self.round) = (false, false, 0),
            _ => {}
        }
        let phase = self.phase.map_or(0, |(phase, _)| phase + 1);
        self.phase = Some((phase, kind));
        (self.reports, self.returned, self.least) = (0, 0, i64::MAX);
        Some(Decision::Begin(phase, kind))
    }

    /// Closes the wave if there is a reason to.
    fn close(&mut self, input: Bounds, each_move: bool) -> bool {
        let has_left = input.epoch.is_none_or(|least| least > self.position);
        let has_moved = input.watermark > self.stamp && (each_move || input.watermark == i64::MAX);
        // Right after a restore the input is still on its way to where the job goes on.
        let not_there = input.epoch.is_some_and(|least| least < self.position);
        if not_there || !(has_left || has_moved || self.has_entered && each_move) {
            return false;
        }
        (self.target, self.is_closed) = (input, true);
        true
    }

    /// After a phase in which something may have come back.
    fn go_on(&mut self, cut: impl FnOnce(Epoch) -> Option<Epoch>) -> Kind {
        if let Some((_, Kind::Advance(_))) = self.phase {
            self.rested = self.least;
        }
        if self.returned > 0 && self.at_most.is_none_or(|most| self.round + 1 < most) {
            self.round += 1;
            return Kind::Round(self.round);
        }
        if self.target.watermark > self.stamp {
            self.stamp = self.target.watermark;
            self.round = 0;
            return Kind::Advance(self.stamp);
        }
        match self.target.epoch {
            Some(least) if least <= self.position => Kind::Rest(self.rested),
            _ => Kind::End { stamp: self.rested, cut: cut(self.position) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(epoch: Option<u64>, watermark: i64) -> Bounds {
        Bounds { epoch: epoch.map(Epoch), watermark }
    }

    /// Lets two workers tell of the phase, one of them of `returned` records.
    fn told(leader: &mut Leader, returned: u64, stamp: i64) {
        let phase = leader.phase.expect("a phase has begun").0;
        leader.report(Report { phase, returned, stamp });
        leader.report(Report { phase, returned: 0, stamp });
    }

    fn next(leader: &mut Leader, input: Bounds) -> Option<Kind> {
        match leader.decide(input, true, Some)? {
            Decision::Begin(_, kind) => Some(kind),
            Decision::Close(_) => None,
        }
    }

    /// Opens a wave and closes it.
    fn wave(leader: &mut Leader, input: Bounds) {
        assert_eq!(next(leader, input), Some(Kind::Wave));
        assert!(matches!(leader.decide(input, true, Some), Some(Decision::Close(_))));
    }

    #[test]
    fn rounds_follow_until_nothing_comes_back_then_the_watermark_moves_then_the_position_ends() {
        let mut leader = Leader::new(2, None, Epoch(7));
        assert_eq!(next(&mut leader, input(Some(0), i64::MIN)), Some(Kind::Wave));
        let decided = leader.decide(input(Some(0), i64::MIN), true, Some);
        assert_eq!(decided, None, "the input is not there yet");
        let decided = leader.decide(input(Some(7), i64::MIN), true, Some);
        assert_eq!(decided, None, "nothing has come");
        let left = input(Some(8), 50);
        assert_eq!(leader.decide(left, true, Some), Some(Decision::Close(0)));
        assert_eq!(next(&mut leader, left), None, "nobody has told of the phase");
        told(&mut leader, 3, i64::MIN);
        assert_eq!(next(&mut leader, left), Some(Kind::Round(1)));
        told(&mut leader, 0, i64::MIN);
        assert_eq!(next(&mut leader, left), Some(Kind::Advance(50)));
        told(&mut leader, 1, 50);
        assert_eq!(next(&mut leader, left), Some(Kind::Round(1)));
        told(&mut leader, 0, 50);
        let end = Kind::End { stamp: 50, cut: Some(Epoch(7)) };
        assert_eq!(next(&mut leader, left), Some(end));
        told(&mut leader, 0, 50);
        assert_eq!(next(&mut leader, left), Some(Kind::Wave));
        assert_eq!(leader.decide(left, true, Some), None, "epoch 8 is still open");
        assert_eq!(leader.position, Epoch(8));
    }

    #[test]
    fn a_worker_that_holds_earlier_records_holds_the_promise_of_the_loop() {
        let mut leader = Leader::new(2, None, Epoch(0));
        let moved = input(Some(0), 50);
        wave(&mut leader, moved);
        told(&mut leader, 0, i64::MIN);
        assert_eq!(next(&mut leader, moved), Some(Kind::Advance(50)));
        let phase = leader.phase.expect("begun").0;
        leader.report(Report { phase, returned: 0, stamp: 50 });
        leader.report(Report { phase, returned: 0, stamp: 20 });
        assert_eq!(next(&mut leader, moved), Some(Kind::Rest(20)));
    }

    #[test]
    fn a_loop_of_n_rounds_ends_although_records_come_back() {
        let mut leader = Leader::new(2, Some(3), Epoch(0));
        let left = input(Some(1), i64::MIN);
        wave(&mut leader, left);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            told(&mut leader, 1, i64::MIN);
            kinds.extend(next(&mut leader, left));
        }
        let end = Kind::End { stamp: i64::MIN, cut: Some(Epoch(0)) };
        assert_eq!(kinds, [Kind::Round(1), Kind::Round(2), end]);
    }

    #[test]
    fn the_loop_stops_when_its_input_is_closed_and_has_come_to_rest() {
        let mut leader = Leader::new(2, None, Epoch(0));
        let closed = input(None, i64::MAX);
        wave(&mut leader, closed);
        let mut kinds = Vec::new();
        for _ in 0..5 {
            told(&mut leader, 0, i64::MAX);
            kinds.extend(next(&mut leader, closed));
        }
        let end = Kind::End { stamp: i64::MAX, cut: Some(Epoch(0)) };
        assert_eq!(kinds, [Kind::Advance(i64::MAX), end, Kind::Stop]);
    }

    #[test]
    fn in_batch_mode_a_wave_is_closed_by_the_end_of_the_input_only() {
        let mut leader = Leader::new(2, None, Epoch(0));
        assert!(leader.decide(input(Some(0), 9), false, Some).is_some(), "it is open");
        leader.entered();
        assert_eq!(leader.decide(input(Some(0), 9), false, Some), None);
        let over = leader.decide(input(Some(0), i64::MAX), false, Some);
        assert_eq!(over, Some(Decision::Close(0)));
    }
}
