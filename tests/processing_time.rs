//! Windows by the clock of the machine, in a real job.
//!
//! - *once*: a window that fires in its last millisecond, and again for what still comes in it.

use std::collections::BTreeMap;

use highwater::Config;
use highwater::prelude::*;

#[test]
fn a_window_of_processing_time_fires_once() {
    let counts = Collect::new();
    let sink = counts.clone();
    highwater::execute(Config::workers(1), move |env| {
        env.read(Generator::new(2_000_000, |n| n))
            .key_by(|n| n % 3)
            .window(Tumbling::of(millis(1)).processing_time())
            .aggregate(Counts)
            .sink(sink.clone());
        Ok(())
    })
    .expect("the job runs");
    let mut fired = BTreeMap::new();
    for Windowed { key, window, value } in counts.take_values() {
        *fired.entry((window, key)).or_insert(0) += 1;
        assert!(value > 0, "a window without records fired");
    }
    let again: Vec<_> = fired.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "{} of {} fired more than once", again.len(), fired.len());
}

/// Counts records.
#[derive(Clone)]
struct Counts;

impl<T> AggregateFunction<T> for Counts {
    type Accumulator = u64;
    type Output = u64;

    fn create(&self) -> u64 {
        0
    }
    fn add(&self, count: &mut u64, _value: T) {
        *count += 1;
    }
    fn merge(&self, into: &mut u64, other: u64) {
        *into += other;
    }
    fn result(&self, count: &u64) -> u64 {
        *count
    }
}
