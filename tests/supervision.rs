//! Real processes that are killed, panic and are stopped, and the results that they leave behind.
//!
//! Families: attempts that die and are started again (would catch lost or doubled records, restarts
//! from checkpoints of another run, restarts without end); supervisors that die (would catch attempts
//! that outlive them); jobs that are stopped from outside (would catch results that are missing when
//! the job goes on, and savepoints that are touched).

#[path = "support/process.rs"]
mod process;
mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::control::{Client, How};
use process::{Program, files, kill, lives, results, text, wait_for, wait_for_status};
use rustix::process::Signal;
use support::program;
use tempfile::TempDir;

/// Starts again at once, often enough.
const PERSISTENT: &str = "fixed-delay:attempts=9,delay=0s";

/// The folders of one job.
struct Folders {
    dir: TempDir,
}

impl Folders {
    fn new() -> Self {
        Folders { dir: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn checkpoints(&self) -> PathBuf {
        self.path("checkpoints")
    }

    fn output(&self) -> PathBuf {
        self.path("output")
    }

    /// Starts a job that takes checkpoints all the time.
    fn start(&self, name: &str, args: &[&str]) -> Program {
        let (checkpoints, output) = (self.checkpoints(), self.output());
        let own = ["--output", text(&output), "--checkpoint-dir", text(&checkpoints)];
        let often = ["--checkpoint-interval", "50ms"];
        Program::start(&program(name), &[args, &own, &often].concat())
    }
}

const EVENTS: &str = "200000";
/// The query, slow enough to be disturbed.
const Q5: [&str; 5] = ["q5", "--events", EVENTS, "--rate", "100000"];

/// What the query gives when nobody disturbs it.
fn undisturbed(events: &str) -> Vec<String> {
    let folders = Folders::new();
    let output = folders.output();
    let args = ["q5", "--events", events, "--output", text(&output), "-w", "2"];
    Program::start(&program("nexmark"), &args).end().successfully();
    results(&output)
}

/// What `faulty` gives: every hundredth count of each remainder.
fn hundreds(numbers: u64) -> Vec<String> {
    let counts = (0..7).flat_map(|remainder| {
        let count = (numbers + 6 - remainder) / 7;
        (1..=count / 100).map(move |hundred| format!("[{remainder},{}]", hundred * 100))
    });
    let mut lines: Vec<_> = counts.collect();
    lines.sort_unstable();
    lines
}

/// Waits until the job has completed some checkpoints in its attempt, and returns its process.
fn at_work(checkpoints: &Path, attempt: u64) -> u32 {
    let status = wait_for_status(checkpoints, "a third checkpoint", |status| {
        let of = &status.checkpoints;
        of.attempt == attempt && of.checkpoints.completed >= 3
    });
    status.pid
}

#[test]
fn an_attempt_that_is_killed_is_started_again_and_the_results_are_exact() {
    let folders = Folders::new();
    let job = folders.start("nexmark", &[&Q5[..], &["-w", "2", "--restart", PERSISTENT]].concat());
    for attempt in 1..=2 {
        let pid = at_work(&folders.checkpoints(), attempt);
        assert_ne!(pid, job.pid(), "the job runs in the process of the supervisor");
        kill(pid, Signal::KILL);
    }
    let failures = wait_for_status(&folders.checkpoints(), "a third attempt", |status| {
        status.checkpoints.attempt == 3
    });
    let exits: Vec<_> = failures.restarts.iter().map(|f| (f.attempt, f.exit.as_str())).collect();
    assert_eq!(exits, [(1, "signal 9 (SIGKILL)"), (2, "signal 9 (SIGKILL)")]);
    let stderr = job.end().successfully();
    for attempt in 1..=2 {
        let said = format!("attempt {attempt} failed (signal 9 (SIGKILL)): its process was killed");
        assert!(stderr.contains(&said), "{stderr}");
    }
    assert!(stderr.contains("the job failed 2 times:"), "{stderr}");
    assert!(results(&folders.output()) == undisturbed(EVENTS));
}

#[test]
fn a_job_that_panics_once_goes_on_from_its_last_checkpoint() {
    let folders = Folders::new();
    let once = folders.path("once");
    let fault = ["--panic-at", "100000", "--once", text(&once), "--rate", "200000"];
    let job = folders.start("faulty", &[&fault[..], &["--restart", PERSISTENT]].concat());
    let ended = job.end();
    assert_eq!(ended.errors(), [""; 0], "a failure that is got over is no error");
    let stderr = ended.successfully();
    assert!(
        stderr.contains("operator \"source -> fault\" panicked on worker 0: told to panic"),
        "{stderr}"
    );
    assert!(stderr.contains("the job is started again in 0s"), "{stderr}");
    assert!(results(&folders.output()) == hundreds(200_000));
}

#[test]
fn an_attempt_without_a_checkpoint_does_not_go_on_from_those_of_an_earlier_run() {
    let folders = Folders::new();
    let job = folders.start("faulty", &["--rate", "100000", "--restart", "none"]);
    kill(at_work(&folders.checkpoints(), 1), Signal::KILL);
    assert_eq!(job.end().status.signal(), Some(9));
    std::fs::remove_dir_all(folders.output()).expect("the first results");

    let (once, long) = (folders.path("once"), ["--checkpoint-interval", "1h"]);
    let fault = ["--panic-at", "50000", "--once", text(&once), "--restart", PERSISTENT];
    let (checkpoints, output) = (folders.checkpoints(), folders.output());
    let own = ["--output", text(&output), "--checkpoint-dir", text(&checkpoints)];
    let job = Program::start(&program("faulty"), &[&fault[..], &own, &long].concat());
    assert!(job.end().successfully().contains("told to panic"));
    assert!(results(&folders.output()) == hundreds(200_000));
}

#[test]
fn a_job_that_keeps_failing_ends_with_its_own_error_when_the_restarts_are_used_up() {
    let folders = Folders::new();
    let output = folders.output();
    let args = ["--panic-at", "9", "--output", text(&output)];
    let alone = Program::start(&program("faulty"), &args).end();
    assert_eq!(alone.status.code(), Some(1));
    assert_eq!(
        alone.errors(),
        ["error: operator \"source -> fault\" panicked on worker 0: told to panic"]
    );

    let twice = "fixed-delay:attempts=2,delay=1ms";
    let supervised = [&args[..], &["--restart", twice]].concat();
    let ended = Program::start(&program("faulty"), &supervised).end();
    assert_eq!((ended.status.code(), ended.errors()), (alone.status.code(), alone.errors()));
    let refused = format!("--restart {twice} does not allow another attempt");
    assert!(ended.stderr.contains(&refused), "{}", ended.stderr);
    assert!(ended.stderr.contains("the job failed 3 times:"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("started again in 1ms").count(), 2, "{}", ended.stderr);

    let folders = Folders::new();
    let never = ["--rate", "50000", "--restart", "fixed-delay:attempts=0"];
    let job = folders.start("faulty", &never);
    kill(at_work(&folders.checkpoints(), 1), Signal::KILL);
    let ended = job.end();
    assert_eq!(ended.status.code(), Some(128 + 9));
    assert_eq!(ended.errors(), ["error: the process of the job was killed by signal 9 (SIGKILL)"]);
}

#[test]
fn what_another_attempt_cannot_cure_ends_the_program_at_once() {
    let folders = Folders::new();
    std::fs::create_dir(folders.output()).expect("a folder");
    std::fs::write(folders.output().join("part-0.jsonl"), "old\n").expect("a file");
    let alone = folders.start("faulty", &["--restart", "none"]).end();
    assert_eq!(alone.status.code(), Some(2), "{}", alone.stderr);
    let ended = folders.start("faulty", &["--restart", PERSISTENT]).end();
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(ended.stderr, alone.stderr);
}

#[test]
fn an_attempt_does_not_outlive_its_supervisor() {
    let folders = Folders::new();
    let job = folders.start("faulty", &["--rate", "20000"]);
    let attempt = at_work(&folders.checkpoints(), 1);
    kill(job.pid(), Signal::KILL);
    wait_for("the end of the attempt", || (!lives(attempt)).then_some(()));
    assert_eq!(job.end().status.signal(), Some(9));

    let job = folders.start("faulty", &["--rate", "20000", "--restore", "latest"]);
    let attempt = at_work(&folders.checkpoints(), 2);
    kill(job.pid(), Signal::INT);
    assert_eq!(job.end().status.signal(), Some(2));
    assert!(!lives(attempt));
}

#[test]
fn a_job_that_is_asked_to_terminate_takes_a_last_checkpoint_and_goes_on_from_there() {
    let folders = Folders::new();
    let job = folders.start("nexmark", &Q5);
    let attempt = at_work(&folders.checkpoints(), 1);
    // As when the whole group is asked: that counts once.
    kill(attempt, Signal::TERM);
    kill(job.pid(), Signal::TERM);
    let stderr = job.end().successfully();
    assert!(!stderr.contains("failed"), "{stderr}");

    let restored = [&Q5[..], &["--restore", "latest"]].concat();
    let job = folders.start("nexmark", &[&restored[..], &["--restart", "none"]].concat());
    assert_eq!(at_work(&folders.checkpoints(), 2), job.pid());
    kill(job.pid(), Signal::TERM);
    job.end().successfully();

    folders.start("nexmark", &[&restored[..], &["-w", "3"]].concat()).end().successfully();
    assert!(results(&folders.output()) == undisturbed(EVENTS));
}

#[test]
fn a_job_that_cannot_take_a_last_checkpoint_ends_when_it_is_asked_for_the_second_time() {
    for strategy in ["none", PERSISTENT] {
        let folders = Folders::new();
        let hangs = ["--rate", "100000", "--hang-at", "50000", "--restart", strategy];
        let mut job = folders.start("faulty", &hangs);
        let attempt = at_work(&folders.checkpoints(), 1);
        let mut seen = 0;
        wait_for("a checkpoint that cannot complete", || {
            let status = Client::connect(&folders.checkpoints()).ok()?.status().ok()?;
            let before = std::mem::replace(&mut seen, status.records_in);
            // It hangs for good only if nothing is read for a while.
            std::thread::sleep(Duration::from_millis(100));
            let hangs = before == seen && status.records_in >= 49_000;
            (hangs && status.checkpoints.in_progress == 1).then_some(())
        });
        kill(job.pid(), Signal::TERM);
        std::thread::sleep(Duration::from_millis(200));
        assert!(job.is_running(), "a job that is asked once takes its time");
        wait_for("the end", || {
            kill(job.pid(), Signal::TERM);
            (!job.is_running()).then_some(())
        });
        assert_eq!(job.end().status.signal(), Some(15), "{strategy}");
        assert!(!lives(attempt));
    }
}

#[test]
fn a_suspended_job_goes_on_from_its_savepoint_with_other_workers_and_leaves_it_alone() {
    let folders = Folders::new();
    let (savepoint, control) = (folders.path("savepoint"), folders.path("control"));
    let listens = ["-w", "2", "--control", text(&control)];
    let job = folders.start("nexmark", &[&Q5[..], &listens].concat());
    wait_for("the control socket", || Client::connect(&control).ok());
    wait_for("a checkpoint", || {
        let status = Client::connect(&control).and_then(|mut client| client.status()).ok();
        status.filter(|status| status.checkpoints.checkpoints.completed > 0)
    });
    let client = Client::connect(&control).expect("a running job");
    client.stop(How::Suspend, Some(text(&savepoint))).expect("a savepoint");
    job.end().successfully();
    assert!(!control.exists(), "the socket is left behind");
    let before = files(&savepoint);
    let output = files(&folders.output());

    // Nothing of the savepoint changes, so that it can be used again.
    let restored = [&Q5[..3], &["-w", "3", "--restore", text(&savepoint)]].concat();
    folders.start("nexmark", &restored).end().successfully();
    let expected = undisturbed(EVENTS);
    assert!(results(&folders.output()) == expected);
    assert!(files(&savepoint) == before);

    std::fs::remove_dir_all(folders.output()).expect("the results");
    std::fs::create_dir(folders.output()).expect("a folder");
    for (path, content) in output {
        std::fs::write(path, content).expect("the results of the first run");
    }
    folders.start("nexmark", &[&restored[..], &["--claim"]].concat()).end().successfully();
    assert!(results(&folders.output()) == expected);
    assert!(!savepoint.exists(), "a claimed savepoint belongs to the job");
}

#[test]
fn a_savepoint_of_a_running_job_does_not_disturb_it_and_the_status_shows_it() {
    let folders = Folders::new();
    let (checkpoints, savepoint) = (folders.checkpoints(), folders.path("savepoint"));
    let job = folders.start("nexmark", &Q5);
    at_work(&checkpoints, 1);
    let mut client = Client::connect(&checkpoints).expect("a running job");
    client.savepoint(text(&savepoint)).expect("a savepoint");
    let why = client.savepoint(text(&savepoint)).expect_err("the place is taken").to_string();
    assert!(why.contains("holds a savepoint already"), "{why}");

    let status = client.status().expect("a running job");
    assert_eq!((status.checkpoints.attempt, status.workers), (1, 1));
    let of = &status.checkpoints.checkpoints;
    assert_eq!(of.failed, 0);
    assert!(of.newest.front().is_some_and(|newest| newest.bytes > 0), "{of:?}");

    job.end().successfully();
    assert!(results(&folders.output()) == undisturbed(EVENTS));
    assert!(Client::connect(&checkpoints).is_err(), "a job that has ended listens");
}

#[test]
fn a_drained_job_leaves_the_results_of_all_that_it_has_read() {
    let folders = Folders::new();
    let job = folders.start("nexmark", &["q5", "--events", "100000000", "--rate", "100000"]);
    at_work(&folders.checkpoints(), 1);
    let client = Client::connect(&folders.checkpoints()).expect("a connection");
    client.stop(How::Drain, None).expect("the end");
    let stderr = job.end().successfully();
    let (read, _) = stderr.split_once(" records in").expect("a summary");
    let read = read.rsplit(char::is_whitespace).next().expect("a number");
    assert!(results(&folders.output()) == undisturbed(read));
}
