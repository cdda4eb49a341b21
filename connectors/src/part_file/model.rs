//! The protocol of part files under random schedules, compared with a tiny model.
//!
//! ```text
//! write, end the epoch, prepare, log, commit      one step at a time, on two workers
//! kill | stop (a zombie, which goes on later)     at any point
//! recover, also twice, cut short, or by a zombie
//! ```
//!
//! The model is the log: a list of the epochs whose checkpoint is complete, with their rows. After
//! every step each visible row is in the log, once, and each row that was committed is visible;
//! after a recovery the visible rows are those in the log, and no hidden file of an earlier attempt
//! is left. It would catch rows that are shown early, lost, shown twice or removed by a zombie.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use highwater_core::record::Record;
use highwater_core::sink::{Committable, Sink, Writer, WriterContext};
use highwater_core::time::Epoch;

use super::PartSink;
use super::place::Prepared;
use super::tests::{names, text};
use crate::format::csv::{CsvFiles, CsvFormat};

const WORKERS: usize = 2;
/// What an earlier job has left, in files whose names may come again, each with a row of its own.
const OLD: [(&str, u64); 3] =
    [("part-00000.csv", 1), ("part-00001-1-1-0.csv", 2), ("part-00000-2-2-0.csv", 3)];

#[derive(Clone, Copy, Debug)]
enum Step {
    Write {
        worker: usize,
        rows: u64,
    },
    EndEpoch,
    Prepare,
    Log,
    /// Commits a file of the first checkpoint of which some are not yet, maybe one again.
    Commit(usize),
    Kill,
    Stop,
    Recover,
    /// Begins a recovery that is killed after this many payloads.
    RecoverSome(usize),
    /// Lets the zombies make this step, if the live attempt could.
    Zombies(ZombieStep),
}

#[derive(Clone, Copy, Debug)]
enum ZombieStep {
    Write,
    EndEpoch,
    Prepare,
    Commit(usize),
    Recover,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use ZombieStep as Z;
    let zombie = prop_oneof![
        Just(Z::Write),
        Just(Z::EndEpoch),
        Just(Z::Prepare),
        (0..8usize).prop_map(Z::Commit),
        Just(Z::Recover)
    ];
    let step = prop_oneof![
        6 => (0..WORKERS, 1..5u64).prop_map(|(worker, rows)| Step::Write { worker, rows }),
        4 => Just(Step::EndEpoch),
        6 => Just(Step::Prepare),
        5 => Just(Step::Log),
        8 => (0..8usize).prop_map(Step::Commit),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
        1 => Just(Step::Recover),
        1 => (0..4usize).prop_map(Step::RecoverSome),
        4 => zombie.prop_map(Step::Zombies),
    ];
    prop::collection::vec(step, 1..80)
}

/// An epoch that has ended.
struct Ended {
    epoch: u64,
    rows: Vec<u64>,
    committables: Vec<Box<dyn Committable>>,
    payloads: Vec<String>,
    is_logged: bool,
    shown: BTreeSet<usize>,
}

/// A start of the job, alive or stopped.
struct Attempt {
    number: u64,
    epoch: u64,
    writers: Vec<Box<dyn Writer<u64>>>,
    rows: Vec<u64>,
    ended: Vec<Ended>,
    /// What the log had when it began.
    recovered: Vec<String>,
}

impl Attempt {
    fn write(&mut self, worker: usize, rows: impl Iterator<Item = u64>) -> bool {
        let rows: Vec<_> = rows.collect();
        self.rows.extend(&rows);
        let mut batch = rows.into_iter().map(|row| Record::new(0, row)).collect();
        self.writers[worker].write(&mut batch).is_ok()
    }

    fn end_epoch(&mut self) -> bool {
        let (epoch, rows) = (self.epoch, std::mem::take(&mut self.rows));
        let mut committables = Vec::new();
        for writer in &mut self.writers {
            match writer.pre_commit(Epoch(epoch)) {
                Ok(sealed) => committables.extend(sealed),
                Err(_) => return false,
            }
        }
        let (payloads, is_logged, shown) = (Vec::new(), false, BTreeSet::new());
        self.ended.push(Ended { epoch, rows, committables, payloads, is_logged, shown });
        self.epoch += 1;
        true
    }

