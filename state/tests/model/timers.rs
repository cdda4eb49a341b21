//! Histories of timers.

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::{KeyGroup, KeyGroups, stable_hash};
use highwater_core::time::Epoch;
use highwater_state::{Hashed, Timers};

use crate::kinds::{Id, Kind, groups, keys, regrouped};
use crate::support::damage::Random;

/// In the order in which they fire.
type Model = BTreeSet<(i64, Id, u8)>;

struct World<'r> {
    random: &'r mut Random,
    kind: Kind,
    groups: KeyGroups,
    keys: Vec<Id>,
    workers: Vec<Timers<Id, u8>>,
    /// By worker.
    model: Vec<Model>,
    frozen: Option<(Vec<Cut>, Model)>,
    chains: Vec<Vec<Arc<EncodedState>>>,
    tracked: bool,
    now: i64,
}

fn workers(groups: KeyGroups) -> usize {
    groups.owner(KeyGroup(groups.count() as u16 - 1)) + 1
}

fn timers(kind: Kind, groups: KeyGroups, stored: &[Arc<EncodedState>]) -> Vec<Timers<Id, u8>> {
    let make = |worker| Timers::new(&mut kind.backend(groups, worker, stored.to_vec()), "timers");
    (0..workers(groups)).map(|worker| make(worker).unwrap()).collect()
}

/// Runs one history.
pub(crate) fn run(random: &mut Random) {
    let (kind, groups) = (Kind::any(random), groups(random));
    let now = [0, -5_000, i64::MIN, i64::MAX - 4_000][random.below(4)];
    let world = World {
        kind,
        groups,
        keys: keys(groups, random),
        random,
        workers: timers(kind, groups, &[]),
        model: vec![Model::new(); workers(groups)],
        frozen: None,
        chains: vec![Vec::new(); workers(groups)],
        tracked: false,
        now,
    };
    world.run();
}

impl World<'_> {
    fn run(mut self) {
        for _ in 0..30 + self.random.below(150) {
            match self.random.below(100) {
                0..35 => self.set(),
                35..50 => self.delete(),
                50..75 => self.advance(),
                75..80 => self.fold(),
                80..88 => self.freeze(),
                88..98 => self.finish(),
                _ => self.go_on_restored(),
            }
        }
        self.finish();
        self.now = i64::MAX;
        for worker in 0..self.workers.len() {
            while self.pop(worker) {}
            assert_eq!(self.workers[worker].first(), None);
        }
    }

    /// Draws a timer: near or far, and sometimes in the past.
    fn timer(&mut self) -> (i64, Id, u8) {
        let width = [3, 500, 5_000, 60_000][self.random.below(4)];
        let time = self.now.saturating_add(self.random.below(width) as i64);
        let time = if self.random.below(8) == 0 { time.saturating_sub(2_000) } else { time };
        let key = self.keys[self.random.below(self.keys.len())].clone();
        (time, key, self.random.below(2) as u8)
    }

    fn owner(&self, key: &Id) -> usize {
        self.groups.owner(self.groups.of_hash(stable_hash(key)))
    }

    fn set(&mut self) {
        for _ in 0..=self.random.below(6) {
            let timer = self.timer();
            let worker = self.owner(&timer.1);
            let is_new = self.workers[worker].set(timer.0, Hashed::new(&timer.1), timer.2);
            assert_eq!(is_new, self.model[worker].insert(timer.clone()), "{timer:?}");
        }
    }

    fn delete(&mut self) {
        let worker = self.random.below(self.workers.len());
        let count = self.model[worker].len();
        let timer = match self.random.below(4) {
            0 => self.timer(),
            _ if count == 0 => return,
            _ => self.model[worker].iter().nth(self.random.below(count)).cloned().unwrap(),
        };
        let worker = self.owner(&timer.1);
        let deleted = self.workers[worker].delete(timer.0, Hashed::new(&timer.1), timer.2);
        assert_eq!(deleted, self.model[worker].remove(&timer), "{timer:?}");
    }

    /// Fires the first timer of a worker, if its time has come.
    fn pop(&mut self, worker: usize) -> bool {
        let (timers, model) = (&mut self.workers[worker], &mut self.model[worker]);
        let expected = match model.first() {
            Some((time, _, _)) if *time <= self.now => model.pop_first(),
            _ => None,
        };
        if let Some((time, _, _)) = &expected {
            assert!(timers.first().is_some_and(|first| first <= *time), "a timer comes too late");
        }
        let popped = timers.pop(self.now);
        assert_eq!(popped, expected);
        popped.is_some()
    }

    fn advance(&mut self) {
        let step = [0, 1, 700, 3_000, 20_000][self.random.below(5)];
        self.now = self.now.saturating_add(step);
        for worker in 0..self.workers.len() {
            // A worker does not fire all of them in one turn.
            let turn = self.random.below(30);
            (0..turn).take_while(|_| self.pop(worker)).count();
        }
    }

    fn fold(&mut self) {
        for timers in &mut self.workers {
            while self.random.below(3) > 0 {
                timers.fold();
            }
        }
    }

    fn freeze(&mut self) {
        self.finish();
        let kind = CutKind {
            delta: self.tracked && self.random.below(4) > 0,
            track: self.random.below(4) > 0,
        };
        let mut cuts = Vec::new();
        for timers in &mut self.workers {
            let mut cut = Cut::new(Epoch(1), kind, i64::MIN, 0);
            timers.freeze(&mut cut);
            cuts.push(cut);
        }
        self.tracked = kind.track;
        self.frozen = Some((cuts, self.model.iter().flatten().cloned().collect()));
    }

    /// Encodes what was frozen, restores it anywhere and fires it all.
    fn finish(&mut self) {
        let Some((cuts, expected)) = self.frozen.take() else { return };
        let encode = |cut: Cut| std::thread::spawn(|| cut.encode()).join().unwrap().unwrap();
        for (cut, chain) in cuts.into_iter().zip(&mut self.chains) {
            for state in encode(cut) {
                if state.slots.is_none() {
                    chain.clear();
                }
                chain.push(Arc::new(state));
            }
        }
        let (kind, groups) = (Kind::any(self.random), regrouped(self.groups, self.random));
        let stored: Vec<_> = self.chains.iter().flatten().cloned().collect();
        let mut fired = Model::new();
        for (worker, mut timers) in timers(kind, groups, &stored).into_iter().enumerate() {
            let mut last = None;
            while let Some(timer) = timers.pop(i64::MAX) {
                assert!(last < Some(timer.clone()), "{timer:?} fires after {last:?}");
                assert_eq!(groups.owner(groups.of_hash(stable_hash(&timer.1))), worker);
                last = Some(timer.clone());
                assert!(fired.insert(timer));
            }
        }
        assert_eq!(fired, expected);
    }

    fn go_on_restored(&mut self) {
        self.finish();
        if self.chains.iter().any(Vec::is_empty) {
            return;
        }
        let (kind, groups) = (Kind::any(self.random), regrouped(self.groups, self.random));
        let stored: Vec<_> = self.chains.iter().flatten().cloned().collect();
        self.groups = groups;
        let mut model = vec![Model::new(); workers(groups)];
        for timers in &mut timers(kind, groups, &stored) {
            while let Some(timer) = timers.pop(i64::MAX) {
                model[self.owner(&timer.1)].insert(timer);
            }
        }
        self.workers = timers(kind, groups, &stored);
        (self.kind, self.model, self.tracked) = (kind, model, false);
        self.chains = vec![Vec::new(); workers(groups)];
    }
}
