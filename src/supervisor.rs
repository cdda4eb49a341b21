//! Runs a program in a process of its own, and starts it again when it fails.
//!
//! ```text
//! execute(config, ..) --restart--> this process supervises and never returns:
//!
//!     start the program again (same arguments, same input and output) = an attempt
//!        ^                     |
//!        |             execute runs the job --ended--> failed for good, or succeeded:
//!        |                     |                       the program goes on behind `execute`
//!      delay                   |                                    |
//!        '-- failed, killed <--'                this process ends with the same exit code
//! ```
//!
//! What a program does before `execute` happens here and again in each attempt; what it does
//! afterwards happens in the last attempt alone, as if nobody supervised it.
//!
//! The first attempt begins with what the user said, each further one with the newest checkpoint
//! that was completed under this supervisor, if there is one: checkpoints of earlier runs do not
//! count.
//!
//! **Invariants**
//! - *No attempt outlives its supervisor*: `attempt.rs`.
//! - *One at a time*: the next attempt is started after the process of the one before has ended.
//! - *A failure that another attempt cannot cure ends the program at once*: `attempt::is_curable`.
//!
//! **Left out**: input that can be read once. Who reads the standard input goes on in the next attempt
//! behind what the last one has read.

mod attempt;
mod failure;
mod overrides;
pub mod protocol;
pub mod restart;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::BufReader;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use highwater_core::clock::{Clock, SystemClock};
use highwater_core::error::{Error, Result};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use signal_hook::consts::{SIGINT, SIGKILL, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;
use tempfile::TempDir;

pub(crate) use attempt::{Attempt, Open, attempt};
pub use failure::Failure;
use failure::Failures;
use protocol::{Begin, Order, Report, Reported, receive, send};
pub use restart::RestartStrategy;
use restart::{Restarts, Verdict};

/// Returns the folder for what may be lost when this process ends: where there is a supervisor, it
/// clears it.
///
/// # Errors
/// When there was a supervisor and it is gone.
pub fn scratch() -> Result<PathBuf> {
    Ok(attempt()?.map_or_else(std::env::temp_dir, |attempt| attempt.scratch().to_owned()))
}

/// The name of the socket in the folder of a supervisor.
const SOCKET: &str = "supervisor";
/// The exit code of a Rust program whose main thread panicked.
const PANICKED: i32 = 101;
/// How long a supervisor waits for the last words of a process that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a supervisor waits for.
enum Event {
    /// It was sent a signal.
    Signal(i32),
    /// The process of the attempt has ended.
    Exited,
    /// A process has connected, and can be told something here.
    Joined(u32, UnixStream),
    /// The process with this number has said something.
    Said(u32, Report),
    /// The connection of the process with this number has ended.
    Left(u32),
}

struct Supervisor {
    strategy: RestartStrategy,
    restarts: Restarts,
    begin: Instant,
    clock: SystemClock,
    folder: TempDir,
    events: Receiver<Event>,
    sender: Sender<Event>,
    since: BTreeMap<String, u64>,
    failures: Failures,
    /// How many attempts there have been.
    attempts: u64,
    /// The signal with which it was told to end.
    told_to_end: Option<i32>,
}

/// One attempt, while its process lives.
struct Life {
    process: Child,
    link: Option<UnixStream>,
    /// Which start of the job it is: the number in the log, if there is one.
    attempt: u64,
    /// Whether the job has succeeded.
    succeeded: bool,
    /// What becomes of a job that has failed: the delay before the next attempt, if there is one.
    verdict: Option<Option<Duration>>,
}

/// Runs the program in processes of its own until it ends for good, and ends with it.
///
/// # Errors
/// When there cannot be such a process.
pub(crate) fn supervise(strategy: RestartStrategy) -> Result<Infallible> {
    let failed =
        |cause: std::io::Error| Error::Start { message: format!("no supervisor: {cause}") };
    let folder = tempfile::Builder::new().prefix("highwater-").tempdir().map_err(failed)?;
    let listener = UnixListener::bind(folder.path().join(SOCKET)).map_err(failed)?;
    let (sender, events) = channel();
    let joins = sender.clone();
    std::thread::spawn(move || listen(&listener, &joins));
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    let received = sender.clone();
    std::thread::spawn(move || {
        // The supervisor ends with the process.
        signals.forever().for_each(|signal| drop(received.send(Event::Signal(signal))));
    });
    let mut supervisor = Supervisor {
        strategy,
        restarts: Restarts::new(strategy),
        begin: Instant::now(),
        clock: SystemClock::default(),
        folder,
        events,
        sender,
        since: BTreeMap::new(),
        failures: Failures::default(),
        attempts: 0,
        told_to_end: None,
    };
    loop {
        let (status, again) = supervisor.live().map_err(failed)?;
        match again {
            Some(delay) => supervisor.rest(delay),
            None => supervisor.end(status),
        }
    }
}

/// Takes connections, one after the other.
fn listen(listener: &UnixListener, events: &Sender<Event>) {
    for stream in listener.incoming() {
        let Ok((to, from)) = stream.and_then(|to| Ok((to.try_clone()?, to))) else { continue };
        let events = events.clone();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            // Others connect only to see that there is a supervisor.
            let Some(Report::Joined { pid }) = receive(&mut from) else { return };
            let _ = events.send(Event::Joined(pid, to));
            while let Some(report) = receive(&mut from) {
                let _ = events.send(Event::Said(pid, report));
            }
            let _ = events.send(Event::Left(pid));
        });
    }
}

