//! One job, written twice: as a highwater program and by hand on bare timely.
//!
//! ```text
//! numbers 0 .. n --make--> records --the job--> rows --> counted and dropped
//!       both twins: the same numbers on the same worker, the same rows out
//! ```
//!
//! The bare twin is written as somebody would who knows timely well: fused sources, a fast hash, one
//! table per window, capabilities instead of notificators where they are cheaper. It has no flow
//! control, no late records, no key groups, no counters and cannot be restored, which is what the
//! ratio pays for.
//!
//! **Unit**: a record that enters the job. **Ratio**: highwater's records per second over those of
//! the bare twin.

#![allow(dead_code, reason = "every bench uses its own part of the twins")]
#![allow(unreachable_pub, reason = "benches have no public interface")]

pub mod keyed_count;
pub mod latency;
pub mod map_chain;
pub mod nexmark;
pub mod sessions;
pub mod windows;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use highwater::core::record::ExchangeData;
use highwater::prelude::*;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::InspectCore as _;
use timely::dataflow::operators::generic::OutputBuilderSession;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::{Scope, Stream};

/// A job that exists twice.
pub trait Twin: 'static {
    /// What the job is called in tables.
    const NAME: &'static str;
    /// The least ratio that we promise; `None` where the twin is for orientation.
    const TARGET: Option<f64>;
    /// Records in one run of the `ratios` bench: about half a second.
    const RECORDS: u64;
    /// What comes out.
    type Row: ExchangeData + Ord + Debug + Sync;

    /// The highwater program, as a user would write it.
    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Self::Row>;

    /// The same by hand. Its timestamps are event times in ms.
    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Stream<'s, u64, Vec<Self::Row>>;
}

/// Runs the highwater program and returns how many rows came out.
pub fn run_highwater<T: Twin>(workers: usize, records: u64) -> u64 {
    let summary = highwater::execute(Config::workers(workers), move |env| {
        T::highwater(env, records).discard();
        Ok(())
    });
    summary.expect("the job ends").records_out
}

/// Runs the bare twin and returns how many rows came out.
pub fn run_raw<T: Twin>(workers: usize, records: u64) -> u64 {
    on_timely(workers, move |scope, rows: Arc<Mutex<u64>>| {
        T::raw(scope, records).inspect_container(move |event| {
            if let Ok((_, batch)) = event {
                *rows.lock().expect("no panic") += batch.len() as u64;
            }
        });
    })
}

/// Runs a bare dataflow whose workers share a result.
pub fn on_timely<R, F>(workers: usize, build: F) -> R
where
    R: Default + Send + 'static,
    F: for<'s> Fn(Scope<'s, u64>, Arc<Mutex<R>>) + Send + Sync + 'static,
{
    let config = match workers {
        1 => timely::Config::thread(),
        workers => timely::Config::process(workers),
    };
    let result = Arc::new(Mutex::new(R::default()));
    let shared = Arc::clone(&result);
    let guards = timely::execute(config, move |worker| {
        worker.dataflow::<u64, _, _>(|scope| build(scope, Arc::clone(&shared)));
    });
    for ended in guards.expect("timely starts").join() {
        ended.expect("the worker ends");
    }
    std::mem::take(&mut *result.lock().expect("no panic"))
}

/// Asserts that both twins give the same rows.
///
/// # Panics
/// When they do not.
pub fn check<T: Twin>() {
    let records = T::RECORDS / 50;
    let raw = |workers| {
        let mut rows = on_timely(workers, move |scope, rows: Arc<Mutex<Vec<T::Row>>>| {
            T::raw(scope, records).inspect_container(move |event| {
                if let Ok((_, batch)) = event {
                    rows.lock().expect("no panic").extend_from_slice(batch);
                }
            });
        });
        rows.sort_unstable();
        rows
    };
    let expected = raw(1);
    assert!(!expected.is_empty(), "{} gives no rows", T::NAME);
    assert!(raw(2) == expected, "{} on timely depends on the workers", T::NAME);
    for workers in [1, 2] {
        let sink = Collect::new();
        let rows = sink.clone();
        let ended = highwater::execute(Config::workers(workers), move |env| {
            T::highwater(env, records).sink(sink.clone());
            Ok(())
        });
        ended.expect("the job ends");
        let mut rows = rows.take_values();
        rows.sort_unstable();
        assert_eq!(rows.len(), expected.len(), "{} at {workers} workers", T::NAME);
        assert!(rows == expected, "{} at {workers} workers", T::NAME);
    }
}

