//! Sources of a job that is stopped and goes on with another number of workers.
//!
//! | family | what it would catch |
//! |---|---|
//! | generators | a number that is made twice, or never, because splits follow the new number of workers |
//! | a watched folder | a file that two workers read, that nobody reads, or that is read again |
//!
//! Checkpoints are kept in memory and are complete as soon as all operators have handed over; the
//! sink counts the records before the last one and forgets the others, as a transactional one does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater::connectors::nexmark;
use highwater::core::config::Config as Engine;
use highwater::core::cut::{Cut, CutKind, EncodedState, Snapshots};
use highwater::core::job::Job;
use highwater::core::key::stable_hash;
use highwater::core::metrics::OperatorMetrics;
use highwater::core::record::Batch;
use highwater::core::sink::{Committable, Sink, Writer, WriterContext};
use highwater::core::source::Source;
use highwater::core::time::Epoch;
use highwater::operators::environment::run;
use highwater::prelude::*;

/// The states of all operators, by uid, in the order of the workers.
type Stored = BTreeMap<String, Vec<Arc<EncodedState>>>;
/// What each operator on each worker has handed over at the end of an epoch.
type Taken = BTreeMap<(String, usize), Vec<EncodedState>>;

/// The checkpoints of one start of the job.
#[derive(Default)]
struct InMemory {
    first: Epoch,
    stored: Option<Stored>,
    taken: Mutex<BTreeMap<Epoch, Taken>>,
}

impl InMemory {
    /// Whether all operators have handed over at the end of this epoch.
    fn is_complete(&self, epoch: Epoch, operators: usize) -> bool {
        let taken = self.taken.lock().expect("no panic");
        taken.get(&epoch).is_some_and(|taken| taken.len() == operators)
    }

    /// Returns the last complete checkpoint and its epoch.
    fn last(&self, operators: usize) -> Option<(Epoch, Stored)> {
        let taken = self.taken.lock().expect("no panic");
        let (epoch, last) = taken.iter().rfind(|(_, taken)| taken.len() == operators)?;
        let mut stored = Stored::new();
        for ((uid, _worker), states) in last {
            stored.entry(uid.clone()).or_default().extend(states.iter().cloned().map(Arc::new));
        }
        Some((*epoch, stored))
    }
}

impl Snapshots for InMemory {
    fn first_epoch(&self) -> Epoch {
        self.first
    }

    fn attempt(&self) -> u64 {
        1
    }

    fn resumes(&self) -> bool {
        self.stored.is_some()
    }

    fn kind(&self, _: Epoch) -> CutKind {
        CutKind::default()
    }

    fn take(&self, operator: &OperatorMetrics, cut: Cut) {
        let epoch = cut.epoch;
        let states = cut.into_states().into_iter().map(|state| state.encode().expect("a state"));
        let name = (operator.uid.clone(), operator.worker);
        self.taken
            .lock()
            .expect("no panic")
            .entry(epoch)
            .or_default()
            .insert(name, states.collect());
    }

    fn restored(&self, uid: &str) -> Result<Option<Vec<Arc<EncodedState>>>> {
        Ok(self.stored.as_ref().and_then(|stored| stored.get(uid)).cloned())
    }

    fn undo_after(&self) -> Option<Epoch> {
        None
    }

