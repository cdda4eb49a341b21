//! Who decides what a loop does next: a machine without a dataflow, on the first worker.
//!
//! ```text
//! at rest --input, or its watermark has moved--> Wave --> Round* --> Advance --> Round* --> Rest
//!                                                                         '-- the input has left
//!                                                      its position --> End --> at rest, or Stop
//! ```
//!
//! A phase is complete when every worker has told what came back in it. If anything did, another
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
    /// What the input promised when the last wave began.
    target: Bounds,
    waiting: bool,
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
            waiting: false,
        }
    }

    /// Takes what a worker tells.
    pub(crate) fn report(&mut self, report: Report) {
        debug_assert_eq!(Some(report.phase), self.phase.map(|(phase, _)| phase));
        self.reports += 1;
        self.returned += report.returned;
        self.least = self.least.min(report.stamp);
    }

    /// Says that records wait at the input of some worker.
    pub(crate) fn waits(&mut self) {
        self.waiting = true;
    }

    /// Decides on the next phase, if it is time for it.
    ///
    /// - `input`: the least position and stamp that may still come.
    /// - `each_move`: whether a wave follows each move of the watermark, or only the last.
    /// - `cut`: the checkpoint that is cut at the end of the present position, if any.
    pub(crate) fn decide(
        &mut self,
        input: Bounds,
        each_move: bool,
        cut: impl FnOnce(Epoch) -> Option<Epoch>,
    ) -> Option<(u64, Kind)> {
        let kind = match self.phase {
            None => self.from_rest(input, each_move)?,
            Some(_) if self.reports < self.workers => return None,
            Some((_, Kind::Stop)) => return None,
            Some((_, Kind::Wave | Kind::Round(_) | Kind::Advance(_))) => self.go_on(cut),
            Some((_, Kind::End { .. })) if self.target.epoch.is_none() => Kind::Stop,
            Some((_, Kind::Rest(_) | Kind::End { .. })) => self.from_rest(input, each_move)?,
        };
        if matches!(kind, Kind::End { .. }) {
            self.position = self.position.next();
        }
        let phase = self.phase.map_or(0, |(phase, _)| phase + 1);
        self.phase = Some((phase, kind));
        (self.reports, self.returned, self.least) = (0, 0, i64::MAX);
        Some((phase, kind))
    }

    /// At rest: lets in what has come, if anything has.
    fn from_rest(&mut self, input: Bounds, each_move: bool) -> Option<Kind> {
        let has_left = input.epoch.is_none_or(|least| least > self.position);
        let has_moved = input.watermark > self.stamp && (each_move || input.watermark == i64::MAX);
        let waits = self.waiting && each_move;
        // Right after a restore the input is still on its way to where the job goes on.
        let not_there = input.epoch.is_some_and(|least| least < self.position);
        if not_there || !(has_left || has_moved || waits) {
            return None;
        }
        self.target = input;
        self.waiting = false;
        self.round = 0;
        Some(Kind::Wave)
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
        leader.decide(input, true, Some).map(|(_, kind)| kind)
    }

    #[test]
    fn rounds_follow_until_nothing_comes_back_then_the_watermark_moves_then_the_position_ends() {
        let mut leader = Leader::new(2, None, Epoch(7));
        assert_eq!(next(&mut leader, input(Some(0), i64::MIN)), None, "not there yet");
        assert_eq!(next(&mut leader, input(Some(7), i64::MIN)), None, "nothing has come");
        let left = input(Some(8), 50);
        assert_eq!(next(&mut leader, left), Some(Kind::Wave));
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
        assert_eq!(next(&mut leader, left), None, "epoch 8 is still open");
        assert_eq!(leader.position, Epoch(8));
    }

    #[test]
    fn a_worker_that_holds_earlier_records_holds_the_promise_of_the_loop() {
        let mut leader = Leader::new(2, None, Epoch(0));
        let moved = input(Some(0), 50);
        assert_eq!(next(&mut leader, moved), Some(Kind::Wave));
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
        let mut kinds = Vec::new();
        while let Some(kind) = next(&mut leader, left) {
            kinds.push(kind);
            told(&mut leader, 1, i64::MIN);
        }
        let end = Kind::End { stamp: i64::MIN, cut: Some(Epoch(0)) };
        assert_eq!(kinds, [Kind::Wave, Kind::Round(1), Kind::Round(2), end]);
    }

    #[test]
    fn the_loop_stops_when_its_input_is_closed_and_has_come_to_rest() {
        let mut leader = Leader::new(2, None, Epoch(0));
        let closed = input(None, i64::MAX);
        let mut kinds = Vec::new();
        while let Some(kind) = next(&mut leader, closed) {
            kinds.push(kind);
            told(&mut leader, 0, i64::MAX);
        }
        let end = Kind::End { stamp: i64::MAX, cut: Some(Epoch(0)) };
        assert_eq!(kinds, [Kind::Wave, Kind::Advance(i64::MAX), end, Kind::Stop]);
    }

    #[test]
    fn without_a_wave_for_each_move_there_is_one_for_the_end_of_the_input() {
        let mut leader = Leader::new(2, None, Epoch(0));
        leader.waits();
        assert_eq!(leader.decide(input(Some(0), 9), false, Some), None);
        let over = leader.decide(input(Some(0), i64::MAX), false, Some);
        assert_eq!(over, Some((0, Kind::Wave)));
    }
}
