//! What a supervisor and a process of an attempt say to each other: a line of JSON each.
//!
//! ```text
//! supervisor | agent --Order-->  attempt    where to go on, where the others are, questions, signals
//! supervisor | agent <-Report--  attempt    who it is, where it listens, how it goes, how it ended
//! ```
//!
//! A process is told of its supervisor by a [`variable`] of its environment, and connects to
//! the socket that this names. The order of what is said:
//!
//! ```text
//! Joined --> Begin { mesh: None }  --> Described                --> Begun --> .. --> Ended
//! Joined --> Begin { mesh: Some } --> Listening --> Peers ------^      |
//!                         at any time after Begun: Observed; Ask <-> Answer; Signal
//! Ended(Some(error)) --> Verdict
//! ```
//!
//! Either side may be of another version: a line that is not understood is passed over, with a
//! warning ([`receive`]). The end of the connection is the end of the other side.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
pub use super::overrides::{Described, DescribedCheckpoints, Overrides};
use crate::control::{Request, Response};

/// The variable that tells a process of its supervisor: `PID:SOCKET`.
pub(super) const VARIABLE: &str = "HIGHWATER_SUPERVISOR";
/// The longest line, in bytes: a report has a line for each operator on each worker.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// What an attempt tells its supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// The process is there.
    Joined {
        /// Its number.
        pid: u32,
    },
    /// The process waits for the other processes of its attempt.
    Listening {
        /// Where they reach it.
        address: SocketAddr,
    },
    /// What the job is, before anything of it begins.
    Described(Box<Described>),
    /// A job is about to begin, and nothing of this attempt is in its log but the fence.
    Begun {
        /// Where its checkpoints are.
        url: String,
        /// Which start of the job this is.
        attempt: u64,
    },
    /// How the job goes in this process; sent once a second.
    Observed(Box<serde_json::Value>),
    /// What a question came to.
    Answer {
        /// The number of the question.
        id: u64,
        /// The answer.
        response: Response,
    },
    /// The job has ended, with this error if it failed.
    Ended(Option<Reported>),
}

/// An error as it is told to a supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The exit code of a program that ends with it.
    pub code: u8,
    /// The error.
    pub sentence: String,
    /// Whether another attempt may succeed.
    pub curable: bool,
}

/// What a supervisor tells an attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// What came before.
    Begin(Begin),
    /// All processes of the attempt listen.
    Peers {
        /// Where, in the order of their indices.
        addresses: Vec<SocketAddr>,
    },
    /// A question, or something to be done, as at the [control socket](crate::control). Only the
    /// process with index 0 takes savepoints.
    Ask {
        /// The number of the question, for the answer.
        id: u64,
        /// The question.
        request: Request,
    },
    /// What becomes of a job that has failed.
    Verdict {
        /// Whether there will be another attempt, so that this one must end at once.
        again: bool,
    },
    /// The supervisor was sent this signal.
    Signal(i32),
}

/// What came before an attempt, and what it is part of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Begin {
    /// For each job, by where its checkpoints are, the first attempt under this supervisor.
    pub since: BTreeMap<String, u64>,
    /// The last failures, oldest first.
    pub failures: Vec<Failure>,
    /// The processes of which it is one; `None` if it is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshSpec>,
    /// What counts instead of what the command line says.
    #[serde(default)]
    pub overrides: Overrides,
}

/// One process of an attempt that has several.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshSpec {
    /// The name of the job; equal in all its processes.
    pub job: String,
    /// Which attempt it is: processes of different attempts refuse each other.
    pub attempt: u64,
    /// Which of the processes this is, from 0.
    pub index: usize,
    /// How many processes there are.
    pub processes: usize,
    /// What they prove to each other to know.
    pub secret: String,
    /// The address of this host at which the others reach it.
    pub listen: IpAddr,
}

impl std::fmt::Debug for MeshSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshSpec")
            .field("job", &self.job)
            .field("attempt", &self.attempt)
            .field("index", &self.index)
            .field("processes", &self.processes)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// Returns the variable, and its value, that tells the processes which this one starts of its
/// socket.
///
/// - `socket`: in a folder of its own, which this process clears when they have ended: they keep
///   there what may be lost.
#[must_use]
pub fn variable(socket: &Path) -> (&'static str, OsString) {
    let mut value = OsString::from(format!("{}:", std::process::id()));
    value.push(socket);
    (VARIABLE, value)
}

/// Sends a message.
///
/// # Errors
/// When the other side is gone.
pub fn send(mut to: impl Write, message: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Receives the next message that is understood, `None` when the other side is gone.
pub fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> Option<T> {
    loop {
        let mut line = Vec::new();
        from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).ok()?;
        if line.last() != Some(&b'\n') {
            return None;
        }
        match serde_json::from_slice(&line) {
            Ok(message) => return Some(message),
            Err(cause) => tracing::warn!(%cause, "a message between supervisor and attempt"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(lines: &[u8]) -> Vec<Order> {
        let mut from = lines;
        std::iter::from_fn(|| receive(&mut from)).collect()
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let lines = b"{\"dance\":1}\n\xff\xfe\n\n[1,2\n{\"signal\":15}\n{\"ask\":{\"id\":1}}\n\
            {\"begin\":{\"since\":{},\"failures\":[]}}\n{\"signal\":";
        let orders = received(lines);
        assert_eq!(orders.len(), 2, "{orders:?}");
        assert!(matches!(orders[0], Order::Signal(15)));
        assert!(matches!(&orders[1], Order::Begin(Begin { mesh: None, .. })));
    }

    #[test]
    fn orders_are_read_as_they_were_sent() {
        let mesh = MeshSpec {
            job: "words".to_owned(),
            attempt: 7,
            index: 1,
            processes: 2,
            secret: "swordfish".to_owned(),
            listen: IpAddr::from([127, 0, 0, 1]),
        };
        assert!(!format!("{mesh:?}").contains("swordfish"), "a secret is never printed");
        let addresses = vec![SocketAddr::from(([10, 0, 0, 1], 4000))];
        let mut lines = Vec::new();
        let begin = Begin { mesh: Some(mesh.clone()), ..Begin::default() };
        send(&mut lines, &Order::Begin(begin)).expect("memory");
        send(&mut lines, &Order::Peers { addresses: addresses.clone() }).expect("memory");
        let orders = received(&lines);
        assert!(matches!(&orders[0], Order::Begin(Begin { mesh: Some(m), .. }) if *m == mesh));
        assert!(matches!(&orders[1], Order::Peers { addresses: a } if *a == addresses));
    }
}
