//! What can go wrong between a checkpoint and the store that keeps it.
//!
//! An error of a write is *determinate* when the write has certainly not happened, and
//! *indeterminate* when it may have happened or may happen yet: a request that timed out is on its
//! way. [`StorageError::is_determinate`] tells them apart; the log never guesses.

use std::path::PathBuf;

use highwater_core::error::{Cause, ErrorKind, sentence_of};
use highwater_state::format::FormatError;

/// What was being done with an object when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Reading an object or asking for its size.
    Read,
    /// Writing an object.
    Write,
    /// Listing a folder.
    List,
    /// Deleting an object.
    Delete,
}

impl std::fmt::Display for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Doing::Read => "read",
            Doing::Write => "write",
            Doing::List => "list",
            Doing::Delete => "delete",
        })
    }
}

/// Why an object could not be written, read, listed or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The address of a store cannot be used.
    #[error("checkpoint storage {url:?}: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
        /// The cause, where there is one.
        source: Option<Cause>,
    },
    /// An object that something names is not there.
    #[error("{path}: missing")]
    Missing {
        /// The object.
        path: String,
    },
    /// An object has another length than it was written with.
    #[error("{path}: {found} bytes long instead of {expected}")]
    Length {
        /// The object.
        path: String,
        /// The length that was written, in bytes.
        expected: u64,
        /// The length that was found, in bytes.
        found: u64,
    },
    /// An object has the right length and other bytes than were written.
    #[error("{path}: damaged (checksum {found:016x} instead of {expected:016x})")]
    Checksum {
        /// The object.
        path: String,
        /// The checksum of what was written.
        expected: u64,
        /// The checksum of what was found.
        found: u64,
    },
    /// An object is not what its name promises.
    #[error("{path}: {problem}")]
    Foreign {
        /// The object.
        path: String,
        /// What is wrong with it.
        problem: String,
        /// The cause, where there is one.
        source: Option<Cause>,
    },
    /// An object was written by a later version.
    #[error("{path}: written in version {found} of the format, this program reads up to {known}")]
    Version {
        /// The object.
        path: String,
        /// Its version.
        found: u32,
        /// The latest version that this program reads.
        known: u32,
    },
    /// The store said no, and would say so again: no permission, disk full. Determinate.
    #[error("{path}: could not {doing}")]
    Refused {
        /// The object or folder.
        path: String,
        /// What was being done.
        doing: Doing,
        /// What the store said.
        source: object_store::Error,
    },
    /// The store did not do it, however often it was asked. Indeterminate.
    #[error("{path}: could not {doing} in {tries} tries")]
    Unavailable {
        /// The object or folder.
        path: String,
        /// What was being done.
        doing: Doing,
        /// How often it was tried.
        tries: u32,
        /// What the store said last; `None` when it did not answer in time.
        source: Option<object_store::Error>,
    },
    /// A folder of this machine could not be cleared.
    #[error("{}: could not delete what was left unfinished", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The cause given by the system.
        source: std::io::Error,
    },
    /// A slot of the log and its copy are both damaged or gone, so that nobody can know whether a
    /// checkpoint was completed there.
    #[error(
        "{slot} and {copy} are both damaged or missing: whether they completed a checkpoint \
         cannot be known; move both away to go on from the checkpoint before, or restore from a \
         path"
    )]
    Undecided {
        /// The path of the slot.
        slot: String,
        /// The path of its copy.
        copy: String,
    },
}

