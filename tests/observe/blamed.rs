//! Real jobs that are held back on purpose: the right cause is named.

use std::sync::Arc;
use std::time::Duration;

use highwater::checkpoint::CheckpointOptions;
use highwater::control::Client;
use highwater::core::job::Job;
use highwater::observe::{Blame, Cause, JobView, Observer, What};
use highwater::prelude::*;

use crate::taps::{EngineConfig, Tap, Valve, until, watched};

/// Waits until the cause at an operator is the one that is looked for.
fn blamed(job: &Arc<Job>, uid: &str, is_it: impl Fn(&Cause) -> bool) -> Blame {
    let observer = Observer::new(job);
    until("the cause", || {
        let blames = JobView::of([(0, &observer.look())]).why(Some(uid));
        blames.into_iter().find(|blame| is_it(&blame.cause))
    })
}

/// A source, windows of a second, and a sink.
fn windows(env: &Env<'_>, tap: &Tap, valve: &Valve, watermarks: Option<Watermarks<u64>>) {
    let numbers = env.read(tap.clone()).uid("read");
    let numbers = match watermarks {
        Some(watermarks) => numbers.watermarks(watermarks),
        None => numbers,
    };
    let windows = numbers.key_by(|n| *n % 7).window(Tumbling::of(Duration::from_secs(1)));
    let _ = windows.reduce(|a, _| a).uid("window").sink(valve.clone()).uid("sink");
}

#[test]
fn a_split_that_stalls_is_named_behind_the_sink_that_waits_for_it() {
    let (tap, valve) = (Tap::new(2), Valve::default());
    let (source, sink) = (tap.clone(), valve.clone());
    let program = move |env: &Env<'_>| {
        windows(env, &source, &sink, Some(Watermarks::monotonous()));
        Ok(())
    };
    watched(EngineConfig::workers(2), program, |job| {
        tap.give(1, [5_000]);
        tap.give(0, [99_000]);
        let is_silent = |cause: &Cause| {
            matches!(cause, Cause::SilentSplit { split, at, idleness_ms: None, .. }
                if split == "1" && at.uid == "read" && at.worker == 1)
        };
        let blame = blamed(job, "sink", is_silent);
        assert_eq!(blame.what, What::Watermark(4_999));
        let chain: Vec<_> = blame.chain.iter().map(|link| link.uid.as_str()).collect();
        assert_eq!(chain, ["sink", "window"]);
        (0..2).for_each(|split| tap.end(split));
    });
}

#[test]
fn a_source_without_watermarks_is_named() {
    let (tap, valve) = (Tap::new(1), Valve::default());
    let (source, sink) = (tap.clone(), valve.clone());
    let program = move |env: &Env<'_>| {
        windows(env, &source, &sink, None);
        Ok(())
    };
    watched(EngineConfig::workers(1), program, |job| {
        tap.give(0, [1, 2, 3]);
        let is_without =
            |cause: &Cause| matches!(cause, Cause::NoWatermarks { at } if at.uid == "read");
        assert_eq!(blamed(job, "sink", is_without).what, What::Watermark(i64::MIN));
        tap.end(0);
    });
}

#[test]
fn a_sink_that_hangs_is_named_behind_the_source_that_has_no_credit() {
    let (tap, valve) = (Tap::new(1), Valve::default());
    let (source, sink) = (tap.clone(), valve.clone());
    let program = move |env: &Env<'_>| {
        windows(env, &source, &sink, Some(Watermarks::monotonous()));
        Ok(())
    };
    let config = EngineConfig { credit_bytes: 1 << 10, ..EngineConfig::workers(1) };
    watched(config, program, |job| {
        valve.close();
        tap.give(0, (0..100_000).map(|n| n * 10));
        let hangs = |cause: &Cause| matches!(cause, Cause::Hangs { at, .. } if at.uid == "sink");
        let _ = blamed(job, "sink", hangs);
        let _ = blamed(job, "read", hangs);
        valve.open();
        tap.end(0);
    });
}

/// The job runs with checkpoints and is asked at its control socket.
#[test]
fn a_barrier_that_waits_behind_a_slow_operator_is_traced_to_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (tap, valve) = (Tap::new(1), Valve::default());
    let (source, gate) = (tap.clone(), valve.clone());
    let mut options = CheckpointOptions::at(dir.path().join("ck").to_str().expect("text"));
    options.interval = Duration::from_millis(20);
    let socket = dir.path().join("control");
    let config =
        Config { checkpoints: Some(options), control: Some(socket.clone()), ..Config::workers(1) };
    let job = std::thread::spawn(move || {
        highwater::execute(config, move |env| {
            let (gate, source) = (gate.clone(), source.clone());
            let numbers = env.read(source).uid("read");
            let slow = numbers.key_by(|_| ()).reduce(move |a, b| {
                gate.pass();
                a.max(b)
            });
            let _ = slow.uid("slow").sink(Valve::default()).uid("sink");
            Ok(())
        })
    });
    let mut client = until("the control socket", || Client::connect(&socket).ok());
    until("a checkpoint", || {
        let status = Client::connect(&socket).ok()?.status().ok()?;
        (status.checkpoints.checkpoints.completed > 0).then_some(())
    });
    valve.close();
    tap.give(0, 0..10);
    let is_slow = |blame: &Blame| {
        let hangs = matches!(&blame.cause, Cause::Hangs { at, .. } if at.uid == "slow");
        hangs && matches!(blame.what, What::Barrier(_))
    };
    let client = std::cell::RefCell::new(&mut client);
    until("the barrier's cause", || {
        let blames = client.borrow_mut().why(Some("sink")).expect("the job runs");
        blames.iter().any(is_slow).then_some(())
    });
    let unknown = client.borrow_mut().why(Some("nobody")).expect_err("there is no such operator");
    assert!(unknown.sentence().contains("it has read, slow, sink"), "{}", unknown.sentence());
    let view = client.borrow_mut().view().expect("the job runs");
    assert_eq!(view.vertices.len(), 3);
    valve.open();
    tap.end(0);
    job.join().expect("execute catches panics").expect("the job ends");
}
