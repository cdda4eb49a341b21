//! Runs histories by the thousand, and names the seed of one that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::support::damage::Random;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

/// Runs histories, each from a seed of its own.
pub(crate) fn histories(name: &str, cases: u64, run: impl Fn(&mut Random)) {
    let long = number("HIGHWATER_LONG") == Some(1);
    let cases = number("HIGHWATER_CASES").unwrap_or(if long { 100_000 } else { cases });
    let first = number("HIGHWATER_SEED").unwrap_or(1);
    let began = Instant::now();
    for seed in first..first + cases {
        let mut random = Random(seed << 32);
        if catch_unwind(AssertUnwindSafe(|| run(&mut random))).is_err() {
            panic!("{name}: seed {seed} (HIGHWATER_SEED={seed} HIGHWATER_CASES=1)");
        }
    }
    println!("{name}: {cases} histories, {:.1} s", began.elapsed().as_secs_f64());
}
