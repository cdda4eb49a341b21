//! An agent: the processes of one host, for the coordinator.
//!
//! ```text
//! coordinator <--frames--> agent --spawn--> launcher --exec--> process of a job
//!                            |                                    |
//!                            '<---- a socket for each process ----'  src/supervisor/protocol.rs
//! ```
//!
//! An agent that loses its coordinator keeps its processes for [`Options::grace`], looks for a
//! coordinator all the time, and tells the next one what it has.
//!
//! **Invariants**
//! - *No orphans*: a process ends with its agent, however that ends. The system kills it
//!   (`agent/launch.rs`), and one that runs a job ends when its socket does.
//! - *Nothing is lost between two connections*: how a process ended is kept until the coordinator
//!   says that it knows ([`ToAgent::Forget`]).

mod cache;
mod hardware;
pub mod launch;
mod log;
mod process;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::coordinator::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT};
use crate::error::{Error, Result};
use crate::frame::{
    self, AgentId, FRAME_BYTES_MAX, FromAgent, Hello, Key, Known, Logged, Start, ToAgent, VERSION,
};
use crate::id::random;
use crate::rest::Token;
use cache::Cache;
pub(crate) use cache::PROGRAM_BYTES_MAX;
use log::Logs;
pub(crate) use log::names as log_names;
use process::{Told, Word};

/// How long an agent waits before it looks for the coordinator again.
const RETRY: Duration = Duration::from_millis(300);
/// How many messages for the coordinator wait.
const WAITING_MAX: usize = 1024;

/// What an agent is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the coordinator takes agents: `HOST:PORT`.
    pub coordinator: String,
    /// What lets it in.
    pub token: Option<Token>,
    /// How many processes it takes.
    pub slots: usize,
    /// Where processes of other hosts reach those of this one; the address with which it reaches the
    /// coordinator, if it is not said.
    pub address: Option<IpAddr>,
    /// Where it keeps programs and logs.
    pub folder: PathBuf,
    /// How long it keeps its processes without a coordinator.
    pub grace: Duration,
    /// The program that starts processes: see [`launch`].
    pub launcher: PathBuf,
}

struct Agent {
    options: Options,
    id: AgentId,
    cache: Cache,
    logs: Logs,
    /// Where the sockets of processes are, and what these keep for themselves.
    scratch: TempDir,
    processes: BTreeMap<Key, Process>,
    words: mpsc::Sender<(Key, Word)>,
    /// Since when there is no coordinator.
    alone: Instant,
}

struct Process {
    known: Known,
    to: mpsc::UnboundedSender<Told>,
}

/// Runs an agent until the coordinator tells it to leave, or `stop`.
///
/// It has to be called on the main thread: the system ends processes with the thread that started
/// them.
///
/// # Errors
/// When its folder cannot be used, the coordinator refuses it, or there is none for too long.
pub async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<()> {
    let failed = |cause| Error::io("make", "a folder for sockets", cause);
    let scratch = tempfile::Builder::new().prefix("highwater-").tempdir().map_err(failed)?;
    let (words, mut heard) = mpsc::channel(WAITING_MAX);
    let id =
        AgentId(format!("{}-{}-{:08x}", hardware::host(), std::process::id(), random()? >> 32));
    let mut agent = Agent {
        cache: Cache::open(&options.folder)?,
        logs: Logs::open(&options.folder)?,
        id,
        scratch,
        processes: BTreeMap::new(),
        words,
        alone: Instant::now(),
        options,
    };
    let mut stop = std::pin::pin!(stop);
    loop {
        let ended = tokio::select! {
            () = &mut stop => break,
            ended = agent.connected(&mut heard) => ended,
        };
        match ended {
            Ok(Connection::Left) => break,
            Ok(Connection::Lost(why)) => tracing::warn!("no coordinator: {why}"),
            Err(error) => {
                agent.end().await;
                return Err(error);
            }
        }
        if agent.alone.elapsed() >= agent.options.grace {
            tracing::warn!(
                "there was no coordinator for {:?}: the processes end",
                agent.options.grace
            );
            agent.end().await;
            agent.alone = Instant::now();
        }
        let rest = tokio::time::sleep(RETRY);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                () = &mut stop => { agent.end().await; return Ok(()); }
                () = &mut rest => break,
                Some((key, word)) = heard.recv() => drop(agent.take(key, word)),
            }
        }
    }
    agent.end().await;
    Ok(())
}

