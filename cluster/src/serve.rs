//! The coordinator as a process: its connections, its clock, and what it remembers.
//!
//! ```text
//! agents --frames--> serve/door.rs --Message--.
//! REST   --Handle---------------------------->+--> Driver: one event after the other
//! clock, signals ---------------------------->'       '--> Coordinator::handle --> commands, in order:
//!                                                          ledger, agents, views
//! ```
//!
//! The driver alone changes the [`Coordinator`]; those who only look lock it for a moment.
//!
//! **Invariant**: an event is answered after all its commands are done, so that what somebody was told
//! is remembered (`Driver::play`).

mod door;
mod handle;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use highwater::checkpoint::Storage;
use highwater::core::clock::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

pub use handle::Handle;

use crate::coordinator::event::{At, Command, Event};
use crate::coordinator::{Coordinator, HEARTBEAT_TIMEOUT};
use crate::error::{Error, Result};
use crate::frame::{AgentId, FromAgent, ToAgent};
use crate::ledger::Ledger;
use crate::programs::Programs;
use crate::rest::{self, Access, Known, Token};
use crate::view::{Observed, Views};

/// How often time passes.
const TICK: Duration = Duration::from_millis(100);
/// After how long a gap between two ticks the coordinator was not running: stopped, or suspended.
const SLEPT: Duration = Duration::from_secs(3);
/// How often a coordinator looks whether another one has taken over.
const FENCE_INTERVAL: Duration = Duration::from_secs(2);
/// How many messages of all agents and users wait.
const WAITING_MAX: usize = 1024;
/// How long the jobs of a cluster that ends may take for their last checkpoints.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a coordinator listens, and what it needs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it answers HTTP.
    pub listen: SocketAddr,
    /// Where agents connect.
    pub agents_listen: SocketAddr,
    /// Where all coordinators of the cluster remember their jobs: a folder or an address.
    pub state: String,
    /// Who is let in.
    pub token: Option<Token>,
    /// Where jobs keep their checkpoints that do not say it: a folder or an address, below which each
    /// job has a folder of its own.
    pub checkpoints: Option<String>,
}

/// What reaches the driver.
#[derive(Debug)]
pub(crate) enum Message {
    /// An agent has connected, and may.
    Hello { hello: Box<crate::frame::Hello>, connection: u64, to: mpsc::Sender<ToAgent> },
    /// It has said something.
    Frame { agent: AgentId, connection: u64, frame: FromAgent },
    /// Its connection has ended.
    Disconnected { agent: AgentId, connection: u64 },
    /// A user wants something.
    Asked { event: Event, answer: oneshot::Sender<Result<()>> },
    /// A user wants a piece of a log.
    Log { agent: AgentId, name: Option<String>, from: i64, answer: handle::LogAnswer },
}

/// A coordinator that listens, and is not at work yet.
pub struct Server {
    options: Options,
    rest: TcpListener,
    agents: TcpListener,
    ledger: Ledger,
    coordinator: Coordinator,
    programs: Programs,
    views: Arc<Views>,
    clock: SystemClock,
    begin: Instant,
}

impl Server {
    /// Takes over from the coordinator before, and listens.
    ///
    /// # Errors
    /// When an address is taken, others could reach it without a token, or what was remembered cannot
    /// be read.
    pub async fn open(options: Options) -> Result<Self> {
        Access::new(options.listen, options.token.clone())?;
        Access::new(options.agents_listen, options.token.clone())?;
        let rest = rest::listen(options.listen).await?;
        let agents = rest::listen(options.agents_listen).await?;
        let storage = Storage::open(&options.state)?;
        let (ledger, records) = Ledger::open(storage.clone()).await?;
        let clock = SystemClock::default();
        let at = At { now: Duration::ZERO, now_ms: clock.now_ms(), chance: chance() };
        let port =
            rest.local_addr().map_err(|cause| Error::io("listen at", options.listen, cause))?;
        let coordinator = Coordinator::new(ledger.coordinator(), port.port(), records, at);
        let programs = Programs::new(storage);
        let (views, begin) = (Arc::default(), Instant::now());
        Ok(Server { options, rest, agents, ledger, coordinator, programs, views, clock, begin })
    }

