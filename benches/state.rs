//! What does keyed state cost: an access, a freeze, a snapshot, a restore, and memory?
//!
//! | question | workload | target |
//! |---|---|---|
//! | `access` | counts of random keys in memory, beside a bare hash table | 1.15 times its time |
//! | `freeze` | 10 M counters, frozen and encoded; then again after 1 % of them has changed | 1 ms on the worker; 5 % of the bytes |
//! | `latency` | 200,000 records/s on 10 M keys, while a snapshot is encoded and not | twice the p99 |
//! | `restore` | 1 M keys from a snapshot, and from one with a delta | |
//! | `rocksdb` | 10 M counters in 256 MiB, beside a read and a write of RocksDB per record | twice as fast |
//! | `beyond` | 50 M counters in a process that may have 512 MiB | it ends |
//!
//! ```text
//! cargo bench --bench state                                   in memory, about two minutes
//! cargo bench --bench state --features rocksdb                all of it, about fifteen minutes
//! cargo bench --bench state -- access freeze                  some of it
//! ```
//!
//! Two sides of a ratio alternate, as in `ratios`; a line names medians and the least and greatest
//! ratio of a pair. Keys are numbers from 0 on, so that they are short in snapshots, chosen evenly at
//! random from a fixed seed.

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]
#![allow(clippy::unwrap_used, reason = "a bench of what never fails")]
#![allow(unreachable_pub, reason = "benches have no public interface")]

#[path = "state/access.rs"]
mod access;
#[path = "state/freeze.rs"]
mod freeze;
#[path = "state/latency.rs"]
mod latency;
#[path = "state/restore.rs"]
mod restore;
#[cfg(feature = "rocksdb")]
#[path = "state/rocks.rs"]
mod rocks;
mod twins;

/// Notes which targets were missed.
#[derive(Default)]
pub struct Targets(Vec<String>);

impl Targets {
    /// Notes that something should have come to at most so much.
    pub fn at_most(&mut self, what: &str, limit: f64, found: f64) {
        if found > limit {
            self.0.push(format!("{what} ({found:.2}, not {limit})"));
        }
    }
}

/// Measures what one question asks for.
type Measure = fn(&mut Targets);

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    #[cfg(feature = "rocksdb")]
    if words.first().is_some_and(|word| word == rocks::LIMITED) {
        return rocks::limited();
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name == word);
    let mut targets = Targets::default();
    let questions: &[(&str, Measure)] = &[
        ("access", access::measure),
        ("freeze", freeze::measure),
        ("latency", latency::measure),
        ("restore", restore::measure),
        #[cfg(feature = "rocksdb")]
        ("rocksdb", rocks::measure),
        #[cfg(feature = "rocksdb")]
        ("beyond", rocks::beyond),
    ];
    for (name, measure) in questions {
        if wanted(name) {
            measure(&mut targets);
        }
    }
    let Targets(missed) = targets;
    println!(
        "targets missed: {}",
        if missed.is_empty() { "none".into() } else { missed.join(", ") }
    );
}

/// Random numbers that are the same in every run.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    #[inline]
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, without a division.
    #[inline]
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(limit)) >> 64) as u64
    }
}
