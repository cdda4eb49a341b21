//! Sources of a job that is stopped and goes on with another number of workers.
//!
//! | family | what it would catch |
//! |---|---|
//! | generators | a number that is made twice, or never, because splits follow the new number of workers |
//! | a watched folder | a file that two workers read, that nobody reads, or that is read again |
//!
//! Checkpoints are kept in memory and are complete as soon as all operators have handed over; the
//! sink counts the records before the last one and forgets the others, as a transactional one does.

#[path = "support/in_memory.rs"]
mod in_memory;

use std::sync::Arc;
use std::time::Duration;

use highwater::connectors::nexmark;
use highwater::core::config::Config as Engine;
use highwater::core::cut::Snapshots;
use highwater::core::job::Job;
use highwater::core::key::stable_hash;
use highwater::core::source::Source;
use highwater::operators::environment::run;
use highwater::prelude::*;
use in_memory::{ByEpoch, InMemory, drive};

/// Runs a job once for each of the numbers of workers, each time from the last checkpoint of the
/// run before; all but the last are halted after `stop_at` records. Returns what became visible,
/// sorted.
///
/// - `before`: called with the number of each run, from 0, before it starts.
fn results<S: Source + Sync>(
    workers: &[usize],
    stop_at: u64,
    source: &S,
    value: fn(S::Item) -> u64,
    before: impl Fn(usize),
) -> Vec<u64> {
    let (mut visible, mut from) = (Vec::new(), None);
    for (i, &workers_now) in workers.iter().enumerate() {
        before(i);
        let snapshots = Arc::new(InMemory::after(from.take()));
        let config = Engine {
            max_parallelism: Some(128),
            rate: Some(200_000),
            snapshots: Some(Arc::clone(&snapshots) as Arc<dyn Snapshots>),
            ..Engine::workers(workers_now)
        };
        let job = Arc::new(Job::new(config).expect("options that are allowed"));
        let (sink, source) = (ByEpoch::default(), source.clone());
        let pour = sink.clone();
        let stop_at = if i + 1 == workers.len() { u64::MAX } else { stop_at };
        std::thread::scope(|scope| {
            scope.spawn(|| drive(&job, &snapshots, &sink, stop_at));
            let ran = run(&job, move |env| {
                env.read(source.clone()).map(value).sink(pour.clone());
                Ok(())
            });
            ran.expect("a job without errors");
        });
        let (epoch, stored) = snapshots.last(&job).expect("a checkpoint is complete");
        visible.extend(sink.up_to(epoch));
        from = Some((epoch, stored));
    }
    visible.sort_unstable();
    visible
}

#[test]
fn a_generator_goes_on_with_any_number_of_workers() {
    for workers in [[3, 1, 4, 2], [1, 4, 3, 3], [2, 2, 1, 4]] {
        let visible = results(&workers, 8000, &Generator::new(40_000, |n| n), |n| n, |_| {});
        assert!(visible.into_iter().eq(0..40_000), "workers {workers:?}");
    }
}

#[test]
fn nexmark_goes_on_with_any_number_of_workers() {
    let events = nexmark::Generator::new(nexmark::GeneratorConfig::default());
    let hash = |event: nexmark::Event| stable_hash(&format!("{event:?}"));
    let mut expected: Vec<_> = events.events(0..20_000).map(hash).collect();
    expected.sort_unstable();
    let source = Generator::new(20_000, move |n| events.event(n));
    let visible = results(&[2, 4, 1, 3], 4000, &source, hash, |_| {});
    assert!(visible == expected);
}

#[test]
fn a_watched_folder_goes_on_with_any_number_of_workers() {
    const FILES: u64 = 12;
    const LINES: u64 = 500;
    for workers in [[3, 1, 4, 2], [1, 4, 2, 3]] {
        let dir = tempfile::tempdir().expect("a folder");
        let appear = |name: &str, text: String| {
            let hidden = dir.path().join(".appearing");
            std::fs::write(&hidden, text).expect("a file");
            std::fs::rename(hidden, dir.path().join(name)).expect("a new name");
        };
        let before = |i: usize| {
            for file in (i as u64 * FILES..).take(FILES as usize) {
                let lines = (file * LINES..).take(LINES as usize).map(|n| format!("{n}\n"));
                appear(&format!("{file}.txt"), lines.collect());
            }
            if i + 1 == workers.len() {
                appear("_SUCCESS", String::new());
            }
        };
        let source = TextFiles::at(dir.path()).watch(Duration::from_millis(3)).until("_SUCCESS");
        let number = |line: String| line.parse().expect("a number");
        let visible = results(&workers, 4000, &source, number, before);
        let expected = 0..FILES * LINES * workers.len() as u64;
        assert!(visible.into_iter().eq(expected), "workers {workers:?}");
    }
}
