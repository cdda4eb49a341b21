//! Searches through made-up reports, one for each cause, and through reports of any kind.

use highwater_checkpoint::Status as Checkpoints;
use highwater_checkpoint::coordinator::{Stage, Statistics, UnderWay};
use highwater_checkpoint::messages::Instance;
use proptest::prelude::*;

use super::super::made::{EPOCH, Made, NOW, WORKERS};
use super::super::task::{Held, Phase, Status};
use super::*;

/// The cause at the sink, and the operators on the way there.
fn why(made: &Made) -> (Cause, Vec<String>) {
    let view = made.view();
    let mut blames = view.why(Some("sink"));
    assert_eq!(blames.len(), 1, "no checkpoint is under way");
    let blame = blames.remove(0);
    assert_eq!(blame.sentence, blame.cause.to_string());
    (blame.cause, blame.chain.into_iter().map(|link| link.uid).collect())
}

fn place(uid: &str, worker: usize) -> Place {
    Place { uid: uid.to_owned(), name: uid.to_owned(), worker }
}

/// The source on worker 1 has promised less than all others, who know it.
fn behind_worker_1() -> Made {
    let made = Made::new().with("read", 1, |task| {
        (task.watermark, task.output_watermark) = (300, 300);
        task.splits[0].watermark = 300;
    });
    ["window", "sink"].into_iter().fold(made, |made, uid| {
        (0..WORKERS).fold(made, |made, worker| {
            made.with(uid, worker, |task| {
                (task.watermark, task.output_watermark) = (300, 300);
                task.inputs[0].watermark = 300;
            })
        })
    })
}

#[test]
fn a_silent_split_is_named_with_its_idleness() {
    let made = behind_worker_1().with("read", 1, |task| task.splits[0].silent_ms = 35_000);
    let (cause, chain) = why(&made);
    let expected = Cause::SilentSplit {
        at: place("read", 1),
        split: "1".to_owned(),
        silent_ms: 35_000,
        idleness_ms: None,
    };
    assert_eq!((cause, chain.join(" ")), (expected, "sink window".to_owned()));
    let made = made.with("read", 1, |task| task.idleness_ms = Some(60_000));
    let sentence = why(&made).0.to_string();
    assert_eq!(
        sentence,
        "split 1 of operator \"read\" (read) on worker 1 has had no record for 35s and is waited \
         for until it is idle after 1m"
    );
}

#[test]
fn a_split_that_has_records_is_only_the_furthest_behind() {
    let (at, split) = (place("read", 1), "1".to_owned());
    let expected = Cause::SlowestSplit { at, split, watermark: 300 };
    assert_eq!(why(&behind_worker_1()).0, expected);
}

#[test]
fn an_idle_worker_is_not_blamed_while_another_one_is_active() {
    let made = behind_worker_1().with("read", 0, |task| {
        (task.watermark, task.output_watermark) = (300, 300);
        task.splits[0].status = Status::Idle;
    });
    assert!(matches!(why(&made).0, Cause::SlowestSplit { at, .. } if at.worker == 1));
    let made = made.with("read", 1, |task| task.splits[0].status = Status::Idle);
    assert!(matches!(why(&made).0, Cause::AllIdle { .. }));
}

#[test]
fn a_source_without_a_strategy_is_named() {
    let mut made = behind_worker_1();
    made.reports.iter_mut().for_each(|report| report.plan[0].makes_watermarks = false);
    assert_eq!(why(&made).0, Cause::NoWatermarks { at: place("read", 1) });
    made.reports.iter_mut().for_each(|report| report.plan[1].makes_watermarks = true);
    assert_eq!(why(&made).0, Cause::OwnWatermarks { at: place("window", 0) });
}

