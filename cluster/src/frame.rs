//! What a coordinator and its agents say to each other over one connection.
//!
//! ```text
//! agent       --Hello-->  coordinator     who it is, its slots, the processes that it has
//!             <-Welcome | Refused--
//!             --FromAgent-->              heartbeats, what processes say, how they end, pieces of logs
//!             <--ToAgent--                heartbeats, processes to start and to end, what they are told
//!
//! frame: length, u32 little endian | JSON
//! ```
//!
//! Every message names the process it is about by job, attempt and index ([`Key`]), so that whoever
//! reads it can tell what belongs to an attempt that is over.
//!
//! **Invariant**: a frame takes no more memory than has arrived of it ([`read`]); before somebody has
//! said who it is, no more than [`HELLO_BYTES_MAX`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use highwater::supervisor::protocol::{Begin, Order, Report, Reported};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, Result};
use crate::id::JobId;

/// The version of what is said.
pub const VERSION: u32 = 1;
/// The longest frame, in bytes: a report has a line for each operator on each worker.
pub const FRAME_BYTES_MAX: u32 = 64 << 20;
/// The longest first frame, in bytes: an agent may have many processes.
pub const HELLO_BYTES_MAX: u32 = 1 << 20;

/// The longest piece of a log, in bytes.
pub const LOG_BYTES_MAX: u32 = 256 << 10;

/// What an agent is called: a new name each time that it is started.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentId(pub String);

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Of which job.
    pub job: JobId,
    /// Of which attempt.
    pub attempt: u64,
    /// Which of its processes, from 0.
    pub index: usize,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of attempt {} of job {}", self.index, self.attempt, self.job)
    }
}

/// What a machine has, and what is used of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// Processors that the agent may use.
    pub cores: usize,
    /// Memory that the agent and its processes may use, in bytes.
    pub memory_bytes: u64,
    /// What they use of it, in bytes.
    pub used_bytes: u64,
    /// The processes in its control group, the agent among them.
    pub pids: u64,
}

/// The first message of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub version: u32,
    /// What lets it in.
    pub token: Option<String>,
    /// What it is called.
    pub id: AgentId,
    /// Its host.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Where processes of other hosts reach those of this agent.
    pub address: IpAddr,
    /// How many processes it takes.
    pub slots: usize,
    /// Its machine.
    pub hardware: Hardware,
    /// The processes that it has, or has had without the coordinator knowing how they ended.
    pub processes: Vec<Known>,
}

/// What an agent knows of one of its processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Known {
    /// Which one.
    pub key: Key,
    /// Its number, once it was started.
    pub pid: Option<u32>,
    /// What it has said that still counts: everything but observations and answers.
    pub said: Vec<Report>,
    /// How it ended.
    pub exit: Option<Exit>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, if it had one.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why its agent ended it, if it was the agent who did.
    pub killed: Option<String>,
    /// Whether it was ended by order of the coordinator.
    pub ordered: bool,
}

/// What an agent says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromAgent {
    /// It is alive; sent every second.
    Heartbeat(Hardware),
    /// A process was started.
    Started {
        /// Which one.
        key: Key,
        /// Its number.
        pid: u32,
    },
    /// A process could not be started.
    NotStarted {
        /// Which one.
        key: Key,
        /// Why, and whether it may succeed another time.
        reported: Reported,
    },
    /// A process has said something.
    Said {
        /// Which one.
        key: Key,
        /// What.
        report: Report,
    },
    /// A process has ended.
    Exited {
        /// Which one.
        key: Key,
        /// How.
        exit: Exit,
    },
    /// A piece of a log.
    Log {
        /// The number of the question.
        id: u64,
        /// The piece.
        logged: Logged,
    },
    /// It ends, with its processes.
    Bye,
}

/// What an agent finds of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Logged {
    /// This piece.
    Piece(Piece),
    /// Nothing, and why.
    Nothing(String),
}

/// A piece of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// What was written there; bytes that are no text are replaced.
    pub text: String,
    /// Where the piece after it begins, in bytes.
    pub next: u64,
    /// How long the log is, in bytes.
    pub length: u64,
    /// The logs of the agent, where these were asked for: names and lengths.
    pub names: BTreeMap<String, u64>,
}

/// What a process is to be started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Which one.
    pub key: Key,
    /// The SHA-256 of its program.
    pub program: String,
    /// The name of its program.
    pub program_name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// Where it runs, if that folder is there.
    pub folder: Option<String>,
    /// What it is told when it is there.
    pub begin: Begin,
}

/// What a coordinator says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToAgent {
    /// The agent is taken.
    Welcome {
        /// Which coordinator this is.
        coordinator: u64,
        /// The port at which it answers HTTP, on the same host.
        rest: u16,
    },
    /// It is not.
    Refused {
        /// Why.
        why: String,
    },
    /// The coordinator is alive; answers a heartbeat.
    Heartbeat,
    /// A process is to be started.
    Start(Box<Start>),
    /// A process is to be told something.
    Pass {
        /// Which one.
        key: Key,
        /// What.
        order: Box<Order>,
    },
    /// A process is to be ended.
    Kill {
        /// Which one.
        key: Key,
        /// How long it may take to end by itself, in ms.
        grace_ms: u64,
    },
    /// How a process ended is known.
    Forget(Key),
    /// A piece of a log is wanted.
    Log {
        /// The number of the question.
        id: u64,
        /// The name of the log; the names of all logs if there is none.
        name: Option<String>,
        /// Where to begin, in bytes; from the end if it is negative.
        from: i64,
        /// How long the piece may be, in bytes.
        length: u32,
    },
    /// The cluster ends.
    Leave,
}

/// Sends a message.
///
/// # Errors
/// When the connection is broken.
pub async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> std::io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or(std::io::ErrorKind::InvalidData)?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend_from_slice(&body);
    to.write_all(&frame).await
}

/// Receives a message, `None` when the connection was closed between two.
///
/// - `bytes_max`: how long it may be.
///
/// # Errors
/// When it is too long, no `T`, or the connection broke.
pub async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    bytes_max: u32,
) -> Result<Option<T>> {
    let broken = |cause| Error::io("read", "a frame", cause);
    let length = match from.read_u32_le().await {
        Ok(length) => length,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    if length > bytes_max {
        return Err(Error::Frame { problem: format!("{length} bytes, at most {bytes_max}") });
    }
    let mut body = Vec::new();
    let read = from.take(u64::from(length)).read_to_end(&mut body).await.map_err(broken)?;
    if read < length as usize {
        return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let message = serde_json::from_slice(&body);
    message.map(Some).map_err(|cause| Error::Frame { problem: cause.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn received(mut bytes: &[u8]) -> Result<Option<ToAgent>> {
        read(&mut bytes, 100).await
    }

    #[tokio::test]
    async fn a_frame_is_read_as_it_was_written_and_a_damaged_one_is_an_error() {
        let mut bytes = Vec::new();
        write(&mut bytes, &ToAgent::Leave).await.unwrap();
        assert!(matches!(received(&bytes).await, Ok(Some(ToAgent::Leave))));
        assert!(matches!(received(&[]).await, Ok(None)));
        assert!(received(&bytes[..bytes.len() - 1]).await.is_err());
        assert!(received(&[0xff; 8]).await.is_err(), "a huge length");
        bytes[5] = b'?';
        assert!(matches!(received(&bytes).await, Err(Error::Frame { .. })));
    }
}
