//! How fast is highwater, measured against bare timely in the same minute?
//!
//! Every job of `twins/` runs as both twins in turn, five pairs after one that warms up, at 1 and 2
//! workers. A line names the medians of the speeds in M records/s, and the median, the least and
//! the greatest ratio of a pair.
//!
//! ```text
//! cargo bench --bench ratios                   everything, about three minutes
//! cargo bench --bench ratios -- keyed q5       jobs whose name contains one of the words
//! ```
//!
//! Before a job is measured both twins run on a fiftieth of the records, at 1 and 2 workers, and
//! their rows must be equal.

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

mod twins;

use twins::keyed_count::KeyedCount;
use twins::map_chain::{FusedChain, MapChain};
use twins::nexmark::{Q3, Q3Split, Q5, Q8, Q8Split};
use twins::sessions::SessionCount;
use twins::windows::{SlidingCount, TumblingCount};
use twins::{Spread, Twin, check, compare, compare_twins, run_highwater};

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let mut missed = Vec::new();
    job::<MapChain>(&wanted, &mut missed);
    job::<FusedChain>(&wanted, &mut missed);
    job::<KeyedCount>(&wanted, &mut missed);
    job::<TumblingCount>(&wanted, &mut missed);
    job::<SlidingCount>(&wanted, &mut missed);
    if wanted("sliding_to_tumbling") {
        sliding_to_tumbling(&mut missed);
    }
    job::<SessionCount>(&wanted, &mut missed);
    job::<Q3>(&wanted, &mut missed);
    job::<Q3Split>(&wanted, &mut missed);
    job::<Q5>(&wanted, &mut missed);
    job::<Q8>(&wanted, &mut missed);
    job::<Q8Split>(&wanted, &mut missed);
    println!(
        "targets missed: {}",
        if missed.is_empty() { "none".into() } else { missed.join(", ") }
    );
}

fn job<T: Twin>(wanted: &dyn Fn(&str) -> bool, missed: &mut Vec<String>) {
    if !wanted(T::NAME) {
        return;
    }
    check::<T>();
    for workers in [1, 2] {
        let ratio = compare_twins::<T>(workers);
        judge(T::NAME, workers, ratio, T::TARGET, missed);
    }
}

/// A record into sliding windows may cost twice as much as one into tumbling windows.
fn sliding_to_tumbling(missed: &mut Vec<String>) {
    for workers in [1, 2] {
        let ratio = compare(
            &format!("sliding_to_tumbling workers={workers}"),
            ("sliding  ", &|| run_highwater::<SlidingCount>(workers, SlidingCount::RECORDS)),
            ("tum", &|| run_highwater::<TumblingCount>(workers, TumblingCount::RECORDS)),
            SlidingCount::RECORDS,
        );
        judge("sliding_to_tumbling", workers, ratio, Some(0.5), missed);
    }
}

fn judge(name: &str, workers: usize, ratio: Spread, target: Option<f64>, missed: &mut Vec<String>) {
    if target.is_some_and(|target| ratio.median < target) {
        missed.push(format!("{name} workers={workers}"));
    }
}
