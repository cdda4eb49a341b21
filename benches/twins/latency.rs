//! How long is a record, or a watermark, on its way through five operators?
//!
//! ```text
//! paced source --key--> count --key--> count --key--> count --key--> count --> sink: now - due
//!    record n is due at n * 10 us        four exchanges, another key each
//! ```
//!
//! Workload: 100,000 records per second `(number, sum)`, each due at an instant fixed beforehand;
//! number `n` is made by worker `n mod workers`. Four keyed operators, each with a key of its own
//! out of 10,000 so that at two workers half of the records change the worker before each, count
//! the records of the key and add the count to the sum; the fifth, a sink on the same worker,
//! looks at the clock. The totals of the sums must be equal.
//!
//! **Open loop**: latency counts from the instant at which a record was due, not from the one at
//! which a busy worker found the time to make it. Event time is that instant, in ms, and both twins
//! move the watermark on the same grid of the same clock, so that a watermark is due at a multiple
//! of the grid and has arrived when the frontier of the sink says so.
//!
//! Both twins emit whatever is due, with no batch of their own; both park until the next record is
//! due, or step all the time ([`Pace`]).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use highwater::checkpoint::CheckpointOptions;
use highwater::core::clock::Clock;
use highwater::core::metrics::{OperatorMetrics, Role};
use highwater::core::record::Batch;
use highwater::core::sink::{Committable, Sink, Writer, WriterContext};
use highwater::core::source::{Boundedness, Poll, Reader, Source};
use highwater::core::time::{Epoch, Time};
use highwater::core::witness::Witness;
use highwater::prelude::*;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator as _;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::{Scope, Stream};

use super::{Session, Table, mix, on_timely};

const RECORDS_PER_SECOND: u64 = 100_000;
const RECORD_NS: u64 = 1_000_000_000 / RECORDS_PER_SECOND;
const HOPS: u64 = 4;
const KEYS: u64 = 10_000;
/// What is due before this is not measured: threads start, tables grow.
const WARM_UP: Duration = Duration::from_millis(300);
/// From the start of the program until the first record is due.
const LEAD: Duration = Duration::from_millis(50);

/// A number and the sum of the counts that it has met.
type Passage = (u64, u64);

/// The key of a record before the hop.
#[inline]
fn key_of(number: u64, hop: u64) -> u64 {
    mix(number + (hop << 40)) % KEYS
}

/// What a worker does until the next record is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It sleeps, as a service does that shares its machine.
    Park,
    /// It steps all the time, as timely's `openloop` does.
    Spin,
}

/// When which records are due, and by which clock.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub workers: usize,
    pub records: u64,
    /// The distance of watermarks.
    pub grid_ms: u64,
    pub pace: Pace,
    start: Instant,
}

impl Load {
    /// Returns a load that begins now, to be measured for so long.
    pub fn begin(workers: usize, measured: Duration, grid: Duration, pace: Pace) -> Self {
        let records = (WARM_UP + measured).as_secs_f64() * RECORDS_PER_SECOND as f64;
        let grid_ms = grid.as_millis() as u64;
        Load { workers, records: records as u64, grid_ms, pace, start: Instant::now() + LEAD }
    }

    /// Since the first record was due.
    fn now(self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    fn due(number: u64) -> Duration {
        Duration::from_nanos(number * RECORD_NS)
    }

    fn event_time_ms(number: u64) -> u64 {
        number * RECORD_NS / 1_000_000
    }
}

impl Clock for Load {
    fn now_ms(&self) -> i64 {
        self.now().as_millis() as i64
    }
}

/// What has arrived, and how late, in ns.
#[derive(Debug, Default)]
pub struct Arrived {
    pub records: Vec<u64>,
    pub watermarks: Vec<u64>,
    /// The number and the sum of all records, those of the warm-up included.
    pub totals: (u64, u64),
}

impl Arrived {
    fn add(&mut self, other: &mut Arrived) {
        self.records.append(&mut other.records);
        self.watermarks.append(&mut other.watermarks);
        self.totals = (self.totals.0 + other.totals.0, self.totals.1 + other.totals.1);
    }
}

/// Notes on one worker what arrives at the sink.
struct Watch {
    load: Load,
    arrived: Arrived,
    /// The watermark that is due next, in steps of the grid.
    next_step: u64,
}

impl Watch {
    fn new(load: Load) -> Self {
        // Room for all, so that no growing vector adds to the tail.
        let records = Vec::with_capacity(load.records as usize);
        Watch { load, arrived: Arrived { records, ..Arrived::default() }, next_step: 1 }
    }

