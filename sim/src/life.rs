//! The life of a job over all its attempts: killed, fenced and restarted until it is complete.
//!
//! ```text
//! seed --> Life: attempts, each with its workers, limits, backend, troubles and end
//!            |
//!            v          turns
//!     attempt 1 --kill--> attempt 2 --stopped--> attempt 3 ----> complete
//!        |                    |            '-- goes on, fenced --'
//!        '------ store, disk of the sinks: what survives --------'
//! ```
//!
//! Everything is real but the store, the disk and time: workers, the coordinator and the loop that
//! drives it, the log, restore. A kill may come at any turn of a worker, at any poll of the loop,
//! and before or after any call of the store. What an attempt had sent to the store when it was
//! killed may be done later. Calls of the store are lost, unanswered, answered in vain or late, and
//! sinks fail to prepare, commit and recover; the attempts after those that are drawn to be
//! disturbed have no such troubles, so that the job ends.
//!
//! **Checked while it runs**: I8, I9 and I10, by somebody who reads the store himself; and that the
//! job ends. What is visible in the end is the caller's to compare.
//!
//! **Sources**: FoundationDB's simulation; Jepsen's faults.

mod fate;
mod attempt;
mod baton;
mod time;

mod link;
mod store;
mod audit;
mod disk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::{BoxFuture, FutureExt};
use highwater_checkpoint::Storage;
use highwater_core::clock::ManualClock;
use highwater_core::config::Mode;
use highwater_core::error::Result;
use highwater_core::record::Record;
use highwater_operators::environment::Env;
use highwater_operators::stream::DataStream;
use highwater_operators::stream::Named;
use highwater_state::memory::MemoryStores;

use crate::random::Random;
use crate::scenario::Chapter;
use crate::world::{Item, World};
use attempt::{Attempt, Began, Done, Program, Setup};
use baton::Baton;
use disk::{Disk, DiskSink};
use fate::{Fate, Troubles};
use link::Link;
use store::Store;
use time::{SimulatedPace, Time};

/// The turns after which a job must be complete.
const LIMIT: u64 = 1_000_000;
/// The turns for which attempts that were overtaken live on after the job is complete.
const AFTERLIFE: u64 = 300;

/// An attempt, while it lives.
struct Living {
    attempt: Attempt,
    fate: Fate,
    troubles: Troubles,
    began: u64,
    /// Until when it stands still.
    held: Option<u64>,
    overtaken: bool,
}

/// The life of a job.
pub struct Life {
    seed: u64,
    random: Random,
    time: Arc<Time>,
    clock: Arc<ManualClock>,
    baton: Arc<Baton>,
    store: Arc<Store>,
    disk: Arc<Disk>,
    mode: Mode,
    /// How many attempts do not run to the end.
    disturbed: usize,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// What a life came to.
#[derive(Debug)]
pub struct Lived {
    /// What is visible in each sink, sorted.
    pub visible: BTreeMap<String, Vec<Record<Item>>>,
    /// What the attempts contributed.
    pub chapters: Vec<Chapter>,
    /// How many attempts there were.
    pub attempts: usize,
    /// How many checkpoints were completed.
    pub commits: usize,
    /// Calls of the store that failed.
    pub failed: u64,
    /// Changes of the store that came late after all.
    pub late: u64,
    /// Listings that showed what was there before.
    pub stale: u64,
    /// Results that a recovery made visible.
    pub recovered: u64,
    /// Results that were committed when they were visible already.
    pub repeated: u64,
    /// Results that were left behind and thrown away by a recovery.
    pub leftovers: u64,
    /// Calls of sinks that failed.
    pub failed_in_sinks: u64,
}

/// The sinks of a job that survive its attempts.
#[derive(Clone, Debug)]
pub struct Sinks {
    disk: Arc<Disk>,
}

impl Sinks {
    /// Writes a stream into the sink of this name, which is also its uid.
    pub fn take(&self, stream: &DataStream<'_, Item>, name: &str) {
        let sink = DiskSink { disk: Arc::clone(&self.disk), name: name.to_owned() };
        let _sunk = stream.sink(sink).uid(name);
    }
}

impl Life {
    /// Draws a life.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x6c69_6665);
        let clock = Arc::new(ManualClock::default());
        let time = Time::new(Arc::clone(&clock), random.fork());
        let weight = random.pick(&[1, 4, 4, 16]);
        let baton = Baton::new(random.fork(), Arc::clone(&clock), weight);
        let store = Store::new(&time, random.fork());
        let disk = Disk::new(&store, random.fork());
        let disturbed = random.index(5);
        Life { seed, random, time, clock, baton, store, disk, mode: Mode::Streaming, disturbed }
    }