impl Supervisor {
    /// Lets one attempt live. Returns how its process ended, and after which delay there is another
    /// attempt, if there is one.
    fn live(&mut self) -> std::io::Result<(ExitStatus, Option<Duration>)> {
        self.attempts += 1;
        let mut life = Life {
            process: self.start()?,
            link: None,
            attempt: self.attempts,
            succeeded: false,
            verdict: None,
        };
        let (pid, mut exited) = (life.process.id(), false);
        while !(exited && life.link.is_none()) {
            let event = match exited {
                true => self.events.recv_timeout(LAST_WORDS).ok(),
                false => self.events.recv().ok(),
            };
            match event {
                Some(Event::Exited) => exited = true,
                Some(Event::Joined(from, to)) if from == pid => self.welcome(&mut life, to),
                Some(Event::Said(from, report)) if from == pid => self.hear(&mut life, report),
                Some(Event::Left(from)) if from == pid => life.link = None,
                Some(Event::Signal(signal)) => self.pass_on(signal, &mut life)?,
                Some(_) => {}
                None => break,
            }
        }
        let status = life.process.wait()?;
        clear(self.folder.path());
        let again = match life.verdict {
            Some(verdict) => verdict,
            None => self.judge_silent(&life, status),
        };
        Ok((status, again))
    }

    /// Starts the program again, and a thread that waits for its end.
    fn start(&self) -> std::io::Result<Child> {
        let mut arguments = std::env::args_os();
        let mut command = Command::new(std::env::current_exe()?);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        let (variable, value) = protocol::variable(&self.folder.path().join(SOCKET));
        let process = command.args(arguments).env(variable, value).spawn()?;
        let (pid, events) = (Pid::from_child(&process), self.sender.clone());
        std::thread::spawn(move || {
            // It stays a zombie until the supervisor has taken note, so that nobody else can have its
            // number.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let interrupted = |error| error == rustix::io::Errno::INTR;
            while waitid(WaitId::Pid(pid), options).is_err_and(interrupted) {}
            let _ = events.send(Event::Exited);
        });
        Ok(process)
    }

    fn welcome(&self, life: &mut Life, to: UnixStream) {
        let failures = self.failures.newest();
        let begin = Begin { since: self.since.clone(), failures, ..Begin::default() };
        // An attempt that has ended is noticed in another way.
        let _ = send(&to, &Order::Begin(begin));
        life.link = Some(to);
    }

    fn hear(&mut self, life: &mut Life, report: Report) {
        match report {
            Report::Joined { .. }
            | Report::Described(_)
            | Report::Listening { .. }
            | Report::Observed(_)
            | Report::Answer { .. } => {}
            Report::Begun { url, attempt } => {
                self.since.entry(url).or_insert(attempt);
                life.attempt = attempt;
            }
            Report::Ended(None) => life.succeeded = true,
            Report::Ended(Some(Reported { code, sentence, curable })) => {
                let exit = format!("exit code {code}");
                let delay = curable.then(|| self.judge(life.attempt, exit, sentence)).flatten();
                life.verdict = Some(delay);
                if let Some(link) = &life.link {
                    let _ = send(link, &Order::Verdict { again: delay.is_some() });
                }
            }
        }
    }

