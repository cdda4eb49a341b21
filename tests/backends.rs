//! Jobs that move their state from memory into a store and back, and are killed on the way.
//!
//! ```text
//! heap --killed--> heap --savepoint--> store --killed--> store --savepoint--> heap --> ..
//! ```
//!
//! One family, each attempt with another number of workers: it would catch state that only the place
//! which wrote it can read, timers and floors that do not move along, and results that are made twice
//! when a job goes on from a savepoint and is killed before its first checkpoint. Every job is
//! compared with an undisturbed run.
//!
//! Another place is RocksDB with the feature `rocksdb`, else a store in memory, which the program
//! `stored` has.

#[allow(dead_code, reason = "a test uses a part of what they share")]
#[path = "support/job.rs"]
mod job;
#[allow(dead_code, reason = "a test uses a part of what they share")]
#[path = "support/process.rs"]
mod process;
mod support;

use std::process::Command;
use std::time::Duration;

use highwater::control::{Client, How};
use job::{Draw, Job, kills, said, start_and_kill, started};
use process::{text, wait_for};

/// The program that runs the queries.
const QUERIES: &str = if cfg!(feature = "rocksdb") { "nexmark" } else { "stored" };
/// How it is told where its state is: in memory, in a store.
const PLACES: [&[&str]; 2] = match cfg!(feature = "rocksdb") {
    true => [&["--state", "heap"], &["--state", "rocksdb"]],
    false => [&[], &["--in-store"]],
};

/// A job that changes its place.
struct Moving {
    job: Job,
    draw: Draw,
    /// Where its state is now.
    place: usize,
    /// How often it has been killed.
    killed: usize,
    /// How often it has moved.
    moved: usize,
}

impl Moving {
    fn command(&mut self, restore: &str) -> (Command, Duration) {
        let (workers, life) = self.draw.attempt();
        let mut command = self.job.command_from(restore, workers);
        command.args(PLACES[self.place]);
        (command, life)
    }

    /// Kills an attempt; returns whether the job goes on.
    fn kill(&mut self, restore: &str) -> bool {
        let (mut command, life) = self.command(restore);
        let alive = start_and_kill(&mut command, life);
        self.killed += usize::from(alive);
        alive
    }

    /// Stops an attempt with a savepoint, and returns its address.
    fn stop(&mut self) -> String {
        let savepoint = self.job.dir.path().join(format!("savepoint-{}", self.moved));
        let (mut command, life) = self.command("latest");
        let mut child = started(&mut command);
        std::thread::sleep(life);
        let control = self.job.ck();
        wait_for("an attempt", || {
            let ended = child.try_wait().expect("a child").is_some();
            (ended || Client::connect(&control).is_ok()).then_some(())
        });
        let client = Client::connect(&control);
        let stopped = client.and_then(|job| job.stop(How::Suspend, Some(text(&savepoint))));
        let output = child.wait_with_output().expect("a child");
        assert!(stopped.is_ok() && output.status.success(), "{}", said(&output));
        self.moved += 1;
        self.place = 1 - self.place;
        text(&savepoint).to_owned()
    }

    /// Goes on to the end, from the savepoint if there is one.
    fn end(&mut self, restore: &str) {
        let output = self.command(restore).0.output().expect("an example");
        assert!(output.status.success(), "{}", said(&output));
    }
}

/// Kills a job at random instants, moves its state each time that it was killed twice, and compares
/// what it has written in the end.
///
/// - `records`: how many there are; their rate is such that the job is there to be killed.
fn survives_moves(
    (program, args, records): (&'static str, &str, usize),
    prefixes: &[&str],
    seed: u64,
) {
    let rate = records * 2 / (kills() + 1);
    let job = Job::new(program, &format!("{args} --rate {rate}"));
    let mut moving = Moving { job, draw: Draw(seed), place: 0, killed: 0, moved: 0 };
    let mut restore = "latest".to_owned();
    while moving.killed + 1 < kills() {
        assert!(moving.kill(&restore) && moving.kill("latest"), "the job has ended too early");
        restore = moving.stop();
    }
    assert!(moving.moved >= 2, "into a store and back");
    moving.end(&restore);
    moving.job.check(prefixes);
}

#[test]
fn sliding_windows_survive_moves() {
    survives_moves((QUERIES, "q5 --events 100000", 100_000), &["part"], 1);
}

#[test]
fn window_maxima_survive_moves() {
    survives_moves((QUERIES, "q7 --events 100000 --events-per-second 1000", 100_000), &["part"], 2);
}

#[test]
fn window_joins_survive_moves() {
    survives_moves((QUERIES, "q8 --events 100000", 100_000), &["part"], 3);
}

#[test]
fn sessions_survive_moves() {
    survives_moves((QUERIES, "q11 --events 100000", 100_000), &["part"], 4);
}

#[cfg(feature = "rocksdb")]
#[test]
fn flights_survive_moves() {
    let args = "hourly --out-of-orderness 22h";
    survives_moves(("flights", args, 336_776), &["part", "late"], 5);
}