impl StorageError {
    /// Returns what the caller must do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            StorageError::Url { .. } | StorageError::Version { .. } => ErrorKind::Invalid,
            StorageError::Refused { .. }
            | StorageError::Unavailable { .. }
            | StorageError::Folder { .. } => ErrorKind::Retry,
            _ => ErrorKind::Corrupt,
        }
    }

    /// Returns whether an object is damaged, missing or not what it should be, so that an older
    /// checkpoint has to do; `false` when asking again may help.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            StorageError::Missing { .. }
                | StorageError::Length { .. }
                | StorageError::Checksum { .. }
                | StorageError::Foreign { .. }
        )
    }

    /// Returns whether a write that ended with this error has certainly not happened and will not.
    #[must_use]
    pub fn is_determinate(&self) -> bool {
        !matches!(self, StorageError::Unavailable { .. })
    }

    /// Returns the error and its causes as one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence_of(self)
    }

    /// Returns an error about an object that is not what its name promises.
    pub(crate) fn foreign(path: &str, problem: impl Into<String>) -> Self {
        StorageError::Foreign { path: path.into(), problem: problem.into(), source: None }
    }

    /// Returns an error about an address.
    pub(crate) fn url(url: &str, problem: impl Into<String>) -> Self {
        StorageError::Url { url: url.into(), problem: problem.into(), source: None }
    }
}

impl From<StorageError> for highwater_core::error::Error {
    fn from(error: StorageError) -> Self {
        highwater_core::error::Error::state(error)
    }
}

/// Why something in a savepoint or a checkpoint cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// There is nothing at the address that could be shown.
    #[error("neither a savepoint nor the folder of a job with a completed checkpoint")]
    Nothing,
    /// The job does not retain this checkpoint.
    #[error("there is no checkpoint {wanted}, only {known:?}")]
    NoCheckpoint {
        /// The number that was asked for.
        wanted: u64,
        /// Those that are retained.
        known: Vec<u64>,
    },
    /// No operator has this uid.
    #[error("there is no operator with the uid {wanted:?}, only {known:?}")]
    NoOperator {
        /// The uid that was asked for.
        wanted: String,
        /// The uids of all operators.
        known: Vec<String>,
    },
    /// The operator has no state of this name.
    #[error("operator {operator:?} has no state {wanted:?}, only {known:?}")]
    NoState {
        /// The uid of the operator.
        operator: String,
        /// The name that was asked for.
        wanted: String,
        /// The names of all its states.
        known: Vec<String>,
    },
    /// What one worker has stored of a state cannot be read.
    #[error("state {state:?} of operator {operator:?}, stored by worker {worker}")]
    Unreadable {
        /// The uid of the operator.
        operator: String,
        /// The name of the state.
        state: String,
        /// The former worker.
        worker: usize,
        /// What is wrong with it.
        source: FormatError,
    },
    /// The store does not give what it should hold.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl InspectError {
    /// Returns the error about what is at an address.
    pub(crate) fn at(self, address: &str) -> highwater_core::error::Error {
        highwater_core::error::Error::input(address, None, self)
    }
}

/// Why a checkpoint was not completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A later attempt of the job has begun: this one must end at once and make nothing visible.
    #[error("attempt {attempt} was fenced: {by} has taken slot {slot} of the log")]
    Fenced {
        /// The attempt that has to end.
        attempt: u64,
        /// What stands in its place.
        by: String,
        /// The slot that it wanted.
        slot: u64,
    },
    /// The checkpoint is not in the log and will not get there; the job may go on.
    #[error("checkpoint {checkpoint} could not be completed")]
    Declined {
        /// The checkpoint.
        checkpoint: u64,
        /// Why not.
        source: StorageError,
    },
    /// The checkpoint may be in the log or get there yet. Only the same commit may be tried again,
    /// or the attempt must end; the next one learns from the log what happened.
    #[error("checkpoint {checkpoint} may or may not have been completed")]
    Unsettled {
        /// The checkpoint whose fate is not known.
        checkpoint: u64,
        /// Why not.
        source: StorageError,
    },
    /// Another checkpoint was to be committed while the fate of one is not known.
    #[error("checkpoint {checkpoint} cannot be completed before the fate of {unsettled} is known")]
    Waiting {
        /// The checkpoint that was to be committed.
        checkpoint: u64,
        /// The one that may or may not have been completed.
        unsettled: u64,
    },
}
