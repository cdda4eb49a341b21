//! Memory behind a slow worker: an unbounded source must not fill it.
//!
//! | family | what it would catch |
//! |---|---|
//! | resident memory | an edge without credit, credit that is given back before the work is done, a queue that nobody counts |
//! | bytes in flight (I7) | a sender that emits on without credit, bytes of one epoch counted in another |
//!
//! The job runs in a child process (this same program), so that other tests' memory does not count.
//! `HIGHWATER_LONG=1` runs it for 30 s instead of 3.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use highwater::core::config::Config as Engine;
use highwater::core::key::{KeyGroups, default_max_parallelism, stable_hash};
use highwater::core::record::Batch;
use highwater::core::sink::{Committable, Sink, Writer, WriterContext};
use highwater::core::source::{Boundedness, Poll, Reader, Source};
use highwater::core::time::Epoch;
use highwater::operators::environment::execute;
use highwater::prelude::*;
use highwater_sim::{Happening, Item, Pace, Random, Run, Scripted, World, within};

const WORKERS: usize = 2;
const CREDIT: u64 = 1 << 20;
/// The exchange has a lane from each worker to each, the way to the sink one on each worker.
const LANES: u64 = (WORKERS * WORKERS + WORKERS) as u64;
const ALLOWANCE: u64 = 64 << 20;

/// Numbers without an end, as fast as they are taken; fails when the time is over.
#[derive(Clone, Copy)]
struct Endless {
    end: Instant,
}

/// The next number, and the time at which to fail.
struct EndlessReader(u64, Instant);

impl Source for Endless {
    type Item = u64;
    type Split = u64;
    type Reader = EndlessReader;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Unbounded
    }

    fn splits(&self, parallelism: usize) -> Result<Vec<u64>> {
        Ok((0..parallelism as u64).collect())
    }

    fn open(&self, split: &u64) -> Result<EndlessReader> {
        Ok(EndlessReader(*split, self.end))
    }

    fn resume(&self, _: &u64, offset: &u64) -> Result<EndlessReader> {
        Ok(EndlessReader(*offset, self.end))
    }
}

impl Reader for EndlessReader {
    type Item = u64;
    type Offset = u64;

    fn offset(&self) -> u64 {
        self.0
    }

    fn poll(&mut self, out: &mut Batch<u64>, limit: usize) -> Result<Poll> {
        if Instant::now() >= self.1 {
            return Err(Error::program("the time is over"));
        }
        let next = self.0 + limit as u64;
        out.extend((self.0..next).map(|n| Record::new(0, n)));
        self.0 = next;
        Ok(Poll::More)
    }
}

/// Takes 1 ms for each batch on worker 0.
#[derive(Clone)]
struct Slow {
    written: Arc<AtomicU64>,
    sleep: Duration,
}

impl Sink<(u64, u64)> for Slow {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer<(u64, u64)>>> {
        let sleep = if context.worker == 0 { self.sleep } else { Duration::ZERO };
        Ok(Box::new(Slow { sleep, ..self.clone() }))
    }
}

impl Writer<(u64, u64)> for Slow {
    fn write(&mut self, batch: &mut Batch<(u64, u64)>) -> Result<()> {
        std::thread::sleep(self.sleep);
        self.written.fetch_add(batch.len() as u64, Ordering::Relaxed);
        batch.clear();
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        Ok(Vec::new())
    }
}

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has statm");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second field is a number of pages") * 4096
}