    /// Returns what the processes of jobs say, which is shown as long as it works.
    #[must_use]
    pub fn views(&self) -> Arc<Views> {
        Arc::clone(&self.views)
    }

    /// Returns where it answers HTTP, and where agents connect.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn addresses(&self) -> Result<(SocketAddr, SocketAddr)> {
        let address = |listener: &TcpListener| {
            listener.local_addr().map_err(|cause| Error::io("listen at", "a port", cause))
        };
        Ok((address(&self.rest)?, address(&self.agents)?))
    }

    /// Works until `stop`, or until the cluster is told to end.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another coordinator has taken over, others when what must be remembered
    /// cannot be.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<()> {
        let (rest_address, _) = self.addresses()?;
        let access = Access::new(rest_address, self.options.token.clone())?;
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        let coordinator = Arc::new(Mutex::new(self.coordinator));
        let views = self.views;
        let handle = Handle::new(sender.clone(), Arc::clone(&coordinator));
        let known = Arc::new(Known {
            views: Arc::clone(&views),
            handle,
            programs: self.programs,
            checkpoints: self.options.checkpoints.clone(),
            clock: SystemClock::default(),
        });
        let doors = tokio::spawn(door::open(self.agents, self.options.token.clone(), sender));
        let router = rest::router(known, access);
        let answers = tokio::spawn(rest::serve(self.rest, router, std::future::pending()));
        let driver = Driver {
            coordinator,
            ledger: self.ledger,
            views,
            agents: BTreeMap::new(),
            logs: BTreeMap::new(),
            next_log: 0,
            clock: self.clock,
            begin: self.begin,
            closing: None,
        };
        let ended = driver.run(messages, stop).await;
        doors.abort();
        answers.abort();
        ended
    }
}

struct Driver {
    coordinator: Arc<Mutex<Coordinator>>,
    ledger: Ledger,
    views: Arc<Views>,
    /// The newest connection of each agent.
    agents: BTreeMap<AgentId, (u64, mpsc::Sender<ToAgent>)>,
    /// Who waits for pieces of logs.
    logs: BTreeMap<u64, handle::LogAnswer>,
    next_log: u64,
    clock: SystemClock,
    begin: Instant,
    /// Since when the cluster is about to end.
    closing: Option<Instant>,
}

