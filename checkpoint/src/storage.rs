//! Objects that are written once, checked when they are read, and kept in any store.
//!
//! ```text
//! put(path, bytes) --> tries, with pauses --> ObjectRef { path, bytes, checksum }   in a manifest
//! get(&ObjectRef)  --> tries, with pauses --> length and checksum compared --> bytes
//! write(path, value) / read(path)             the same for objects that describe themselves
//! create(path, ..)                            written only if nothing is there yet
//! ```
//!
//! **Invariants**
//! - *Checked*: no byte that was read is handed on before its checksum was compared
//!   ([`Storage::get`], `storage/seal.rs`).
//! - *Durable*: a write that returned survives a power cut; on a local disk the file and its folder
//!   are flushed first (`storage/local.rs`).
//! - *Once*: no path is ever written with two different contents, so that a write that is repeated
//!   or arrives late changes nothing. Paths carry the number of the attempt for that reason.
//!
//! **Cost**: an object is held in memory while it is written; one above 16 MiB goes in parts of
//! 8 MiB, four at a time, and appears as a whole or not at all.

mod object;
mod open;
mod local;
#[cfg(feature = "s3")]
mod s3;
mod tries;
mod pace;
mod seal;

pub(crate) use object::savepoint_file;
pub use object::{ObjectRef, file_path};
pub use pace::{Pace, Retry, TokioPace};
pub(crate) use seal::{Kind, seal, unseal};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Doing, StorageError};

/// The size from which an object is written in parts.
const WHOLE_BYTES_MAX: usize = 16 << 20;
const PART_BYTES: usize = 8 << 20;
/// How many parts of one object are on their way at once.
const PARTS_AT_ONCE: usize = 4;
const DELETES_AT_ONCE: usize = 16;

