//! Snapshots that do not stop the stream, against a stop of the world, every 0.25 to 4 seconds.
//!
//! A job with three shuffles keeps a million keys in each of two operators. In one mode sources
//! stand still from the trigger until every operator has encoded and stored its state; in the other
//! an operator freezes its state and goes on, and another thread encodes and stores it. The store
//! takes a fixed number of bytes per second, as one that is far away does, so that both modes wait
//! for it equally. The next snapshot is due so long after the last one was complete.
//!
//! Run: `cargo xtask paper asynchronous-snapshots`. Note: `papers/asynchronous-snapshots.md`.
#![expect(clippy::print_stdout, reason = "an experiment prints what it finds")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use highwater::core::config::Config as Engine;
use highwater::core::cut::{Cut, CutKind, EncodedState, Snapshots};
use highwater::core::job::Job;
use highwater::core::metrics::OperatorMetrics;
use highwater::core::record::Batch;
use highwater::core::source::{Boundedness, Poll, Reader, Source};
use highwater::core::time::{Epoch, NO_EVENT_TIME};
use highwater::operators::environment::run;
use highwater::prelude::*;

const RECORDS: u64 = 60_000_000;
const KEYS: u64 = 1_000_000;
const WORKERS: usize = 2;
const STORE_BYTES_PER_SECOND: f64 = 20e6;
const INTERVALS_MS: [u64; 5] = [250, 500, 1000, 2000, 4000];
/// What must be seen at the shortest interval: how much longer a stop of the world takes.
const RATIO_MIN: f64 = 1.3;
const GLANCE: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    None,
    Frontier,
    StopTheWorld,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what operators hand over, and stores it as the mode says.
struct Store {
    mode: Mode,
    background: Mutex<Sender<Cut>>,
    answered: Mutex<BTreeMap<Epoch, usize>>,
    bytes: AtomicU64,
    /// Whoever holds it is storing: the store is one for all.
    line: Mutex<()>,
}

impl Store {
    fn put(&self, cut: Cut) {
        let epoch = cut.epoch;
        let states = cut.encode().unwrap_or_default();
        let bytes: usize = states.iter().map(|state| state.part.len()).sum();
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let line = lock(&self.line);
        std::thread::sleep(Duration::from_secs_f64(bytes as f64 / STORE_BYTES_PER_SECOND));
        drop(line);
        *lock(&self.answered).entry(epoch).or_default() += 1;
    }
}

impl Snapshots for Store {
    fn first_epoch(&self) -> Epoch {
        Epoch(0)
    }

    fn attempt(&self) -> u64 {
        1
    }

    fn resumes(&self) -> bool {
        false
    }

    fn kind(&self, _: Epoch) -> CutKind {
        CutKind::default()
    }

    fn take(&self, _: &OperatorMetrics, cut: Cut) {
        match self.mode {
            Mode::StopTheWorld => self.put(cut),
            // Nobody listens any more only when the run is over.
            Mode::Frontier | Mode::None => _ = lock(&self.background).send(cut),
        }
    }

    fn restored(&self, _: &str) -> Result<Option<Vec<Arc<EncodedState>>>> {
        Ok(None)
    }

    fn undo_after(&self) -> Option<Epoch> {
        None
    }

    fn committed(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Numbers, with a switch that makes them stand still.
#[derive(Clone)]
struct Numbers {
    stopped: Arc<AtomicBool>,
}

struct NumbersReader {
    stopped: Arc<AtomicBool>,
    rest: Range<u64>,
}

impl Source for Numbers {
    type Item = u64;
    type Split = Range<u64>;
    type Reader = NumbersReader;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, parallelism: usize) -> Result<Vec<Range<u64>>> {
        let each = RECORDS / parallelism as u64;
        Ok((0..parallelism as u64).map(|split| split * each..(split + 1) * each).collect())
    }

    fn open(&self, split: &Range<u64>) -> Result<NumbersReader> {
        Ok(NumbersReader { stopped: Arc::clone(&self.stopped), rest: split.clone() })
    }

    fn resume(&self, split: &Range<u64>, offset: &u64) -> Result<NumbersReader> {
        self.open(&(*offset..split.end))
    }
}

impl Reader for NumbersReader {
    type Item = u64;
    type Offset = u64;

    fn offset(&self) -> u64 {
        self.rest.start
    }

    fn poll(&mut self, out: &mut Batch<u64>, limit: usize) -> Result<Poll> {
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(Poll::Pending(GLANCE));
        }
        let numbers = self.rest.by_ref().take(limit);
        out.extend(numbers.map(|n| Record::new(NO_EVENT_TIME, n.wrapping_mul(0x9e37_79b9) % KEYS)));
        Ok(if self.rest.is_empty() { Poll::End } else { Poll::More })
    }
}

/// What a run came to.
struct Ran {
    seconds: f64,
    snapshots: u64,
    mb_each: f64,
    /// The longest time in which no record arrived at the end.
    standstill_ms: f64,
}

