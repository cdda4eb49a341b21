//! A folder that is watched: files are read as they appear.
//!
//! ```text
//! folder --list--> files of this split --not read yet--> by time, name --> one reader at a time
//!          ^                                                                  |
//!          '-------- when all is read, and every interval after that <-------'
//! ```
//!
//! As many splits as there were workers when the job first started share the folder by their names:
//! split `i` of `p` takes the files whose hash is `i` modulo `p`. So the splits need not talk to
//! each other, and a job that goes on with more workers than splits leaves some without files.
//!
//! A file is told from another by its name and the time of its last change. So each is read once, a
//! file that replaces another of the same name is read as a whole, and one that is removed and comes
//! back as it was is read again.
//!
//! **What whoever writes the files must do**: write them elsewhere, or under a hidden name, and give
//! them their name in the folder when they are complete, by a rename on the same file system. A file
//! that is changed afterwards is read again as a whole, or half before and half after the change.
//!
//! **Invariants**: a file counts as read when its reader has ended, and is remembered as long as a
//! listing finds it (`FolderReader`); a place in a file is gone back to only if the file has not
//! been changed since (`FolderReader::resume`).
//!
//! **Cost**: the state holds the names of the files in the folder, about 50 bytes each, and every
//! checkpoint writes them. Each split lists the whole folder, a part of it in every poll. Remove or
//! archive what has been read, once a checkpoint is complete, to keep both small.
//!
//! Left out: folders in the folder, and a watch by the system's notifications, which lose events and
//! do not exist on networked file systems.
//!
//! **Sources**: Flink's `FileSource` with `monitorContinuously`, which remembers all paths for ever;
//! Spark's file stream source, which asks for the same rename.

mod listing;
mod reader;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use highwater_core::error::{Error, Result};
use highwater_core::source::{Boundedness, Reader, Source};

use crate::file::FileSplit;
use crate::format::Malformed;
use crate::offset::FolderOffset;

pub use reader::FolderReader;

/// A pause that keeps a worker from listing without end.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Reads the files of a folder as they appear there.
///
/// - output: the records of each file in order, and the files that one listing finds in the order
///   of their last changes, then of their names, on each of the workers by itself.
/// - state: the names of the files in the folder, and the place in the one that is being read.
///
/// Files must appear by a rename and never change, see [the module](self). Names that begin with `.`
/// or `_` are skipped, and so are folders. A file that is removed before its turn comes is not read.
/// A split without a new file is idle after the time that the watermark strategy sets.
///
/// # Nondeterminism
/// Which files a listing finds depends on when they appear.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use highwater_connectors::format::text::TextFiles;
/// use highwater_core::source::{Poll, Reader, Source};
///
/// let dir = tempfile::tempdir().unwrap();
/// let appear = |name: &str, text: &str| {
///     let hidden = dir.path().join(".writing");
///     std::fs::write(&hidden, text).unwrap();
///     std::fs::rename(hidden, dir.path().join(name)).unwrap();
/// };
/// let source = TextFiles::at(dir.path()).watch(Duration::from_secs(1)).until("_SUCCESS");
/// let mut reader = source.open(&source.splits(1)?[0])?;
/// let mut lines = Vec::new();
///
/// assert_eq!(reader.poll(&mut lines, 100)?, Poll::Pending(Duration::from_secs(1)));
/// appear("monday.txt", "to be\n");
/// appear("tuesday.txt", "or not\n");
/// appear("_SUCCESS", "");
/// while reader.poll(&mut lines, 100)? != Poll::End {}
/// assert_eq!(lines.len(), 2);
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Watch<S> {
    files: S,
    dir: PathBuf,
    interval: Duration,
    marker: Option<String>,
}

impl<S> Watch<S> {
    /// Makes a source of the files that appear in a folder.
    ///
    /// - `dir`: the folder, which must exist.
    /// - `interval`: how long to wait before the folder is listed again, at least 1 ms.
    /// - `files`: how a file is read, such as [`TextFiles`](crate::format::text::TextFiles); what it
    ///   would itself list does not matter.
    pub fn new(dir: impl Into<PathBuf>, interval: Duration, files: S) -> Self {
        Watch { files, dir: dir.into(), interval: interval.max(INTERVAL_MIN), marker: None }
    }

    /// Ends the source when there is a file of this name in the folder, such as `_SUCCESS`, and all
    /// that were there before it have been read.
    ///
    /// The marker is not read, and must stay until the job has ended: every worker looks for it.
    #[must_use]
    pub fn until(mut self, marker: impl Into<String>) -> Self {
        self.marker = Some(marker.into());
        self
    }
}

/// The files of a folder whose names fall to one of several readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderSplit {
    index: u64,
    of: u64,
}

impl<S: Source<Split = FileSplit>> Source for Watch<S> {
    type Item = S::Item;
    type Split = FolderSplit;
    type Reader = FolderReader<S>;

    fn boundedness(&self) -> Boundedness {
        if self.marker.is_some() { Boundedness::Bounded } else { Boundedness::Unbounded }
    }

    fn splits(&self, parallelism: usize) -> Result<Vec<FolderSplit>> {
        let about = std::fs::metadata(&self.dir).map_err(|e| Error::io("open", &self.dir, e))?;
        if !about.is_dir() {
            return Err(Error::input(&self.dir, None, Malformed::NoFolder));
        }
        let of = parallelism.max(1) as u64;
        Ok((0..of).map(|index| FolderSplit { index, of }).collect())
    }

    fn open(&self, split: &FolderSplit) -> Result<FolderReader<S>> {
        FolderReader::open(self.clone(), *split)
    }

    fn resume(
        &self,
        split: &FolderSplit,
        offset: &FolderOffset<<S::Reader as Reader>::Offset>,
    ) -> Result<FolderReader<S>> {
        FolderReader::resume(self.clone(), *split, offset)
    }
}
