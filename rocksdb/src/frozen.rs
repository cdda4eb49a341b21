//! A store as it was when it was frozen: a checkpoint of the DB.
//!
//! ```text
//! worker   freeze .... waits with writes .... is_apart: goes on
//!             |                                  ^
//! thread      '--> flush --> hard links ---------'
//! encoder                        scan: waits, opens the checkpoint read-only, reads
//! ```
//!
//! A checkpoint shows what is in the DB when it is made, not when it was asked for. So a family
//! must not be written in between; writes to other families do no harm to it.
//!
//! **Invariants**
//! - *Ends*: a checkpoint is made or has failed, even if its thread panics (`Making::drop`); either
//!   way writes may go on, and a failure comes out of every scan.
//! - *Kept while used*: the folder is removed when the last view of it is dropped, and the thread
//!   has ended.
//!
//! **Cost**: on disk only what the DB has replaced since; files in use by both are links.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use highwater_core::error::{Error, Result};
use highwater_core::store::{Family, FrozenStore, Visit};
use rocksdb::ColumnFamilyDescriptor;
use rocksdb::checkpoint::Checkpoint as RocksCheckpoint;

use crate::Db;
use crate::error::StoreError;
use crate::folder::Folder;
use crate::stores::Shared;
use crate::{options, read};

/// A file of a checkpoint.
///
/// A file never changes. Within the life of one store its name stands for its content: the SST of
/// that name in another checkpoint is the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckpointFile {
    /// The name, such as `000012.sst`.
    pub name: String,
    /// Where the file is, as long as there is a view of the checkpoint.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// A checkpoint, made or being made.
pub(crate) struct Checkpoint {
    /// Whether it is made.
    made: OnceLock<Result<(), StoreError>>,
    /// The checkpoint as a DB, once it has been read.
    opened: OnceLock<Result<Db, StoreError>>,
    /// The families there were, by number.
    families: Arc<[String]>,
    /// Removed after the DB is closed.
    folder: Folder,
    shared: Arc<Shared>,
}

/// The duty to make a checkpoint.
pub(crate) struct Making(Arc<Checkpoint>);

impl Making {
    /// Makes the checkpoint.
    pub(crate) fn make(self, db: &Db) {
        let path = self.0.folder.path();
        let made = RocksCheckpoint::new(db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(path))
            .map_err(|error| StoreError::rocks("freeze", path, error));
        // Only this thread sets it, and only once.
        let _ = self.0.made.set(made);
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let folder = self.0.folder.path().to_owned();
        // Set already, unless the thread did not start or panicked.
        let _ = self.0.made.set(Err(StoreError::GivenUp { folder }));
    }
}

impl Checkpoint {
    pub(crate) fn new(folder: Folder, shared: Arc<Shared>, families: Arc<[String]>) -> Self {
        let (made, opened) = (OnceLock::new(), OnceLock::new());
        Checkpoint { made, opened, families, folder, shared }
    }

    pub(crate) fn making(self: &Arc<Self>) -> Making {
        Making(Arc::clone(self))
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.made.get().is_some_and(Result::is_err)
    }

    /// Waits until the checkpoint is made, and opens it.
    fn db(&self) -> Result<&Db, StoreError> {
        self.made.wait().as_ref().map_err(StoreError::clone)?;
        self.opened.get_or_init(|| self.open()).as_ref().map_err(StoreError::clone)
    }

    fn open(&self) -> Result<Db, StoreError> {
        let memory = &self.shared.memory;
        let of_family =
            |name: &str| ColumnFamilyDescriptor::new(name, options::of_family(memory, None));
        let default = of_family(rocksdb::DEFAULT_COLUMN_FAMILY_NAME);
        let families = self.families.iter().map(|name| of_family(name)).chain([default]);
        let (options, path) = (options::of_store(memory), self.folder.path());
        Db::open_cf_descriptors_read_only(&options, path, families, false)
            .map_err(|error| StoreError::rocks("open the checkpoint", path, error))
    }
}

/// A store as it was when it was frozen; clones are views of the same checkpoint.
#[derive(Clone)]
pub struct RocksFrozen {
    checkpoint: Arc<Checkpoint>,
}

impl std::fmt::Debug for RocksFrozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksFrozen")
            .field("folder", &self.checkpoint.folder.path())
            .field("made", &self.checkpoint.made)
            .finish_non_exhaustive()
    }
}

impl RocksFrozen {
    pub(crate) fn new(checkpoint: Arc<Checkpoint>) -> Self {
        RocksFrozen { checkpoint }
    }

    /// Waits for the checkpoint and lists its SSTs by name.
    ///
    /// Successive checkpoints of a store share most of them: only names that were not there before
    /// stand for new data.
    ///
    /// # Errors
    /// When the checkpoint could not be made, or its folder cannot be read.
    pub fn files(&self) -> Result<Vec<CheckpointFile>> {
        let checkpoint = &*self.checkpoint;
        checkpoint.made.wait().as_ref().map_err(StoreError::clone)?;
        let folder = checkpoint.folder.path();
        let failed = |error| Error::io("list", folder, error);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if path.extension() == Some(OsStr::new("sst")) {
                let name = entry.file_name().to_string_lossy().into_owned();
                let bytes = entry.metadata().map_err(failed)?.len();
                files.push(CheckpointFile { name, path, bytes });
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

impl FrozenStore for RocksFrozen {
    fn share(&self) -> Box<dyn FrozenStore> {
        Box::new(self.clone())
    }

    fn is_apart(&self) -> bool {
        self.checkpoint.made.get().is_some()
    }

    fn scan(&self, family: Family, prefix: &[u8], visit: Visit<'_>) -> Result<()> {
        let checkpoint = &*self.checkpoint;
        let db = checkpoint.db()?;
        // A family that was made later had no entries.
        let Some(name) = checkpoint.families.get(family.0) else { return Ok(()) };
        let Some(handle) = db.cf_handle(name) else { return Ok(()) };
        let folder = checkpoint.folder.path();
        read::scan(db, &handle, (prefix, None), visit)
            .map_err(|error| StoreError::rocks("scan the checkpoint", folder, error).into())
    }
}
