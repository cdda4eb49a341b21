//! Seeded turns: real workers, each on its own thread, of which one steps at a time.
//!
//! ```text
//! wait(w) --> all workers are there --> draw a holder --> holder steps --> done --> draw ...
//!                                            ^                              |
//!                                            '--- clock, stalls, trigger ---'
//! ```
//!
//! **Invariants**
//! - *One at a time*: between `wait` and `done` of a worker no other worker runs (`SeededTurns::done`).
//! - *Ends*: a worker that has finished gets no turn; after `limit` turns the run panics, on the
//!   worker whose turn it is, and says the seed and where every operator stands.
//!
//! **Sources**: style.md, Deterministic simulation on the real engine.

use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use highwater_core::clock::ManualClock;
use highwater_core::job::Job;
use highwater_core::worker::Turns;

use crate::faults::Faults;
use crate::random::Random;

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It still builds its dataflow.
    Absent,
    /// It wants a turn, and gets none before this one.
    Waiting { not_before: u64 },
    /// It has the turn.
    Holding,
    /// It needs no more turns.
    Finished,
}

struct State {
    random: Random,
    standings: Vec<Standing>,
    turn: u64,
    stopped: bool,
    /// Who had which turn.
    order: Vec<u8>,
}

/// Turns drawn from a seed.
pub struct SeededTurns {
    seed: u64,
    limit: u64,
    faults: Faults,
    clock: Arc<ManualClock>,
    job: OnceLock<Weak<Job>>,
    state: Mutex<State>,
    /// One for each worker, so that only the next holder wakes up.
    wakers: Vec<Condvar>,
}

impl std::fmt::Debug for SeededTurns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeededTurns").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl SeededTurns {
    /// Returns the turns of a seed, for as many workers as the faults have weights.
    ///
    /// - `clock`: is moved between turns.
    /// - `limit`: the turns after which the run must have ended.
    #[must_use]
    pub fn new(seed: u64, faults: Faults, clock: Arc<ManualClock>, limit: u64) -> Self {
        let workers = faults.weights.len();
        let state = State {
            random: Random::new(seed),
            standings: vec![Standing::Absent; workers],
            turn: 0,
            stopped: false,
            order: Vec::new(),
        };
        SeededTurns {
            seed,
            limit,
            faults,
            clock,
            job: OnceLock::new(),
            state: Mutex::new(state),
            wakers: (0..workers).map(|_| Condvar::new()).collect(),
        }
    }

    /// Names the job whose checkpoints are triggered and which is described if it does not end.
    pub fn attach(&self, job: &Arc<Job>) {
        // A second job would leave the first one's checkpoints alone.
        let _ = self.job.set(Arc::downgrade(job));
    }

    /// Returns who had which turn so far.
    #[must_use]
    pub fn order(&self) -> Vec<u8> {
        self.lock().order.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses who steps next, and wakes it.
    fn hand_on(&self, state: &mut State) {
        if state.standings.iter().any(|s| matches!(s, Standing::Absent | Standing::Holding)) {
            return;
        }
        let waiting = state.standings.iter().enumerate().filter_map(|(worker, s)| match s {
            Standing::Waiting { not_before } => Some((worker, *not_before)),
            _ => None,
        });
        let waiting: Vec<_> = waiting.collect();
        let Some(earliest) = waiting.iter().map(|(_, not_before)| *not_before).min() else {
            return;
        };
        // When all stand still, those whose time comes first go on.
        let now = state.turn.max(earliest);
        let ready = waiting.iter().filter(|(_, not_before)| *not_before <= now);
        let ready: Vec<_> = ready.map(|(worker, _)| *worker).collect();
        let weights = ready.iter().map(|worker| self.faults.weights[*worker]);
        let mut ticket = state.random.below(weights.clone().sum());
        let mut holder = ready[0];
        for (worker, weight) in ready.iter().zip(weights) {
            holder = *worker;
            match ticket.checked_sub(weight) {
                Some(rest) => ticket = rest,
                None => break,
            }
        }
        state.standings[holder] = Standing::Holding;
        state.order.push(holder as u8);
        self.wakers[holder].notify_one();
    }

    /// Lets time pass, a worker stall, a checkpoint begin.
    fn between_turns(&self, state: &mut State) {
        state.turn += 1;
        let turn = state.turn;
        let tick = state.random.below(self.faults.tick_ms_max as u64 + 1);
        self.clock.advance_by(tick as i64);
        if state.random.chance(self.faults.stalls) {
            let worker = state.random.index(state.standings.len());
            let turns = state.random.below(self.faults.stall_turns_max) + 1;
            if let Standing::Waiting { not_before } = &mut state.standings[worker] {
                *not_before = turn + turns;
            }
        }
        if state.random.chance(self.faults.triggers)
            && let Some(job) = self.job.get().and_then(Weak::upgrade)
        {
            job.trigger();
        }
    }

    /// Where every operator stands, for a run that does not end.
    fn describe(&self) -> String {
        let mut text = format!("seed {} did not end within {} turns", self.seed, self.limit);
        let Some(job) = self.job.get().and_then(Weak::upgrade) else { return text };
        // Writing into a string cannot fail.
        let _ = write!(text, "; epoch {}", job.epoch());
        let mut operators = job.metrics().operators();
        operators.sort_by_key(|o| (o.uid.clone(), o.worker));
        for o in operators {
            let (taken, given) = (o.records_in.get(), o.records_out.get());
            let (watermark, blocked) = (o.watermark(), o.blocked.get());
            let at = o.epoch().map_or_else(|| "ended".to_owned(), |epoch| epoch.to_string());
            let _ = write!(
                text,
                "\n  {} on {}: {at}, watermark {watermark}, {taken} in, {given} out, {blocked} blocked",
                o.uid, o.worker
            );
        }
        text
    }
}