    fn records(&mut self, passages: impl Iterator<Item = Passage>) {
        let now = self.load.now();
        for (number, sum) in passages {
            self.arrived.totals = (self.arrived.totals.0 + 1, self.arrived.totals.1 + sum);
            let due = Load::due(number);
            if due >= WARM_UP {
                self.arrived.records.push(now.saturating_sub(due).as_nanos() as u64);
            }
        }
    }

    /// The last records before a step of the grid are due a little before it, and so is the
    /// watermark made of them.
    fn watermark(&mut self, stamp: u64) {
        let now = self.load.now();
        let grid_ms = self.load.grid_ms;
        while self.next_step * grid_ms <= stamp + grid_ms / 4 {
            let due = Duration::from_millis(self.next_step * grid_ms);
            if due >= WARM_UP {
                self.arrived.watermarks.push(now.saturating_sub(due).as_nanos() as u64);
            }
            self.next_step += 1;
        }
    }
}

/// The part of the load that one worker makes.
#[derive(Debug)]
pub struct Share {
    load: Load,
    next: u64,
}

impl Share {
    fn new(load: Load, worker: usize) -> Self {
        Share { load, next: worker as u64 }
    }

    /// Returns the numbers that are due, at most `limit` of them.
    fn due(&mut self, limit: usize) -> impl Iterator<Item = u64> + use<> {
        let now = self.load.now();
        let (first, step) = (self.next, self.load.workers as u64);
        let due = (now.as_nanos() as u64 / RECORD_NS + 1).min(self.load.records);
        let count = due.saturating_sub(first).div_ceil(step).min(limit as u64);
        self.next += count * step;
        (0..count).map(move |i| first + i * step)
    }

    /// Returns how long to wait for the next number, `None` after the last.
    fn wait(&self) -> Option<Duration> {
        (self.next < self.load.records).then(|| match self.load.pace {
            Pace::Park => Load::due(self.next).saturating_sub(self.load.now()),
            Pace::Spin => Duration::ZERO,
        })
    }
}

/// The load as a source of highwater.
#[derive(Clone, Copy)]
struct Paced(Load);

impl Source for Paced {
    type Item = Passage;
    type Split = usize;
    type Reader = Share;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, parallelism: usize) -> Result<Vec<usize>> {
        Ok((0..parallelism).collect())
    }

    fn open(&self, worker: &usize) -> Result<Share> {
        Ok(Share::new(self.0, *worker))
    }

    fn resume(&self, _: &usize, next: &u64) -> Result<Share> {
        Ok(Share { load: self.0, next: *next })
    }
}

impl Reader for Share {
    type Item = Passage;
    type Offset = u64;

    fn offset(&self) -> u64 {
        self.next
    }

    fn poll(&mut self, out: &mut Batch<Passage>, limit: usize) -> Result<Poll> {
        let due = self.due(limit);
        out.extend(due.map(|n| Record::new(Load::event_time_ms(n) as i64, (n, 0))));
        Ok(self.wait().map_or(Poll::End, Poll::Pending))
    }
}

/// Counts the records of a key.
struct Hop {
    count: ValueState<u64>,
}

impl KeyedProcessFunction<u64, Passage> for Hop {
    type Out = Passage;

    fn process_element(
        &mut self,
        (number, sum): Passage,
        cx: &mut ProcessContext<'_, '_, u64, Passage>,
    ) {
        let count = cx.get_mut(self.count);
        *count += 1;
        let sum = sum + *count;
        cx.emit((number, sum));
    }
}

type Shared = Arc<Mutex<Arrived>>;

/// The sink of highwater's twin.
#[derive(Clone)]
struct Measure {
    load: Load,
    arrived: Shared,
}

impl Sink<Passage> for Measure {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer<Passage>>> {
        let watch = Watch::new(self.load);
        Ok(Box::new(Measuring { watch, arrived: Arc::clone(&self.arrived) }))
    }
}

struct Measuring {
    watch: Watch,
    arrived: Shared,
}

impl Writer<Passage> for Measuring {
    fn write(&mut self, batch: &mut Batch<Passage>) -> Result<()> {
        self.watch.records(batch.drain(..).map(|record| record.value));
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        self.arrived.lock().expect("no panic").add(&mut self.watch.arrived);
        Ok(Vec::new())
    }
}

