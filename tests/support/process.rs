//! Programs run as processes of their own: started, watched, killed, and their results read.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use highwater::control::{Client, JobStatus};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::lines;

/// After this time something that should happen soon has not happened.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

/// The lines of all results, sorted; nothing else is left behind.
pub(crate) fn results(dir: &Path) -> Vec<String> {
    for entry in std::fs::read_dir(dir).expect("the folder of results") {
        let name = entry.expect("an entry").file_name();
        assert!(name.to_string_lossy().starts_with("part-"), "{name:?} is left behind");
    }
    lines(dir, "part-")
}

/// All files below a folder with what is in them, in order.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push((path.clone(), std::fs::read(&path).expect("a file"))),
        }
    }
    files.sort();
    files
}

/// Waits until something is there.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "{what} has not happened in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process, which may have ended.
pub(crate) fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().expect("a number")).expect("a process");
    let _ = kill_process(pid, signal);
}

/// Whether a process is still there; one that has ended and waits for its parent is not.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
    let stat = String::from_utf8(stat.expect("ps").stdout).expect("text");
    !stat.trim().is_empty() && !stat.trim().starts_with('Z')
}

/// A program that runs; it is killed when it is dropped.
pub(crate) struct Program {
    process: Child,
}

/// How a program has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn start(path: &Path, args: &[&str]) -> Self {
        let command = Command::new(path)
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Program { process: command.unwrap_or_else(|error| panic!("{}: {error}", path.display())) }
    }

    /// The process that was started: with a restart strategy that is the supervisor.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("a process").is_none()
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let mut stderr = String::new();
        let mut from = self.process.stderr.take().expect("a pipe");
        from.read_to_string(&mut stderr).expect("text");
        Ended { status: self.process.wait().expect("the end"), stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn successfully(self) -> String {
        assert!(self.status.success(), "{}\n{}", self.status, self.stderr);
        self.stderr
    }

    /// The lines that say why it failed.
    pub(crate) fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("error: ")).collect()
    }
}

/// Waits until the job with these checkpoints is as it should be.
pub(crate) fn wait_for_status(
    checkpoints: &Path,
    what: &str,
    is_so: impl Fn(&JobStatus) -> bool,
) -> JobStatus {
    wait_for(what, || {
        let status = Client::connect(checkpoints).and_then(|mut client| client.status()).ok();
        status.filter(|status| is_so(status))
    })
}