/// Where the checkpoints of a job are kept. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The folder on this machine, if it is one.
    folder: Option<Arc<PathBuf>>,
    url: Arc<str>,
    pace: Arc<dyn Pace>,
    retry: Retry,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Storage").field(&self.url).finish()
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Storage {
    /// Opens the storage at an address; on a disk the folder is made if it is not there.
    ///
    /// - `url`: a path, `file:///path`, `s3://bucket/prefix` or `memory://`, which is empty each
    ///   time. Credentials and endpoint of S3 are taken from the usual environment variables
    ///   (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, ...).
    ///
    /// # Errors
    /// If the address is not one of these, the folder cannot be made, or the program was compiled
    /// without the feature `s3`.
    pub fn open(url: &str) -> Result<Self, StorageError> {
        open::open(url, open::Folder::Made)
    }

    /// Opens the storage at an address, where a folder of this machine has to be there already.
    ///
    /// # Errors
    /// As [`Storage::open`], and if there is no such folder.
    pub fn open_existing(url: &str) -> Result<Self, StorageError> {
        open::open(url, open::Folder::Existing)
    }

    /// Returns the storage below `prefix` in a store that the caller brings.
    ///
    /// # Errors
    /// If the prefix is not a path of such a store.
    pub fn of(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, StorageError> {
        let prefix = Path::parse(prefix).map_err(|error| StorageError::Url {
            url: prefix.into(),
            problem: "not a path in an object store".into(),
            source: Some(error.into()),
        })?;
        let url = format!("{store}/{prefix}").into();
        let (pace, retry) = (Arc::new(TokioPace), Retry::default());
        Ok(Storage { store, prefix, folder: None, url, pace, retry })
    }

    /// Waits and draws by another pace than that of the real world.
    #[must_use]
    pub fn with_pace(self, pace: Arc<dyn Pace>) -> Self {
        Storage { pace, ..self }
    }

    /// Tries more or less often than usual.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Storage { retry, ..self }
    }

    pub(crate) fn pace(&self) -> &dyn Pace {
        &*self.pace
    }

    /// Writes an object, replacing what may be there.
    ///
    /// # Errors
    /// If the store did not take it.
    pub async fn put(
        &self,
        path: &str,
        content: impl Into<Bytes>,
    ) -> Result<ObjectRef, StorageError> {
        let content = content.into();
        let object = ObjectRef::of(path, &content);
        let to = self.location(path)?;
        self.tried(path, Doing::Write, || async {
            if content.len() > WHOLE_BYTES_MAX {
                self.put_in_parts(&to, &content).await
            } else {
                self.store.put(&to, content.clone().into()).await.map(drop)
            }
        })
        .await?;
        Ok(object)
    }

    /// Reads an object and compares it with what was written.
    ///
    /// # Errors
    /// If it is missing, damaged or cannot be read; the error names it.
    pub async fn get(&self, object: &ObjectRef) -> Result<Bytes, StorageError> {
        let content = self.fetch(&object.path).await?;
        object.verify(&content)?;
        Ok(content)
    }

    /// Checks that an object is there and has its length, without reading it.
    ///
    /// # Errors
    /// If it is missing, has another length or cannot be reached.
    pub async fn check(&self, object: &ObjectRef) -> Result<(), StorageError> {
        let at = self.location(&object.path)?;
        let meta = self.tried(&object.path, Doing::Read, || self.store.head(&at)).await?;
        object.verify_length(meta.size)
    }

    /// Returns whether there is an object at a path.
    ///
    /// # Errors
    /// If the store does not say.
    pub async fn exists(&self, path: &str) -> Result<bool, StorageError> {
        let at = self.location(path)?;
        match self.tried(path, Doing::Read, || self.store.head(&at)).await {
            Ok(_) => Ok(true),
            Err(StorageError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes an object that describes itself.
    pub(crate) async fn write<T: Serialize>(
        &self,
        path: &str,
        kind: Kind,
        value: &T,
    ) -> Result<ObjectRef, StorageError> {
        self.put(path, seal(path, kind, value)?).await
    }

    /// Reads an object that describes itself.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        kind: Kind,
    ) -> Result<T, StorageError> {
        unseal(path, kind, &self.fetch(path).await?)
    }

    /// Writes an object if there is none at its path, and returns whether there was none. When a
    /// try fails after it was done, the next one finds it: `false` may mean our own.
    ///
    /// # Errors
    /// If the store did not take it.
    pub async fn create(&self, path: &str, content: Bytes) -> Result<bool, StorageError> {
        let at = self.location(path)?;
        let made = self.tried(path, Doing::Write, || async {
            match self.store.put_opts(&at, content.clone().into(), PutMode::Create.into()).await {
                Ok(_) => Ok(true),
                Err(
                    object_store::Error::AlreadyExists { .. }
                    | object_store::Error::Precondition { .. },
                ) => Ok(false),
                Err(error) => Err(error),
            }
        });
        made.await
    }

    /// Returns the paths below a folder, in order.
    ///
    /// # Errors
    /// If the store does not list them.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let below = self.location(folder)?;
        let found: Vec<ObjectMeta> = self
            .tried(folder, Doing::List, || async {
                match self.store.list(Some(&below)).try_collect().await {
                    Err(error) => Err(self.why_not_listed(&below, error).await),
                    listed => listed,
                }
            })
            .await?;
        let mut paths: Vec<String> =
            found.iter().filter_map(|meta| self.path_of(&meta.location)).collect();
        paths.sort_unstable();
        Ok(paths)
    }

    /// Deletes objects; one that is not there counts as deleted.
    ///
    /// # Errors
    /// The first of the errors; what could be deleted is deleted.
    pub async fn delete(&self, paths: &[String]) -> Result<(), StorageError> {
        let mut failed = None;
        // Made ahead: a closure in the stream would keep the future from being `Send`.
        let each: Vec<_> = paths.iter().map(|path| self.delete_one(path)).collect();
        let mut deletions = futures_util::stream::iter(each).buffer_unordered(DELETES_AT_ONCE);
        while let Some(deleted) = deletions.next().await {
            failed = failed.or(deleted.err());
        }
        failed.map_or(Ok(()), Err)
    }

    async fn delete_one(&self, path: &str) -> Result<(), StorageError> {
        let at = self.location(path)?;
        match self.tried(path, Doing::Delete, || self.store.delete(&at)).await {
            Err(StorageError::Missing { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// Removes the storage's own folder if it is one of this machine and nothing is in it.
    pub(crate) fn remove_empty_folder(&self) {
        if let Some(folder) = &self.folder {
            // One that is not empty belongs to somebody else, too.
            let _ = std::fs::remove_dir(&**folder);
        }
    }

    /// Deletes the files that attempts before this one have left unfinished on this machine.
    pub(crate) fn clear_unfinished(&self, attempt: u64) -> Result<(), StorageError> {
        let Some(root) = &self.folder else {
            return Ok(());
        };
        let folder = root.join("files");
        local::clear_unfinished(&folder, attempt)
            .map_err(|source| StorageError::Folder { folder, source })
    }

    /// Reads an object that checks itself: nothing is compared with what was written.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub async fn fetch(&self, path: &str) -> Result<Bytes, StorageError> {
        let at = self.location(path)?;
        self.tried(path, Doing::Read, || async { self.store.get(&at).await?.bytes().await }).await
    }

    async fn put_in_parts(&self, to: &Path, content: &Bytes) -> object_store::Result<()> {
        let mut upload = self.store.put_multipart(to).await?;
        let mut parts = Vec::new();
        for start in (0..content.len()).step_by(PART_BYTES) {
            let end = content.len().min(start + PART_BYTES);
            parts.push(upload.put_part(content.slice(start..end).into()));
        }
        let written = futures_util::stream::iter(parts)
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await;
        if let Err(error) = written {
            // Parts that stay behind cost space, no more: the store or its operator clears them.
            if let Err(left) = upload.abort().await {
                tracing::warn!(path = %to, error = %left, "parts of a failed upload stay behind");
            }
            return Err(error);
        }
        upload.complete().await.map(drop)
    }

    /// Returns where a path of ours is in the store.
    fn location(&self, path: &str) -> Result<Path, StorageError> {
        // Paths are read from manifests: those that lead out of the storage are refused.
        let below = Path::parse(path).map_err(|error| StorageError::Foreign {
            path: path.into(),
            problem: "not a path in an object store".into(),
            source: Some(error.into()),
        })?;
        Ok(self.prefix.parts().chain(below.parts()).collect())
    }

    /// Returns the path of ours that a location has, if it is below our prefix.
    fn path_of(&self, location: &Path) -> Option<String> {
        let parts: Vec<PathPart<'_>> = location.prefix_match(&self.prefix)?.collect();
        Some(parts.into_iter().collect::<Path>().to_string())
    }
}
