//! Whole programs that are killed, stopped, fenced, and started again on damaged checkpoints.
//!
//! Families: random kills with a changing number of workers (catches what a seeded failpoint does not
//! reach); an old attempt that wakes up while a new one has run (catches a missing fence); objects of
//! the store that are damaged or lost, and disks that are full or may not be written (catches a wrong
//! state, a wrong message, a silent start from the beginning). Every family compares with an
//! undisturbed run.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "exactly_once/disk.rs"]
mod disk;
#[path = "support/job.rs"]
mod job;
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::checkpoint::ObjectRef;
use highwater::checkpoint::inspect::Snapshot;
use job::{Draw, Job, kills, said};
use rustix::process::{Pid, Signal, kill_process};
use support::lines;

/// Kills a job at random instants, starts it each time with another number of workers, and compares
/// what it has written in the end.
fn survives_kills(program: &'static str, args: &str, prefixes: &[&str], seed: u64) {
    let (job, mut draw, mut killed) = (Job::new(program, args), Draw(seed), 0);
    while killed < kills() {
        let (workers, wait) = draw.attempt();
        if !job.start_and_kill(workers, wait) {
            break;
        }
        killed += 1;
    }
    let last = job.run_to_the_end(2);
    assert!(last.status.success(), "{}", said(&last));
    assert!(killed > 0, "the job has ended before it could be killed");
    job.check(prefixes);
}

#[test]
fn sliding_windows_survive_kills() {
    survives_kills("nexmark", "q5 --events 100000 --rate 100000", &["part"], 1);
}

#[test]
fn window_maxima_survive_kills() {
    survives_kills(
        "nexmark",
        "q7 --events 100000 --events-per-second 1000 --rate 100000",
        &["part"],
        2,
    );
}

#[test]
fn window_joins_survive_kills() {
    survives_kills("nexmark", "q8 --events 100000 --rate 100000", &["part"], 3);
}

#[test]
fn sessions_survive_kills() {
    survives_kills("nexmark", "q11 --events 100000 --rate 100000", &["part"], 4);
}

#[test]
fn flights_out_of_a_compressed_file_survive_kills() {
    let args = "hourly --out-of-orderness 22h --rate 400000";
    survives_kills("flights", args, &["part", "late"], 5);
}

#[test]
fn an_attempt_that_wakes_up_after_another_has_run_is_fenced_and_nothing_of_it_becomes_visible() {
    for (seed, stop_ms) in [(1, 150), (2, 260)] {
        let args = format!("q8 --events 60000 --seed {seed} --rate 100000");
        let job = Job::new("nexmark", &args);
        let old = job.start(2);
        std::thread::sleep(Duration::from_millis(stop_ms));
        let pid = Pid::from_child(&old);
        kill_process(pid, Signal::STOP).expect("a child that can be stopped");
        let new = job.run_to_the_end(3);
        assert!(new.status.success(), "{}", said(&new));
        kill_process(pid, Signal::CONT).expect("a child that can go on");
        let old = old.wait_with_output().expect("a child");
        assert!(!old.status.success());
        assert!(said(&old).contains("was fenced"), "{}", said(&old));
        job.check(&["part"]);
    }
}

/// Whether a file was being written when the job was killed.
fn is_unfinished(path: &Path) -> bool {
    path.to_string_lossy().contains('#')
}

/// The files below a folder whose paths contain a text, newest first.
fn newest(dir: &Path, containing: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(containing) && !is_unfinished(&path) {
                let modified = entry.metadata().and_then(|about| about.modified());
                found.push((modified.expect("a time"), path));
            }
        }
    }
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 3] = [
    ("truncated", |path| {
        let bytes = std::fs::read(path).expect("an object");
        std::fs::write(path, &bytes[..bytes.len() / 2]).expect("an object");
    }),
    ("a flipped bit", |path| {
        let mut bytes = std::fs::read(path).expect("an object");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(path, bytes).expect("an object");
    }),
    ("lost", |path| std::fs::remove_file(path).expect("an object")),
];

