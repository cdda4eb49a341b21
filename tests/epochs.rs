//! Epochs move while a job runs, and nobody can tell by its results.
//!
//! One family: a job with windows and a connected stream, with and without a trigger that starts an
//! epoch every few milliseconds. It catches batches that are lost, processed twice or left in a queue
//! at a cut, and operators that no longer follow.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use highwater::core::config::Config as EngineConfig;
use highwater::core::job::Job;
use highwater::operators::environment::run;
use highwater::prelude::*;

const RECORDS: u64 = 300_000;

/// Runs the job with an epoch now and then; returns its results and the epochs.
fn results(workers: usize, interval: Option<Duration>) -> (Vec<(u64, i64, u64)>, u64) {
    let results = Collect::new();
    let sink = results.clone();
    let config = EngineConfig { batch_records: Some(64), ..EngineConfig::workers(workers) };
    let job = Arc::new(Job::new(config).expect("a configuration that is allowed"));
    let (stop, stopped) = channel::<()>();
    let trigger = interval.map(|interval| {
        let job = Arc::clone(&job);
        thread::spawn(move || {
            let mut epochs = 0;
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                job.trigger();
                epochs += 1;
            }
            epochs
        })
    });
    let ended = run(&job, move |env| {
        let numbers = env
            .read(Generator::new(RECORDS, |n| n).with_event_time(|n| *n as i64))
            .watermarks(Watermarks::bounded(seconds(3)));
        let odd = numbers.filter(|n| n % 2 == 1).map(|n| n * 2);
        numbers
            .union(&[&odd])
            .key_by(|n| n % 101)
            .window(Tumbling::of(seconds(1)))
            .reduce(|a, b| a.wrapping_add(b))
            .map(|window| (window.key, window.window.start, window.value))
            .sink(sink.clone());
        Ok(())
    });
    ended.expect("the job ends");
    let mut rows = results.take_values();
    rows.sort_unstable();
    drop(stop);
    (rows, trigger.map_or(0, |trigger| trigger.join().expect("the trigger lives")))
}

#[test]
fn results_do_not_depend_on_epochs() {
    let (expected, _) = results(1, None);
    assert!(expected.len() > 30_000);
    for workers in [1, 2, 4] {
        let (rows, epochs) = results(workers, Some(Duration::from_millis(2)));
        assert!(rows == expected, "{workers} workers, {epochs} epochs");
        assert!(epochs > 3, "only {epochs} epochs were started");
    }
}
