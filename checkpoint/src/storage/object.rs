//! How an object is known again, and the paths at which objects are.

use object_store::path::Path;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::StorageError;

/// An object in a storage: where it is and how to know it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The path below the address of the storage.
    pub path: String,
    /// The length in bytes.
    pub bytes: u64,
    /// The xxh3 of the content.
    pub checksum: u64,
}

impl ObjectRef {
    /// Returns the reference to an object with this content.
    #[must_use]
    pub fn of(path: impl Into<String>, content: &[u8]) -> Self {
        let bytes = content.len() as u64;
        ObjectRef { path: path.into(), bytes, checksum: xxh3_64(content) }
    }

    pub(super) fn verify(&self, content: &[u8]) -> Result<(), StorageError> {
        self.verify_length(content.len() as u64)?;
        let (expected, found) = (self.checksum, xxh3_64(content));
        if expected != found {
            let path = self.path.clone();
            return Err(StorageError::Checksum { path, expected, found });
        }
        Ok(())
    }

    pub(super) fn verify_length(&self, found: u64) -> Result<(), StorageError> {
        if self.bytes != found {
            let path = self.path.clone();
            return Err(StorageError::Length { path, expected: self.bytes, found });
        }
        Ok(())
    }
}

/// Returns the path of a file of an attempt.
///
/// - `name`: any text, such as the uid of an operator; unique within the attempt. Folders in it are
///   separated by `/`, and what a path cannot hold is encoded.
#[must_use]
pub fn file_path(attempt: u64, name: &str) -> String {
    format!("files/{attempt}/{}", Path::from(name))
}

/// Returns the path of a part of a savepoint, see [`file_path`].
pub(crate) fn savepoint_file(name: &str) -> String {
    format!("files/{}", Path::from(name))
}