#[test]
fn a_damaged_checkpoint_is_replaced_by_the_one_before_it() {
    for (how, damage) in DAMAGES {
        let job = Job::new("nexmark", "q8 --events 60000 --rate 60000");
        assert!(job.start_and_kill(2, Duration::from_millis(500)));
        // The newest manifest may belong to a checkpoint that is not complete.
        let complete = newest(&job.ck(), "/committed/");
        let name = complete[0].file_name().expect("a marker has the name of its manifest");
        damage(&job.ck().join("manifests").join(name));
        let next = job.run_to_the_end(3);
        assert!(next.status.success(), "{how}: {}", said(&next));
        assert!(said(&next).contains("damaged"), "{how}: {}", said(&next));
        job.check(&["part"]);
    }
}

/// Returns an object that the newest checkpoint has and the one before it does not.
fn newest_part(checkpoints: &Path) -> Option<ObjectRef> {
    let url = checkpoints.to_str().expect("a path in Unicode");
    let newest = Snapshot::open(url, None).expect("a checkpoint");
    let before = Snapshot::open(url, Some(newest.manifest().checkpoint - 1)).ok()?;
    let known: Vec<_> = before.manifest().objects().collect();
    newest.manifest().objects().find(|object| !known.contains(object)).cloned()
}

#[test]
fn a_checkpoint_with_a_damaged_part_is_replaced_by_the_one_before_it() {
    for (how, damage) in DAMAGES {
        // So much changes between two checkpoints that its parts are objects of their own.
        let args = "q11 --events 240000 --events-per-second 100000 --rate 200000";
        let job = Job { interval: "250ms", ..Job::new("nexmark", args) };
        let mut child = job.start(1);
        disk::wait_for_checkpoints(&job);
        child.kill().expect("a child that can be killed");
        child.wait().expect("a child");
        let part = newest_part(&job.ck()).expect("a part of the newest checkpoint alone");
        damage(&job.ck().join(&part.path));
        let next = job.run_to_the_end(3);
        assert!(next.status.success(), "{how}: {}", said(&next));
        let sentence = said(&next);
        assert!(sentence.contains("damaged") && sentence.contains(&part.path), "{how}: {sentence}");
        job.check(&["part"]);
    }
}

#[test]
fn when_all_checkpoints_are_damaged_the_job_does_not_begin_and_says_why() {
    let job = Job::new("nexmark", "q8 --events 60000 --rate 60000");
    assert!(job.start_and_kill(2, Duration::from_millis(500)));
    newest(&job.ck(), "/manifests/").iter().for_each(|path| DAMAGES[1].1(path));
    let before = lines(&job.out(), "part");
    let next = job.run_to_the_end(2);
    assert_eq!(next.status.code(), Some(1));
    assert!(said(&next).contains("manifests/"), "{}", said(&next));
    assert_eq!(lines(&job.out(), "part"), before, "what is visible stays");
}

#[test]
fn a_job_without_a_completed_checkpoint_starts_anew_and_says_so() {
    let job = Job::new("nexmark", "q8 --events 20000");
    let output = job.run_to_the_end(1);
    assert!(output.status.success());
    assert!(said(&output).contains("starts anew"), "{}", said(&output));
    job.check(&["part"]);
    let again = job.run_to_the_end(3);
    assert!(again.status.success(), "a job that has ended may be asked again: {}", said(&again));
    job.check(&["part"]);
}

#[test]
fn another_number_of_key_groups_and_other_operators_are_refused() {
    let job = Job::new("nexmark", "q5 --events 60000 --rate 60000");
    assert!(job.start_and_kill(2, Duration::from_millis(400)));
    let refused = job.command(2).args(["--max-parallelism", "64"]).output().expect("an example");
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("--max-parallelism"), "{}", said(&refused));
    let other = Job { args: vec!["q0".to_owned()], ..job };
    let refused = other.run_to_the_end(2);
    assert_eq!(refused.status.code(), Some(1));
    let sentence = said(&refused);
    assert!(
        sentence.contains("window") && sentence.contains("--allow-non-restored-state"),
        "{sentence}"
    );
}
