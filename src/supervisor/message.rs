//! What a supervisor and the process of an attempt say to each other: a line of JSON each.
//!
//! ```text
//! supervisor --Order-->  attempt    where to go on, what becomes of it, signals
//! supervisor <-Report--  attempt    who it is, that the job has begun, how it ended
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// What an attempt tells its supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Report {
    /// The process is there.
    Joined {
        /// Its number.
        pid: u32,
    },
    /// A job is about to begin, and nothing of this attempt is in its log but the fence.
    Begun {
        /// Where its checkpoints are.
        url: String,
        /// Which start of the job this is.
        attempt: u64,
    },
    /// The job has ended, with this error if it failed.
    Ended(Option<Reported>),
}

/// An error as it is told to a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reported {
    /// The exit code of a program that ends with it.
    pub(super) code: u8,
    /// The error.
    pub(super) sentence: String,
    /// Whether another attempt may succeed.
    pub(super) curable: bool,
}

/// What a supervisor tells an attempt.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    /// What came before.
    Begin(Begin),
    /// What becomes of a job that has failed.
    Verdict {
        /// Whether there will be another attempt, so that this one must end at once.
        again: bool,
    },
    /// The supervisor was sent this signal.
    Signal(i32),
}

/// What came before an attempt.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Begin {
    /// For each job, by where its checkpoints are, the first attempt under this supervisor.
    pub(super) since: BTreeMap<String, u64>,
    /// The last failures, oldest first.
    pub(super) failures: Vec<Failure>,
}

/// Sends a message.
pub(super) fn send(mut to: &UnixStream, message: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Receives the next message, `None` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(from: &mut BufReader<UnixStream>) -> Option<T> {
    let mut line = String::new();
    let read = from.read_line(&mut line).ok()?;
    if read == 0 {
        return None;
    }
    serde_json::from_str(&line).ok()
}
