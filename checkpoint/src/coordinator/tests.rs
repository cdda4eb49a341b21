//! What the coordinator wants done after which events, played by hand.

use highwater_core::time::Epoch;

use super::*;
use crate::manifest::{PartRef, StoredPart};

const INTERVAL: Duration = Duration::from_millis(100);

/// A coordinator of two operators on one worker, and the time.
struct Played {
    coordinator: Coordinator,
    now: Duration,
}

fn instance(uid: &str) -> Instance {
    Instance { uid: uid.to_owned(), worker: 0 }
}

fn part(delta: bool) -> StoredPart {
    let inline = |text: &'static str| PartRef::Inline(text.as_bytes().into());
    StoredPart { part: inline("part"), slots: delta.then(|| inline("slots")) }
}

fn object() -> ObjectRef {
    ObjectRef::of("manifests/1-1", b"manifest")
}

fn place(checkpoint: u64) -> Completed {
    Completed { slot: checkpoint, checkpoint, attempt: 1, manifest: object() }
}

impl Played {
    fn new(change: impl FnOnce(&mut CheckpointOptions)) -> Self {
        let mut options = CheckpointOptions { interval: INTERVAL, ..CheckpointOptions::at("x") };
        change(&mut options);
        let start = Start { attempt: 1, first: Epoch(1), max_parallelism: 128, workers: 1 };
        let mut played =
            Played { coordinator: Coordinator::new(options, start), now: Duration::ZERO };
        let instances = vec![instance("source"), instance("sink")];
        assert_eq!(played.tell(Event::Report(Report::Started { instances })), [""; 0]);
        played
    }

    /// Tells it an event, and returns what it wants done, in short.
    fn tell(&mut self, event: Event) -> Vec<String> {
        self.coordinator.on(event, self.now, 0).iter().map(shorten).collect()
    }

    fn wait(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        self.tell(Event::Tick)
    }

    fn ack(
        &mut self,
        uid: &str,
        epoch: u64,
        delta: bool,
        committable: Option<&str>,
    ) -> Vec<String> {
        self.answer(uid, epoch, Ok(vec![("state".to_owned(), part(delta))]), committable)
    }

    fn answer(
        &mut self,
        uid: &str,
        epoch: u64,
        states: Result<Vec<(String, StoredPart)>, String>,
        committable: Option<&str>,
    ) -> Vec<String> {
        self.tell(Event::Report(Report::Acked(Ack {
            instance: instance(uid),
            name: uid.to_owned(),
            epoch: Epoch(epoch),
            watermark: 7,
            states,
            committables: committable.into_iter().map(str::to_owned).collect(),
        })))
    }

    /// Everything from the trigger to the marker.
    fn complete(&mut self, checkpoint: u64, delta: bool) -> Vec<String> {
        self.ack("source", checkpoint, delta, None);
        self.ack("sink", checkpoint, delta, None);
        self.finish(checkpoint)
    }

    /// Everything from the manifest to the marker.
    fn finish(&mut self, checkpoint: u64) -> Vec<String> {
        assert_eq!(self.tell(Event::Written(Ok(object()))), [format!("log {checkpoint}")]);
        let logged = self.tell(Event::Logged(Ok(place(checkpoint))));
        assert_eq!(logged, [format!("commit {checkpoint}")]);
        let report = Report::Committed { checkpoint: Epoch(checkpoint) };
        assert_eq!(self.tell(Event::Report(report)), [format!("mark {checkpoint}")]);
        self.tell(Event::Marked)
    }
}

fn shorten(action: &Action) -> String {
    match action {
        Action::Order(Order::Trigger { epoch, kind }) => {
            format!("trigger {} {}", epoch.0, if kind.delta { "delta" } else { "full" })
        }
        Action::Order(Order::Commit { checkpoint }) => format!("commit {}", checkpoint.0),
        Action::Order(order) => format!("{order:?}").to_lowercase(),
        Action::Write(manifest) => {
            let mut text = format!("write {}", manifest.checkpoint);
            for operator in &manifest.operators {
                let parts: Vec<_> = operator.states.iter().map(|s| s.chain.len()).collect();
                let payloads: Vec<_> = operator.committables.iter().map(|c| &*c.payload).collect();
                text += &format!(" {} {parts:?} {payloads:?}", operator.uid);
            }
            text
        }
        Action::Log { checkpoint, .. } => format!("log {}", checkpoint.0),
        Action::Mark(completed) => format!("mark {}", completed.checkpoint),
        Action::Collect { .. } => "collect".to_owned(),
        Action::Discard(written) => {
            let paths: Vec<_> = written.iter().map(|object| object.path.as_str()).collect();
            format!("discard {}", paths.join(" "))
        }
        Action::Export { url, .. } => format!("export {url}"),
        Action::Answer(answer) => format!("answer {answer:?}"),
        Action::Fail(error) => format!("fail {}", error.sentence()),
    }
}