#[test]
fn a_source_without_credit_leads_to_who_does_not_take() {
    let made = behind_worker_1()
        .with("read", 1, |task| task.held = Some(Held { edge: 0, receiver: 0, for_ms: 900 }))
        .with("window", 0, |task| {
            task.queue = 40;
            task.held = Some(Held { edge: 1, receiver: 0, for_ms: 950 });
        })
        .with("sink", 0, |task| task.queue = 7);
    let (cause, chain) = why(&made);
    assert_eq!(cause, Cause::Backlog { at: place("sink", 0), batches: 7 });
    assert_eq!(chain, ["sink", "window", "read", "window"]);
    let made = made.with("sink", 0, |task| task.rates.busy_ms = 930.0);
    assert_eq!(why(&made).0, Cause::Slow { at: place("sink", 0), busy_ms: 930 });
    let made = made.hanging("sink", 0, 4_000);
    assert_eq!(why(&made).0, Cause::Hangs { at: place("sink", 0), for_ms: 4_000 });
}

#[test]
fn an_operator_with_a_backlog_is_itself_to_blame() {
    let made = Made::new().with("window", 1, |task| {
        (task.watermark, task.output_watermark, task.queue) = (200, 200, 12);
    });
    let made = (0..WORKERS).fold(made, |made, worker| {
        made.with("sink", worker, |task| {
            (task.watermark, task.output_watermark) = (200, 200);
            task.inputs[0].watermark = 200;
        })
    });
    let (cause, chain) = why(&made);
    assert_eq!(cause, Cause::Backlog { at: place("window", 1), batches: 12 });
    assert_eq!(chain, ["sink", "window"]);
}

#[test]
fn a_worker_that_hangs_holds_back_what_is_on_its_way_to_it() {
    let made = (0..WORKERS).fold(Made::new(), |made, worker| {
        made.with("sink", worker, |task| {
            (task.watermark, task.output_watermark) = (100, 100);
            task.inputs[0].watermark = 100;
        })
    });
    assert_eq!(why(&made).0, Cause::InTransit { at: place("sink", 0) });
    let made = made.hanging("read", 1, 5_000);
    assert_eq!(why(&made).0, Cause::Hangs { at: place("read", 1), for_ms: 5_000 });
}

#[test]
fn a_process_that_has_stopped_reporting_is_named() {
    let mut made = behind_worker_1();
    made.reports[1].at_ms -= 9_000;
    assert_eq!(why(&made).0, Cause::Silent { process: 1, age_ms: 9_000 });
}

#[test]
fn nothing_is_held_back_at_the_end() {
    let made = (0..WORKERS).fold(Made::new(), |made, worker| {
        made.with("sink", worker, |task| task.output_watermark = i64::MAX)
    });
    assert_eq!(why(&made).0, Cause::Done);
}

/// A checkpoint that waits for these.
fn checkpoint(stage: Stage, waits_for: &[(&str, usize)]) -> Option<Checkpoints> {
    let instance = |&(uid, worker): &(&str, usize)| Instance { uid: uid.to_owned(), worker };
    Some(Checkpoints {
        attempt: 1,
        epoch: EPOCH + 1,
        in_progress: 1,
        checkpoints: Statistics::default(),
        under_way: vec![UnderWay {
            checkpoint: EPOCH,
            triggered_ms: 0,
            stage,
            acknowledged: 0,
            waits_for: waits_for.iter().map(instance).collect(),
        }],
    })
}

fn barrier(made: &Made, asked: Option<&str>) -> Option<Cause> {
    let blames = made.view().why(asked);
    let barrier = blames.into_iter().find(|blame| blame.what == What::Barrier(EPOCH));
    barrier.map(|blame| blame.cause)
}

fn cut(made: Made, uid: &str) -> Made {
    (0..WORKERS)
        .fold(made, |made, worker| made.with(uid, worker, |task| task.epoch = Some(EPOCH + 1)))
}

