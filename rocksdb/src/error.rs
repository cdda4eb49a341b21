//! What can go wrong with a store.
//!
//! Failures of the disk become [`Error::Io`], which may be tried again; all others are errors of the
//! state that a job works with, which it gets back when it starts again. Either names the folder and
//! what was being done in it.

use std::io;
use std::path::{Path, PathBuf};

use highwater_core::error::Error;

/// Why a store in RocksDB failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// RocksDB failed.
    #[error("{}: RocksDB could not {action}", folder.display())]
    Rocks {
        /// What was being done, such as `read` or `freeze`.
        action: &'static str,
        /// The folder of the store or checkpoint.
        folder: PathBuf,
        /// What RocksDB said.
        source: rocksdb::Error,
    },
    /// The thread that made a checkpoint ended without one.
    #[error("{}: the checkpoint was given up", folder.display())]
    GivenUp {
        /// The folder of the checkpoint.
        folder: PathBuf,
    },
    /// A family was asked for that the store has not made.
    #[error("{}: there is no family {family}, only {count}", folder.display())]
    NoFamily {
        /// The folder of the store.
        folder: PathBuf,
        /// The number of the family.
        family: usize,
        /// How many families the store has.
        count: usize,
    },
}

impl StoreError {
    pub(crate) fn rocks(action: &'static str, folder: &Path, source: rocksdb::Error) -> Self {
        StoreError::Rocks { action, folder: folder.to_owned(), source }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Rocks { action, folder, source }
                if source.kind() == rocksdb::ErrorKind::IOError =>
            {
                Error::io(action, folder, io::Error::other(source))
            }
            other => Error::scratch(other),
        }
    }
}
