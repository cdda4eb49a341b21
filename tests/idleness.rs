//! Active, idle and finished splits, in every mix over two sources and two workers.
//!
//! ```text
//! ms    10            50               100 .. 400            500            700
//! all   first record  finished: end    active: a record      all but        end
//!                                      every 20 ms           finished: last
//! ```
//!
//! | family | what it would catch |
//! |---|---|
//! | one split a worker, all 81 mixes | a watermark that waits for an idle worker, follows a finished one, or runs past what a source that can resume has promised |
//! | several splits a worker | an idle split that holds back the active one beside it; a minimum over the wrong splits |
//! | every mix | the end of time before the end of the input; a final flush that comes twice or never |
//!
//! The expected values are those of the table in `core/src/shell/idle.rs`, computed here anew.

use std::sync::Arc;
use std::time::Duration;

use highwater::core::record::Record;
use highwater::core::watermark::of_stamp;
use highwater::prelude::*;
use highwater_sim::{Happening, Item, Note, Pace, Random, Run, Scripted, World};

const WORKERS: usize = 2;
const IDLE_AFTER: Duration = Duration::from_millis(100);
/// The id of the last record of a split that has not finished early.
const LAST: u64 = u64::MAX;

/// What becomes of a split after its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Active,
    Idle,
    Finished,
}

const FATES: [Fate; 3] = [Fate::Active, Fate::Idle, Fate::Finished];

/// One split: its fate, and the event times at which it starts and at which it stays.
#[derive(Clone, Copy, Debug)]
struct Split {
    fate: Fate,
    first: i64,
    stays: i64,
}

impl Split {
    /// The promise of a split without disorder: its greatest event time, which may come again.
    fn stamp(&self) -> i64 {
        if self.fate == Fate::Active { self.stays } else { self.first }
    }

    /// The records and when they are due, and when the split ends.
    fn script(&self) -> (Vec<Record<Item>>, (Vec<i64>, i64)) {
        let record = |at, id| Record::new(at, Item { key: id % 3, value: 1, id });
        let (mut records, mut due) = (vec![record(self.first, 0)], vec![10]);
        if self.fate == Fate::Finished {
            return (records, (due, 50));
        }
        if self.fate == Fate::Active {
            for ms in (100..=480).step_by(20) {
                records.push(record(self.stays, ms as u64));
                due.push(ms);
            }
        }
        records.push(record(10_000, LAST));
        due.push(500);
        (records, (due, 700))
    }
}

/// The sources of a job, each with its splits; split `i` is read by worker `i mod 2`.
type Mix = [Vec<Split>; 2];

/// How far one worker of a source may go by its own splits.
enum Worker {
    Active(i64),
    Idle(i64),
    Finished,
}

fn worker(splits: &[Split], worker: usize) -> Worker {
    let mine: Vec<_> = splits.iter().skip(worker).step_by(WORKERS).collect();
    let with = |fate| mine.iter().filter(move |s| s.fate == fate).map(|s| s.stamp());
    match (with(Fate::Active).min(), with(Fate::Idle).max()) {
        (Some(least), _) => Worker::Active(least),
        (None, Some(greatest)) => Worker::Idle(greatest),
        (None, None) => Worker::Finished,
    }
}

/// The promise of a source while its active splits stay where they are: the least active stamp; if
/// no worker is active, that to which idle workers have moved together; the end if all have
/// finished.
fn promise(splits: &[Split]) -> i64 {
    let workers: Vec<_> = (0..WORKERS).map(|w| worker(splits, w)).collect();
    let active =
        workers.iter().filter_map(|w| if let Worker::Active(s) = w { Some(*s) } else { None });
    let idle = workers.iter().filter_map(|w| if let Worker::Idle(s) = w { Some(*s) } else { None });
    let (active, idle_max) = (active.min(), idle.clone().max());
    let own = workers.iter().map(|w| match w {
        Worker::Active(stamp) => *stamp,
        Worker::Idle(stamp) => (*stamp).max(active.or(idle_max).unwrap_or(i64::MIN)),
        Worker::Finished => i64::MAX,
    });
    own.min().unwrap_or(i64::MAX)
}