    /// Passes a signal on: the attempt knows how to end. The second time, or when it does not listen,
    /// it is ended.
    fn pass_on(&mut self, signal: i32, life: &mut Life) -> std::io::Result<()> {
        let first = self.told_to_end.replace(signal).is_none();
        match &life.link {
            Some(link) if first && signal == SIGTERM => {
                let _ = send(link, &Order::Signal(signal));
                Ok(())
            }
            _ => life.process.kill(),
        }
    }

    /// Decides what becomes of an attempt that ended without a word about it.
    fn judge_silent(&mut self, life: &Life, status: ExitStatus) -> Option<Duration> {
        let (exit, sentence) = match (status.code(), status.signal()) {
            (Some(PANICKED), _) if !life.succeeded => {
                (format!("exit code {PANICKED}"), "its main thread panicked".to_owned())
            }
            (None, Some(signal)) => (signal_name(signal), "its process was killed".to_owned()),
            // The program has chosen its exit code itself.
            _ => return None,
        };
        self.judge(life.attempt, exit, sentence)
    }

    /// Decides what becomes of a job that has failed.
    fn judge(&mut self, attempt: u64, exit: String, sentence: String) -> Option<Duration> {
        if self.told_to_end.is_some() {
            return None;
        }
        let failure = Failure { at_ms: self.clock.now_ms(), attempt, exit, sentence };
        let said = format!("attempt {attempt} failed ({}): {}", failure.exit, failure.sentence);
        self.failures.add(failure);
        match self.restarts.failed(self.begin.elapsed(), chance()) {
            Verdict::After(delay) => {
                let delay_ms = Duration::from_millis(delay.as_millis() as u64);
                let delay_ms = humantime::format_duration(delay_ms);
                tracing::warn!("{said}; the job is started again in {delay_ms}");
                Some(delay)
            }
            Verdict::GiveUp => {
                let strategy = self.strategy;
                tracing::warn!("{said}; --restart {strategy} does not allow another attempt");
                None
            }
        }
    }

    /// Waits before the next attempt.
    fn rest(&mut self, delay: Duration) {
        let deadline = Instant::now() + delay;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Signal(signal)) => {
                    self.failures.sum_up();
                    clear_away(&self.folder);
                    end_by(signal);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Ends as the last attempt has ended.
    #[expect(clippy::print_stderr, reason = "the last word of a program that was killed")]
    fn end(self, status: ExitStatus) -> ! {
        self.failures.sum_up();
        clear_away(&self.folder);
        match (status.code(), self.told_to_end) {
            (Some(code), _) => std::process::exit(code),
            (None, Some(signal)) => end_by(signal),
            (None, None) => {
                let signal = status.signal().unwrap_or(SIGKILL);
                eprintln!("error: the process of the job was killed by {}", signal_name(signal));
                std::process::exit(128 + signal);
            }
        }
    }
}

/// Removes what an attempt has left behind, and nothing of the supervisor.
fn clear(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name() != SOCKET
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!("{}: could not be removed: {error}", entry.path().display());
        }
    }
}

/// Removes the folder of a supervisor that is about to end.
fn clear_away(folder: &TempDir) {
    if let Err(error) = std::fs::remove_dir_all(folder.path()) {
        tracing::warn!("{}: could not be removed: {error}", folder.path().display());
    }
}

/// Ends this process by a signal, as whoever sent it expects.
fn end_by(signal: i32) -> ! {
    let _ = low_level::emulate_default_handler(signal);
    std::process::exit(128 + signal);
}

/// Returns a signal as people know it, such as `signal 9 (SIGKILL)`.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    match low_level::signal_name(signal) {
        Some(name) => format!("signal {signal} ({name})"),
        None => format!("signal {signal}"),
    }
}

/// Returns a random number from 0 to 1.
fn chance() -> f64 {
    // Without randomness there is no jitter.
    getrandom::u64().map_or(0.5, |random| random as f64 / u64::MAX as f64)
}
