//! What do checkpoints cost, and how soon is a job back?
//!
//! | line | question | target |
//! |---|---|---|
//! | `throughput` | keyed count over a million keys, a checkpoint each second, against none | 0.95 |
//! | `latency` | p99 of records through five operators, a checkpoint each second, against none | 2 |
//! | `full` | from the trigger to the marker of a full checkpoint of ten million keys | |
//! | `recovery` | 1 GB of state: from opening the log to the first record, against reading the files | |
//!
//! ```text
//! cargo bench --bench checkpoint               everything, about four minutes and 6 GB
//! cargo bench --bench checkpoint -- recovery   lines whose name contains one of the words
//! ```
//!
//! Both sides of a ratio run in turn in the same minute. Checkpoints go to the folder for temporary
//! files, with everything flushed to its disk.

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

mod twins;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highwater::checkpoint::{CheckpointOptions, Restore, Then, Threaded};
use highwater::core::job::Job;
use highwater::prelude::*;
use tempfile::TempDir;
use twins::keyed_count::KeyedCount;
use twins::latency::{Load, Pace, run_highwater as run_latency};
use twins::{Spread, Twin, compare};

const SECOND: Duration = Duration::from_secs(1);

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    for (name, line) in [
        ("throughput", throughput as fn()),
        ("latency", latency),
        ("full", full),
        ("recovery", recovery),
    ] {
        if wanted(name) {
            line();
        }
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for temporary files")
}

fn options(dir: &Path, interval: Duration) -> CheckpointOptions {
    let url = dir.to_str().expect("a path in Unicode");
    CheckpointOptions { interval, ..CheckpointOptions::at(url) }
}

fn throughput() {
    const RECORDS: u64 = 80_000_000;
    for workers in [1, 2] {
        let run = |checkpoints: Option<CheckpointOptions>| {
            let config = Config { checkpoints, ..Config::workers(workers) };
            let summary = highwater::execute(config, |env| {
                KeyedCount::highwater(env, RECORDS).discard();
                Ok(())
            });
            summary.expect("the job ends").records_out
        };
        compare(
            &format!("throughput workers={workers}"),
            ("each second", &|| {
                let dir = folder();
                run(Some(options(dir.path(), SECOND)))
            }),
            ("none", &|| run(None)),
            RECORDS,
        );
    }
}

fn latency() {
    const PAIRS: usize = 5;
    let p99 = |checkpoints: Option<CheckpointOptions>| {
        let grid = Duration::from_millis(200);
        let load = Load::begin(1, 4 * SECOND, grid, Pace::Park);
        let mut records = run_latency(load, checkpoints).records;
        records.sort_unstable();
        records[records.len() * 99 / 100] as f64 / 1000.0
    };
    let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let dir = folder();
        with.push(p99(Some(options(dir.path(), SECOND))));
        without.push(p99(None));
        ratios.push(with[with.len() - 1] / without[without.len() - 1]);
    }
    let [with, without, ratio] = [with, without, ratios].map(Spread::of);
    println!(
        "{:<30} each second {:.0} us   none {:.0} us   ratio {:.2} ({:.2}-{:.2})",
        "latency p99", with.median, without.median, ratio.median, ratio.least, ratio.most
    );
}

/// A job that runs until it is told to end, and is asked for checkpoints meanwhile.
struct Asked {
    threads: highwater::checkpoint::Running,
    job: Arc<Job>,
    worker: std::thread::JoinHandle<()>,
}

impl Asked {
    fn start(
        dir: &Path,
        restore: Restore,
        program: impl for<'s> Fn(&Env<'s>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut config = Config::workers(1).engine;
        let options = CheckpointOptions { restore, ..options(dir, Duration::from_secs(3600)) };
        let opened = Threaded::open(options, &mut config).expect("a folder for checkpoints");
        let job = Arc::new(Job::new(config).expect("the options are allowed"));
        let threads = opened.start(&job);
        let running = Arc::clone(&job);
        let worker = std::thread::spawn(move || {
            highwater::operators::environment::run(&running, program).expect("the job ends");
        });
        Asked { threads, job, worker }
    }

