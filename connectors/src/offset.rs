//! Places in files and folders, as checkpoints keep them.
//!
//! ```text
//! file   --decompress--> bytes 0, 1, 2, ...  of which `bytes` have been read, in `lines` lines
//! folder --list--> files, some `read` before, one being read, the others still to come
//! ```
//!
//! Bytes are counted after decompression, so that the place is the same however the file is stored.
//! The lines are there for messages alone: a reader that goes on still names the line of the file.

use serde::{Deserialize, Serialize};

use crate::stored_path::StoredPath;

/// A place in a file between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOffset {
    /// How many bytes come before it, after decompression.
    pub bytes: u64,
    /// How many line ends come before it.
    pub lines: u64,
}

/// A file of a watched folder, told from another by when it was last changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(StoredPath, i64)", into = "(StoredPath, i64)")]
pub struct FolderFile {
    pub(crate) name: StoredPath,
    /// In ns since 1970.
    pub(crate) changed_ns: i64,
}

impl From<(StoredPath, i64)> for FolderFile {
    fn from((name, changed_ns): (StoredPath, i64)) -> Self {
        FolderFile { name, changed_ns }
    }
}

impl From<FolderFile> for (StoredPath, i64) {
    fn from(file: FolderFile) -> Self {
        (file.name, file.changed_ns)
    }
}

/// How far the files of a folder have been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderOffset<O> {
    /// The files that have been read to their ends, by name, as far as they are still there.
    pub(crate) read: Vec<FolderFile>,
    /// The file that is being read, and the place in it.
    pub(crate) reading: Option<(FolderFile, O)>,
}
