//! One process of a job, from its start to its end.
//!
//! ```text
//! program fetched --> launched --> Joined --> Begin --> .. reports --> --> last words --> Exited
//!                       |            |'-- asked every second; one that does not answer is killed
//!                       '------------'--- Kill: at once, or after some time
//! ```

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use highwater::control::Request;
use highwater::supervisor::protocol::{self, Order, Report, Reported};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::cache::Cache;
use super::launch;
use crate::coordinator::wishes::PING;
use crate::coordinator::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT};
use crate::error::{Error, Result};
use crate::frame::{Exit, Key, Start};

/// How long an agent waits for the last words of a process that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The exit code of what could not be started, which is told in another way.
const NOT_STARTED: u8 = 1;

/// What a process is told.
#[derive(Debug)]
pub(super) enum Told {
    /// What the coordinator says.
    Pass(Box<Order>),
    /// To end, after this time.
    Kill(Duration),
}

/// What becomes of a process.
#[derive(Debug)]
pub(super) enum Word {
    Started(u32),
    NotStarted(Reported),
    Said(Report),
    Exited(Exit),
}

/// Where a process is.
pub(super) struct Place {
    /// What it may lose, and its socket.
    pub(super) folder: PathBuf,
    /// What it prints: to its standard output, and its standard error.
    pub(super) logs: [PathBuf; 2],
    pub(super) launcher: PathBuf,
}

/// The connection with a process.
struct Link {
    lines: Lines<BufReader<OwnedReadHalf>>,
    to: OwnedWriteHalf,
    /// When it last said something.
    heard: Instant,
}

struct Life {
    key: Key,
    child: Child,
    pid: u32,
    begin: Option<protocol::Begin>,
    link: Option<Link>,
    /// When it is killed.
    deadline: Option<Instant>,
    /// Why it was killed by its agent.
    killed: Option<String>,
    ordered: bool,
    words: mpsc::Sender<(Key, Word)>,
}

/// Lets a process live.
pub(super) async fn live(
    start: Start,
    place: Place,
    cache: Cache,
    mut told: mpsc::UnboundedReceiver<Told>,
    words: mpsc::Sender<(Key, Word)>,
) {
    let key = start.key;
    let fetched = tokio::select! {
        fetched = cache.fetch(&start.program, &start.program_name) => fetched,
        // Nothing runs yet that could be told anything else.
        Some(Told::Kill(_)) = told.recv() => {
            let exit = Exit { code: None, signal: None, killed: None, ordered: true };
            return drop(words.send((key, Word::Exited(exit))).await);
        }
    };
    let launched = fetched.and_then(|program| launch(&start, &place, &program));
    let (listener, child) = match launched {
        Ok(launched) => launched,
        Err(error) => {
            let (code, sentence) = (NOT_STARTED, error.to_string());
            let reported = Reported { code, sentence, curable: true };
            return drop(words.send((key, Word::NotStarted(reported))).await);
        }
    };
    let pid = child.id().unwrap_or_default();
    let mut life = Life {
        key,
        child,
        pid,
        begin: Some(start.begin),
        link: None,
        deadline: None,
        killed: None,
        ordered: false,
        words,
    };
    life.say(Word::Started(pid)).await;
    let status = life.run(&listener, &mut told).await;
    life.listen_on(&listener).await;
    // What it has started and left behind.
    kill_group(pid);
    if let Err(error) = std::fs::remove_dir_all(&place.folder) {
        tracing::warn!("{}: could not be removed: {error}", place.folder.display());
    }
    let (code, signal) = status.map_or((None, None), |status| (status.code(), status.signal()));
    let exit = Exit { code, signal, killed: life.killed.take(), ordered: life.ordered };
    life.say(Word::Exited(exit)).await;
}

/// Starts the process.
fn launch(
    start: &Start,
    place: &Place,
    program: &std::path::Path,
) -> Result<(UnixListener, Child)> {
    let failed = |what: &std::path::Path| {
        let what = what.display().to_string();
        move |cause| Error::io("use", what, cause)
    };
    std::fs::create_dir_all(&place.folder).map_err(failed(&place.folder))?;
    let socket = place.folder.join("supervisor");
    let listener = UnixListener::bind(&socket).map_err(failed(&socket))?;
    let open = |path: &PathBuf| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.map(Stdio::from).map_err(failed(path))
    };
    let [out, err] = &place.logs;
    let (variable, value) = protocol::variable(&socket);
    let folder = start.folder.as_ref().map(PathBuf::from).filter(|folder| folder.is_dir());
    let mut command = Command::new(&place.launcher);
    command
        .args(launch::arguments(program, &start.program_name, &start.arguments))
        .envs(&start.environment)
        .env(variable, value)
        .current_dir(folder.as_ref().unwrap_or(&place.folder))
        .stdin(Stdio::null())
        .stdout(open(out)?)
        .stderr(open(err)?)
        // A group of its own, so that what it starts can be ended with it.
        .process_group(0)
        .kill_on_drop(true);
    Ok((listener, command.spawn().map_err(failed(&place.launcher))?))
}

