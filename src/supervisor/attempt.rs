//! The side of the attempt: what a process does that was started by a supervisor.
//!
//! ```text
//! environment --> connect --Joined--> Begin --> the job --Ended--> Verdict: go on | end at once
//!                    '-- a thread that reads: signals; the end of the connection ends the process
//! ```
//!
//! The variable is inherited by whatever the attempt starts itself. So it says whose children are
//! meant, and others take no notice of it.
//!
//! **Invariant**: an attempt does not outlive its supervisor. The connection ends with the
//! supervisor, however that ends, and with the connection the attempt.

use std::ffi::OsStr;
use std::io::BufReader;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use highwater_checkpoint::{CheckpointOptions, CommitError, Restore, StorageError};
use highwater_core::error::{Error, ErrorKind, Result};
use signal_hook::low_level;

use super::failure::Failure;
use super::protocol::{
    Begin, Described, MeshSpec, Order, Report, Reported, VARIABLE, receive, send,
};
use crate::attendant;
use crate::control::{Desk, Request, Response};
use crate::observe::ProcessReport;
use crate::options::Config;

/// The exit code of an attempt whose supervisor is gone.
const ORPHANED: i32 = 1;

/// The connection of this process with its supervisor.
pub(crate) struct Attempt {
    /// The folder that the supervisor clears after each attempt.
    scratch: PathBuf,
    begin: Begin,
    reception: Arc<Reception>,
    verdicts: Mutex<Receiver<bool>>,
    peers: Mutex<Receiver<Vec<SocketAddr>>>,
}

/// What the thread that listens to the supervisor shares with the others.
struct Reception {
    to: Mutex<UnixStream>,
    /// Who takes questions while the job is at work.
    desk: Mutex<Option<Arc<Desk>>>,
}

impl Reception {
    fn tell(&self, report: &Report) {
        let to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        // A supervisor that is gone ends this process soon.
        let _ = send(&*to, report);
    }

    /// Answers a question, as soon as there is an answer.
    fn ask(self: &Arc<Self>, id: u64, request: Request) {
        let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reception = Arc::clone(self);
        std::thread::spawn(move || {
            let response = match desk {
                Some(desk) => desk.answer(request),
                None => Response::Error("the job takes no checkpoints, or none yet".to_owned()),
            };
            reception.tell(&Report::Answer { id, response });
        });
    }
}

/// Where what the supervisor says is waited for.
struct Waiting {
    verdict: Sender<bool>,
    addresses: Sender<Vec<SocketAddr>>,
}

/// Takes questions from the supervisor until it is dropped.
pub(crate) struct Open<'a> {
    reception: &'a Reception,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        *self.reception.desk.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Returns the connection with the supervisor, `None` when there is none.
///
/// # Errors
/// When there was a supervisor and it is gone.
pub(crate) fn attempt() -> Result<Option<&'static Attempt>> {
    static ATTEMPT: OnceLock<Option<Attempt>> = OnceLock::new();
    static CONNECTING: Mutex<()> = Mutex::new(());
    let _connecting = CONNECTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(attempt) = ATTEMPT.get() {
        return Ok(attempt.as_ref());
    }
    let connected = Attempt::connect(std::env::var_os(VARIABLE).as_deref())?;
    Ok(ATTEMPT.get_or_init(|| connected).as_ref())
}

/// Reads the variable: the number of the supervisor's process, and its socket.
fn parse(variable: &OsStr) -> Option<(u32, &Path)> {
    let bytes = variable.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let pid = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    Some((pid, Path::new(OsStr::from_bytes(&bytes[colon + 1..]))))
}

