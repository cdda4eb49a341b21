//! Messages and heartbeats between two processes.
//!
//! ```text
//! send --> queue --> a thread that writes == socket ==> a thread that reads --> ears
//!                    a heartbeat a second                '-- nothing for 10 s: the process is lost
//!
//! frame: length u32, kind u8, then so many bytes
//! ```
//!
//! The threads do nothing else, so that a worker that is slow is not taken for one that is dead.
//!
//! **Invariant**: a frame takes no more memory than has arrived of it, and no more than
//! [`MESSAGE_BYTES_MAX`].

use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use highwater_core::error::{Error, ErrorKind as Kind, Result};
use highwater_core::peers::Topic;
use serde::{Deserialize, Serialize};

/// How often a process shows that it is alive, and how long it may fail to.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// How long the last words of a process may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The longest message, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: u32 = 256 << 20;

/// What is sent over a link.
#[derive(Debug)]
pub(crate) enum Frame {
    Heartbeat,
    Message(Topic, Vec<u8>),
    Failed(Failed),
    /// Nothing follows, and that is well.
    Bye,
}

/// The failure of a process, as the others are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) process: usize,
    pub(crate) kind: Kind,
    pub(crate) exit_code: u8,
    pub(crate) message: String,
}

impl Failed {
    /// Returns what the others are told of an error; of one that was told, the same.
    pub(crate) fn of(mine: usize, error: &Error) -> Self {
        match error {
            Error::Process { process, kind, exit_code, message } => Failed {
                process: *process,
                kind: *kind,
                exit_code: *exit_code,
                message: message.clone(),
            },
            error => Failed {
                process: mine,
                kind: error.kind(),
                exit_code: error.exit_code(),
                message: error.sentence(),
            },
        }
    }

    /// Returns what is known of a process that is gone without a word.
    pub(crate) fn lost(process: usize, message: String) -> Self {
        Failed { process, kind: Kind::Restart, exit_code: 1, message }
    }

    /// Returns the error with which the job fails here.
    pub(crate) fn error(&self) -> Error {
        let Failed { process, kind, exit_code, message } = self.clone();
        Error::Process { process, kind, exit_code, message }
    }
}

impl Frame {
    fn kind(&self) -> u8 {
        match self {
            Frame::Heartbeat => 0,
            Frame::Message(Topic::Job, _) => 1,
            Frame::Message(Topic::Checkpoints, _) => 2,
            Frame::Failed(_) => 3,
            Frame::Bye => 4,
        }
    }

    fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        let encoded;
        let body: &[u8] = match self {
            Frame::Heartbeat | Frame::Bye => &[],
            Frame::Message(_, body) => body,
            Frame::Failed(failed) => {
                encoded = postcard::to_stdvec(failed).map_err(std::io::Error::other)?;
                &encoded
            }
        };
        let length = u32::try_from(body.len()).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
        let length = length.ok_or_else(|| std::io::Error::other("a message that is too long"))?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(&[self.kind()])?;
        to.write_all(body)
    }

    /// Reads the next frame.
    pub(crate) fn read(from: &mut impl Read) -> std::io::Result<Self> {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let damaged = || std::io::Error::new(ErrorKind::InvalidData, "a damaged message");
        if length > MESSAGE_BYTES_MAX {
            return Err(damaged());
        }
        let mut body = Vec::new();
        from.take(u64::from(length)).read_to_end(&mut body)?;
        if body.len() < length as usize {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match head[4] {
            0 => Ok(Frame::Heartbeat),
            1 => Ok(Frame::Message(Topic::Job, body)),
            2 => Ok(Frame::Message(Topic::Checkpoints, body)),
            3 => postcard::from_bytes(&body).map(Frame::Failed).map_err(|_| damaged()),
            4 => Ok(Frame::Bye),
            _ => Err(damaged()),
        }
    }
}

/// One end of a link.
pub(crate) struct Link {
    queue: Sender<Frame>,
    socket: TcpStream,
    /// Ends when the last frame is written.
    written: Receiver<()>,
    writer: JoinHandle<()>,
}

impl Link {
    /// Starts the threads of a link.
    ///
    /// - `hear`: takes what comes; false ends the link.
    pub(crate) fn start(
        process: usize,
        socket: TcpStream,
        mut hear: impl FnMut(std::io::Result<Frame>) -> bool + Send + 'static,
    ) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::Start { message: cause.to_string() };
        socket.set_read_timeout(Some(SILENCE)).map_err(failed)?;
        let (queue, frames) = channel();
        let (done, written) = channel();
        let to = socket.try_clone().map_err(failed)?;
        let from = socket.try_clone().map_err(failed)?;
        let named = |what: &str| std::thread::Builder::new().name(format!("link:{what}-{process}"));
        let writer = named("send").spawn(move || {
            // Whoever reads the link on this side sees that it is broken.
            let _ = write_all(to, &frames);
            drop(done);
        });
        let reader = named("hear").spawn(move || {
            let mut from = BufReader::new(from);
            loop {
                let frame = Frame::read(&mut from);
                let broken = frame.is_err();
                if !hear(frame) || broken {
                    return;
                }
            }
        });
        let writer = writer.map_err(failed)?;
        reader.map_err(failed)?;
        Ok(Link { queue, socket, written, writer })
    }

    /// Sends a frame; one that cannot arrive any more is noticed by whoever reads the link.
    pub(crate) fn send(&self, frame: Frame) {
        let _ = self.queue.send(frame);
    }

    /// Ends the link when everything is written, or cannot be.
    pub(crate) fn end(self) {
        let Link { queue, socket, written, writer } = self;
        let _ = queue.send(Frame::Bye);
        drop(queue);
        if written.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let _ = socket.shutdown(Shutdown::Write);
        if writer.join().is_err() {
            tracing::warn!("the thread of a link panicked");
        }
    }
}

fn write_all(to: TcpStream, frames: &Receiver<Frame>) -> std::io::Result<()> {
    let mut to = BufWriter::new(to);
    loop {
        let frame = match frames.try_recv() {
            Ok(frame) => frame,
            Err(TryRecvError::Disconnected) => return to.flush(),
            Err(TryRecvError::Empty) => {
                to.flush()?;
                match frames.recv_timeout(HEARTBEAT) {
                    Ok(frame) => frame,
                    Err(RecvTimeoutError::Timeout) => Frame::Heartbeat,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
        };
        frame.write(&mut to)?;
    }
}