impl Life {
    /// Hears and tells until the process ends.
    async fn run(
        &mut self,
        listener: &UnixListener,
        told: &mut mpsc::UnboundedReceiver<Told>,
    ) -> Option<ExitStatus> {
        let mut pings = tokio::time::interval(HEARTBEAT_INTERVAL);
        let mut is_told = true;
        loop {
            let never = Instant::now() + Duration::from_secs(86_400);
            tokio::select! {
                status = self.child.wait() => return status.ok(),
                Ok((stream, _)) = listener.accept() => self.welcome(stream).await,
                line = next(&mut self.link) => self.hear(line).await,
                what = told.recv(), if is_told => match what {
                    Some(Told::Pass(order)) => self.tell(&order).await,
                    Some(Told::Kill(grace)) => {
                        self.ordered = true;
                        let at = Instant::now() + grace;
                        self.deadline = Some(self.deadline.map_or(at, |before| before.min(at)));
                    }
                    // The agent ends.
                    None => {
                        is_told = false;
                        self.deadline = Some(Instant::now());
                    }
                },
                () = sleep_until(self.deadline.unwrap_or(never)) => {
                    self.deadline = None;
                    kill_group(self.pid);
                    // Before it has a group of its own.
                    let _ = self.child.start_kill();
                }
                _ = pings.tick() => self.ping().await,
            }
        }
    }

    /// Takes a connection, if it is from the process itself and not from one that it has started.
    async fn welcome(&mut self, stream: UnixStream) {
        let (from, to) = stream.into_split();
        let mut lines = BufReader::new(from).lines();
        let Some(begin) = self.begin.clone() else { return };
        // Others connect only to see that there is a supervisor.
        let first = tokio::time::timeout(LAST_WORDS, lines.next_line()).await;
        let Ok(Ok(Some(line))) = first else { return };
        let Ok(Report::Joined { pid }) = serde_json::from_str(&line) else { return };
        if pid != self.pid {
            return;
        }
        self.begin = None;
        self.link = Some(Link { lines, to, heard: Instant::now() });
        self.tell(&Order::Begin(begin)).await;
        self.say(Word::Said(Report::Joined { pid })).await;
    }

    async fn hear(&mut self, line: Option<String>) {
        let Some(line) = line else {
            self.link = None;
            return;
        };
        if let Some(link) = &mut self.link {
            link.heard = Instant::now();
        }
        match serde_json::from_str(&line) {
            Ok(Report::Answer { id: PING, response })
                if !matches!(response, highwater::control::Response::Status(_)) => {}
            Ok(report) => self.say(Word::Said(report)).await,
            Err(cause) => tracing::warn!("{} says what is not understood: {cause}", self.key),
        }
    }

    async fn tell(&mut self, order: &Order) {
        let Some(link) = &mut self.link else { return };
        let Ok(mut line) = serde_json::to_vec(order) else { return };
        line.push(b'\n');
        // One that does not read is noticed by its silence.
        let written = tokio::time::timeout(LAST_WORDS, link.to.write_all(&line)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!("{} does not take what it is told", self.key);
        }
    }

    /// Asks the process for a sign of life, and kills it if there was none for too long.
    async fn ping(&mut self) {
        let Some(link) = &self.link else { return };
        if link.heard.elapsed() >= HEARTBEAT_TIMEOUT && self.killed.is_none() {
            let why =
                format!("process {} did not answer for {HEARTBEAT_TIMEOUT:?}", self.key.index);
            self.killed = Some(why);
            self.deadline = Some(Instant::now());
            return;
        }
        self.tell(&Order::Ask { id: PING, request: Request::Status }).await;
    }

    /// Hears what a process that has ended had still to say.
    async fn listen_on(&mut self, listener: &UnixListener) {
        let until = tokio::time::sleep(LAST_WORDS);
        tokio::pin!(until);
        if self.link.is_none() && self.begin.is_some() {
            // It may have connected just before it ended.
            if let Ok(Ok((stream, _))) =
                tokio::time::timeout(Duration::ZERO, listener.accept()).await
            {
                self.welcome(stream).await;
            }
        }
        while self.link.is_some() {
            tokio::select! {
                () = &mut until => return,
                line = next(&mut self.link) => self.hear(line).await,
            }
        }
    }

    async fn say(&self, word: Word) {
        // Without an agent there is nobody to say it to.
        let _ = self.words.send((self.key, word)).await;
    }
}

/// Returns the next line, `None` at the end; waits for ever where there is no connection.
async fn next(link: &mut Option<Link>) -> Option<String> {
    match link {
        Some(link) => link.lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

/// Ends a process and all that it has started.
fn kill_group(pid: u32) {
    let group = i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may be gone.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
