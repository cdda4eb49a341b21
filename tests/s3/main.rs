//! Checkpoints on a server that speaks the protocol of S3, with credentials and conditional puts.
//!
//! Runs with the feature `s3-server`, which brings the server into the process of the tests
//! (`cargo xtask test --s3`). Families: the store (would catch two winners of one slot, and a store
//! that answers in a way that nobody expects); programs (would catch credentials that do not arrive,
//! rows that are lost or doubled by a kill, and errors that do not say what to do).

#![allow(clippy::unwrap_used, reason = "a test")]

mod server;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use server::{SECRET, Server};
use support::{lines, program};
use tempfile::TempDir;

const JOB: &str = "s3://bucket/jobs/one";
const QUERY: [&str; 3] = ["q8", "--events", "60000"];

/// The command of an attempt that keeps its checkpoints at an address.
fn command(server: &Server, url: &str, output: &Path, workers: usize) -> Command {
    let mut command = Command::new(program("nexmark"));
    server.known_to(&mut command, SECRET);
    command.args(QUERY).args(["--rate", "20000", "--workers", &workers.to_string()]);
    command.arg("--output").arg(output).args(["--checkpoint-dir", url]);
    command.args(["--checkpoint-interval", "50ms", "--restart", "none"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What the query gives when nobody disturbs it.
fn undisturbed() -> Vec<String> {
    let output = TempDir::new().unwrap();
    let mut command = Command::new(program("nexmark"));
    let ended = command.args(QUERY).arg("--output").arg(output.path()).output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
    lines(output.path(), "part")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

/// Waits until an attempt has completed some checkpoints.
fn wait_for_checkpoints(server: &Server, job: &mut Child, attempt: u64, count: usize) {
    let begin = Instant::now();
    let of_attempt = |path: &PathBuf| path.to_string_lossy().ends_with(&format!("-{attempt}"));
    loop {
        let markers = std::fs::read_dir(server.file("committed")).into_iter().flatten();
        let markers = markers.map(|marker| marker.unwrap().path()).filter(of_attempt);
        if markers.count() >= count {
            return;
        }
        assert!(job.try_wait().unwrap().is_none(), "the job has ended");
        assert!(begin.elapsed() < Duration::from_secs(60), "no checkpoints in a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_job_that_is_killed_goes_on_and_gives_what_an_undisturbed_one_gives() {
    let (server, output) = (Server::start(), TempDir::new().unwrap());
    for (attempt, workers) in [(1, 2), (2, 1), (3, 3)] {
        let mut job = command(&server, JOB, output.path(), workers);
        let mut job = job.args(["--restore", "latest"]).spawn().unwrap();
        wait_for_checkpoints(&server, &mut job, attempt, 2);
        job.kill().unwrap();
        job.wait().unwrap();
    }
    let mut last = command(&server, JOB, output.path(), 2);
    let last = last.args(["--restore", "latest"]).output().unwrap();
    assert!(last.status.success(), "{}", said(&last));
    assert!(!said(&last).contains("starts anew"), "{}", said(&last));
    assert_eq!(lines(output.path(), "part"), undisturbed());
    assert!(server.file("log").is_dir(), "nothing was written to the server");
}

#[test]
fn a_job_goes_on_from_a_savepoint_in_the_bucket_which_the_tool_shows() {
    let (server, output) = (Server::start(), TempDir::new().unwrap());
    let control = output.path().join("control");
    let highwater = |arguments: &[&str]| {
        let mut tool = Command::new(program("../highwater"));
        server.known_to(&mut tool, SECRET);
        let ended = tool.args(arguments).output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", said(&ended));
        String::from_utf8(ended.stdout).unwrap()
    };
    let results = output.path().join("results");
    let mut first = command(&server, JOB, &results, 2);
    let mut first = first.arg("--control").arg(&control).spawn().unwrap();
    wait_for_checkpoints(&server, &mut first, 1, 1);
    let (at, savepoint) = (control.to_str().unwrap(), "s3://bucket/savepoints/one");
    highwater(&["stop", "--control", at, "--savepoint", savepoint]);
    assert!(first.wait().unwrap().success());

    let listed = highwater(&["state", "ls", savepoint]);
    assert!(listed.starts_with("{\"snapshot\":\"savepoint\""), "{listed}");
    assert!(!highwater(&["state", "export", savepoint]).is_empty());

    let mut second = command(&server, "s3://bucket/jobs/two", &results, 3);
    let second = second.args(["--restore", savepoint]).output().unwrap();
    assert!(second.status.success(), "{}", said(&second));
    assert_eq!(lines(&results, "part"), undisturbed());
}

/// Runs a job that must not begin, and returns the sentence with which it ends.
fn refusal(command: &mut Command) -> String {
    let ended = command.output().unwrap();
    let said = said(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    errors[0].to_owned()
}

#[test]
fn wrong_credentials_and_a_missing_bucket_are_named() {
    let (server, output) = (Server::start(), TempDir::new().unwrap());
    let mut wrong = command(&server, JOB, output.path(), 1);
    server.known_to(&mut wrong, "wrong");
    let sentence = refusal(&mut wrong);
    assert!(sentence.contains("s3://bucket/jobs/one/log: could not list: "), "{sentence}");
    assert!(sentence.contains("lacked the necessary privileges"), "{sentence}");
    assert_eq!(sentence.matches("SignatureDoesNotMatch").count(), 1, "{sentence}");

    let mut missing = command(&server, "s3://nowhere/jobs/one", output.path(), 1);
    let sentence = refusal(&mut missing);
    assert!(sentence.contains("s3://nowhere/jobs/one/log: could not list"), "{sentence}");
    assert_eq!(sentence.matches("NoSuchBucket").count(), 1, "{sentence}");
    assert!(lines(output.path(), "part").is_empty());
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let (server, output) = (Server::start(), TempDir::new().unwrap());
    let mut gone = command(&server, JOB, output.path(), 1);
    drop(server);
    let sentence = refusal(&mut gone);
    assert!(sentence.contains("s3://bucket/jobs/one/log: could not list in 6 tries"), "{sentence}");
    assert!(sentence.contains("Connection refused"), "{sentence}");
}