    /// Prepares the next file that is not.
    fn prepare(&mut self) -> bool {
        let next = self.ended.iter_mut().find(|e| e.payloads.len() < e.committables.len());
        let Some(ended) = next else { return true };
        let prepared = ended.committables[ended.payloads.len()].prepare();
        prepared.map(|payload| ended.payloads.push(payload)).is_ok()
    }

    /// Commits a file of a checkpoint that is complete, maybe again.
    fn commit(&mut self, nth: usize) -> bool {
        let ready =
            |ended: &&mut Ended| ended.is_logged && ended.shown.len() < ended.committables.len();
        let Some(ended) = self.ended.iter_mut().find(ready) else { return true };
        let place = nth % ended.committables.len();
        ended.shown.insert(place);
        ended.committables[place].commit().is_ok()
    }
}

/// The folder, the log, and whoever writes.
struct World {
    dir: tempfile::TempDir,
    sink: PartSink<CsvFormat>,
    attempt: u64,
    row: u64,
    live: Option<Attempt>,
    zombies: Vec<Attempt>,
    /// The payloads and the rows of complete checkpoints.
    log: Vec<String>,
    logged: BTreeSet<u64>,
    last_epoch: u64,
    old: BTreeSet<u64>,
}

impl World {
    fn new(sink: impl Fn(&Path) -> PartSink<CsvFormat>, has_old: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut old = BTreeSet::new();
        for (name, row) in OLD.iter().filter(|_| has_old) {
            fs::write(dir.path().join(name), format!("{row}\n")).unwrap();
            old.insert(*row);
        }
        let mut world = World {
            sink: sink(dir.path()).overwrite(true).roll_at(30),
            dir,
            attempt: 0,
            row: 1_000_000,
            live: None,
            zombies: Vec::new(),
            log: Vec::new(),
            logged: BTreeSet::new(),
            last_epoch: 0,
            old,
        };
        world.recover();
        world
    }

    fn recover(&mut self) {
        self.kill();
        self.attempt += 1;
        Sink::<u64>::recover(&self.sink, self.attempt, &self.log).unwrap();
        self.check_recovered();
        let (attempt, resumes) = (Some(self.attempt), self.last_epoch > 0);
        let open = |worker| {
            let context = WriterContext { attempt, resumes, ..WriterContext::new(worker, WORKERS) };
            self.sink.open(context).unwrap()
        };
        self.live = Some(Attempt {
            number: self.attempt,
            epoch: self.last_epoch + 1,
            writers: (0..WORKERS).map(open).collect(),
            rows: Vec::new(),
            ended: Vec::new(),
            recovered: self.log.clone(),
        });
    }

