//! Listens at a control socket while a job runs.
//!
//! A thread waits for connections, and each of these has a thread of its own: a savepoint takes its
//! time, and who asks for the status need not wait for it.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use highwater_core::error::{Error, Result};
use rustix::event::{PollFd, PollFlags, poll};

use super::desk::Desk;
use super::protocol::Response;
use super::{PATH_BYTES_MAX, is_short};

/// The longest request, in bytes.
const REQUEST_BYTES_MAX: u64 = 64 << 10;

/// A connection, and the thread that answers it.
type Connection = (UnixStream, JoinHandle<()>);

/// A control socket.
pub(crate) struct Server {
    path: PathBuf,
    inode: u64,
    connections: Arc<Mutex<Vec<Connection>>>,
    /// Dropped to end the thread that waits for connections.
    stop: UnixStream,
    thread: JoinHandle<()>,
}

impl Server {
    /// Begins to listen. A socket that is there is replaced: whoever listens there is an earlier
    /// start of the job, which has ended or is about to.
    ///
    /// # Errors
    /// When the path is too long or something else than a socket is there.
    pub(crate) fn listen(path: &Path, desk: &Arc<Desk>) -> Result<Self> {
        let failed = |action| move |cause| Error::io(action, path, cause);
        if !is_short(path) {
            let expected = format!("a path of at most {PATH_BYTES_MAX} bytes");
            return Err(Error::option("--control", path.display(), expected));
        }
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(Error::option("--control", path.display(), "a path where no file is"));
            }
            Ok(_) => std::fs::remove_file(path).map_err(failed("replace"))?,
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(failed("listen at"))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed("protect"))?;
        let inode = std::fs::metadata(path).map_err(failed("find"))?.ino();
        listener.set_nonblocking(true).map_err(failed("listen at"))?;
        let (stop, stopped) = UnixStream::pair().map_err(failed("listen at"))?;
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (accepted, desk) = (Arc::clone(&connections), Arc::clone(desk));
        let thread = std::thread::spawn(move || accept(&listener, &stopped, &accepted, &desk));
        Ok(Server { path: path.to_owned(), inode, connections, stop, thread })
    }

    /// Stops listening when the job has ended: open requests are answered by then.
    pub(crate) fn end(self) {
        drop(self.stop);
        let panicked = self.thread.join().is_err();
        let connections =
            std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        for (stream, thread) in connections {
            // One that was closed from the other side is closed.
            let _ = stream.shutdown(Shutdown::Read);
            if thread.join().is_err() || panicked {
                tracing::warn!("a thread of the control socket panicked");
            }
        }
        // It may be the socket of a later start by now.
        let found = std::fs::metadata(&self.path).map(|found| found.ino());
        if found.is_ok_and(|inode| inode == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes connections until the other end of `stopped` is dropped.
fn accept(
    listener: &UnixListener,
    stopped: &UnixStream,
    connections: &Mutex<Vec<Connection>>,
    desk: &Arc<Desk>,
) {
    loop {
        let mut waits = [PollFd::new(listener, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        if let Err(error) = poll(&mut waits, None)
            && error != rustix::io::Errno::INTR
        {
            tracing::warn!("the control socket: {error}");
            return;
        }
        if !waits[1].revents().is_empty() {
            return;
        }
        let accepted = listener.accept().and_then(|(stream, _)| {
            stream.set_nonblocking(false)?;
            let (answered, desk) = (stream.try_clone()?, Arc::clone(desk));
            Ok((stream, std::thread::spawn(move || answer_all(&answered, &desk))))
        });
        match accepted {
            Ok(connection) => {
                let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
                connections.retain(|(_, thread)| !thread.is_finished());
                connections.push(connection);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => tracing::warn!("the control socket: {error}"),
        }
    }
}

/// Answers the requests of a connection until it is closed.
fn answer_all(stream: &UnixStream, desk: &Desk) {
    let mut requests = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        match requests.by_ref().take(REQUEST_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let response = match serde_json::from_slice(&line) {
            Ok(request) => desk.answer(request),
            Err(cause) => Response::Error(format!("not a request: {cause}")),
        };
        let Ok(mut line) = serde_json::to_vec(&response) else { return };
        line.push(b'\n');
        let mut answer = stream;
        if answer.write_all(&line).is_err() {
            return;
        }
    }
}
