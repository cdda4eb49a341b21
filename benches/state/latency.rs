//! How late are records while a snapshot of ten million keys is encoded beside them?
//!
//! ```text
//! paced source --key--> count, 10 M keys --> sink: now - due
//!                          | every 5 s
//!                       freeze --> [encoder thread]: 10 M entries to bytes
//! ```
//!
//! **Open loop**, as in `latency`: 200,000 records per second, each due at an instant fixed
//! beforehand. Before the first is due, all keys are counted once. A record belongs to the snapshot
//! that was frozen before it was due and not yet encoded, or, if there is none, to the quiet between
//! two snapshots.
//!
//! **Unit**: us from the instant at which a record was due. **Ratio**: the p99 during a snapshot over
//! that of the quiet before it.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highwater::core::config::Config as EngineConfig;
use highwater::core::cut::{Cut, CutKind, EncodedState, Snapshots};
use highwater::core::job::Job;
use highwater::core::metrics::OperatorMetrics;
use highwater::core::record::Batch;
use highwater::core::sink::{Committable, Sink, Writer, WriterContext};
use highwater::core::source::{Boundedness, Poll, Reader, Source};
use highwater::core::time::Epoch;
use highwater::operators::environment::run;
use highwater::prelude::*;

use crate::Targets;
use crate::twins::{Spread, mix};

const KEYS: u64 = 10_000_000;
const RECORD_NS: u64 = 5_000;
/// From the start of the program until the first record is due; the keys are counted meanwhile.
const LEAD: Duration = Duration::from_secs(8);
const EVERY: Duration = Duration::from_secs(5);
const SNAPSHOTS: u32 = 5;
/// The p99 may be so many times that of the quiet before.
const TARGET: f64 = 2.0;

/// When a record is due, in ns since the first, and its key. Those of the lead are due at 0.
type Due = (u64, u64);

#[derive(Clone, Copy)]
struct Load {
    workers: u64,
    start: Instant,
}

impl Load {
    fn now_ns(self) -> u64 {
        Instant::now().saturating_duration_since(self.start).as_nanos() as u64
    }
}

impl Source for Load {
    type Item = Due;
    type Split = u64;
    type Reader = Share;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, parallelism: usize) -> Result<Vec<u64>> {
        Ok((0..parallelism as u64).collect())
    }

    fn open(&self, worker: &u64) -> Result<Share> {
        Ok(Share { load: *self, counted: *worker, next: *worker })
    }

    fn resume(&self, worker: &u64, (): &()) -> Result<Share> {
        self.open(worker)
    }
}

/// What one worker makes.
struct Share {
    load: Load,
    counted: u64,
    next: u64,
}

impl Reader for Share {
    type Item = Due;
    type Offset = ();

    fn offset(&self) {}

    fn poll(&mut self, out: &mut Batch<Due>, limit: usize) -> Result<Poll> {
        let step = self.load.workers;
        if self.counted < KEYS {
            let keys = (self.counted..KEYS).step_by(step as usize).take(limit);
            out.extend(keys.map(|key| Record::new(0, (0, key))));
            self.counted += step * limit as u64;
            assert!(Instant::now() < self.load.start, "the keys took longer than the lead");
            return Ok(Poll::More);
        }
        let all = u64::from(SNAPSHOTS + 1) * EVERY.as_nanos() as u64 / RECORD_NS;
        let now = self.load.now_ns();
        let due = if Instant::now() < self.load.start { 0 } else { now / RECORD_NS + 1 }.min(all);
        let count = due.saturating_sub(self.next).div_ceil(step).min(limit as u64);
        let numbers = (0..count).map(|i| self.next + i * step);
        out.extend(numbers.map(|n| Record::new(0, (n * RECORD_NS, mix(n) % KEYS))));
        self.next += count * step;
        if self.next >= all {
            return Ok(Poll::End);
        }
        let next = self.load.start + Duration::from_nanos(self.next * RECORD_NS);
        Ok(Poll::Pending(next.saturating_duration_since(Instant::now())))
    }
}

/// Counts the records of a key.
struct Count(ValueState<u64>);

impl KeyedProcessFunction<u64, Due> for Count {
    type Out = u64;

    fn process_element(&mut self, (due, _): Due, cx: &mut ProcessContext<'_, '_, u64, u64>) {
        *cx.get_mut(self.0) += 1;
        cx.emit(due);
    }
}

/// When each record was due and how late it was, in ns.
type Arrived = Arc<Mutex<Vec<(u64, u64)>>>;

#[derive(Clone)]
struct Measure(Load, Arrived);

impl Sink<u64> for Measure {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer<u64>>> {
        // Room for all, so that no growing vector adds to the tail.
        let all = (EVERY * (SNAPSHOTS + 1)).as_nanos() as u64 / RECORD_NS;
        Ok(Box::new(Measuring(self.clone(), Vec::with_capacity(all as usize))))
    }
}

struct Measuring(Measure, Vec<(u64, u64)>);

impl Writer<u64> for Measuring {
    fn write(&mut self, batch: &mut Batch<u64>) -> Result<()> {
        let now = self.0.0.now_ns();
        let due = batch.drain(..).map(|record| record.value).filter(|due| *due > 0);
        self.1.extend(due.map(|due| (due, now.saturating_sub(due))));
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        self.0.1.lock().unwrap().append(&mut self.1);
        Ok(Vec::new())
    }
}

