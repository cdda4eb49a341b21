//! The baton: of all workers of all attempts, and of the world around them, one goes on at a time.
//!
//! ```text
//! the world (this thread) --pass--> draw --> a worker steps --> draw --> ... --> the world again
//! ```
//!
//! Workers of attempts that overlap share one order, as processes on one machine do. The world is
//! everything else: the loops that take checkpoints, the store, the kills; it runs on the thread
//! that plays the life of the job.
//!
//! **Invariants**
//! - *One at a time*: between two draws nobody else runs, but for the threads of an attempt that is
//!   ending, which touch nothing that others see (`Seats::stop`).
//! - *Only here*: who goes on is drawn by whoever holds the baton, hence in one order.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use highwater_core::clock::ManualClock;
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

/// The workers of one attempt.
#[derive(Debug)]
struct Crew {
    faults: Faults,
    standings: Vec<Standing>,
    wakers: Arc<Vec<Condvar>>,
    /// Whether it gets no turns for now.
    held: bool,
    /// Whether it gets none any more.
    stopped: bool,
}

#[derive(Debug)]
struct State {
    random: Random,
    crews: Vec<Crew>,
    /// How often the world gets the turn, relative to a worker of average speed.
    weight: u64,
    turn: u64,
    /// Whether it is the turn of the world.
    world: bool,
}

/// Decides who goes on.
#[derive(Debug)]
pub(crate) struct Baton {
    clock: Arc<ManualClock>,
    state: Mutex<State>,
    /// Wakes the world.
    waker: Condvar,
}

impl Baton {
    /// - `weight`: how often the world gets the turn, relative to a worker of average speed.
    pub(crate) fn new(random: Random, clock: Arc<ManualClock>, weight: u64) -> Arc<Self> {
        let state = State { random, crews: Vec::new(), weight, turn: 0, world: true };
        Arc::new(Baton { clock, state: Mutex::new(state), waker: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the turns so far.
    pub(crate) fn turn(&self) -> u64 {
        self.lock().turn
    }

    /// Adds the workers of an attempt, one for each weight of the faults.
    pub(crate) fn seat(self: &Arc<Self>, faults: Faults) -> Arc<Seats> {
        let workers = faults.weights.len();
        let wakers: Arc<Vec<_>> = Arc::new((0..workers).map(|_| Condvar::new()).collect());
        let mut state = self.lock();
        let crew = state.crews.len();
        let standings = vec![Standing::Absent; workers];
        let seats = Arc::clone(&wakers);
        state.crews.push(Crew { faults, standings, wakers, held: false, stopped: false });
        Arc::new(Seats { baton: Arc::clone(self), crew, wakers: seats })
    }

    /// Lets others go on until it is the turn of the world again.
    pub(crate) fn pass(&self) {
        let mut state = self.lock();
        state.world = false;
        self.between_turns(&mut state);
        self.hand_on(&mut state);
        while !state.world {
            state = self.waker.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Draws who goes on, and wakes it.
    fn hand_on(&self, state: &mut State) {
        let now = state.turn;
        let mut ready = Vec::new();
        let mut sum = state.weight;
        for (crew, of) in state.crews.iter().enumerate().filter(|(_, c)| !c.held && !c.stopped) {
            for (worker, standing) in of.standings.iter().enumerate() {
                if matches!(standing, Standing::Waiting { not_before } if *not_before <= now) {
                    sum += of.faults.weights[worker];
                    ready.push((crew, worker, of.faults.weights[worker]));
                }
            }
        }
        let mut ticket = state.random.below(sum);
        for (crew, worker, weight) in ready {
            match ticket.checked_sub(weight) {
                Some(rest) => ticket = rest,
                None => {
                    state.crews[crew].standings[worker] = Standing::Holding;
                    state.crews[crew].wakers[worker].notify_one();
                    return;
                }
            }
        }
        state.world = true;
        self.waker.notify_one();
    }

    /// Lets time pass, and a worker stall.
    fn between_turns(&self, state: &mut State) {
        state.turn += 1;
        let turn = state.turn;
        // The clock is that of the newest attempt's world.
        let Some(crew) = state.crews.last_mut() else { return };
        let tick = state.random.below(crew.faults.tick_ms_max as u64 + 1);
        self.clock.advance_by(tick as i64);
        if state.random.chance(crew.faults.stalls) {
            let worker = state.random.index(crew.standings.len());
            let turns = state.random.below(crew.faults.stall_turns_max) + 1;
            if let Standing::Waiting { not_before } = &mut crew.standings[worker] {
                *not_before = turn + turns;
            }
        }
    }
}

/// The turns of the workers of one attempt.
#[derive(Debug)]
pub(crate) struct Seats {
    baton: Arc<Baton>,
    crew: usize,
    wakers: Arc<Vec<Condvar>>,
}

impl Seats {
    /// Waits until all workers want a turn; returns whether the attempt has ended instead.
    pub(crate) fn assemble(&self) -> bool {
        let mut state = self.baton.lock();
        loop {
            let crew = &state.crews[self.crew];
            if crew.stopped || !crew.standings.contains(&Standing::Absent) {
                return crew.stopped;
            }
            state = self.baton.waker.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives the attempt no turns for now, as `SIGSTOP` does, or lets it go on.
    pub(crate) fn hold(&self, held: bool) {
        self.baton.lock().crews[self.crew].held = held;
    }

    /// Returns whether no worker wants another turn.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.baton.lock();
        let crew = &state.crews[self.crew];
        crew.stopped || crew.standings.iter().all(|s| *s == Standing::Finished)
    }
}

impl Turns for Seats {
    fn wait(&self, worker: usize) -> bool {
        let mut state = self.baton.lock();
        if state.crews[self.crew].standings[worker] == Standing::Absent {
            state.crews[self.crew].standings[worker] = Standing::Waiting { not_before: 0 };
            self.baton.waker.notify_one();
        }
        loop {
            let crew = &state.crews[self.crew];
            if crew.stopped || crew.standings[worker] == Standing::Finished {
                return false;
            }
            if crew.standings[worker] == Standing::Holding {
                return true;
            }
            state = self.wakers[worker].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, worker: usize, alive: bool) {
        let mut state = self.baton.lock();
        let crew = &mut state.crews[self.crew];
        if crew.stopped {
            return;
        }
        assert_eq!(crew.standings[worker], Standing::Holding, "{worker} stepped out of turn");
        crew.standings[worker] =
            if alive { Standing::Waiting { not_before: 0 } } else { Standing::Finished };
        self.baton.between_turns(&mut state);
        self.baton.hand_on(&mut state);
    }

    /// The attempt is over. A worker that holds the turn does not come back to give it away: it may
    /// have panicked.
    fn stop(&self) {
        let mut state = self.baton.lock();
        let crew = &mut state.crews[self.crew];
        if std::mem::replace(&mut crew.stopped, true) {
            return;
        }
        if crew.standings.contains(&Standing::Holding) {
            state.world = true;
        }
        self.baton.waker.notify_one();
        self.wakers.iter().for_each(Condvar::notify_one);
    }
}