#[test]
fn results_are_committed_after_the_log_has_the_checkpoint_and_not_before() {
    let mut played = Played::new(|_| {});
    assert_eq!(played.wait(INTERVAL / 2), [""; 0], "the interval is not over");
    assert_eq!(played.wait(INTERVAL / 2), ["trigger 1 full"]);
    assert_eq!(played.ack("source", 1, false, None), [""; 0], "the sink has not answered");
    let written = played.ack("sink", 1, false, Some("rows"));
    assert_eq!(written, [r#"write 1 sink [1] ["rows"] source [1] []"#]);
    assert_eq!(played.finish(1), ["collect"]);
}

#[test]
fn deltas_follow_a_full_one_until_there_are_enough() {
    let mut played = Played::new(|options| options.deltas = 2);
    for (checkpoint, kind) in [(1, "full"), (2, "delta"), (3, "delta"), (4, "full")] {
        assert_eq!(played.wait(INTERVAL), [format!("trigger {checkpoint} {kind}")]);
        let delta = kind == "delta";
        played.ack("source", checkpoint, delta, None);
        let written = played.ack("sink", checkpoint, delta, None);
        let parts = if delta { checkpoint } else { 1 };
        let expected = format!("write {checkpoint} sink [{parts}] [] source [{parts}] []");
        assert_eq!(written, [expected]);
        played.finish(checkpoint);
    }
}

#[test]
fn a_checkpoint_that_was_given_up_leaves_its_results_to_the_next_which_is_full() {
    let mut played = Played::new(|options| options.tolerable_failures = 1);
    played.wait(INTERVAL);
    played.complete(1, false);
    assert_eq!(played.wait(INTERVAL), ["trigger 2 delta"]);
    assert_eq!(played.answer("source", 2, Err("disk full".to_owned()), None), [""; 0]);
    assert_eq!(played.wait(INTERVAL), [""; 0], "the sink has not answered");
    assert_eq!(played.ack("sink", 2, true, Some("two")), ["trigger 3 full"]);
    assert_eq!(played.ack("source", 3, false, None), [""; 0]);
    let written = played.ack("sink", 3, false, Some("three"));
    assert_eq!(written, [r#"write 3 sink [1] ["two", "three"] source [1] []"#]);
    assert_eq!(played.finish(3), ["collect"]);
}

#[test]
fn what_could_not_be_written_or_logged_is_in_the_next_manifest() {
    for written in [Err("no".to_owned()), Ok(object())] {
        let mut played = Played::new(|options| options.tolerable_failures = 9);
        played.wait(INTERVAL);
        played.ack("source", 1, false, None);
        played.ack("sink", 1, false, Some("one"));
        if written.is_ok() {
            played.tell(Event::Written(written));
            let declined = played.tell(Event::Logged(Err("declined".to_owned())));
            assert_eq!(declined, ["discard manifests/1-1"]);
        } else {
            assert_eq!(played.tell(Event::Written(written)), [""; 0]);
        }
        assert_eq!(played.wait(INTERVAL), ["trigger 2 full"]);
        played.ack("source", 2, false, None);
        let written = played.ack("sink", 2, false, Some("two"));
        assert_eq!(written, [r#"write 2 sink [1] ["one", "two"] source [1] []"#]);
    }
}

#[test]
fn what_was_written_for_a_checkpoint_that_was_given_up_is_deleted_when_all_have_answered() {
    let mut played = Played::new(|options| options.tolerable_failures = 1);
    played.wait(INTERVAL);
    assert_eq!(played.answer("source", 1, Err("disk full".to_owned()), None), [""; 0]);
    let part = PartRef::File(ObjectRef::of("files/1/sink", b"much"));
    let slots = Some(PartRef::File(ObjectRef::of("files/1/slots", b"more")));
    let stored = vec![("state".to_owned(), StoredPart { part, slots })];
    let answered = played.answer("sink", 1, Ok(stored), None);
    assert_eq!(answered, ["discard files/1/sink files/1/slots"]);
}

#[test]
fn more_failures_in_a_row_than_tolerable_end_the_job() {
    let mut played = Played::new(|options| {
        options.tolerable_failures = 1;
        options.timeout = INTERVAL;
    });
    assert_eq!(played.wait(INTERVAL), ["trigger 1 full"]);
    assert_eq!(played.wait(INTERVAL), [""; 0], "the first is given up");
    played.ack("source", 1, false, None);
    assert_eq!(played.ack("sink", 1, false, None), ["trigger 2 full"]);
    let failed = played.wait(INTERVAL);
    let expected = "fail state: checkpoint 2 failed, the 2. in a row, tolerable are 1: \
                    not complete after 100ms, no answer from [\"sink\", \"source\"]";
    assert_eq!(failed[0], expected);
}

#[test]
fn a_checkpoint_that_is_never_answered_holds_back_the_next_and_fails_again_and_again() {
    let mut played = Played::new(|options| {
        options.tolerable_failures = 2;
        options.timeout = INTERVAL * 3;
    });
    assert_eq!(played.wait(INTERVAL), ["trigger 1 full"]);
    let mut waited = Vec::new();
    (0..9).for_each(|_| waited.extend(played.wait(INTERVAL)));
    let expected = "fail state: checkpoint 1 failed, the 3. in a row, tolerable are 2: \
                    not complete after 300ms, no answer from [\"sink\", \"source\"]";
    assert_eq!(waited, [expected]);
}

#[test]
fn one_at_a_time_and_a_pause_between_them() {
    let pause = INTERVAL * 3;
    let mut played = Played::new(|options| options.min_pause = pause);
    assert_eq!(played.wait(INTERVAL), ["trigger 1 full"]);
    assert_eq!(played.wait(INTERVAL * 10), [""; 0], "one is under way");
    played.complete(1, false);
    assert_eq!(played.wait(pause - INTERVAL / 2), [""; 0]);
    assert_eq!(played.wait(INTERVAL / 2), ["trigger 2 delta"]);
}

#[test]
fn several_at_a_time_complete_in_order() {
    let mut played = Played::new(|options| options.max_concurrent = 2);
    assert_eq!(played.wait(INTERVAL), ["trigger 1 full"]);
    assert_eq!(played.wait(INTERVAL), ["trigger 2 delta"]);
    assert_eq!(played.wait(INTERVAL), [""; 0]);
    played.ack("sink", 2, true, Some("two"));
    assert_eq!(played.ack("source", 2, true, None), [""; 0], "the first is not complete");
    played.ack("source", 1, false, None);
    let written = played.ack("sink", 1, false, Some("one"));
    assert_eq!(written, [r#"write 1 sink [1] ["one"] source [1] []"#]);
    let then = played.finish(1);
    assert_eq!(then[0], "collect");
    assert_eq!(then[1], r#"write 2 sink [2] ["two"] source [2] []"#);
}

#[test]
fn the_job_ends_after_a_last_checkpoint_of_everything() {
    let mut played = Played::new(|_| {});
    assert_eq!(played.tell(Event::Report(Report::Drained)), ["trigger 1 full"], "at once");
    assert_eq!(played.complete(1, false), ["collect", "release"]);
    assert!(played.coordinator.is_released());
    assert_eq!(played.wait(INTERVAL * 10), [""; 0]);
}

#[test]
fn the_end_waits_for_the_checkpoint_under_way() {
    let mut played = Played::new(|_| {});
    played.wait(INTERVAL);
    assert_eq!(played.tell(Event::Report(Report::Drained)), [""; 0]);
    assert_eq!(played.complete(1, false), ["collect", "trigger 2 delta"]);
    assert_eq!(played.complete(2, true), ["collect", "release"]);
}

#[test]
fn a_savepoint_is_full_and_answered_when_it_is_where_it_was_wished_for() {
    let mut played = Played::new(|_| {});
    played.wait(INTERVAL);
    played.complete(1, false);
    let wish = |then| Event::Request(Request { url: Some("there".to_owned()), then });
    assert_eq!(played.tell(wish(Then::Continue)), ["trigger 2 full"]);
    let refused = r#"answer Err("another one is under way")"#;
    assert_eq!(played.tell(wish(Then::Continue)), [refused]);
    assert_eq!(played.complete(2, false), ["collect", "export there"]);
    assert_eq!(played.tell(Event::Exported(Ok(()))), ["answer Ok(Epoch(2))"]);
    assert_eq!(played.wait(INTERVAL), ["trigger 3 delta"], "the job goes on");
}

#[test]
fn a_job_that_is_suspended_halts_after_its_savepoint_and_not_without() {
    for (exported, then) in [
        (Ok(()), vec!["answer Ok(Epoch(1))", "halt"]),
        (Err("no".to_owned()), vec![r#"answer Err("no")"#, "trigger 2 delta"]),
    ] {
        let mut played = Played::new(|options| options.max_concurrent = 2);
        let request = Request { url: Some("there".to_owned()), then: Then::Suspend };
        assert_eq!(played.tell(Event::Request(request)), ["trigger 1 full"]);
        let nothing = [""; 0];
        assert_eq!(played.wait(INTERVAL), nothing, "nothing is made visible after the savepoint");
        assert_eq!(played.complete(1, false), ["collect", "export there"]);
        assert_eq!(played.wait(INTERVAL), nothing);
        assert_eq!(played.tell(Event::Exported(exported)), then);
    }
}

#[test]
fn a_job_that_is_drained_fires_everything_before_its_savepoint() {
    let mut played = Played::new(|_| {});
    let request = Request { url: Some("there".to_owned()), then: Then::Drain };
    assert_eq!(played.tell(Event::Request(request)), ["drain"]);
    assert_eq!(played.tell(Event::Report(Report::Drained)), ["trigger 1 full"]);
    assert_eq!(played.complete(1, false), ["collect", "export there"]);
    assert_eq!(played.tell(Event::Exported(Ok(()))), ["answer Ok(Epoch(1))", "release"]);
}

#[test]
fn the_status_tells_what_became_of_checkpoints_and_how_long_they_took() {
    let mut played = Played::new(|options| options.tolerable_failures = 1);
    played.wait(INTERVAL);
    let status = played.coordinator.status();
    assert_eq!((status.attempt, status.epoch, status.in_progress), (1, 2, 1));
    played.wait(Duration::from_millis(40));
    played.complete(1, false);
    let status = played.coordinator.status();
    let newest =
        CompletedCheckpoint { checkpoint: 1, triggered_ms: -40, duration_ms: 40, bytes: 8 };
    assert_eq!((status.in_progress, status.checkpoints.completed), (0, 1));
    assert_eq!(status.checkpoints.newest, [newest]);

    played.wait(INTERVAL);
    played.answer("sink", 2, Err("disk full".to_owned()), None);
    let checkpoints = played.coordinator.status().checkpoints;
    assert_eq!((checkpoints.completed, checkpoints.failed), (1, 1));
    let failed = &checkpoints.failures[0];
    assert_eq!(failed.checkpoint, 2);
    assert!(failed.why.contains("disk full"), "{}", failed.why);
}

#[test]
fn a_job_whose_input_has_ended_waits_for_a_savepoint_that_is_being_written() {
    let mut played = Played::new(|_| {});
    let request = Request { url: Some("there".to_owned()), then: Then::Continue };
    assert_eq!(played.tell(Event::Request(request)), ["trigger 1 full"]);
    assert_eq!(played.complete(1, false), ["collect", "export there"]);
    assert_eq!(played.tell(Event::Report(Report::Drained)), ["trigger 2 delta"]);
    assert_eq!(played.complete(2, true), ["collect"]);
    assert_eq!(played.tell(Event::Exported(Ok(()))), ["answer Ok(Epoch(1))", "release"]);
    assert_eq!(played.wait(INTERVAL), [""; 0]);
}

#[test]
fn a_job_that_could_not_stop_with_a_savepoint_ends_when_its_input_has_ended() {
    let mut played = Played::new(|_| {});
    let request = Request { url: Some("there".to_owned()), then: Then::Suspend };
    assert_eq!(played.tell(Event::Request(request)), ["trigger 1 full"]);
    assert_eq!(played.complete(1, false), ["collect", "export there"]);
    assert_eq!(played.tell(Event::Report(Report::Drained)), [""; 0]);
    let answered = played.tell(Event::Exported(Err("disk full".to_owned())));
    assert_eq!(answered, ["answer Err(\"disk full\")", "trigger 2 delta"]);
    assert_eq!(played.complete(2, true), ["collect", "release"]);
}

#[test]
fn who_asks_for_the_end_of_a_job_that_takes_its_last_checkpoint_gets_it() {
    for (then, ends) in [(Then::Suspend, "halt"), (Then::Drain, "release")] {
        for answered in [false, true] {
            let mut played = Played::new(|_| {});
            assert_eq!(played.tell(Event::Report(Report::Drained)), ["trigger 1 full"]);
            if answered {
                played.ack("source", 1, false, None);
                played.ack("sink", 1, false, None);
            }
            let savepoint = Request { url: Some("there".to_owned()), then };
            let refused = played.tell(Event::Request(savepoint));
            assert_eq!(refused, ["answer Err(\"the job is ending\")"]);
            let asked = played.tell(Event::Request(Request { url: None, then }));
            assert_eq!(asked, if then == Then::Drain { &["drain"][..] } else { &[] });
            let completed = match answered {
                true => played.finish(1),
                false => played.complete(1, false),
            };
            assert_eq!(completed, ["collect", "answer Ok(Epoch(1))", ends]);
        }
    }
}