/// Notes when the shell around the sink sees a watermark, per worker.
struct Watermarked(Vec<Mutex<Watch>>);

impl Witness for Watermarked {
    fn emitted(&self, _: &OperatorMetrics, _: Time, _: &dyn std::any::Any) {}
    fn received(&self, _: &OperatorMetrics, _: usize, _: Time, _: &dyn std::any::Any) {}
    fn fired(&self, operator: &OperatorMetrics, watermark: i64, _: bool) {
        if operator.role == Role::Sink && (0..i64::MAX).contains(&watermark) {
            let mut watch = self.0[operator.worker].lock().expect("no panic");
            watch.watermark(watermark as u64 + 1);
        }
    }
    fn cut(&self, _: &OperatorMetrics, _: Epoch) {}
}

/// Runs the highwater program, with checkpoints or without.
pub fn run_highwater(load: Load, checkpoints: Option<CheckpointOptions>) -> Arrived {
    let watches = (0..load.workers).map(|_| Mutex::new(Watch::new(load)));
    let witness = Arc::new(Watermarked(watches.collect()));
    let mut config = Config { checkpoints, ..Config::workers(load.workers) };
    config.engine.watermark_interval = Duration::from_millis(load.grid_ms);
    config.engine.clock = Arc::new(load);
    config.engine.witness = Some(Arc::clone(&witness) as Arc<dyn Witness>);
    let sink = Measure { load, arrived: Shared::default() };
    let measure = sink.clone();
    let ended = highwater::execute(config, move |env| {
        let mut records = env.read(Paced(load)).watermarks(Watermarks::monotonous());
        for hop in 0..HOPS {
            let keyed = records.key_by(move |(number, _)| key_of(*number, hop));
            let counted = keyed.process(|states| Ok(Hop { count: states.value("count")? }));
            records = counted.stream();
        }
        records.sink(measure.clone());
        Ok(())
    });
    ended.expect("the job ends");
    let mut arrived = std::mem::take(&mut *sink.arrived.lock().expect("no panic"));
    for watch in &witness.0 {
        arrived.add(&mut watch.lock().expect("no panic").arrived);
    }
    arrived
}

/// Runs the bare twin.
pub fn run_raw(load: Load) -> Arrived {
    on_timely(load.workers, move |scope, arrived: Shared| {
        let mut records = paced(scope, load);
        for hop in 0..HOPS {
            records = counted(records, hop);
        }
        let mut watch = Watch::new(load);
        records.sink(Pipeline, "sink", move |(input, frontier)| {
            input.for_each(|_, batch| watch.records(batch.drain(..)));
            match frontier.frontier().first() {
                Some(stamp) => watch.watermark(*stamp),
                None => arrived.lock().expect("no panic").add(&mut watch.arrived),
            }
        });
    })
}

fn paced<'s>(scope: Scope<'s, u64>, load: Load) -> Stream<'s, u64, Vec<Passage>> {
    source(scope, "paced", move |capability, info| {
        let activator = scope.activator_for(info.address);
        let mut share = Share::new(load, scope.index());
        let (mut capability, mut greatest_ms, mut step) = (Some(capability), 0, 0);
        move |output: &mut Session<'_, Passage>| {
            let Some(held) = &mut capability else { return };
            let mut due = share.due(usize::MAX).peekable();
            if due.peek().is_some() {
                let mut session = output.session(held);
                for number in due {
                    greatest_ms = Load::event_time_ms(number);
                    session.give((number, 0));
                }
            }
            let now_step = load.now_ms() as u64 / load.grid_ms;
            if now_step > step {
                step = now_step;
                held.downgrade(&greatest_ms);
            }
            match share.wait() {
                Some(wait) => activator.activate_after(wait),
                None => capability = None,
            }
        }
    })
}

fn counted<'s>(records: Stream<'s, u64, Vec<Passage>>, hop: u64) -> Stream<'s, u64, Vec<Passage>> {
    let by_key = Exchange::new(move |(number, _): &Passage| mix(key_of(*number, hop)));
    records.unary(by_key, "count", move |_, _| {
        let mut counts: Table<u64, u64> = Table::default();
        move |input, output: &mut Session<'_, Passage>| {
            input.for_each_time(|time, batches| {
                let mut session = output.session(&time);
                for (number, sum) in batches.flat_map(|batch| batch.drain(..)) {
                    let count = counts.entry(key_of(number, hop)).or_insert(0);
                    *count += 1;
                    session.give((number, sum + *count));
                }
            });
        }
    })
}
