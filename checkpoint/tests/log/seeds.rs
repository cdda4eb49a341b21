//! Several attempts at once, killed, stopped and woken while the store fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater_checkpoint::log;
use highwater_checkpoint::testing::{Faults, FaultyStore, Task, Turns};

use crate::life::{Event, Journal, Life, storage};
use crate::model;

/// What may go wrong besides kills and zombies.
#[derive(Clone, Copy)]
struct Weather {
    faults: Faults,
    /// Damages objects below this folder behind everybody's back.
    damaged: Option<&'static str>,
}

fn weather(random: &mut fastrand::Rng) -> Weather {
    let mut often = |most: u16| if random.bool() { random.u16(..=most) } else { 0 };
    let mut faults = Faults {
        before: often(80),
        after: often(80),
        late: often(80),
        hang: often(20),
        stale: often(1000),
        ..Faults::default()
    };
    // One object of each slot at most: with both gone nobody can know.
    let damaged = random.choice([None, Some("log"), Some("copies")]).flatten();
    if let Some(folder) = damaged {
        (faults.torn, faults.torn_below) = (random.u16(..40), folder);
    }
    Weather { faults, damaged }
}

struct World {
    random: fastrand::Rng,
    turns: Turns,
    store: Arc<FaultyStore>,
    life: Life,
    weather: Weather,
    tasks: Vec<Task>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let turns = Turns::new(random.u64(..));
        let store = FaultyStore::new(random.u64(..));
        let life = Life {
            storage: storage(&store, &turns, random.u32(1..4)),
            journal: Journal::default(),
            checkpoints: random.u64(1..8),
            retained: random.usize(1..4),
            stubborn: random.u32(..3),
        };
        let weather = weather(&mut random);
        store.set_faults(weather.faults);
        World { random, turns, store, life, weather, tasks: Vec::new() }
    }

    fn run(&mut self) {
        for _ in 0..self.random.usize(1..6) {
            self.begin();
            for _ in 0..self.random.usize(1..150) {
                self.turns.step();
                self.disturb();
            }
        }
        for task in self.tasks.clone() {
            self.turns.resume(task);
        }
        if self.random.bool() {
            // Everybody lives on to the end, whoever was woken included.
            for _ in 0..3_000 {
                self.turns.step();
            }
        }
        self.end();
    }

    fn begin(&mut self) {
        let task = self.turns.spawn(self.life.clone().live());
        self.tasks.push(task);
    }

    fn disturb(&mut self) {
        let Some(task) = self.random.choice(&self.tasks).copied() else {
            return;
        };
        match self.random.u16(..1000) {
            0..8 => self.turns.kill(task),
            8..20 => self.turns.stop(task),
            20..35 => self.turns.resume(task),
            35..45 => self.damage(),
            45..48 => self.store.set_full(self.random.bool()),
            48..50 => self.store.set_denied(self.random.bool()),
            _ => {}
        }
    }

    fn damage(&mut self) {
        let Some(folder) = self.weather.damaged else {
            return;
        };
        let mut paths = self.store.paths();
        paths.retain(|path| path.starts_with(&format!("job/{folder}/")));
        let Some(path) = self.random.choice(&paths) else {
            return;
        };
        match self.random.u8(..3) {
            0 => self.store.truncate(path, self.random.usize(..200)),
            1 => self.store.flip(path, self.random.usize(..4_000)),
            _ => self.store.remove(path),
        };
    }

    /// Fences once more in calm weather, while late writes still arrive, and checks.
    fn end(&mut self) {
        self.store.set_full(false);
        self.store.set_denied(false);
        self.store.set_faults(Faults { stale: self.weather.faults.stale, ..Faults::default() });
        let storage = self.life.storage.clone();
        let (attempt, history) = self.turns.finish(async move {
            let read = log::read(&storage).await.unwrap();
            let (attempt, history) = log::fence(&storage).await.unwrap();
            assert!(read.end <= history.end, "{read:?} before {history:?}");
            ((attempt.number(), attempt.slot()), history)
        });
        let last = Event::Fenced { attempt: attempt.0, slot: attempt.1, history };
        let mut events = self.life.journal.lock().unwrap().clone();
        events.push(last);
        model::check(&events);
        assert!(self.turns.now() < Duration::from_secs(24 * 3600), "{:?}", self.turns.now());
    }
}

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("HIGHWATER_SEED") {
        Ok(seed) => {
            let seed = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 0..10_000,
    }
}

#[test]
fn one_list_of_slots_explains_whatever_attempts_were_told() {
    let mut told = Totals::default();
    for seed in seeds() {
        let mut world = World::new(seed);
        let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
        assert!(ran.is_ok(), "repeat with HIGHWATER_SEED={seed}");
        told.count(&world.life.journal);
    }
    // The seeds are worth something only if they come to all of this, and often.
    if seeds().count() > 1 {
        let Totals { commits, declined, fenced_out, fences } = told;
        assert!(commits > 20_000 && fences > 10_000, "{commits} commits, {fences} fences");
        assert!(declined > 100 && fenced_out > 2_000, "{declined} declined, {fenced_out} fenced");
    }
}

#[derive(Default)]
struct Totals {
    commits: usize,
    declined: usize,
    fenced_out: usize,
    fences: usize,
}

impl Totals {
    fn count(&mut self, journal: &Mutex<Vec<Event>>) {
        for event in &*journal.lock().unwrap() {
            match event {
                Event::Committed(_) => self.commits += 1,
                Event::Declined { .. } => self.declined += 1,
                Event::FencedOut { .. } => self.fenced_out += 1,
                Event::Fenced { .. } => self.fences += 1,
            }
        }
    }
}

#[test]
fn a_seed_repeats_a_run() {
    for seed in 0..50 {
        let journal = || {
            let mut world = World::new(seed);
            world.run();
            let events = world.life.journal.lock().unwrap();
            (format!("{events:?}"), world.store.calls(), world.store.paths())
        };
        assert_eq!(journal(), journal(), "seed {seed}");
    }
}