/// How a connection ended.
enum Connection {
    /// The agent is to end.
    Left,
    /// Another one is needed.
    Lost(String),
}

impl Agent {
    /// Works for a coordinator as long as there is a connection.
    async fn connected(&mut self, heard: &mut mpsc::Receiver<(Key, Word)>) -> Result<Connection> {
        let lost = |why: String| Ok(Connection::Lost(why));
        let connecting = timeout(HEARTBEAT_TIMEOUT, TcpStream::connect(&self.options.coordinator));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return lost(format!("{}: {error}", self.options.coordinator)),
            Err(_) => return lost(format!("{} does not answer", self.options.coordinator)),
        };
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
            return lost("the connection broke".to_owned());
        };
        let (mut from, mut to) = stream.into_split();
        if let Err(error) = frame::write(&mut to, &self.hello(local)).await {
            return lost(error.to_string());
        }
        match timeout(HEARTBEAT_TIMEOUT, frame::read(&mut from, FRAME_BYTES_MAX)).await {
            Ok(Ok(Some(ToAgent::Welcome { coordinator, rest }))) => {
                tracing::info!("agent {} belongs to coordinator {coordinator}", self.id);
                self.cache.ask(SocketAddr::new(peer.ip(), rest), self.options.token.clone());
            }
            Ok(Ok(Some(ToAgent::Refused { why }))) => {
                let coordinator = self.options.coordinator.clone();
                return Err(Error::Refused { coordinator, why });
            }
            Ok(Ok(_)) => return lost("the coordinator said no welcome".to_owned()),
            Ok(Err(error)) => return lost(error.to_string()),
            Err(_) => return lost("the coordinator does not answer".to_owned()),
        }
        let (sender, mut orders) = mpsc::channel(WAITING_MAX);
        // Reading cannot be given up in the middle of a frame: so it has a task of its own.
        let reading = tokio::spawn(async move {
            while let Ok(Some(order)) = frame::read::<ToAgent>(&mut from, FRAME_BYTES_MAX).await {
                if sender.send(order).await.is_err() {
                    return;
                }
            }
        });
        let ended = self.serve(heard, &mut orders, &mut to).await;
        reading.abort();
        self.alone = Instant::now();
        ended
    }

    async fn serve(
        &mut self,
        heard: &mut mpsc::Receiver<(Key, Word)>,
        orders: &mut mpsc::Receiver<ToAgent>,
        to: &mut (impl tokio::io::AsyncWrite + Unpin),
    ) -> Result<Connection> {
        let mut beats = tokio::time::interval(HEARTBEAT_INTERVAL);
        let mut last = Instant::now();
        loop {
            let frames = tokio::select! {
                _ = beats.tick() => {
                    if last.elapsed() >= HEARTBEAT_TIMEOUT {
                        return Ok(Connection::Lost("the coordinator is silent".to_owned()));
                    }
                    vec![FromAgent::Heartbeat(hardware::look())]
                }
                Some((key, word)) = heard.recv() => self.take(key, word),
                order = orders.recv() => {
                    last = Instant::now();
                    match order {
                        Some(ToAgent::Leave) => return Ok(Connection::Left),
                        Some(order) => self.obey(order).await,
                        None => return Ok(Connection::Lost("the connection has ended".to_owned())),
                    }
                }
            };
            for frame in frames {
                let written = timeout(HEARTBEAT_TIMEOUT, frame::write(to, &frame)).await;
                if !matches!(written, Ok(Ok(()))) {
                    return Ok(Connection::Lost("nothing can be written".to_owned()));
                }
            }
        }
    }

    fn hello(&self, local: SocketAddr) -> Hello {
        Hello {
            version: VERSION,
            token: self.options.token.as_ref().map(|token| token.secret().to_owned()),
            id: self.id.clone(),
            host: hardware::host(),
            pid: std::process::id(),
            address: self.options.address.unwrap_or(local.ip()),
            slots: self.options.slots,
            hardware: hardware::look(),
            processes: self.processes.values().map(|process| process.known.clone()).collect(),
        }
    }

    /// Takes note of what one of the processes says, and returns what the coordinator is told.
    fn take(&mut self, key: Key, word: Word) -> Vec<FromAgent> {
        let Some(Process { known, .. }) = self.processes.get_mut(&key) else { return Vec::new() };
        match word {
            Word::Started(pid) => {
                known.pid = Some(pid);
                vec![FromAgent::Started { key, pid }]
            }
            Word::Said(report) => {
                use highwater::supervisor::protocol::Report::{Answer, Observed};
                if !matches!(report, Observed(_) | Answer { .. }) {
                    known.said.push(report.clone());
                }
                vec![FromAgent::Said { key, report }]
            }
            Word::NotStarted(reported) => {
                self.processes.remove(&key);
                vec![FromAgent::NotStarted { key, reported }]
            }
            Word::Exited(exit) => {
                known.exit = Some(exit.clone());
                vec![FromAgent::Exited { key, exit }]
            }
        }
    }

    /// Does what the coordinator says, and returns what it is told at once.
    async fn obey(&mut self, order: ToAgent) -> Vec<FromAgent> {
        match order {
            ToAgent::Start(start) => self.start(*start),
            ToAgent::Pass { key, order } => self.tell(key, Told::Pass(order)),
            ToAgent::Kill { key, grace_ms } => {
                self.tell(key, Told::Kill(Duration::from_millis(grace_ms)));
            }
            ToAgent::Forget(key) => {
                let has_ended = |process: &mut Process| process.known.exit.is_some();
                if self.processes.get_mut(&key).is_some_and(has_ended) {
                    self.processes.remove(&key);
                }
            }
            ToAgent::Log { id, name, from, length } => {
                let logged = match self.logs.read(name.as_deref(), from, length).await {
                    Ok(piece) => Logged::Piece(piece),
                    Err(error) => Logged::Nothing(error.to_string()),
                };
                return vec![FromAgent::Log { id, logged }];
            }
            ToAgent::Welcome { .. }
            | ToAgent::Refused { .. }
            | ToAgent::Heartbeat
            | ToAgent::Leave => {}
        }
        Vec::new()
    }

    fn start(&mut self, start: Start) {
        let key = start.key;
        if self.processes.contains_key(&key) {
            return;
        }
        let (to, told) = mpsc::unbounded_channel();
        let known = Known { key, pid: None, said: Vec::new(), exit: None };
        self.processes.insert(key, Process { known, to });
        let place = process::Place {
            // The path of a socket must be short.
            folder: self.scratch.path().join(format!("{:x}", random().unwrap_or_default())),
            logs: self.logs.of(key),
            launcher: self.options.launcher.clone(),
        };
        let (words, cache) = (self.words.clone(), self.cache.clone());
        tokio::spawn(process::live(start, place, cache, told, words));
    }

    fn tell(&mut self, key: Key, what: Told) {
        if let Some(process) = self.processes.get(&key) {
            // One that has ended need not be told.
            let _ = process.to.send(what);
        }
    }

    /// Ends all processes and waits until they are gone.
    async fn end(&mut self) {
        for process in self.processes.values() {
            let _ = process.to.send(Told::Kill(Duration::ZERO));
        }
        let gone = std::mem::take(&mut self.processes).into_values().map(|process| process.to);
        for to in gone {
            to.closed().await;
        }
    }
}
