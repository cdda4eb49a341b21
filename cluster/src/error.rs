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

use highwater::remote::Remote;

use crate::id::JobId;
use crate::record::JobState;

/// The result of something in a cluster.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that names neither a job nor a request.
    #[error("{text:?} is not a name, which has 32 hexadecimal digits")]
    Id {
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
    /// There is a job with this name already.
    #[error("there is a job {id} already")]
    KnownJob {
        /// The name.
        id: JobId,
    },
    /// The job has ended.
    #[error("job {id} has ended: it is {state}")]
    Ended {
        /// The job.
        id: JobId,
        /// How.
        state: JobState,
    },
    /// The job does not run now.
    #[error("job {id} is {state}: this can be asked of a RUNNING job only")]
    NotRunning {
        /// The job.
        id: JobId,
        /// What it does instead.
        state: JobState,
    },
    /// More slots are wanted than there are.
    #[error("{wanted} slots are wanted, expected 1 to {slots}: so many does the cluster have")]
    Slots {
        /// How many are wanted.
        wanted: usize,
        /// How many there are.
        slots: usize,
    },
    /// There is no such program.
    #[error("there is no program {hash:?}")]
    NoProgram {
        /// The SHA-256 that was asked for.
        hash: String,
    },
    /// There is no such log.
    #[error("{why}")]
    NoLog {
        /// Why.
        why: String,
    },
    /// The cluster is about to end.
    #[error("the cluster is about to end and takes no jobs")]
    Closing,
    /// Another coordinator has taken over.
    #[error("coordinator {ours} was fenced by coordinator {by}, which has taken over {ledger}")]
    Fenced {
        /// Which one this was.
        ours: u64,
        /// Which one has taken over.
        by: u64,
        /// Where both remember their jobs.
        ledger: String,
    },
    /// What was remembered cannot be read.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// The object.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// What came over a connection is no message.
    #[error("not a message: {problem}")]
    Frame {
        /// What is wrong with it.
        problem: String,
    },
    /// An agent was not taken.
    #[error("the coordinator at {coordinator} refuses this agent: {why}")]
    Refused {
        /// Where it is.
        coordinator: String,
        /// What it says.
        why: String,
    },
    /// A cluster that was asked does not answer, or not as it was hoped.
    #[error(transparent)]
    Remote(#[from] Remote),
    /// The job that was waited for was canceled.
    #[error("job {id} was canceled")]
    Canceled {
        /// The job.
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
    /// The place where a coordinator keeps what it must not forget.
    #[error("{}", highwater::core::error::sentence_of(.0))]
    Storage(#[from] highwater::checkpoint::StorageError),
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
            Error::Id { .. } | Error::Open { .. } | Error::Token { .. } => 2,
            Error::Remote(Remote::Unreachable { .. }) => 3,
            Error::Remote(Remote::Answered { status: 401 | 403, .. }) | Error::Refused { .. } => 4,
            Error::NoJob { .. }
            | Error::NoProgram { .. }
            | Error::NoLog { .. }
            | Error::Remote(Remote::Answered { status: 404, .. }) => 5,
            Error::Canceled { .. } => 6,
            Error::Fenced { .. } => 7,
            Error::Job(error) => error.exit_code(),
            _ => 1,
        }
    }
}
