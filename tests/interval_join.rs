//! The interval join in real jobs, on 1, 2 and 4 workers.
//!
//! - *pairs*: random streams against the reference model; what would be caught is a key that meets
//!   on the wrong worker, a bound that is off by one, a wrong event time.
//! - *lateness*: streams whose records come late now and then; what would be caught is a record
//!   that is forgotten before all its partners have come, or that is dropped without a word.

use std::collections::BTreeSet;

use highwater::Config;
use highwater::core::config::Config as EngineConfig;
use highwater::prelude::*;
use highwater_sim::oracle::{Bounds, IntervalJoinModel};
use proptest::prelude::*;

/// A record: key and place in its stream.
type Item = (u8, usize);

/// A pair with its event time.
type Joined = (i64, Item, Item);

/// The bounds of a join as a user gives them: each end, and whether it is included.
#[derive(Clone, Copy, Debug)]
struct Interval {
    lower: (i64, bool),
    upper: (i64, bool),
}

/// Joins two streams on some workers.
fn join(left: &[(i64, Item)], right: &[(i64, Item)], at: Interval, workers: usize) -> Vec<Joined> {
    let results = Collect::new();
    let (sink, left, right) = (results.clone(), left.to_vec(), right.to_vec());
    highwater::execute(Config::workers(workers), move |env| {
        let by_key = |item: &Item| item.0;
        let left = env.read(Collection::timestamped(left.clone())).key_by(by_key);
        let right = env.read(Collection::timestamped(right.clone())).key_by(by_key);
        let mut joined = left.interval_join(&right).between(at.lower.0, at.upper.0);
        if !at.lower.1 {
            joined = joined.exclusive_lower();
        }
        if !at.upper.1 {
            joined = joined.exclusive_upper();
        }
        joined.process(|left, right| (*left, *right)).sink(sink.clone());
        Ok(())
    })
    .expect("the job runs");
    let results = results.take().into_iter();
    let mut results: Vec<Joined> =
        results.map(|record| (record.event_time, record.value.0, record.value.1)).collect();
    results.sort_unstable();
    results
}

/// Joins two streams by the reference model.
fn model(left: &[(i64, Item)], right: &[(i64, Item)], at: Interval) -> Vec<Joined> {
    let bounds = Bounds::new(at.lower.0, at.lower.1, at.upper.0, at.upper.1);
    let mut model = IntervalJoinModel::new(bounds);
    left.iter().for_each(|(time, item)| model.left(item.0, *item, *time));
    right.iter().for_each(|(time, item)| model.right(item.0, *item, *time));
    let pairs = model.take_output().into_iter();
    let mut pairs: Vec<Joined> =
        pairs.map(|pair| (pair.timestamp, pair.left, pair.right)).collect();
    pairs.sort_unstable();
    pairs
}

fn stream() -> impl Strategy<Value = Vec<(i64, Item)>> {
    prop::collection::vec((-50..50_i64, 0..5_u8), 0..80).prop_map(|records| {
        let numbered = records.into_iter().enumerate();
        numbered.map(|(place, (time, key))| (time, (key, place))).collect()
    })
}

fn interval() -> impl Strategy<Value = Interval> {
    (-15..10_i64, 0..15_i64, any::<bool>(), any::<bool>()).prop_map(
        |(lower, length, with_lower, with_upper)| Interval {
            lower: (lower, with_lower),
            upper: (lower + length, with_upper),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pairs_are_those_of_the_model(left in stream(), right in stream(), at in interval()) {
        let expected = model(&left, &right, at);
        for workers in [1, 2, 4] {
            prop_assert_eq!(&join(&left, &right, at, workers), &expected, "{} workers", workers);
        }
    }
}

/// The records of each stream in the test of lateness.
const RECORDS: u64 = 20_000;

/// A number that looks random, from 0 to less than `below`.
fn drawn(number: u64, salt: u64, below: u64) -> u64 {
    let mixed = (number + (salt << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) % below
}

/// The event time of a record: time moves on by 2 ms every 4 records, each of which may be up to
/// 40 ms early. All event times are even, and so no watermark below is an event time: at such a one
/// a record would not be late, but its partners could have gone.
fn time(number: u64, salt: u64) -> i64 {
    let time = number / 4 * 2 + 40 - 2 * drawn(number, salt, 20);
    i64::try_from(time).expect("a small number")
}

fn numbered(number: u64, salt: u64) -> Item {
    let key = u8::try_from(drawn(number, salt + 10, 50)).expect("a small number");
    (key, usize::try_from(number).expect("a small number"))
}

fn records(salt: u64) -> Vec<(i64, Item)> {
    (0..RECORDS).map(|number| (time(number, salt), numbered(number, salt))).collect()
}

/// Returns the pairs, and the left and right records that were late.
fn join_with_late(at: Interval, workers: usize) -> (Vec<Joined>, [BTreeSet<Item>; 2]) {
    let (pairs, lefts, rights) = (Collect::new(), Collect::new(), Collect::new());
    let sinks = (pairs.clone(), lefts.clone(), rights.clone());
    let engine = EngineConfig {
        workers,
        // Slow enough for some ticks of the watermark.
        rate: Some(RECORDS * 8),
        watermark_interval: millis(10),
        ..EngineConfig::default()
    };
    highwater::execute(Config { engine, ..Config::default() }, move |env| {
        let read = |salt: u64| {
            let source = Generator::new(RECORDS, move |number| numbered(number, salt))
                .with_event_time(move |item: &Item| time(item.1 as u64, salt));
            env.read(source).watermarks(Watermarks::bounded(millis(8))).key_by(|item| item.0)
        };
        let joined = read(1).interval_join(&read(2)).between(at.lower.0, at.upper.0);
        let joined = joined.process(|left, right| (*left, *right));
        joined.late_left().sink(sinks.1.clone());
        joined.late_right().sink(sinks.2.clone());
        joined.sink(sinks.0.clone());
        Ok(())
    })
    .expect("the job runs");
    let pairs = pairs.take().into_iter();
    let mut pairs: Vec<Joined> =
        pairs.map(|record| (record.event_time, record.value.0, record.value.1)).collect();
    pairs.sort_unstable();
    (pairs, [lefts, rights].map(|late| late.take_values().into_iter().collect()))
}

#[test]
fn a_pair_is_missing_exactly_if_one_of_its_records_was_late() {
    let at = Interval { lower: (-6, true), upper: (10, true) };
    let all = model(&records(1), &records(2), at);
    for workers in [1, 2, 4] {
        let (pairs, [lefts, rights]) = join_with_late(at, workers);
        let on_time = |(_, left, right): &&Joined| !lefts.contains(left) && !rights.contains(right);
        let expected: Vec<Joined> = all.iter().filter(on_time).copied().collect();
        let late = (lefts.len(), rights.len());
        assert!(pairs == expected, "{workers} workers, {late:?} late, {} pairs", pairs.len());
        assert!(pairs.len() > all.len() / 2, "{} of {} pairs", pairs.len(), all.len());
        assert!(late.0 + late.1 > 0, "the test is about late records");
    }
}

#[test]
fn a_lower_bound_above_the_upper_one_is_refused() {
    let error = highwater::execute(Config::workers(1), |env| {
        let stream = || env.read(Collection::timestamped([(0, 1)])).key_by(|n| *n);
        stream().interval_join(&stream()).between(5, 4).process(|l, r| l + r).sink(Collect::new());
        Ok(())
    });
    let error = error.expect_err("must be refused");
    assert!(error.sentence().contains("the lower bound of between: 5"), "{}", error.sentence());
}