/// Triggers snapshots until everything has been worked off.
fn drive(job: &Job, store: &Store, stopped: &AtomicBool, every: Option<Duration>) -> Ran {
    while !job.is_built() && !job.has_failed() {
        std::thread::sleep(GLANCE);
    }
    let operators = job.metrics().operators().len();
    let arrived = || {
        let sinks = job.metrics().operators();
        sinks.iter().filter(|o| o.uid == "end").map(|o| o.records_in.get()).sum::<u64>()
    };
    let began = Instant::now();
    let (mut due, mut taking, mut snapshots) = (every, None, 0);
    let (mut last, mut standstill) = ((0, began), Duration::ZERO);
    while !job.is_drained() && !job.has_failed() {
        std::thread::sleep(GLANCE);
        let now = arrived();
        if now > last.0 {
            // Before the first record the job is not under way.
            if last.0 > 0 {
                standstill = standstill.max(last.1.elapsed());
            }
            last = (now, Instant::now());
        }
        if taking.is_some_and(|e| lock(&store.answered).get(&e).is_some_and(|n| *n == operators)) {
            stopped.store(false, Ordering::Relaxed);
            (taking, snapshots) = (None, snapshots + 1);
            due = every.map(|every| began.elapsed() + every);
        }
        if taking.is_none() && due.is_some_and(|due| began.elapsed() >= due) {
            stopped.store(store.mode == Mode::StopTheWorld, Ordering::Relaxed);
            taking = Some(Epoch(job.trigger().0 - 1));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    stopped.store(false, Ordering::Relaxed);
    job.release();
    let mb_each = store.bytes.load(Ordering::Relaxed) as f64 / 1e6 / snapshots.max(1) as f64;
    Ran { seconds, snapshots, mb_each, standstill_ms: standstill.as_secs_f64() * 1e3 }
}

fn run_once(mode: Mode, every: Option<Duration>) -> Result<Ran> {
    let (sender, cuts) = channel();
    let store = Arc::new(Store {
        mode,
        background: Mutex::new(sender),
        answered: Mutex::default(),
        bytes: AtomicU64::new(0),
        line: Mutex::new(()),
    });
    let stopped = Arc::new(AtomicBool::new(false));
    let snapshots = Some(Arc::clone(&store) as Arc<dyn Snapshots>);
    let job = Arc::new(Job::new(Engine { snapshots, ..Engine::workers(WORKERS) })?);
    let source = Numbers { stopped: Arc::clone(&stopped) };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (store, over) = (&store, &over);
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match cuts.recv_timeout(10 * GLANCE) {
                    Ok(cut) if mode == Mode::Frontier => store.put(cut),
                    _ => {}
                }
            }
        });
        let driver = scope.spawn(|| drive(&job, store, &stopped, every));
        let ran = run(&job, move |env| {
            let counts = env.read(source.clone()).key_by(|n| *n).count().uid("first");
            let sums = counts.key_by(|(n, count)| (n + count) % KEYS).count().uid("second");
            let few = sums.key_by(|(n, _)| n % 1000).reduce(|a, b| a.max(b)).uid("third");
            let _end = few.discard().uid("end");
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        ran?;
        driver.join().map_err(|_| Error::program("the thread that triggers has panicked"))
    })
}

fn main() -> ExitCode {
    highwater::exit(experiment())
}

fn experiment() -> Result<()> {
    println!("{RECORDS} records, {KEYS} keys, {WORKERS} workers, 20 MB/s to the store");
    println!("interval  mode            seconds  ratio  snapshots  MB each  longest standstill");
    let none = run_once(Mode::None, None)?;
    print(None, Mode::None, &none, 1.0);
    let mut checks = Vec::new();
    for ms in INTERVALS_MS {
        let every = Duration::from_millis(ms);
        let frontier = run_once(Mode::Frontier, Some(every))?;
        let stop = run_once(Mode::StopTheWorld, Some(every))?;
        print(Some(ms), Mode::Frontier, &frontier, frontier.seconds / none.seconds);
        print(Some(ms), Mode::StopTheWorld, &stop, stop.seconds / none.seconds);
        checks.push((ms, stop.seconds / frontier.seconds));
    }
    match checks.first() {
        Some((ms, ratio)) if *ratio < RATIO_MIN => Err(Error::program(format!(
            "every {ms} ms a stop of the world takes only {ratio:.2} times as long"
        ))),
        _ => Ok(()),
    }
}

fn print(every_ms: Option<u64>, mode: Mode, ran: &Ran, ratio: f64) {
    let every = every_ms.map_or("-".to_owned(), |ms| format!("{:.2} s", ms as f64 / 1e3));
    let Ran { seconds, snapshots, mb_each, standstill_ms } = ran;
    let mode = format!("{mode:?}");
    println!(
        "{every:>8}  {mode:14} {seconds:8.2} {ratio:6.2} {snapshots:10} {mb_each:8.1} \
         {standstill_ms:15.0} ms"
    );
}
