//! Counters of operators on workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater::core::job::Job;
use highwater::core::key::{KeyGroups, default_max_parallelism, stable_hash};
use highwater::core::metrics::{OperatorMetrics, Phase, SplitStatus};
use highwater::prelude::*;

use crate::taps::{EngineConfig, Tap, Valve, until, watched};

fn operator(job: &Job, uid: &str, worker: usize) -> Arc<OperatorMetrics> {
    let mut all = job.metrics().all().into_iter();
    all.find(|o| o.uid == uid && o.worker == worker).expect("there is such an operator")
}

#[test]
fn a_sink_that_hangs_is_busy_and_who_waits_for_it_says_for_which_edge() {
    let (tap, valve) = (Tap::new(1), Valve::default());
    valve.close();
    tap.give(0, 0..100_000);
    let (source, sink) = (tap.clone(), valve.clone());
    // One key, of the worker that does not read: only its sink is closed.
    let groups = KeyGroups::new(default_max_parallelism(2), 2);
    let owner = |key: &u64| groups.owner(groups.of_hash(stable_hash(key)));
    let key = (0..).find(|key| owner(key) == 1).expect("it owns half of the groups");
    let program = move |env: &Env<'_>| {
        let counts = env.read(source.clone()).uid("read").key_by(move |_| key).count().uid("count");
        let _ = counts.sink(sink.clone()).uid("sink");
        Ok(())
    };
    let config = EngineConfig { credit_bytes: 1 << 10, ..EngineConfig::workers(2) };
    watched(config, program, |job| {
        until("a sink that hangs", || {
            let times = operator(job, "sink", 1).activity.times(Instant::now());
            (times.phase == Phase::Busy).then_some(())
        });
        let plan = job.plan().expect("the job is built");
        let count = &plan.operators()[plan.place("count").expect("it is in the plan")];
        let edge = count.inputs[0].edge.expect("it has credit");
        let (blamed, receiver, _) = until("a source without credit", || {
            operator(job, "read", 0).activity.held_by(Instant::now())
        });
        assert_eq!((blamed, receiver), (edge, 1));
        assert!(job.edges()[edge].in_flight_most(0, 1) > 1 << 10);
        valve.open();
        tap.end(0);
        until("the end", || job.is_drained().then_some(()));
        until("a sink that rests", || {
            let times = operator(job, "sink", 1).activity.times(Instant::now());
            (times.busy > Duration::ZERO && times.phase == Phase::Idle).then_some(())
        });
        assert_eq!(operator(job, "read", 0).records_out.get(), 100_000);
        let (bytes, batches) = job.edges()[edge].sent(0);
        assert!(bytes >= 100_000 * 16 && batches >= 10, "{bytes} bytes in {batches} batches");
    });
}

#[test]
fn splits_show_how_far_they_are_and_whether_they_are_waited_for() {
    let tap = Tap::new(3);
    let source = tap.clone();
    let program = move |env: &Env<'_>| {
        let strategy = Watermarks::monotonous().with_idleness(Duration::from_millis(50));
        let numbers = env.read(source.clone()).watermarks(strategy).uid("read");
        numbers.discard();
        Ok(())
    };
    watched(EngineConfig::workers(1), program, |job| {
        tap.give(0, [1000]);
        tap.end(1);
        let shown = until("an idle split and one that has finished", || {
            tap.give(2, [500]);
            let uid = job.plan()?.operators().first()?.uid.clone();
            let splits = operator(job, &uid, 0).splits.get();
            let is = |at: usize, status| splits[at].status == status;
            let seen = is(0, SplitStatus::Idle) && is(1, SplitStatus::Finished);
            (seen && is(2, SplitStatus::Active) && splits[2].watermark == 499).then_some(splits)
        });
        assert_eq!((shown[0].watermark, shown[0].records), (999, 1));
        assert_eq!(shown.iter().map(|s| s.split.as_str()).collect::<Vec<_>>(), ["0", "1", "2"]);
        (0..3).for_each(|split| tap.end(split));
    });
}
