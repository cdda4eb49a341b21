//! What goes wrong in a cluster, as one sentence each, and the exit codes of the program `highwater`.
//!
//! | exit code | what happened |
//! |---|---|
//! | 0 | it was done |
//! | 1 | it failed |
//! | 2 | wrong usage |
//! | 3 | no cluster answers there |
//! | 4 | the cluster does not let us in |
//! | 5 | there is no such job, agent, program or file |
//! | 6 | the job that was waited for was canceled |
//! | 7 | another coordinator has taken over |

use std::net::SocketAddr;

use crate::id::JobId;

/// The result of something in a cluster.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that names no job.
    #[error("{text:?} is not the name of a job, which has 32 hexadecimal digits")]
    JobId {
        /// The text.
        text: String,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {cause}")]
    Randomness {
        /// What it says.
        cause: String,
    },
    /// Others than this machine could reach a server without a token.
    #[error(
        "{address} can be reached from other machines: a server listens there only with a token \
         (--token-file FILE)"
    )]
    Open {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// A file with a token that is not one.
    #[error("{path} holds no token: expected one line of 16 to 4096 visible ASCII characters")]
    Token {
        /// The file.
        path: String,
    },
    /// There is no such job.
    #[error("there is no job {id}")]
    NoJob {
        /// The name that was asked for.
        id: JobId,
    },
    /// Something of the system did not work.
    #[error("could not {action} {what}: {source}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// What the engine or a job says.
    #[error("{}", .0.sentence())]
    Job(#[from] highwater::Error),
}

impl Error {
    /// Returns the error about something that the system did not do.
    pub fn io(action: &'static str, what: impl ToString, source: std::io::Error) -> Self {
        Error::Io { action, what: what.to_string(), source }
    }

    /// Returns the code with which a program ends that fails for this reason.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::JobId { .. } | Error::Open { .. } | Error::Token { .. } => 2,
            Error::NoJob { .. } => 5,
            Error::Job(error) => error.exit_code(),
            Error::Randomness { .. } | Error::Io { .. } => 1,
        }
    }
}
