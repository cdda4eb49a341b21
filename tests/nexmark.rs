//! Nexmark answers that a real Flink agrees with, on events in order and out of order.
//!
//! One family: for every query, worker count and mode, the rows equal the stored answers. It catches
//! whatever loses, repeats or miscounts a record between source and sink, and windows or joins that
//! differ from Flink's.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use highwater::connectors::nexmark::Event;
use highwater::core::config::Mode;
use highwater::prelude::*;

#[path = "../examples/nexmark/queries.rs"]
mod queries;

fn data(set: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nexmark").join(set)
}

/// The stored rows of a query, sorted bytewise.
fn expected(set: &str, query: &str) -> Vec<String> {
    let path = data(set).join("expected").join(format!("{query}.jsonl.zst"));
    let file = std::fs::File::open(&path).expect("the answers come with the project");
    let lines = BufReader::new(zstd::Decoder::new(file).expect("zstd data")).lines();
    let mut rows: Vec<_> = lines.map(|line| line.expect("a line of text")).collect();
    rows.sort_unstable();
    rows
}

/// The rows that a query gives, sorted bytewise.
fn rows<T, Q>(set: &'static str, workers: usize, mode: Mode, query: Q) -> Vec<String>
where
    T: Clone + Send + serde::Serialize + 'static,
    Q: for<'scope> Fn(&DataStream<'scope, Event>) -> DataStream<'scope, T> + Send + Sync + 'static,
{
    let results = Collect::new();
    let sink = results.clone();
    let mut config = Config::workers(workers);
    config.engine.mode = mode;
    let summary = highwater::execute(config, move |env| {
        let events = env
            .read(JsonLines::<Event>::at(data(set).join("events.jsonl.zst")))
            .watermarks(Watermarks::bounded(seconds(5)).event_time(Event::date_time));
        query(&events).sink(sink.clone());
        Ok(())
    });
    assert_eq!(summary.expect("the job ends").late_records_dropped, 0);
    let rows = results.take_values().into_iter();
    let mut rows: Vec<_> = rows.map(|row| serde_json::to_string(&row).expect("json")).collect();
    rows.sort_unstable();
    rows
}

/// How often each row occurs in one of the lists more than in the other.
fn difference(got: &[String], expected: &[String]) -> Vec<(String, i64)> {
    let mut counts = BTreeMap::new();
    got.iter().for_each(|row| *counts.entry(row.clone()).or_insert(0) += 1);
    expected.iter().for_each(|row| *counts.entry(row.clone()).or_insert(0) -= 1);
    counts.into_iter().filter(|(_, count)| *count != 0).take(5).collect()
}

macro_rules! answers {
    ($($test:ident: $query:ident;)*) => {
        $(#[test]
        fn $test() {
            for set in ["in_order", "disorder"] {
                let expected = expected(set, stringify!($query));
                for workers in [1, 2, 4] {
                    for mode in [Mode::Streaming, Mode::Batch] {
                        let got = rows(set, workers, mode, queries::$query);
                        assert!(
                            got == expected,
                            "{set}, {workers} workers, {mode:?}: {} rows, not {}; such as {:?}",
                            got.len(),
                            expected.len(),
                            difference(&got, &expected)
                        );
                    }
                }
            }
        })*
    };
}

answers! {
    q0_passes_every_bid_on: q0;
    q1_converts_every_price: q1;
    q2_selects_bids_by_auction: q2;
    q3_joins_auctions_with_their_sellers: q3;
    q5_finds_the_hottest_auctions_of_sliding_windows: q5;
    q7_finds_the_highest_bids_of_tumbling_windows: q7;
    q8_finds_new_sellers_of_tumbling_windows: q8;
    q11_counts_bids_in_sessions: q11;
}
