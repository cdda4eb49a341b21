//! A cluster on this machine, which is gone when it is dropped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use highwater::remote::Client;
use highwater_cluster::rest::{JobDetail, JobOverview, JobsOverview, Overview};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// After this time something that should happen soon has not happened.
const PATIENCE: Duration = Duration::from_secs(90);

/// The program `highwater`.
const HIGHWATER: &str = env!("CARGO_BIN_EXE_highwater");

/// A program that the tests run on clusters.
pub(crate) fn program(name: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(2).unwrap();
    text(&target.join("examples").join(format!("cluster-{name}")))
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A process of the cluster.
pub(crate) struct Part {
    process: Child,
}

impl Part {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Returns the exit code, if the process has ended.
    pub(crate) fn has_ended(&mut self) -> Option<Option<i32>> {
        self.process.try_wait().unwrap().map(|status| status.code())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a signal to a process, which may have ended.
pub(crate) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Waits until something is there.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "{what} has not happened in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) struct Cluster {
    pub(crate) dir: TempDir,
    pub(crate) coordinator: Option<Part>,
    pub(crate) agents: Vec<Part>,
    pub(crate) url: String,
    agents_at: String,
    token: Option<PathBuf>,
    /// How many agents were started.
    started: usize,
}

impl Cluster {
    /// Starts a cluster without a token.
    pub(crate) fn start(agents: usize, slots: usize) -> Self {
        Cluster::start_with(agents, slots, None)
    }

    pub(crate) fn start_with(agents: usize, slots: usize, token: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = token.map(|token| {
            let path = dir.path().join("token");
            std::fs::write(&path, token).unwrap();
            path
        });
        let mut cluster = Cluster {
            dir,
            coordinator: None,
            agents: Vec::new(),
            url: "http://127.0.0.1:0".to_owned(),
            agents_at: "127.0.0.1:0".to_owned(),
            token,
            started: 0,
        };
        cluster.start_coordinator();
        (0..agents).for_each(|_| cluster.start_agent(slots));
        cluster.wait_for_agents(agents);
        cluster
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns a coordinator that listens at these addresses, and which they are.
    pub(crate) fn coordinate(&self, rest: &str, agents: &str) -> (Part, String, String) {
        let mut command = Command::new(HIGHWATER);
        command.args(["coordinator", "--listen", rest.trim_start_matches("http://")]);
        command.args(["--agents-listen", agents, "--state", &text(&self.path("state"))]);
        let mut part = self.spawn(command);
        let out = part.process.stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).unwrap();
        let said = line.trim().strip_prefix("listening at ");
        let addresses = said.and_then(|said| said.split_once(", for agents at "));
        let (url, agents) = addresses.unwrap_or_else(|| panic!("it ends: {line}"));
        (part, url.to_owned(), agents.to_owned())
    }

    pub(crate) fn start_coordinator(&mut self) {
        let (part, url, agents_at) = self.coordinate(&self.url, &self.agents_at);
        (self.coordinator, self.url, self.agents_at) = (Some(part), url, agents_at);
    }

    pub(crate) fn agents_at(&self) -> &str {
        &self.agents_at
    }

    pub(crate) fn start_agent(&mut self, slots: usize) {
        self.started += 1;
        let folder = text(&self.path(&format!("agent-{}", self.started)));
        let mut command = Command::new(HIGHWATER);
        command.args(["agent", "--coordinator", &self.agents_at, "--folder", &folder]);
        command.args(["--slots", &slots.to_string()]);
        self.agents.push(self.spawn(command));
    }

    fn spawn(&self, mut command: Command) -> Part {
        if let Some(token) = &self.token {
            command.arg("--token-file").arg(token);
        }
        let err =
            std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let err = if std::env::var_os("SHOW").is_some() { Stdio::inherit() } else { err.into() };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err);
        Part { process: command.spawn().unwrap() }
    }

    pub(crate) fn client(&self) -> Client {
        let token = self.token.as_ref().map(|path| std::fs::read_to_string(path).unwrap());
        Client::new(&self.url, token)
    }

    pub(crate) fn wait_for_agents(&self, agents: usize) {
        wait_for("agents that connect", || {
            let overview: Overview = self.client().get("/overview").ok()?;
            (overview.taskmanagers == agents).then_some(())
        });
    }

    /// Runs the program `highwater` against the cluster.
    pub(crate) fn highwater(&self, args: &[&str]) -> Output {
        let mut command = Command::new(HIGHWATER);
        command.args(args).env("HIGHWATER_CLUSTER", &self.url);
        command
            .env_remove("RUST_BACKTRACE")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        if let Some(token) = &self.token {
            command.env("HIGHWATER_TOKEN_FILE", token);
        }
        command.output().unwrap()
    }

    /// The same, successfully; returns what is printed.
    #[track_caller]
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.highwater(args);
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{args:?}: {out}{err}");
        out.trim_end().to_owned()
    }

    /// Starts a query that is slow enough to be disturbed, and takes checkpoints all the time.
    pub(crate) fn start_q5(&self, options: &[&str]) -> String {
        self.start_q5_of(EVENTS, options)
    }

    /// The same with so many events.
    pub(crate) fn start_q5_of(&self, events: &str, options: &[&str]) -> String {
        let (checkpoints, output) = (text(&self.path("ck")), text(&self.path("out")));
        let nexmark = program("nexmark");
        let own = ["run", "-d", "--restart", "fixed-delay:attempts=99,delay=0s"];
        let checkpointed = ["--checkpoint-dir", &checkpoints, "--checkpoint-interval", "100ms"];
        let query =
            [nexmark.as_str(), "q5", "--events", events, "--rate", RATE, "--output", &output];
        self.done(&[&own[..], &checkpointed[..], options, &query[..]].concat())
    }

    pub(crate) fn job(&self, id: &str) -> JobDetail {
        self.client().get(&format!("/jobs/{id}")).unwrap()
    }

    /// Waits until a job is in this state.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, id: &str, state: &str) -> JobOverview {
        wait_for(state, || {
            let all: JobsOverview = self.client().get("/jobs/overview").ok()?;
            let job = all.jobs.into_iter().find(|job| job.jid.to_string() == id)?;
            let has_failed = job.state.name() == "FAILED" && state != "FAILED";
            assert!(!has_failed, "{}", self.exceptions(id));
            (job.state.name() == state).then_some(job)
        })
    }

    pub(crate) fn exceptions(&self, id: &str) -> Value {
        self.client().get(&format!("/jobs/{id}/exceptions")).unwrap_or_default()
    }

    /// Waits until the running attempt has completed so many checkpoints; returns which attempt it is.
    #[track_caller]
    pub(crate) fn wait_for_checkpoints(&self, id: &str, completed: u64) -> u64 {
        wait_for("checkpoints", || {
            let detail: JobDetail = self.client().get(&format!("/jobs/{id}")).ok()?;
            let of: Value = self.client().get(&format!("/jobs/{id}/checkpoints")).ok()?;
            let has = of["counts"]["completed"].as_u64()? >= completed;
            (has && detail.overview.state.name() == "RUNNING").then_some(detail.overview.attempt)
        })
    }

    /// The processes of a job.
    pub(crate) fn pids(&self, id: &str) -> Vec<u32> {
        self.job(id).processes.iter().filter_map(|process| process.pid).collect()
    }
}