    /// Lets the job treat its sources as this mode says.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Plays it.
    ///
    /// - `program`: describes the job; its sinks must be those given.
    ///
    /// # Errors
    /// When the job ended with an error that nobody provoked.
    ///
    /// # Panics
    /// When an invariant is broken, or the job does not end.
    pub fn play<F>(mut self, program: F) -> std::result::Result<Lived, String>
    where
        F: for<'scope> Fn(&Env<'scope>, &Sinks) -> Result<()> + Send + Sync + 'static,
    {
        let sinks = Sinks { disk: Arc::clone(&self.disk) };
        let program: Program = Arc::new(move |env| program(env, &sinks));
        let mut living: Vec<Living> = Vec::new();
        let mut ghosts: Vec<BoxFuture<'static, ()>> = Vec::new();
        let mut completed = None;
        loop {
            self.baton.pass();
            self.time.wake();
            let turn = self.baton.turn();
            assert!(turn < LIMIT, "seed {}: no end\n{}", self.seed, describe(&living));
            living.iter_mut().for_each(|living| living.attempt.settle());
            living.iter_mut().for_each(|living| living.meet_fate(turn));
            if completed.is_none() && living.iter().any(|l| l.attempt.is_complete()) {
                completed = Some(turn);
            }
            if completed.is_some_and(|at| turn > at + AFTERLIFE) {
                break;
            }
            let next = living.last().is_none_or(|l| l.overtaken || l.attempt.is_over());
            if completed.is_none() && next {
                self.check(&living)?;
                let number = living.len();
                let begun = self.begin(number, &program);
                living.push(begun);
            }
            ghosts.extend(self.store.take_ghosts());
            self.poll(&mut living, &mut ghosts);
            if self.random.chance(500) && living.iter().all(|l| l.attempt.only_waits()) {
                self.time.jump();
            }
        }
        Ok(self.come_to(living))
    }

    /// Ends all attempts, and returns what they came to.
    fn come_to(self, living: Vec<Living>) -> Lived {
        let attempts = living.len();
        let done = living.into_iter().map(|mut living| {
            if !living.attempt.is_over() {
                living.attempt.kill();
            }
            living.attempt.finish()
        });
        let chapters = chapters(done.collect());
        let commits = self.store.commits();
        let (store, counts) = (self.store.counts(), self.disk.counts());
        assert_eq!(counts.undone, 0, "results were taken back though nothing was damaged");
        Lived {
            visible: self.disk.visible(),
            chapters,
            attempts,
            commits,
            failed: store.failed,
            late: store.late,
            stale: store.stale,
            recovered: counts.recovered,
            repeated: counts.repeated,
            leftovers: counts.leftovers,
            failed_in_sinks: counts.failed,
        }
    }

    /// Lets one of those go on that want to.
    fn poll(&mut self, living: &mut [Living], ghosts: &mut Vec<BoxFuture<'static, ()>>) {
        let ready: Vec<usize> = (0..living.len())
            .filter(|i| living[*i].held.is_none() && living[*i].attempt.is_ready())
            .collect();
        if !ghosts.is_empty() && self.random.chance(200) {
            let ghost = self.random.index(ghosts.len());
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(()) = ghosts[ghost].poll_unpin(&mut context) {
                drop(ghosts.swap_remove(ghost));
            }
        } else if !ready.is_empty() {
            let next = ready[self.random.index(ready.len())];
            living[next].attempt.poll();
        }
    }

    /// # Errors
    /// When the last attempt failed though nobody provoked it. One that was overtaken while it
    /// still opened its log fences the newer one: that is provoked.
    fn check(&self, living: &[Living]) -> std::result::Result<(), String> {
        let overlapped = living.iter().any(|living| living.overtaken);
        match living.last() {
            Some(Living { attempt, troubles, .. }) if attempt.is_over() => {
                match attempt.verdict() {
                    Err(error) if overlapped && error.contains("was fenced") => Ok(()),
                    Err(error) if troubles.explain(&error) => Ok(()),
                    verdict => verdict.map_err(|error| format!("{error}\n{}", describe(living))),
                }
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, number: usize, program: &Program) -> Living {
        let mut random = self.random.fork();
        let (mut fate, mut troubles) = (Fate::Complete, Troubles::default());
        if number < self.disturbed {
            fate = Fate::draw(&mut random);
            if random.chance(600) {
                troubles = Troubles::draw(&mut random);
            }
        }
        self.disk.set_faults(troubles.sinks);
        let world = World::draw(random.draw());
        let mut config = world.config;
        config.clock = Arc::<ManualClock>::clone(&self.clock);
        config.mode = self.mode;
        if number > 0 {
            config.max_parallelism = None;
        }
        if random.chance(400) {
            let cache_bytes = random.pick(&[0, 1000, 1 << 20]);
            config.stores = Some(Arc::new(MemoryStores { cache_bytes }));
        }
        let latency_ms_max = random.pick(&[0, 2, 10]);
        let link = Link::new(&self.store, latency_ms_max, troubles.store, fate.last_step());
        let storage = Storage::of(Arc::new(link.clone()), "")
            .unwrap_or_else(|error| unreachable!("no prefix is a prefix: {error}"))
            .with_pace(Arc::new(SimulatedPace(Arc::clone(&self.time))))
            .with_retry(fate::retry());
        let setup = Setup {
            config,
            faults: world.faults,
            options: fate::options(&mut random, !troubles.any),
            storage,
            link,
            offload_ms_max: random.pick(&[0, 5, 30, 200]),
            random,
        };
        let attempt = Attempt::begin(setup, program, &self.baton, &self.time);
        let began = self.baton.turn();
        Living { attempt, fate, troubles, began, held: None, overtaken: false }
    }
}

impl Living {
    /// Kills it, stops it or lets it go on, when its time has come.
    fn meet_fate(&mut self, turn: u64) {
        if self.attempt.is_over() {
            return;
        }
        match self.fate {
            Fate::Killed { turns } if turn >= self.began + turns => self.attempt.kill(),
            Fate::Overtaken { turns, still } if !self.overtaken && turn >= self.began + turns => {
                self.overtaken = true;
                self.held = Some(turn + still);
                self.attempt.hold(true);
            }
            _ if self.held.is_some_and(|until| turn >= until) => {
                self.held = None;
                self.attempt.hold(false);
            }
            _ => {}
        }
    }
}

/// Cuts off of each attempt what a later one has made anew. Those after the one that completed the
/// job had nothing left to do.
fn chapters(mut done: Vec<Done>) -> Vec<Chapter> {
    done.retain(|done| done.began.is_some());
    done.sort_by_key(|done| done.began.map(|began| began.attempt));
    let complete = done.iter().position(|done| done.is_complete);
    done.truncate(complete.map_or(done.len(), |last| last + 1));
    let mut chapters = Vec::new();
    let mut end = u64::MAX;
    for Done { journal, began, .. } in done.into_iter().rev() {
        let Some(Began { first, key_groups, .. }) = began else { continue };
        if first < end {
            chapters.push(Chapter { journal, epochs: first..end, key_groups });
            end = first;
        }
    }
    chapters.reverse();
    chapters
}

fn describe(living: &[Living]) -> String {
    let lines = living.iter().enumerate();
    lines.map(|(i, l)| format!("attempt {i}: {}\n", l.attempt.describe())).collect()
}