    /// Ends the process: nothing is dropped, so nothing is tidied up.
    fn kill(&mut self) {
        std::mem::forget(self.live.take());
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Kill => self.kill(),
            Step::Stop => self.zombies.extend(self.live.take()),
            Step::Recover => self.recover(),
            Step::RecoverSome(payloads) => {
                self.kill();
                let place = self.sink.place().unwrap();
                for payload in self.log.iter().take(payloads) {
                    Prepared::parse(payload).unwrap().commit(place.as_ref()).unwrap();
                }
            }
            Step::Zombies(step) => self.zombies_step(step),
            Step::Log => self.log(),
            Step::Write { worker, rows } => {
                let first = self.row;
                self.row += rows;
                let written = self.live.as_mut().map(|a| a.write(worker, first..first + rows));
                assert_ne!(written, Some(false));
            }
            Step::EndEpoch => assert_ne!(self.live.as_mut().map(Attempt::end_epoch), Some(false)),
            Step::Prepare => assert_ne!(self.live.as_mut().map(Attempt::prepare), Some(false)),
            Step::Commit(nth) => assert_ne!(self.live.as_mut().map(|a| a.commit(nth)), Some(false)),
        }
        self.check();
    }

    /// Completes the checkpoint of the first epoch that is prepared and not in the log.
    fn log(&mut self) {
        let Some(attempt) = &mut self.live else { return };
        let Some(next) = attempt.ended.iter_mut().find(|ended| !ended.is_logged) else { return };
        if next.payloads.len() == next.committables.len() {
            next.is_logged = true;
            self.log.extend(next.payloads.iter().cloned());
            self.logged.extend(&next.rows);
            self.last_epoch = next.epoch;
        }
    }

    /// A zombie may fail in whatever it does but a commit; it is then gone.
    fn zombies_step(&mut self, step: ZombieStep) {
        let first = self.row;
        self.row += 3;
        for mut zombie in std::mem::take(&mut self.zombies) {
            let lives = match step {
                ZombieStep::Write => zombie.write(0, first..first + 3),
                ZombieStep::EndEpoch => zombie.end_epoch(),
                ZombieStep::Prepare => zombie.prepare(),
                ZombieStep::Commit(nth) => {
                    assert!(zombie.commit(nth));
                    true
                }
                ZombieStep::Recover => {
                    let committed = &zombie.recovered;
                    Sink::<u64>::recover(&self.sink, zombie.number, committed).unwrap();
                    true
                }
            };
            match lives {
                true => self.zombies.push(zombie),
                false => std::mem::forget(zombie),
            }
        }
    }

    fn visible(&self) -> BTreeSet<u64> {
        let dir = self.dir.path();
        let names = names(dir).into_iter().filter(|name| !name.starts_with('.'));
        let rows = names.flat_map(|name| {
            let text = text(dir, &name);
            assert!(!text.is_empty(), "{name} is empty");
            text.lines().map(|line| line.parse::<u64>().unwrap()).collect::<Vec<_>>()
        });
        let mut seen = BTreeSet::new();
        for row in rows {
            assert!(seen.insert(row), "{row} is visible twice");
        }
        seen
    }

    fn check(&self) {
        let visible = self.visible();
        let of_the_log = |row: &&u64| !self.old.contains(row);
        for row in visible.iter().filter(of_the_log) {
            assert!(self.logged.contains(row), "{row} is visible without a checkpoint");
        }
        let old = visible.intersection(&self.old).count();
        assert!(!self.log.is_empty() || old == self.old.len(), "an old result is gone early");
        for ended in self.live.iter().flat_map(|attempt| &attempt.ended) {
            if ended.is_logged && ended.shown.len() == ended.committables.len() {
                assert!(ended.rows.iter().all(|row| visible.contains(row)), "{:?}", ended.rows);
            }
        }
    }

    /// What a recovery promises.
    fn check_recovered(&self) {
        let expected = if self.log.is_empty() { &self.old } else { &self.logged };
        assert_eq!(&self.visible(), expected);
        let hidden = names(self.dir.path()).into_iter().filter(|name| name.starts_with('.'));
        assert_eq!(hidden.collect::<Vec<_>>(), [""; 0], "hidden files are left");
    }
}

fn run(sink: impl Fn(&Path) -> PartSink<CsvFormat>, has_old: bool, steps: Vec<Step>) {
    let mut world = World::new(sink, has_old);
    for step in steps {
        world.step(step);
    }
    world.recover();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_visible_rows_are_those_of_the_log_whatever_happens(
        has_old in any::<bool>(),
        steps in steps(),
    ) {
        run(|dir| CsvFiles::to(dir), has_old, steps);
    }

    #[test]
    #[cfg(feature = "object-store")]
    fn the_visible_rows_are_those_of_the_log_in_an_object_store_too(
        has_old in any::<bool>(),
        steps in steps(),
    ) {
        let store = |dir: &Path| {
            let store = object_store::local::LocalFileSystem::new_with_prefix(dir).unwrap();
            CsvFiles::to("").in_store(std::sync::Arc::new(store))
        };
        run(store, has_old, steps);
    }
}
