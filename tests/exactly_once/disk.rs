//! Disks that are full or may no longer be written while a job runs.
//!
//! The disks are mounted for the tests, which only root may do: others skip them with a notice.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use highwater::control::Client;

use crate::{Job, newest, said};

/// Long enough to be disturbed, and then to go on.
const QUERY: &str = "q8 --events 80000 --rate 40000";

/// A small disk in memory; it is gone when it is dropped.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts a disk; `None`, with a notice, where that is not allowed.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).expect("a folder");
        let options = ["-t", "tmpfs", "-o", "size=16m", "tmpfs"];
        if !run(Command::new("mount").args(options).arg(&at)) {
            eprintln!("skipped: only root may mount a disk");
            return None;
        }
        Some(Disk { at })
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new();
        let file = file.create(true).append(true).open(self.ballast());
        // There may be no space even for the file.
        if let Ok(mut file) = file {
            for bytes in [1 << 20, 1 << 12] {
                while file.write_all(&vec![0; bytes]).is_ok() {}
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast");
    }

    /// Makes it a disk that may be written, or not; waits until nobody is writing.
    fn allow(&self, how: &str) {
        let options = format!("remount,{how}");
        until("the disk is mounted anew", || {
            run(Command::new("mount").args(["-o", &options]).arg(&self.at)).then_some(())
        });
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("-l").arg(&self.at));
    }
}

fn run(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: not in a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a job has completed two checkpoints.
pub(crate) fn wait_for_checkpoints(job: &Job) {
    until("two checkpoints", || (newest(&job.ck(), "/committed/").len() >= 2).then_some(()));
}

/// Waits for the end of a job that must fail with this in its sentence, then lets another attempt go
/// on and compares what both have written.
fn fails_and_goes_on(job: &Job, child: Child, sentence: &str, cure: impl FnOnce()) {
    let failed = child.wait_with_output().expect("a child");
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    let said_last = said(&failed);
    let errors: Vec<_> = said_last.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{said_last}");
    assert!(errors[0].contains(sentence), "{said_last}");
    cure();
    let next = job.run_to_the_end(3);
    assert!(next.status.success(), "{}", said(&next));
    assert!(!said(&next).contains("starts anew"), "{}", said(&next));
    job.check(&["part"]);
}

fn is_named_when_full(place: fn(&Job) -> PathBuf) {
    let job = Job::new("nexmark", QUERY);
    let Some(disk) = Disk::mount(place(&job)) else { return };
    let mut child = job.start(2);
    wait_for_checkpoints(&job);
    until("the job fails", || {
        // What is deleted with each checkpoint makes room for the next one.
        disk.fill();
        child.try_wait().expect("a child")
    });
    fails_and_goes_on(&job, child, "No space left on device", || disk.free());
}

#[test]
fn a_job_whose_checkpoints_find_no_space_says_so_and_goes_on_from_the_last_one() {
    is_named_when_full(Job::ck);
}

#[test]
fn a_job_whose_results_find_no_space_says_so_and_goes_on_from_the_last_checkpoint() {
    is_named_when_full(Job::out);
}

#[test]
fn a_job_that_may_no_longer_write_its_checkpoints_says_so_and_goes_on_from_the_last_one() {
    let job = Job::new("nexmark", QUERY);
    let Some(disk) = Disk::mount(job.ck()) else { return };
    let child = job.start(2);
    wait_for_checkpoints(&job);
    disk.allow("ro");
    fails_and_goes_on(&job, child, "Read-only file system", || disk.allow("rw"));
}

#[test]
fn a_job_that_tolerates_failed_checkpoints_outlives_a_full_disk() {
    let job = Job::new("nexmark", QUERY);
    let Some(disk) = Disk::mount(job.ck()) else { return };
    let mut command = job.command(2);
    let child = command.args(["--tolerable-failed-checkpoints", "1000000"]).spawn();
    let child = child.expect("examples are built along with the tests");
    wait_for_checkpoints(&job);
    until("checkpoints fail", || {
        disk.fill();
        let status = Client::connect(&job.ck()).and_then(|mut client| client.status()).ok()?;
        (status.checkpoints.checkpoints.failed >= 3).then_some(())
    });
    disk.free();
    let ended = child.wait_with_output().expect("a child");
    assert!(ended.status.success(), "{}", said(&ended));
    job.check(&["part"]);
}