/// Runs only as a child of the test below.
#[test]
#[ignore = "a part of another test"]
fn child_runs_a_job_with_a_slow_worker() {
    let seconds = if std::env::var_os("HIGHWATER_LONG").is_some() { 30 } else { 3 };
    let written = Arc::new(AtomicU64::new(0));
    let sink = Slow { written: Arc::clone(&written), sleep: Duration::from_millis(1) };
    let baseline = resident();
    let end = Instant::now() + Duration::from_secs(seconds);
    let job = std::thread::spawn(move || {
        let config = Engine { credit_bytes: CREDIT, ..Engine::workers(WORKERS) };
        execute(config, move |env| {
            env.read(Endless { end }).key_by(|n| n % 1000).count().sink(sink.clone());
            Ok(())
        })
    });
    let mut most = 0;
    while !job.is_finished() {
        most = most.max(resident());
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = job.join().expect("execute catches panics");
    let error = ended.expect_err("the source has no end");
    assert!(error.sentence().ends_with("the time is over"), "{error:?}");
    let records = written.load(Ordering::Relaxed);
    assert!(records > 100_000, "only {records} records in {seconds} s");
    let bound = baseline + LANES * CREDIT + ALLOWANCE;
    println!("{records} records, {} MB of {} MB", most >> 20, bound >> 20);
    assert!(most < bound, "{} MB resident, {} MB allowed", most >> 20, bound >> 20);
}

#[test]
fn memory_stays_within_credit_behind_a_slow_worker() {
    let child = within(Duration::from_secs(90), "a job with a slow worker", || {
        Command::new(std::env::current_exe().expect("tests know their own path"))
            .args(["--exact", "child_runs_a_job_with_a_slow_worker", "--ignored", "--nocapture"])
            // The job ends by a panic, and the symbols of a backtrace would fill the memory.
            .env("RUST_BACKTRACE", "0")
            .output()
    });
    let output = child.expect("the test can run itself");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    println!("{text}");
}

/// A record of the simulation takes this many bytes on an edge.
const RECORD: i64 = std::mem::size_of::<Record<Item>>() as i64;

/// The greatest number of bytes that were on their way from one worker to another in one epoch.
fn in_flight_max(run: &Run, workers: usize) -> i64 {
    let groups = KeyGroups::new(default_max_parallelism(workers), workers);
    let mut lanes = BTreeMap::<_, i64>::new();
    let mut most = 0;
    for note in &run.journal {
        // The value of an item is the worker that reads it.
        let (records, epoch, sign) = match &note.happening {
            Happening::Emitted { stamp, records } => (records, stamp.epoch, RECORD),
            Happening::Received { stamp, records, .. } if note.uid == "op" => {
                (records, stamp.epoch, -RECORD)
            }
            _ => continue,
        };
        for Record { value: item, .. } in records {
            let to = groups.owner(groups.of_hash(stable_hash(&item.key)));
            let lane = lanes.entry((item.value, to, epoch)).or_default();
            *lane += sign;
            most = most.max(*lane);
        }
    }
    assert!(lanes.values().all(|left| *left == 0), "everything that is sent arrives");
    most
}

#[test]
fn bytes_in_flight_stay_within_the_credit_and_one_activation() {
    let mut filled = 0;
    for seed in 0..60 {
        let mut world = World::draw(seed);
        let workers = world.config.workers;
        world.config.max_parallelism = None;
        let credit = world.config.credit_bytes.min(4000);
        world.config.credit_bytes = credit;
        let mut random = Random::new(seed);
        let splits = (0..workers as i64).map(|worker| {
            let record = |id| Record::new(0, Item { key: random.below(50), value: worker, id });
            (0..600).map(record).collect()
        });
        let source = Scripted::new(splits.collect(), Pace::Drawn { seed });
        let source_bytes = world.config.budget.source_bytes;
        let run = world.run(move |env| {
            env.read(source.clone()).key_by(|item| item.key).count().uid("op").discard();
            Ok(())
        });
        assert!(run.ended.is_ok(), "seed {seed}: {:?}", run.ended);
        // An activation ends with the read that spends its budget, of at most 8 records.
        let bound = (credit + source_bytes) as i64 + 8 * RECORD;
        let most = in_flight_max(&run, workers);
        assert!(most <= bound, "seed {seed}: {most} bytes in flight, {bound} allowed");
        filled += u64::from(most > credit as i64);
    }
    assert!(filled > 20, "credit ran out for {filled} seeds only");
}