    fn committed(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Collects what it is given, by epoch.
#[derive(Clone, Default)]
struct ByEpoch {
    epochs: Arc<Mutex<BTreeMap<Epoch, Vec<u64>>>>,
    written: Arc<AtomicU64>,
    batch: Vec<u64>,
}

impl Sink<u64> for ByEpoch {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer<u64>>> {
        Ok(Box::new(self.clone()))
    }
}

impl Writer<u64> for ByEpoch {
    fn write(&mut self, batch: &mut Batch<u64>) -> Result<()> {
        self.written.fetch_add(batch.len() as u64, Ordering::SeqCst);
        self.batch.extend(batch.drain(..).map(|record| record.value));
        Ok(())
    }

    fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        let mut epochs = self.epochs.lock().expect("no panic");
        epochs.entry(epoch).or_default().append(&mut self.batch);
        Ok(Vec::new())
    }
}

/// Takes one checkpoint after the other; halts the job when there is one and the sink has `stop_at`
/// records, or lets it end when one was taken of everything.
fn drive(job: &Job, snapshots: &InMemory, sink: &ByEpoch, stop_at: u64) {
    while !job.is_built() && !job.has_failed() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let operators = job.metrics().operators().len();
    while !job.has_failed() {
        let is_last = job.is_drained();
        let ended = Epoch(job.trigger().0 - 1);
        while !job.has_failed() && !snapshots.is_complete(ended, operators) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if is_last {
            return job.release();
        }
        if sink.written.load(Ordering::SeqCst) >= stop_at {
            return job.halt();
        }
    }
}

/// Runs a job once for each of the numbers of workers, each time from the last checkpoint of the
/// run before; all but the last are halted after `stop_at` records. Returns what became visible,
/// sorted.
///
/// - `before`: called with the number of each run, from 0, before it starts.
fn results<S: Source + Sync>(
    workers: &[usize],
    stop_at: u64,
    source: &S,
    value: fn(S::Item) -> u64,
    before: impl Fn(usize),
) -> Vec<u64> {
    let (mut visible, mut from) = (Vec::new(), None);
    for (i, &workers_now) in workers.iter().enumerate() {
        before(i);
        let (first, stored) = match from.take() {
            Some((epoch, stored)) => (Epoch::next(epoch), Some(stored)),
            None => (Epoch(0), None),
        };
        let snapshots = Arc::new(InMemory { first, stored, taken: Mutex::default() });
        let config = Engine {
            max_parallelism: Some(128),
            rate: Some(200_000),
            snapshots: Some(Arc::clone(&snapshots) as Arc<dyn Snapshots>),
            ..Engine::workers(workers_now)
        };
        let job = Arc::new(Job::new(config).expect("options that are allowed"));
        let (sink, source) = (ByEpoch::default(), source.clone());
        let pour = sink.clone();
        let stop_at = if i + 1 == workers.len() { u64::MAX } else { stop_at };
        std::thread::scope(|scope| {
            scope.spawn(|| drive(&job, &snapshots, &sink, stop_at));
            let ran = run(&job, move |env| {
                env.read(source.clone()).map(value).sink(pour.clone());
                Ok(())
            });
            ran.expect("a job without errors");
        });
        let (epoch, stored) =
            snapshots.last(job.metrics().operators().len()).expect("a checkpoint is complete");
        let mut epochs = sink.epochs.lock().expect("no panic");
        visible
            .extend(epochs.iter_mut().filter(|(e, _)| **e <= epoch).flat_map(|(_, v)| v.drain(..)));
        from = Some((epoch, stored));
    }
    visible.sort_unstable();
    visible
}

#[test]
fn a_generator_goes_on_with_any_number_of_workers() {
    for workers in [[3, 1, 4, 2], [1, 4, 3, 3], [2, 2, 1, 4]] {
        let visible = results(&workers, 8000, &Generator::new(40_000, |n| n), |n| n, |_| {});
        assert!(visible.into_iter().eq(0..40_000), "workers {workers:?}");
    }
}

#[test]
fn nexmark_goes_on_with_any_number_of_workers() {
    let events = nexmark::Generator::new(nexmark::GeneratorConfig::default());
    let hash = |event: nexmark::Event| stable_hash(&format!("{event:?}"));
    let mut expected: Vec<_> = events.events(0..20_000).map(hash).collect();
    expected.sort_unstable();
    let source = Generator::new(20_000, move |n| events.event(n));
    let visible = results(&[2, 4, 1, 3], 4000, &source, hash, |_| {});
    assert!(visible == expected);
}

#[test]
fn a_watched_folder_goes_on_with_any_number_of_workers() {
    const FILES: u64 = 12;
    const LINES: u64 = 500;
    for workers in [[3, 1, 4, 2], [1, 4, 2, 3]] {
        let dir = tempfile::tempdir().expect("a folder");
        let appear = |name: &str, text: String| {
            let hidden = dir.path().join(".appearing");
            std::fs::write(&hidden, text).expect("a file");
            std::fs::rename(hidden, dir.path().join(name)).expect("a new name");
        };
        let before = |i: usize| {
            for file in (i as u64 * FILES..).take(FILES as usize) {
                let lines = (file * LINES..).take(LINES as usize).map(|n| format!("{n}\n"));
                appear(&format!("{file}.txt"), lines.collect());
            }
            if i + 1 == workers.len() {
                appear("_SUCCESS", String::new());
            }
        };
        let source = TextFiles::at(dir.path()).watch(Duration::from_millis(3)).until("_SUCCESS");
        let number = |line: String| line.parse().expect("a number");
        let visible = results(&workers, 4000, &source, number, before);
        let expected = 0..FILES * LINES * workers.len() as u64;
        assert!(visible.into_iter().eq(expected), "workers {workers:?}");
    }
}