impl Turns for SeededTurns {
    /// # Panics
    /// When the run does not end.
    fn wait(&self, worker: usize) -> bool {
        let mut state = self.lock();
        if state.standings[worker] == Standing::Absent {
            state.standings[worker] = Standing::Waiting { not_before: 0 };
            self.hand_on(&mut state);
        }
        loop {
            if state.stopped || state.standings[worker] == Standing::Finished {
                return false;
            }
            if state.standings[worker] == Standing::Holding {
                break;
            }
            state = self.wakers[worker].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let overdue = state.turn >= self.limit;
        drop(state);
        assert!(!overdue, "{}", self.describe());
        true
    }

    fn done(&self, worker: usize, alive: bool) {
        let mut state = self.lock();
        assert_eq!(state.standings[worker], Standing::Holding, "{worker} stepped out of turn");
        state.standings[worker] =
            if alive { Standing::Waiting { not_before: 0 } } else { Standing::Finished };
        self.between_turns(&mut state);
        self.hand_on(&mut state);
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.wakers.iter().for_each(Condvar::notify_one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `workers` threads that want `turns` turns each, and returns who stepped when.
    fn order(seed: u64, workers: usize, turns: usize) -> Vec<u8> {
        let faults = Faults { stalls: 100, ..Faults::none(workers) };
        let baton = SeededTurns::new(seed, faults, Arc::default(), 10_000);
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let baton = &baton;
                scope.spawn(move || {
                    let mut left = turns;
                    while baton.wait(worker) {
                        left -= 1;
                        baton.done(worker, left > 0);
                    }
                });
            }
        });
        baton.order()
    }

    #[test]
    fn a_seed_decides_who_steps_when_and_every_worker_gets_its_turns() {
        for seed in 0..20 {
            let first = order(seed, 3, 30);
            assert_eq!(first, order(seed, 3, 30));
            for worker in 0..3 {
                assert_eq!(first.iter().filter(|w| **w == worker).count(), 30);
            }
        }
        assert_ne!(order(1, 3, 30), order(2, 3, 30));
    }
}
