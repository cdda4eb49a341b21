//! `highwater cluster`: a whole cluster on this machine.
//!
//! ```text
//! DIR/state     what the coordinator remembers       DIR/coordinator.log, DIR/agent-0.log, ..
//! DIR/agent-0   programs and logs of an agent        DIR/cluster.json: processes and addresses
//! ```

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Subcommand;
use highwater::remote::{Client, Remote};
use highwater_cluster::rest::Overview;
use highwater_cluster::{Error, Result};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::place::{Place, token};

/// How long a cluster may take to come up, and to end.
const PATIENCE: Duration = Duration::from_secs(90);
const INTERVAL: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start a coordinator and agents
    Start(Start),
    /// Stop them; jobs that take checkpoints go on when the cluster is started again
    Stop(Stop),
    /// Show the cluster in a few numbers
    Status(Status),
}

#[derive(clap::Args)]
struct Start {
    /// Where the cluster keeps everything
    #[arg(long, value_name = "DIR", default_value = "highwater-cluster")]
    dir: PathBuf,
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 1)]
    agents: usize,
    /// How many processes of jobs each of them takes
    #[arg(long, value_name = "N", default_value_t = 1)]
    slots: usize,
    /// The port of the coordinator for HTTP; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8081)]
    port: u16,
    /// Where jobs keep their checkpoints that do not say it, each in a folder of its own
    #[arg(long, value_name = "URL")]
    checkpoint_dir: Option<String>,
    /// A file with the token that lets users and agents in
    #[arg(long, value_name = "FILE", env = "HIGHWATER_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Stop {
    /// Where the cluster keeps everything
    #[arg(long, value_name = "DIR", default_value = "highwater-cluster")]
    dir: PathBuf,
    /// A file with the token that lets us in
    #[arg(long, value_name = "FILE", env = "HIGHWATER_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Status {
    #[command(flatten)]
    place: Place,
}

/// What runs.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    /// Where the coordinator answers.
    url: String,
    /// The process of the coordinator.
    coordinator: u32,
    /// The processes of the agents.
    agents: Vec<u32>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.command {
        Task::Start(args) => start(args),
        Task::Stop(args) => stop(args),
        Task::Status(args) => {
            let overview: Overview = args.place.client()?.get("/overview")?;
            let text = format!(
                "coordinator {}, {} agents, {} of {} slots free, {} jobs\n",
                overview.coordinator,
                overview.taskmanagers,
                overview.slots_available,
                overview.slots_total,
                overview.jobs_running,
            );
            args.place.print(&overview, text);
            Ok(())
        }
    }
}

fn failed(what: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let what = what.display().to_string();
    move |cause| Error::io("use", what, cause)
}

fn client(running: &Running, token_file: Option<&Path>) -> Result<Client> {
    let token = token(token_file)?.map(|token| token.secret().to_owned());
    Ok(Client::new(&running.url, token))
}

fn read(dir: &Path) -> Result<Option<Running>> {
    let path = dir.join("cluster.json");
    match std::fs::read(&path) {
        Ok(json) => Ok(serde_json::from_slice(&json).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&path)(error)),
    }
}

/// Starts a process that goes on when this one has ended.
fn launch(
    dir: &Path,
    name: &str,
    args: &[&str],
    token_file: Option<&Path>,
) -> Result<(u32, PathBuf)> {
    let log = dir.join(format!("{name}.log"));
    let out = dir.join(format!("{name}.out"));
    let open = |path: &Path| File::options().create(true).append(true).open(path);
    let this = std::env::current_exe().map_err(|cause| Error::io("find", "this program", cause))?;
    let mut command = Command::new(this);
    command.args(args).stdin(Stdio::null());
    if let Some(token_file) = token_file {
        command.arg("--token-file").arg(token_file);
    }
    command.stdout(File::create(&out).map_err(failed(&out))?);
    command.stderr(open(&log).map_err(failed(&log))?);
    // A group of its own: what is typed at this terminal is not meant for it.
    let process = command.process_group(0).spawn().map_err(failed(&log))?;
    Ok((process.id(), out))
}