    /// Takes a checkpoint and returns how long that took.
    fn checkpoint(&self) -> Duration {
        let begin = Instant::now();
        let mut answer =
            self.threads.requests().expect("there is one process").ask(None, Then::Continue);
        loop {
            match answer.try_recv().expect("the job runs") {
                Some(answer) => {
                    answer.expect("the checkpoint completes");
                    break;
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            };
        }
        begin.elapsed()
    }

    fn end(self) {
        self.job.halt();
        self.worker.join().expect("the job does not panic");
        self.threads.end();
    }
}

fn full() {
    const KEYS: u64 = 10_000_000;
    let dir = folder();
    let counted = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&counted);
    let job = Asked::start(dir.path(), Restore::None, move |env| {
        let seen = Arc::clone(&seen);
        // All keys once, then one percent of them again and again, slowly.
        env.read(Generator::unbounded(|n| if n < KEYS { n } else { n % (KEYS / 100) }))
            .key_by(|n| *n)
            .count()
            .map(move |(key, count)| {
                if seen.fetch_add(1, Ordering::Relaxed) >= KEYS {
                    std::thread::sleep(Duration::from_micros(1));
                }
                (key, count)
            })
            .discard();
        Ok(())
    });
    while counted.load(Ordering::Relaxed) < KEYS {
        std::thread::sleep(Duration::from_millis(10));
    }
    let full = job.checkpoint();
    let bytes = bytes_of(&dir.path().join("files"));
    println!("{:<30} {KEYS} keys   {full:.2?}   {} MB", "full", bytes / 1_000_000);
    job.end();
}

/// A key's state in the recovery line: about a hundred bytes.
type Wide = [u64; 12];

/// Remembers something wide for each key.
struct Remember {
    wide: ValueState<Wide>,
}

impl KeyedProcessFunction<u64, u64> for Remember {
    type Out = u64;

    fn process_element(&mut self, n: u64, cx: &mut ProcessContext<'_, '_, u64, u64>) {
        let wide = cx.get_mut(self.wide);
        wide.iter_mut().for_each(|word| *word = word.wrapping_add(n).rotate_left(7) | 1 << 60);
        cx.emit(n);
    }
}

fn recovery() {
    const KEYS: u64 = 9_000_000;
    let dir = folder();
    let counted = Arc::new(AtomicU64::new(0));
    let first = Arc::new(Mutex::new(None));
    let program = |counted: &Arc<AtomicU64>, first: &Arc<Mutex<Option<Instant>>>| {
        let (counted, first) = (Arc::clone(counted), Arc::clone(first));
        move |env: &Env<'_>| {
            let (counted, first) = (Arc::clone(&counted), Arc::clone(&first));
            env.read(Generator::unbounded(|n| n % KEYS))
                .key_by(|n| *n)
                .process(|states| Ok(Remember { wide: states.value("wide")? }))
                .map(move |n| {
                    if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                        *first.lock().expect("no panic") = Some(Instant::now());
                    }
                    n
                })
                .discard();
            Ok(())
        }
    };
    let job = Asked::start(dir.path(), Restore::None, program(&counted, &first));
    while counted.load(Ordering::Relaxed) < KEYS {
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = job.checkpoint();
    job.end();
    let mut ratios = Vec::new();
    let (mut recoveries, mut reads) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..3 {
        let begin = Instant::now();
        bytes = bytes_of(&dir.path().join("files"));
        let read = begin.elapsed();
        let (counted, first) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
        let begin = Instant::now();
        let job = Asked::start(dir.path(), Restore::Latest, program(&counted, &first));
        while counted.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let first = first.lock().expect("no panic").expect("a record has come");
        job.end();
        recoveries.push((first - begin).as_secs_f64());
        reads.push(read.as_secs_f64());
        ratios.push((first - begin).as_secs_f64() / read.as_secs_f64());
    }
    let [recovery, read, ratio] = [recoveries, reads, ratios].map(Spread::of);
    println!(
        "{:<30} {} MB   checkpoint {took:.2?}   recovery {:.2} s   reading {:.2} s   ratio {:.1}",
        "recovery",
        bytes / 1_000_000,
        recovery.median,
        read.median,
        ratio.median
    );
}

/// Reads all files below a folder and returns how many bytes they have.
fn bytes_of(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    let sizes = entries.map(|entry| match entry.path() {
        path if path.is_dir() => bytes_of(&path),
        path => std::fs::read(path).expect("a file").len() as u64,
    });
    sizes.sum()
}