impl Driver {
    async fn run(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticked = Instant::now();
        let mut checked = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                Some(message) = messages.recv() => self.take(message).await?,
                _ = ticks.tick() => {
                    if ticked.elapsed() >= SLEPT {
                        self.play(Event::Slept).await?;
                    }
                    ticked = Instant::now();
                    self.play(Event::Tick).await?;
                    if checked.elapsed() >= FENCE_INTERVAL {
                        self.ledger.check().await?;
                        checked = Instant::now();
                    }
                    if self.is_closed() {
                        return self.leave().await;
                    }
                }
            }
        }
    }

    fn at(&self) -> At {
        At { now: self.begin.elapsed(), now_ms: self.clock.now_ms(), chance: chance() }
    }

    async fn take(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Hello { hello, connection, to } => {
                self.agents.insert(hello.id.clone(), (connection, to));
                self.play(Event::Hello(hello)).await
            }
            Message::Frame { agent, connection, frame } if self.is_newest(&agent, connection) => {
                match frame {
                    FromAgent::Log { id, logged } => {
                        if let Some(answer) = self.logs.remove(&id) {
                            let _ = answer.send(logged);
                        }
                        Ok(())
                    }
                    frame => self.play(Event::Frame(agent, frame)).await,
                }
            }
            Message::Disconnected { agent, connection } if self.is_newest(&agent, connection) => {
                self.agents.remove(&agent);
                self.play(Event::Disconnected(agent)).await
            }
            Message::Frame { .. } | Message::Disconnected { .. } => Ok(()),
            Message::Asked { event, answer } => {
                if matches!(event, Event::Close) {
                    self.closing.get_or_insert_with(Instant::now);
                }
                let done = match self.handle(event) {
                    Ok(commands) => self.execute(commands).await.map(Ok)?,
                    Err(error) => Err(error),
                };
                // Who asked may have gone away.
                let _ = answer.send(done);
                Ok(())
            }
            Message::Log { agent, name, from, answer } => {
                let id = self.next_log;
                self.next_log += 1;
                self.logs.retain(|_, waiting| !waiting.is_closed());
                self.logs.insert(id, answer);
                let length = crate::frame::LOG_BYTES_MAX;
                self.tell(&agent, ToAgent::Log { id, name, from, length });
                Ok(())
            }
        }
    }

    fn is_newest(&self, agent: &AgentId, connection: u64) -> bool {
        self.agents.get(agent).is_some_and(|(newest, _)| *newest == connection)
    }

    /// Lets an event happen, and does what follows from it.
    async fn play(&mut self, event: Event) -> Result<()> {
        let commands = self.handle(event)?;
        self.execute(commands).await
    }

    fn handle(&self, event: Event) -> Result<Vec<Command>> {
        let at = self.at();
        self.coordinator.lock().unwrap_or_else(PoisonError::into_inner).handle(at, event)
    }

    async fn execute(&mut self, commands: Vec<Command>) -> Result<()> {
        for command in commands {
            match command {
                Command::Save(record) => self.ledger.save(&record).await?,
                Command::Forget(job) => {
                    self.ledger.forget(job).await?;
                    self.views.retain(|known| known != job);
                }
                Command::Tell(agent, what) => self.tell(&agent, what),
                Command::Drop(agent) => drop(self.agents.remove(&agent)),
                Command::Observed { key, report } => {
                    let at_ms = self.clock.now_ms();
                    let observed = Observed { at_ms, report: Arc::from(report) };
                    self.views.observe(key.job, key.attempt, key.index, observed);
                }
                Command::Log(line) => tracing::info!("{line}"),
            }
        }
        if self.ledger.is_long() {
            let records = self.coordinator.lock().unwrap_or_else(PoisonError::into_inner).records();
            self.ledger.rewrite(records).await?;
        }
        Ok(())
    }

    /// Tells an agent something; one that does not listen any more is disconnected.
    fn tell(&mut self, agent: &AgentId, what: ToAgent) {
        let is_told = self.agents.get(agent).is_none_or(|(_, to)| to.try_send(what).is_ok());
        if !is_told {
            tracing::warn!(%agent, "an agent does not listen");
            self.agents.remove(agent);
        }
    }

    fn is_closed(&self) -> bool {
        let Some(since) = self.closing else { return false };
        let coordinator = self.coordinator.lock().unwrap_or_else(PoisonError::into_inner);
        coordinator.is_closed() || since.elapsed() >= CLOSE_TIMEOUT
    }

    /// Lets all agents end.
    async fn leave(&mut self) -> Result<()> {
        let commands = {
            let coordinator = self.coordinator.lock().unwrap_or_else(PoisonError::into_inner);
            coordinator.tell_all(&ToAgent::Leave)
        };
        self.execute(commands).await?;
        // What was told is written by others; an agent that misses it gives up later.
        tokio::time::sleep(TICK).await;
        Ok(())
    }
}

/// Returns a random number from 0 to 1.
fn chance() -> f64 {
    // Without randomness there is no jitter.
    crate::id::random().map_or(0.5, |random| random as f64 / u64::MAX as f64)
}

/// How long somebody who connects may take to say who it is, and how long a stranger is heard.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// After how long without a word a connection is over.
pub(crate) const SILENCE: Duration = HEARTBEAT_TIMEOUT;
