//! A job run as a process of its own: attempts that are killed, and what they leave behind.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::support::{lines, program};

/// A program with its arguments, and where it works.
pub(crate) struct Job {
    pub(crate) program: &'static str,
    pub(crate) args: Vec<String>,
    /// The interval of its checkpoints.
    pub(crate) interval: &'static str,
    pub(crate) dir: tempfile::TempDir,
}

impl Job {
    pub(crate) fn new(program: &'static str, args: &str) -> Self {
        let args = args.split(' ').map(str::to_owned).collect();
        Job { program, args, interval: "50ms", dir: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    pub(crate) fn ck(&self) -> PathBuf {
        self.dir.path().join("ck")
    }

    /// The command of an attempt that goes on from the newest checkpoint.
    pub(crate) fn command(&self, workers: usize) -> Command {
        self.command_from("latest", workers)
    }

    /// The command of an attempt that begins with what `--restore` names.
    pub(crate) fn command_from(&self, restore: &str, workers: usize) -> Command {
        let mut command = Command::new(program(self.program));
        command.args(&self.args).args(["--workers", &workers.to_string()]);
        command.arg("--output").arg(self.out()).arg("--checkpoint-dir").arg(self.ck());
        command.args(["--checkpoint-interval", self.interval]);
        command.args(["--restore", restore, "--restart", "none"]);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("RUST_BACKTRACE");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, workers: usize) -> Child {
        started(&mut self.command(workers))
    }

    /// Starts an attempt and kills it after a while; returns whether it was still there.
    pub(crate) fn start_and_kill(&self, workers: usize, after: Duration) -> bool {
        start_and_kill(&mut self.command(workers), after)
    }

    pub(crate) fn run_to_the_end(&self, workers: usize) -> Output {
        self.command(workers).output().expect("examples are built along with the tests")
    }

    /// The results of an undisturbed run with these prefixes, without checkpoints and at full speed.
    fn golden(&self, prefixes: &[&str]) -> Vec<Vec<String>> {
        let dir = tempfile::tempdir().expect("a folder");
        let rate = self.args.iter().position(|arg| arg == "--rate").unwrap_or(self.args.len());
        let mut command = Command::new(program(self.program));
        command.args(&self.args[..rate]).arg("--output").arg(dir.path());
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("an example");
        assert!(output.status.success(), "{}", said(&output));
        prefixes.iter().map(|prefix| lines(dir.path(), prefix)).collect()
    }

    /// Compares the results with those of an undisturbed run.
    pub(crate) fn check(&self, prefixes: &[&str]) {
        for (prefix, golden) in prefixes.iter().zip(self.golden(prefixes)) {
            let visible = lines(&self.out(), prefix);
            assert_eq!(visible.len(), golden.len(), "{prefix} of {} {:?}", self.program, self.args);
            assert!(visible == golden, "{prefix} of {} {:?} differ", self.program, self.args);
        }
    }
}

pub(crate) fn started(command: &mut Command) -> Child {
    command.spawn().expect("examples are built along with the tests")
}

/// Starts an attempt and kills it after a while; returns whether it was still there.
pub(crate) fn start_and_kill(command: &mut Command, after: Duration) -> bool {
    let mut child = started(command);
    std::thread::sleep(after);
    let alive = child.try_wait().expect("a child").is_none();
    child.kill().expect("a child that can be killed");
    let output = child.wait_with_output().expect("a child");
    assert!(output.status.success() || alive, "{}", said(&output));
    alive
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Numbers from a seed.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// Another number of workers, and how long they live.
    pub(crate) fn attempt(&mut self) -> (usize, Duration) {
        (1 + self.below(4) as usize, Duration::from_millis(80 + self.below(200)))
    }
}

/// How often a job is killed; `HIGHWATER_LONG=1` kills twenty times instead of five.
pub(crate) fn kills() -> usize {
    if std::env::var_os("HIGHWATER_LONG").is_some() { 20 } else { 5 }
}