fn run(seed: u64, mix: &Mix) -> Run {
    let world = World::calm(seed, WORKERS);
    let clock = Arc::clone(&world.clock);
    let scripts = mix.clone().map(|splits| {
        let (records, due): (Vec<_>, Vec<_>) = splits.iter().map(Split::script).unzip();
        Scripted::new(records, Pace::Timed { clock: Arc::clone(&clock), due_ms: Arc::new(due) })
    });
    world.run(move |env| {
        let watermarks = || Watermarks::monotonous().with_idleness(IDLE_AFTER);
        let [left, right] = scripts.clone().map(|source| env.read(source).watermarks(watermarks()));
        left.union(&[&right]).key_by(|item| item.key).count().uid("op").discard();
        Ok(())
    })
}

/// The watermarks of the operator on a worker: the last before any split has resumed, and all.
fn watermarks(journal: &[Note], worker: usize) -> (i64, Vec<i64>) {
    let is_last = |note: &Note| match &note.happening {
        Happening::Emitted { records, .. } => records.iter().any(|r| r.value.id == LAST),
        _ => false,
    };
    let resumed = journal.iter().position(is_last).unwrap_or(journal.len());
    let fired = |notes: &[Note]| {
        let mine = notes.iter().filter(|note| note.uid == "op" && note.worker == worker);
        let fired = mine.filter_map(|note| match note.happening {
            Happening::Fired { watermark, .. } => Some(watermark),
            _ => None,
        });
        fired.collect::<Vec<_>>()
    };
    (fired(&journal[..resumed]).last().copied().unwrap_or(i64::MIN), fired(journal))
}

fn agrees(seed: u64, mix: &Mix) {
    let run = run(seed, mix);
    assert!(run.ended.is_ok(), "seed {seed}, {mix:?}: {:?}", run.ended);
    let expected = of_stamp(mix.iter().map(|splits| promise(splits)).min().unwrap_or(i64::MAX));
    let emitted = |note: &Note| matches!(note.happening, Happening::Emitted { .. });
    let last_emitted = run.journal.iter().rposition(emitted).unwrap_or(0);
    let at_end =
        |note: &Note| matches!(note.happening, Happening::Fired { watermark: i64::MAX, .. });
    let first_end = run.journal.iter().position(at_end).unwrap_or(0);
    assert!(last_emitted < first_end, "seed {seed}, {mix:?}: the end comes before a record");
    for worker in 0..WORKERS {
        let (settled, all) = watermarks(&run.journal, worker);
        assert_eq!(settled, expected, "seed {seed}, worker {worker}, {mix:?}");
        let ends = all.iter().filter(|watermark| **watermark == i64::MAX).count();
        assert_eq!(ends, 1, "seed {seed}, worker {worker}, {mix:?}: {all:?}");
    }
}

fn split(fate: Fate, place: i64) -> Split {
    Split { fate, first: 100 + 7 * place, stays: 1000 + 100 * ((place * 5) % 7) }
}

#[test]
fn the_watermark_is_that_of_the_table_for_every_mix_of_active_idle_and_finished_workers() {
    for seed in 0..81 {
        let fate = |place: u32| FATES[(seed as usize / 3usize.pow(place)) % 3];
        let two = |from: u32| {
            vec![split(fate(from), from.into()), split(fate(from + 1), i64::from(from) + 1)]
        };
        agrees(seed, &[two(0), two(2)]);
    }
}

#[test]
fn several_splits_of_a_worker_are_as_far_as_the_least_active_one() {
    for seed in 100..180 {
        let mut random = Random::new(seed);
        let mix = [0, 1].map(|_| {
            let splits = 0..random.between(1, 6);
            splits.map(|_| split(random.pick(&FATES), random.between(0, 20))).collect::<Vec<_>>()
        });
        agrees(seed, &mix);
    }
}