impl Attempt {
    fn connect(variable: Option<&OsStr>) -> Result<Option<Self>> {
        let Some((supervisor, socket)) = variable.and_then(parse) else { return Ok(None) };
        // A process whose parent has just been killed has another one now, too; so whether it is
        // an attempt only a supervisor that is alive can tell.
        let gone = |cause| Error::io("reach the supervisor of this process at", socket, cause);
        let to = UnixStream::connect(socket).map_err(gone)?;
        if std::os::unix::process::parent_id() != supervisor {
            return Ok(None);
        }
        let from = to.try_clone().map_err(gone)?;
        send(&to, &Report::Joined { pid: std::process::id() }).map_err(gone)?;
        let mut from = BufReader::new(from);
        let Some(Order::Begin(begin)) = receive(&mut from) else {
            return Err(gone(std::io::ErrorKind::UnexpectedEof.into()));
        };
        let ((verdict, verdicts), (addresses, peers)) = (channel(), channel());
        let (scratch, socket) = (socket.parent().unwrap_or(socket).to_owned(), socket.to_owned());
        let reception = Arc::new(Reception { to: Mutex::new(to), desk: Mutex::default() });
        let obeying = Arc::clone(&reception);
        let waiting = Waiting { verdict, addresses };
        std::thread::spawn(move || obey(from, &waiting, &obeying, &socket));
        let (verdicts, peers) = (Mutex::new(verdicts), Mutex::new(peers));
        Ok(Some(Attempt { scratch, begin, reception, verdicts, peers }))
    }

    /// Returns the processes of which this is one, if it is not alone.
    pub(crate) fn mesh(&self) -> Option<&MeshSpec> {
        self.begin.mesh.as_ref()
    }

    /// Says where this process listens, and waits until all do.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub(crate) fn peers(&self, listens: SocketAddr) -> Result<Vec<SocketAddr>> {
        self.tell(&Report::Listening { address: listens });
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.recv().map_err(|_| Error::Start { message: "its supervisor is gone".to_owned() })
    }

    /// Lets the supervisor ask for savepoints, the end and the state of a job.
    pub(crate) fn open(&self, desk: &Arc<Desk>) -> Open<'_> {
        let reception = &*self.reception;
        let mut open = reception.desk.lock().unwrap_or_else(PoisonError::into_inner);
        *open = Some(Arc::clone(desk));
        Open { reception }
    }

    /// Returns a folder for what may be lost, which the supervisor clears.
    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Returns the last failures of the job, oldest first.
    pub(crate) fn failures(&self) -> &[Failure] {
        &self.begin.failures
    }

    /// Lets count what the supervisor says about the job, and tells it what the job is then.
    ///
    /// # Errors
    /// When an option has then a value that is not allowed.
    pub(crate) fn describe(&self, config: &mut Config) -> Result<()> {
        self.begin.overrides.apply(config)?;
        self.tell(&Report::Described(Box::new(Described::of(config))));
        Ok(())
    }

    /// Lets a job go on from what attempts before this one have completed under this supervisor.
    pub(crate) fn go_on(&self, options: &mut CheckpointOptions) {
        if let Some(attempt) = self.begin.since.get(&options.url) {
            let or = Box::new(std::mem::take(&mut options.restore));
            options.restore = Restore::Since { attempt: *attempt, or };
        }
    }

    /// Tells that a job is about to begin; from then on it may complete checkpoints.
    pub(crate) fn begun(&self, url: &str, attempt: u64) {
        self.tell(&Report::Begun { url: url.to_owned(), attempt });
    }

    /// Tells how a job has ended. If there will be another attempt, this one ends here.
    ///
    /// - `began`: whether the job was at work, so that nothing is wrong with its beginning.
    pub(crate) fn ended(&self, error: Option<&Error>, began: bool) {
        let Some(error) = error else { return self.tell(&Report::Ended(None)) };
        let (code, sentence) = (error.exit_code(), error.sentence());
        let reported = Reported { code, sentence, curable: is_curable(error, began) };
        self.tell(&Report::Ended(Some(reported)));
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        // Without an answer the supervisor is gone, and this process is about to end.
        if verdicts.recv().unwrap_or(true) {
            std::process::exit(i32::from(code));
        }
    }

    /// Tells how the job goes.
    pub(crate) fn observed(&self, report: &ProcessReport) {
        match serde_json::to_value(report) {
            Ok(report) => self.tell(&Report::Observed(Box::new(report))),
            Err(cause) => tracing::warn!(%cause, "how the job goes cannot be told"),
        }
    }

    fn tell(&self, report: &Report) {
        self.reception.tell(report);
    }
}

