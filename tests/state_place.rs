//! Operators that keep their state in another place than the job does. Would catch stores that are
//! there only with `--state rocksdb`, or that are opened though nobody asked for them.

use std::path::Path;

use clap::Parser;
use highwater::options::JobOptions;
use highwater::prelude::*;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    job: JobOptions,
}

/// Whether this process has the folders of stores.
fn has_stores(dir: &Path) -> bool {
    let prefix = format!("highwater-state-{}-", std::process::id());
    let names = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
}

/// Counts numbers with these options, in the place that is chosen for the operator; returns the last
/// count of one of them, and whether there were stores meanwhile.
fn counted(options: &[&str], place: Option<StateBackend>) -> Result<(u64, bool)> {
    let args = Args::parse_from(std::iter::once(&"counted").chain(options));
    let results = Collect::new();
    let sink = results.clone();
    highwater::execute(args.job.config()?, move |env| {
        let counts = env.read(Generator::new(1000, |number| number % 7)).key_by(|n| *n).count();
        let counts = match place {
            Some(place) => counts.state(place),
            None => counts,
        };
        counts
            .map(|(key, count)| (key, count, has_stores(&std::env::temp_dir())))
            .sink(sink.clone());
        Ok(())
    })?;
    let results = results.take_values();
    let stored = results.iter().all(|(_, _, stored)| *stored);
    assert!(stored || results.iter().all(|(_, _, stored)| !stored));
    Ok((results.iter().filter(|(key, ..)| *key == 3).count() as u64, stored))
}

/// One after the other, because stores of a process are told apart by no more than a number.
#[cfg(feature = "rocksdb")]
#[test]
fn an_operator_has_a_store_in_rocksdb_if_it_or_the_job_says_so() {
    use StateBackend::{Heap, Store};
    let [heap, rocksdb] = [&["--state", "heap"][..], &["--state", "rocksdb"]];
    for (options, place, stored) in [
        (&[][..], None, false),
        (heap, None, false),
        (heap, Some(Heap), false),
        (heap, Some(Store), true),
        (rocksdb, None, true),
        (rocksdb, Some(Store), true),
        (rocksdb, Some(Heap), false),
    ] {
        let found = counted(options, place).expect("the job ends");
        assert_eq!(found, (143, stored), "{options:?} {place:?}");
        assert!(!has_stores(&std::env::temp_dir()), "{options:?} {place:?}: left behind");
    }
    let refused = counted(&["--rocksdb-memory", "1MiB"], None).expect_err("too little");
    assert!(refused.sentence().starts_with("option --rocksdb-memory: 1048576"), "{refused:?}");
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn without_the_feature_a_store_is_refused_with_a_reason() {
    let found = counted(&[], Some(StateBackend::Heap)).expect("the job ends");
    assert_eq!(found, (143, false));
    let refused = counted(&["--state", "rocksdb"], None).expect_err("there is none");
    assert!(refused.sentence().contains("without the feature rocksdb"), "{refused:?}");
    let refused = counted(&[], Some(StateBackend::Store)).expect_err("there is none");
    assert!(refused.sentence().contains("keeps its state in a store"), "{refused:?}");
}