/// What a comparison came to: the median and the extremes of several runs.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Spread {
            median: values[values.len() / 2],
            least: values[0],
            most: values[values.len() - 1],
        }
    }
}

/// The CPU time that all threads of this process have used, in seconds, to a hundredth.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Runs two jobs in turn, so that a busy machine slows both, and prints the ratio of their speeds,
/// and of the CPU time they took, which a busy machine changes less.
///
/// - `first`, `second`: run the job and return how many rows came out.
///
/// Returns the ratios of neighbouring runs.
pub fn compare(
    name: &str,
    (first_name, first): (&str, &dyn Fn() -> u64),
    (second_name, second): (&str, &dyn Fn() -> u64),
    records: u64,
) -> Spread {
    const REPETITIONS: usize = 5;
    let timed = |job: &dyn Fn() -> u64| {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let rows = job();
        let speed = records as f64 / start.elapsed().as_secs_f64() / 1e6;
        (speed, cpu_seconds() - cpu, rows)
    };
    let (mut ratios, mut speeds, mut cpu) = (Vec::new(), [Vec::new(), Vec::new()], [0.0, 0.0]);
    for repetition in 0..=REPETITIONS {
        let (a, b) = (timed(first), timed(second));
        if repetition > 0 {
            // The first pair warms up the caches and the allocator.
            ratios.push(a.0 / b.0);
            speeds[0].push(a.0);
            speeds[1].push(b.0);
            cpu = [cpu[0] + a.1, cpu[1] + b.1];
        }
    }
    let ratio = Spread::of(ratios);
    let [a, b] = speeds.map(|speeds| Spread::of(speeds).median);
    let (median, least, most) = (ratio.median, ratio.least, ratio.most);
    println!(
        "{name:<30} {first_name} {a:>7.2} M/s   {second_name} {b:>7.2} M/s   \
         ratio {median:.2} ({least:.2}-{most:.2})   cpu {:.2}",
        cpu[1] / cpu[0],
    );
    ratio
}

/// Compares the twins of a job.
pub fn compare_twins<T: Twin>(workers: usize) -> Spread {
    compare(
        &format!("{} workers={workers}", T::NAME),
        ("highwater", &|| run_highwater::<T>(workers, T::RECORDS)),
        ("raw", &|| run_raw::<T>(workers, T::RECORDS)),
        T::RECORDS,
    )
}

/// A session in which a bare operator emits records.
pub type Session<'a, T> = OutputBuilderSession<'a, u64, CapacityContainerBuilder<Vec<T>>>;

/// Numbers of one block of the sources, as in [`Generator`].
const BLOCK: u64 = 1024;

/// A bare source of `make(0)` up to `make(records - 1)`, dealt to the workers in blocks as
/// [`Generator`] does.
///
/// - `burst`: numbers per activation, a multiple of the block.
/// - `time`: the event time of a record, to which the capability follows before each burst.
pub fn numbers<'s, T: Clone + 'static>(
    scope: Scope<'s, u64>,
    records: u64,
    burst: u64,
    make: impl Fn(u64) -> T + 'static,
    time: impl Fn(&T) -> u64 + 'static,
) -> Stream<'s, u64, Vec<T>> {
    let (index, peers) = (scope.index() as u64, scope.peers() as u64);
    source(scope, "numbers", move |capability, info| {
        let activator = scope.activator_for(info.address);
        let mut capability = Some(capability);
        let mut next = index * BLOCK;
        move |output: &mut Session<'_, T>| {
            let Some(held) = &mut capability else { return };
            if next < records {
                held.downgrade(&time(&make(next)));
            }
            let mut session = output.session(held);
            for _ in 0..burst / BLOCK {
                let end = (next + BLOCK).min(records);
                session.give_iterator((next..end).map(&make));
                next += BLOCK * peers;
            }
            drop(session);
            if next < records { activator.activate() } else { capability = None }
        }
    })
}

/// Spreads numbers over all 64 bits.
#[inline]
pub fn mix(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26)
}

/// The hash of rustc: one multiplication per word.
#[derive(Clone, Copy, Default)]
pub struct Fx(u64);

impl Hasher for Fx {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word);
    }
    #[inline]
    fn write_i64(&mut self, word: i64) {
        self.write_u64(word as u64);
    }
}

/// A table with a fast hash.
pub type Table<K, V> = HashMap<K, V, BuildHasherDefault<Fx>>;
