//! Nexmark answers that a real Flink agrees with, on events in order and out of order.
//!
//! One family: for every query, worker count and mode, the rows equal the stored answers. It catches
//! whatever loses, repeats or miscounts a record between source and sink, and windows or joins that
//! differ from Flink's.
//!
//! Another: the same with keyed state in a store of bytes; in RocksDB with the feature `rocksdb`. It
//! catches values that are lost or stale between the cache and the store.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater::connectors::nexmark::Event;
use highwater::core::config::Mode;
use highwater::core::store::Stores;
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
fn rows<T, Q>(
    set: &'static str,
    workers: usize,
    mode: Mode,
    stores: Option<Arc<dyn Stores>>,
    query: Q,
) -> Vec<String>
where
    T: Clone + Send + serde::Serialize + 'static,
    Q: for<'scope> Fn(&DataStream<'scope, Event>) -> DataStream<'scope, T> + Send + Sync + 'static,
{
    let results = Collect::new();
    let sink = results.clone();
    let mut config = Config::workers(workers);
    config.engine.mode = mode;
    config.engine.stores = stores;
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
                        let got = rows(set, workers, mode, None, queries::$query);
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

/// Opens stores with a cache of decoded values that is too small for any query.
#[cfg(not(feature = "rocksdb"))]
fn stores() -> (Arc<dyn Stores>, ()) {
    (Arc::new(highwater::state::memory::MemoryStores { cache_bytes: 64 << 10 }), ())
}

/// Opens stores on disk, in a folder that is removed with what comes second.
#[cfg(feature = "rocksdb")]
fn stores() -> (Arc<dyn Stores>, tempfile::TempDir) {
    let around = tempfile::tempdir().expect("a folder for the state");
    let dir = around.path().join("state");
    let stores = highwater_rocksdb::RocksStores::open(&dir, highwater_rocksdb::MEMORY_BYTES_MIN);
    (Arc::new(stores.expect("an empty folder")), around)
}

macro_rules! answers_from_stores {
    ($($test:ident: $query:ident;)*) => {
        $(#[test]
        fn $test() {
            for set in ["in_order", "disorder"] {
                let expected = expected(set, stringify!($query));
                for workers in [1, 2] {
                    let (stores, _folder) = stores();
                    let stores = Some(stores);
                    let got = rows(set, workers, Mode::Streaming, stores, queries::$query);
                    let different = difference(&got, &expected);
                    assert!(got == expected, "{set}, {workers} workers: such as {different:?}");
                }
            }
        })*
    };
}

answers_from_stores! {
    q3_joins_with_state_in_a_store: q3;
    q5_slides_with_state_in_a_store: q5;
    q7_tumbles_with_state_in_a_store: q7;
    q8_joins_windows_with_state_in_a_store: q8;
    q11_has_sessions_with_state_in_a_store: q11;
}