/// Hands cuts to the thread that encodes them.
struct Encoder(Mutex<Sender<(Instant, Cut)>>);

impl Snapshots for Encoder {
    fn kind(&self, _: Epoch) -> CutKind {
        CutKind { delta: false, track: true }
    }

    fn take(&self, _: &OperatorMetrics, cut: Cut) {
        self.0.lock().unwrap().send((Instant::now(), cut)).unwrap();
    }

    fn first_epoch(&self) -> Epoch {
        Epoch(1)
    }

    fn attempt(&self) -> u64 {
        1
    }

    fn resumes(&self) -> bool {
        false
    }

    fn restored(&self, _: &str) -> Result<Option<Vec<Arc<EncodedState>>>> {
        Ok(None)
    }

    fn committed(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn undo_after(&self) -> Option<Epoch> {
        None
    }
}

/// From when until when, in ns.
type Span = (u64, u64);

/// Returns what has arrived, and from when until when each snapshot was encoded, in ns.
fn run_job(workers: usize) -> (Vec<(u64, u64)>, Vec<Span>) {
    let load = Load { workers: workers as u64, start: Instant::now() + LEAD };
    let (sender, cuts) = channel::<(Instant, Cut)>();
    let since = move |at: Instant| at.saturating_duration_since(load.start).as_nanos() as u64;
    let encoder = std::thread::spawn(move || {
        let encoded = cuts.into_iter().filter_map(|(frozen, cut)| {
            let bytes: usize = cut.encode().unwrap().iter().map(|state| state.part.len()).sum();
            (bytes > 1 << 20).then(|| (since(frozen), since(Instant::now())))
        });
        encoded.collect::<Vec<_>>()
    });
    let mut config = EngineConfig::workers(workers);
    config.snapshots = Some(Arc::new(Encoder(Mutex::new(sender))));
    let job = Arc::new(Job::new(config).unwrap());
    let triggered = Arc::clone(&job);
    let trigger = std::thread::spawn(move || {
        for snapshot in 1..=SNAPSHOTS {
            let at = load.start + EVERY * snapshot - EVERY / 2;
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            triggered.trigger();
        }
        while !triggered.is_drained() {
            std::thread::sleep(Duration::from_millis(10));
        }
        triggered.release();
    });
    let arrived = Arrived::default();
    let sink = Measure(load, Arc::clone(&arrived));
    run(&job, move |env| {
        let counted = env.read(load).key_by(|(_, key)| *key);
        counted.process(|states| Ok(Count(states.value("count")?))).sink(sink.clone());
        Ok(())
    })
    .unwrap();
    trigger.join().unwrap();
    drop(job);
    (std::mem::take(&mut arrived.lock().unwrap()), encoder.join().unwrap())
}

/// Returns a percentile of the latencies of the records that were due in a span, in us.
fn percentile(arrived: &[(u64, u64)], (from, until): Span, share: f64) -> f64 {
    let within = arrived.iter().filter(|(due, _)| (from..until).contains(due));
    let mut late: Vec<u64> = within.map(|(_, late)| *late).collect();
    late.sort_unstable();
    late[((late.len() - 1) as f64 * share).round() as usize] as f64 / 1e3
}

pub fn measure(targets: &mut Targets) {
    for workers in [1, 2] {
        let (arrived, snapshots) = run_job(workers);
        // Several workers freeze at almost the same instant, and are encoded one after the other.
        let mut spans: Vec<Span> = Vec::new();
        for (from, until) in snapshots {
            match spans.last_mut() {
                Some(last) if from < last.1 => last.1 = until,
                _ => spans.push((from, until)),
            }
        }
        let quiet = |from: u64| (from - EVERY.as_nanos() as u64 / 4, from);
        let after = |until: u64| (until, until + EVERY.as_nanos() as u64 / 8);
        for share in [0.5, 0.99, 0.999] {
            let before: Vec<_> =
                spans.iter().map(|(from, _)| percentile(&arrived, quiet(*from), share)).collect();
            let during: Vec<_> =
                spans.iter().map(|span| percentile(&arrived, *span, share)).collect();
            let folded: Vec<_> =
                spans.iter().map(|(_, until)| percentile(&arrived, after(*until), share)).collect();
            let ratios = during.iter().zip(&before).map(|(during, before)| during / before);
            let Spread { median, least, most } = Spread::of(ratios.collect());
            let [before, during, folded] = [before, during, folded].map(|us| Spread::of(us).median);
            println!(
                "latency workers={workers} p{:<5} quiet {before:>8.1} us   encoding {during:>8.1} us   \
                 folding {folded:>8.1} us   ratio {median:.2} ({least:.2}-{most:.2})",
                share * 100.0
            );
            if share == 0.99 {
                targets.at_most(&format!("p99 while encoding, workers={workers}"), TARGET, median);
            }
        }
        let ms = spans.iter().map(|(from, until)| (until - from) as f64 / 1e6).collect();
        println!("latency workers={workers} encoded in {:.0} ms", Spread::of(ms).median);
    }
}