/// Does what the supervisor says until it is gone.
fn obey(
    mut from: BufReader<UnixStream>,
    waiting: &Waiting,
    reception: &Arc<Reception>,
    socket: &Path,
) {
    while let Some(order) = receive(&mut from) {
        match order {
            // Nobody waits for it only when the process ends.
            Order::Verdict { again } => drop(waiting.verdict.send(again)),
            Order::Peers { addresses } => drop(waiting.addresses.send(addresses)),
            Order::Signal(signal) => attendant::passed_on(signal),
            Order::Ask { id, request } => reception.ask(id, request),
            Order::Begin(_) => {}
        }
    }
    // What the supervisor cannot clear away any more. A folder that is not empty stays.
    let _ = std::fs::remove_file(socket);
    let _ = socket.parent().map(std::fs::remove_dir);
    low_level::exit(ORPHANED);
}

/// Returns whether another attempt may succeed where this one has failed.
///
/// - `began`: whether the job was at work: what it was restored from was good then.
fn is_curable(error: &Error, began: bool) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    match error {
        Error::Operator { source, .. } => is_curable(source, began),
        Error::State { source, kind } => {
            match (source.downcast_ref::<CommitError>(), source.downcast_ref::<StorageError>()) {
                // Another start of the same job is at work.
                (Some(CommitError::Fenced { .. }), _) => false,
                (Some(_), _) => true,
                (None, Some(storage)) => began || storage.kind() == ErrorKind::Retry,
                (None, None) => began || *kind == ErrorKind::Restart,
            }
        }
        // As it was judged there.
        Error::Process { kind: ErrorKind::Corrupt, .. } => began,
        Error::Io { source, .. } => {
            !matches!(source.kind(), NotFound | PermissionDenied | NotADirectory | IsADirectory)
        }
        _ => matches!(error.kind(), ErrorKind::Retry | ErrorKind::Restart),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::protocol::variable;

    #[test]
    fn the_variable_names_the_supervisor_and_its_socket() {
        let (_, value) = variable(Path::new("/a:b/c"));
        assert_eq!(parse(&value), Some((std::process::id(), Path::new("/a:b/c"))));
        assert_eq!(parse(OsStr::new("/a")), None);
        assert_eq!(parse(OsStr::new("x:/a")), None);
    }

    #[test]
    fn only_what_another_attempt_may_get_over_is_curable() {
        let in_operator =
            |error| Error::Operator { operator: "o".to_owned(), source: Box::new(error) };
        let elsewhere = |kind| {
            let message = "ouch".to_owned();
            Error::Process { process: 1, kind, exit_code: 1, message }
        };
        let io = |kind| Error::io("read", "file", std::io::Error::from(kind));
        let panicked = || Error::Panicked { operator: None, worker: 0, message: "ouch".to_owned() };
        let fenced = CommitError::Fenced { attempt: 1, by: "attempt 2".to_owned(), slot: 3 };
        let missing = || StorageError::Missing { path: "manifests/1-1".to_owned() };
        let unsettled = CommitError::Unsettled { checkpoint: 1, source: missing() };
        for (error, at_first, at_work) in [
            (panicked(), true, true),
            (in_operator(panicked()), true, true),
            (io(std::io::ErrorKind::ConnectionReset), true, true),
            (io(std::io::ErrorKind::NotFound), false, false),
            (Error::option("--workers", 0, "1 or more"), false, false),
            (in_operator(Error::input("in.csv", Some(3), "missing field")), false, false),
            (Error::program("no"), false, false),
            (Error::state(fenced), false, false),
            (Error::state(unsettled), true, true),
            (Error::state(missing()), false, true),
            (elsewhere(ErrorKind::Restart), true, true),
            (elsewhere(ErrorKind::Corrupt), false, true),
            (elsewhere(ErrorKind::Invalid), false, false),
            (Error::state("the checkpoint holds state of another job"), false, true),
        ] {
            assert_eq!(is_curable(&error, false), at_first, "{}", error.sentence());
            assert_eq!(is_curable(&error, true), at_work, "{}", error.sentence());
        }
    }
}
