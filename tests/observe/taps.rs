//! Sources and sinks that tests hold in their hands: they give and take when they are told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highwater::core::Data;
use highwater::core::job::Job;
use highwater::core::record::{Batch, Record};
use highwater::core::sink::{Committable, Sink, Writer, WriterContext};
use highwater::core::source::{Boundedness, Poll, Reader, Source};
use highwater::core::time::Epoch;
use highwater::prelude::*;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a job shows what it must.
pub(crate) fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "never seen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the splits of a [`Tap`] still have to give.
#[derive(Debug, Default)]
struct Stock {
    records: Vec<(i64, u64)>,
    ended: bool,
}

/// A source whose records a test hands out, split by split.
#[derive(Clone)]
pub(crate) struct Tap {
    splits: Vec<Arc<Mutex<Stock>>>,
}

impl Tap {
    pub(crate) fn new(splits: usize) -> Self {
        Tap { splits: (0..splits).map(|_| Arc::default()).collect() }
    }

    fn with(&self, split: usize, change: impl FnOnce(&mut Stock)) {
        change(&mut self.splits[split].lock().expect("no reader panics"));
    }

    /// Lets a split give records; each has its number as its value.
    pub(crate) fn give(&self, split: usize, event_times: impl IntoIterator<Item = i64>) {
        let records = event_times.into_iter().map(|at| (at, at.unsigned_abs()));
        self.with(split, |stock| stock.records.extend(records));
    }

    /// Ends a split when it has given everything.
    pub(crate) fn end(&self, split: usize) {
        self.with(split, |stock| stock.ended = true);
    }
}

/// Reads a split of a [`Tap`].
pub(crate) struct TapReader {
    stock: Arc<Mutex<Stock>>,
    given: u64,
}

impl Source for Tap {
    type Item = u64;
    type Split = usize;
    type Reader = TapReader;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Unbounded
    }

    fn splits(&self, _parallelism: usize) -> Result<Vec<usize>> {
        Ok((0..self.splits.len()).collect())
    }

    fn open(&self, split: &usize) -> Result<TapReader> {
        self.resume(split, &0)
    }

    fn resume(&self, split: &usize, offset: &u64) -> Result<TapReader> {
        Ok(TapReader { stock: Arc::clone(&self.splits[*split]), given: *offset })
    }
}

impl Reader for TapReader {
    type Item = u64;
    type Offset = u64;

    fn offset(&self) -> u64 {
        self.given
    }

    fn poll(&mut self, out: &mut Batch<u64>, limit: usize) -> Result<Poll> {
        let mut stock = self.stock.lock().expect("no test panics with it");
        let count = limit.min(stock.records.len());
        out.extend(stock.records.drain(..count).map(|(at, value)| Record::new(at, value)));
        self.given += count as u64;
        Ok(match (count, stock.ended) {
            (0, true) => Poll::End,
            (0, false) => Poll::Pending(Duration::from_millis(1)),
            _ => Poll::More,
        })
    }
}

/// A sink that takes nothing more while it is closed: its worker hangs in it.
#[derive(Clone, Default)]
pub(crate) struct Valve {
    closed: Arc<AtomicBool>,
}

impl Valve {
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// Hangs until the valve is open.
    pub(crate) fn pass(&self) {
        while self.closed.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl<T: Data> Sink<T> for Valve {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer<T>>> {
        Ok(Box::new(self.clone()))
    }
}

impl<T: Data> Writer<T> for Valve {
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.pass();
        batch.clear();
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        Ok(Vec::new())
    }
}

/// Runs a job on a thread of its own, lets the test look at it, and waits for its end.
pub(crate) fn watched<F>(config: EngineConfig, program: F, look: impl FnOnce(&Arc<Job>))
where
    F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
{
    let job = Arc::new(Job::new(config).expect("options that are allowed"));
    let running = Arc::clone(&job);
    let thread = std::thread::spawn(move || {
        highwater::operators::environment::run(&running, program).expect("a job without errors")
    });
    until("all workers have built the job", || job.is_built().then_some(()));
    look(&job);
    thread.join().expect("the job ends");
}

pub(crate) use highwater::core::config::Config as EngineConfig;