/// The query, slow enough to be disturbed.
const EVENTS: &str = "300000";
const RATE: &str = "60000";

/// What the query gives when nobody disturbs it.
pub(crate) fn undisturbed() -> Vec<String> {
    undisturbed_of(EVENTS)
}

/// The same with so many events.
pub(crate) fn undisturbed_of(events: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let args = ["q5", "--events", events, "--output", &text(dir.path())];
    let ended = Command::new(program("nexmark")).args(args).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    results(dir.path())
}

/// The lines of all results, sorted; nothing else is left behind.
pub(crate) fn results(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        assert!(text(&path).contains("part-"), "{} is left behind", path.display());
        lines.extend(std::fs::read_to_string(path).unwrap().lines().map(str::to_owned));
    }
    lines.sort_unstable();
    lines
}

/// Processes that run something below a folder: programs are run from the folders of agents.
pub(crate) fn processes_of(dir: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        // One that has ended has no program.
        let runs = std::fs::read_link(entry.path().join("exe"));
        if runs.is_ok_and(|exe| exe.starts_with(dir)) {
            found.push(pid);
        }
    }
    found
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.agents.iter().for_each(|agent| agent.signal(Signal::CONT));
        self.agents.clear();
        self.coordinator = None;
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            eprintln!("{log}");
        }
    }
}
