//! How late are records and watermarks, measured against bare timely in the same minute?
//!
//! The job of `twins/latency.rs`: 100,000 records per second through five operators, open loop. Both
//! twins run in turn, a second each, nine pairs. A line names the medians over the runs of the
//! percentiles of a run, and the median, the least and the greatest ratio of the p99 of a pair.
//!
//! ```text
//! cargo bench --bench latency                  everything, about two minutes
//! cargo bench --bench latency -- park          lines whose name contains one of the words
//! ```
//!
//! `records` has a watermark each 200 ms, the default. `watermarks` has one each 10 ms, the least
//! that is allowed, for more of them to measure: a hundred a run and worker, so that the p99 is the
//! second worst.
//!
//! **Unit**: microseconds from the instant at which something was due. **Ratio**: that of highwater
//! over that of the bare twin; below 1 highwater is sooner.

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

mod twins;

use std::time::Duration;

use twins::Spread;
use twins::latency::{Arrived, Load, Pace, run_highwater, run_raw};

const PAIRS: usize = 9;
const MEASURED: Duration = Duration::from_secs(1);
/// The p99 of records may be so many times that of the bare twin.
const TARGET: f64 = 2.0;

/// What is looked at in a run, and how the workers run. Two that spin, on a machine of two
/// processors, would measure who else runs on it.
#[derive(Clone, Copy)]
struct Line {
    name: &'static str,
    grid: Duration,
    latencies: fn(&mut Arrived) -> &mut Vec<u64>,
    ways: &'static [(Pace, usize)],
    target: Option<f64>,
}

const LINES: [Line; 2] = [
    Line {
        name: "records",
        grid: Duration::from_millis(200),
        latencies: |arrived| &mut arrived.records,
        ways: &[(Pace::Park, 1), (Pace::Park, 2), (Pace::Spin, 1)],
        target: Some(TARGET),
    },
    Line {
        name: "watermarks",
        grid: Duration::from_millis(10),
        latencies: |arrived| &mut arrived.watermarks,
        ways: &[(Pace::Park, 1), (Pace::Park, 2)],
        target: None,
    },
];

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let mut missed = Vec::new();
    println!("{:<34} {:>10} {:>8} {:>8} {:>8} {:>8}", "us", "", "p50", "p99", "p99.9", "max");
    for line in LINES {
        for (pace, workers) in line.ways {
            let name = format!("{} {pace:?} workers={workers}", line.name).to_lowercase();
            if words.is_empty() || words.iter().any(|word| name.contains(word)) {
                let ratio = compare(&name, line, *pace, *workers);
                if line.target.is_some_and(|target| ratio.median > target) {
                    missed.push(name);
                }
            }
        }
    }
    println!(
        "targets missed: {}",
        if missed.is_empty() { "none".into() } else { missed.join(", ") }
    );
}

/// The percentiles of one run, in us.
#[derive(Clone, Copy)]
struct Percentiles {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Percentiles {
    fn of(latencies_ns: &mut [u64]) -> Self {
        latencies_ns.sort_unstable();
        let last = latencies_ns.len() - 1;
        let at = |share: f64| latencies_ns[(last as f64 * share).round() as usize] as f64 / 1e3;
        Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }

    fn medians(runs: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| Spread::of(runs.iter().map(of).collect()).median;
        Percentiles {
            p50: median(|run| run.p50),
            p99: median(|run| run.p99),
            p999: median(|run| run.p999),
            max: median(|run| run.max),
        }
    }
}

/// Runs the twins in turn and returns the ratios of the p99 of neighbouring runs.
fn compare(name: &str, line: Line, pace: Pace, workers: usize) -> Spread {
    let measured = |run: fn(Load) -> Arrived| {
        let mut arrived = run(Load::begin(workers, MEASURED, line.grid, pace));
        (Percentiles::of((line.latencies)(&mut arrived)), arrived.totals)
    };
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (highwater, raw) = (measured(|load| run_highwater(load, None)), measured(run_raw));
        assert_eq!(highwater.1, raw.1, "{name}: the number and the sum of the records");
        ratios.push(highwater.0.p99 / raw.0.p99);
        ours.push(highwater.0);
        bare.push(raw.0);
    }
    let Spread { median, least, most } = Spread::of(ratios);
    for (twin, runs) in [("highwater", ours), ("raw", bare)] {
        let Percentiles { p50, p99, p999, max } = Percentiles::medians(&runs);
        println!("{name:<34} {twin:>10} {p50:>8.1} {p99:>8.1} {p999:>8.0} {max:>8.0}");
    }
    println!("{name:<34} {:>10} {median:.2} ({least:.2}-{most:.2})", "p99 ratio");
    Spread { median, least, most }
}
