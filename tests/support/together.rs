//! A job of several processes on this host: started together, killed one by one.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use crate::support::program;

/// A program with its arguments, and where its processes meet.
pub(crate) struct Together {
    program: &'static str,
    args: Vec<String>,
    pub(crate) dir: tempfile::TempDir,
}

impl Together {
    pub(crate) fn new(program: &'static str, args: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("secret"), "swordfish").expect("a file");
        let args = args.split(' ').map(str::to_owned).collect();
        let job = Together { program, args, dir };
        job.meet(1);
        job
    }

    /// Chooses where so many processes meet.
    pub(crate) fn meet(&self, processes: usize) {
        let listener = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let ports: Vec<_> = (0..processes).map(|_| listener()).collect();
        let address = |port: &TcpListener| port.local_addr().expect("an address").to_string();
        let lines: Vec<_> = ports.iter().map(address).collect();
        std::fs::write(self.dir.path().join("hosts"), lines.join("\n")).expect("a file");
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    pub(crate) fn ck(&self) -> PathBuf {
        self.dir.path().join("ck")
    }

    /// The command of one of the processes.
    pub(crate) fn command(&self, processes: usize, workers: usize, index: usize) -> Command {
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        self.command_of(self.program, &args, processes, workers, index)
    }

    /// The command of another program that takes itself for one of the processes.
    pub(crate) fn command_of(
        &self,
        name: &str,
        args: &[&str],
        processes: usize,
        workers: usize,
        index: usize,
    ) -> Command {
        let mut command = Command::new(program(name));
        command.args(args).arg("--output").arg(self.out());
        command.args(["-w", &workers.to_string()]);
        if processes > 1 {
            command.args(["-n", &processes.to_string(), "-p", &index.to_string()]);
            command.arg("--hostfile").arg(self.dir.path().join("hosts"));
            command.arg("--secret-file").arg(self.dir.path().join("secret"));
        }
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("RUST_BACKTRACE");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts all processes.
    pub(crate) fn start(&self, processes: usize, workers: usize, more: &[&str]) -> Vec<Child> {
        self.meet(processes);
        let start = |index| {
            let mut command = self.command(processes, workers, index);
            command.args(more).spawn().expect("examples are built along with the tests")
        };
        (0..processes).map(start).collect()
    }
}

/// Waits for all processes.
pub(crate) fn ends(children: Vec<Child>) -> Vec<Output> {
    children.into_iter().map(|child| child.wait_with_output().expect("a child")).collect()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