fn start(args: &Start) -> Result<()> {
    let dir = std::path::absolute(&args.dir).map_err(failed(&args.dir))?;
    std::fs::create_dir_all(&dir).map_err(failed(&dir))?;
    if let Some(running) = read(&dir)?
        && (lives(running.coordinator) || running.agents.iter().any(|pid| lives(*pid)))
    {
        let why = format!("a cluster runs in {} already: {}", dir.display(), running.url);
        return Err(Remote::Answered { status: 409, why }.into());
    }
    let token_file = args.token_file.as_deref();
    let state = dir.join("state").display().to_string();
    let listen = format!("127.0.0.1:{}", args.port);
    let mut own = vec!["coordinator", "--listen", &listen, "--agents-listen", "127.0.0.1:0"];
    own.extend(["--state", &state]);
    if let Some(checkpoints) = &args.checkpoint_dir {
        own.extend(["--checkpoint-dir", checkpoints]);
    }
    let (coordinator, out) = launch(&dir, "coordinator", &own, token_file)?;
    let (url, agents_at) = wait_for_coordinator(&dir, coordinator, &out)?;
    let mut running = Running { url, coordinator, agents: Vec::new() };
    for agent in 0..args.agents {
        let name = format!("agent-{agent}");
        let (folder, slots) = (dir.join(&name).display().to_string(), args.slots.to_string());
        let own = ["agent", "--coordinator", &agents_at, "--slots", &slots, "--folder", &folder];
        running.agents.push(launch(&dir, &name, &own, token_file)?.0);
    }
    let path = dir.join("cluster.json");
    let json = serde_json::to_vec(&running).unwrap_or_default();
    std::fs::write(&path, json).map_err(failed(&path))?;
    let client = client(&running, token_file)?;
    wait_until("the agents to connect", || {
        let overview: Option<Overview> = client.get("/overview").ok();
        overview.is_some_and(|overview| overview.taskmanagers >= args.agents).then_some(())
    })?;
    let said = format!("a cluster runs at {}\n", running.url);
    print(args.json, &json!(running), &said);
    Ok(())
}

/// Returns where a coordinator listens: for users, and for agents.
fn wait_for_coordinator(dir: &Path, pid: u32, out: &Path) -> Result<(String, String)> {
    let log = dir.join("coordinator.log");
    let said = wait_until("the coordinator to listen", || {
        let said = std::fs::read_to_string(out).unwrap_or_default();
        (said.ends_with('\n') || !lives(pid)).then_some(said)
    })?;
    let said = said.trim().strip_prefix("listening at ");
    let addresses = said.and_then(|said| said.split_once(", for agents at "));
    addresses.map(|(url, agents)| (url.to_owned(), agents.to_owned())).ok_or_else(|| {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let why = log.lines().last().unwrap_or("it says nothing").trim_start_matches("error: ");
        Remote::Answered { status: 500, why: format!("the coordinator has ended: {why}") }.into()
    })
}

fn stop(args: &Stop) -> Result<()> {
    let dir = &args.dir;
    let none = || Remote::Answered {
        status: 404,
        why: format!("no cluster was started in {}", dir.display()),
    };
    let running = read(dir)?.ok_or_else(none)?;
    let client = client(&running, args.token_file.as_deref())?;
    // One that does not answer is ended by a signal.
    let is_asked = match client.delete::<Value>("/cluster") {
        Ok(_) => true,
        Err(Remote::Unreachable { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    let all: Vec<u32> = running.agents.iter().copied().chain([running.coordinator]).collect();
    if is_asked && is_there(&client) {
        let _ = wait_until("the cluster to end", || all.iter().all(|p| !lives(*p)).then_some(()));
    }
    for signal in [Signal::TERM, Signal::KILL] {
        for pid in all.iter().filter(|pid| lives(**pid)) {
            if let Some(pid) = pid_of(*pid) {
                // It may just have ended.
                let _ = kill_process(pid, signal);
            }
        }
        let until = Instant::now() + Duration::from_secs(5);
        while all.iter().any(|pid| lives(*pid)) && Instant::now() < until {
            std::thread::sleep(INTERVAL);
        }
    }
    let path = dir.join("cluster.json");
    std::fs::remove_file(&path).map_err(failed(&path))?;
    print(args.json, &json!({ "stopped": running.url }), "the cluster has ended\n");
    Ok(())
}

/// Whether a coordinator that was asked to end is still about to.
fn is_there(client: &Client) -> bool {
    client.get::<Value>("/overview").is_ok()
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn print(json: bool, value: &Value, text: &str) {
    match json {
        true => println!("{value}"),
        false => print!("{text}"),
    }
}

fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return Ok(found);
        }
        std::thread::sleep(INTERVAL);
    }
    let late = std::io::ErrorKind::TimedOut.into();
    Err(Error::io("wait for", what, late))
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Whether a process is there, and is no child of this one that has ended.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_dead = stat.rsplit(") ").next().is_some_and(|state| state.starts_with('Z'));
    !is_dead && pid_of(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}