#[test]
fn a_barrier_is_followed_to_who_has_not_cut() {
    let all = [("read", 0), ("read", 1), ("window", 0), ("window", 1), ("sink", 0), ("sink", 1)];
    let mut made = Made::new();
    made.reports[0].checkpoints = checkpoint(Stage::Freezing, &all);
    assert_eq!(barrier(&made, None), Some(Cause::NotTriggered { at: place("read", 0) }));
    assert_eq!(barrier(&made, Some("sink")), Some(Cause::NotTriggered { at: place("read", 0) }));
    made.reports[0].checkpoints = checkpoint(Stage::Freezing, &all[2..]);
    made = cut(made, "read").with("window", 1, |task| task.queue = 9);
    for worker in 0..WORKERS {
        made = made.with("window", worker, |task| task.inputs[0].epoch = Some(EPOCH + 1));
    }
    made = made.with("window", 0, |task| task.epoch = Some(EPOCH + 1));
    let backlog = Some(Cause::Backlog { at: place("window", 1), batches: 9 });
    assert_eq!(barrier(&made, Some("sink")), backlog);
    made = made.hanging("sink", 1, 300);
    let hangs = Some(Cause::Hangs { at: place("sink", 1), for_ms: 300 });
    assert_eq!(barrier(&made, Some("sink")), hangs);
}

#[test]
fn what_has_been_cut_waits_for_its_upload_then_the_manifest_then_the_sinks() {
    let mut made = ["read", "window", "sink"].into_iter().fold(Made::new(), cut);
    made.reports[0].checkpoints = checkpoint(Stage::Freezing, &[("window", 1)]);
    let upload = Cause::Upload { at: place("window", 1), checkpoint: EPOCH };
    assert_eq!(barrier(&made, None), Some(upload));
    assert_eq!(barrier(&made, Some("sink")), None, "its own is stored");
    made.reports[0].checkpoints = checkpoint(Stage::Storing, &[]);
    assert_eq!(barrier(&made, None), Some(Cause::Manifest { checkpoint: EPOCH }));
    made.reports[0].checkpoints = checkpoint(Stage::Committing, &[]);
    assert_eq!(barrier(&made, None), Some(Cause::SinkCommit { checkpoint: EPOCH }));
}

/// Promised, own and output watermark, epoch, whether it hangs, who holds it, how many splits.
type AnyTask = (i64, i64, i64, u64, bool, Option<(usize, usize)>, u8);

/// Any state of an operator on a worker, sensible or not.
fn any_task() -> impl Strategy<Value = AnyTask> {
    let watermark = prop_oneof![Just(i64::MIN), 0..NOW, Just(i64::MAX)];
    let held = proptest::option::of((0..4_usize, 0..3_usize));
    (watermark.clone(), watermark.clone(), watermark, 0..8_u64, any::<bool>(), held, 0..4_u8)
}

proptest! {
    /// Reports are taken at different instants and may contradict each other: a search must end,
    /// visit nothing twice in the same way, and name somebody who exists.
    #[test]
    fn a_search_ends_whatever_is_reported(
        tasks in proptest::collection::vec(any_task(), 6),
        waits in proptest::collection::vec((0..3_usize, 0..3_usize), 0..4),
    ) {
        let uids = ["read", "window", "sink"];
        let mut made = Made::new();
        for (i, (input, own, output, epoch, hangs, held, splits)) in tasks.into_iter().enumerate() {
            made = made.with(uids[i / 2], i % 2, |task| {
                (task.watermark, task.output_watermark) = (own, output);
                task.epoch = (epoch > 0).then_some(epoch);
                task.aligning_ms = (epoch % 2 == 0).then_some(1);
                task.phase = if hangs { Phase::Busy } else { Phase::Idle };
                task.phase_ms = 50 * epoch;
                task.held =
                    held.map(|(edge, receiver)| Held { edge, receiver, for_ms: 1 });
                task.inputs.iter_mut().for_each(|promise| promise.watermark = input);
                task.splits.truncate(usize::from(splits));
            });
        }
        let waits: Vec<_> = waits.into_iter().map(|(uid, worker)| (uids[uid], worker)).collect();
        made.reports[0].checkpoints = checkpoint(Stage::Freezing, &waits);
        let view = made.view();
        for uid in [None, Some("read"), Some("window"), Some("sink")] {
            for blame in view.why(uid) {
                prop_assert!(blame.chain.len() <= 3 * WORKERS * uids.len());
                prop_assert!(blame.chain.iter().all(|link| view.vertex(&link.uid).is_some()));
                let copy: Blame = serde_json::from_str(&serde_json::to_string(&blame).unwrap()).unwrap();
                prop_assert_eq!(copy, blame);
            }
        }
    }
}
