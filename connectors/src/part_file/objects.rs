//! An object store as a place for parts: uploaded under hidden keys, copied when they are committed.
//!
//! ```text
//! create: a file of this machine --stage: uploaded--> PATH/.part-..x.tmp
//!                                                          | show: copied, then deleted
//!                                                     PATH/part-..
//! ```
//!
//! Stores show an object as a whole or not at all, whether it was put, uploaded in pieces or copied.
//!
//! **Invariants**
//! - *A copy never replaces*, unless it was asked to, in stores that can refuse to; in others it may
//!   replace an object that somebody else has put under that name.
//! - *Hidden last*: the hidden object is deleted when the visible one is there (`Objects::show`), so
//!   that a repeated commit either finds it, or nothing is left to be done.
//!
//! **Cost**: the rows of an epoch wait on the disk of this machine until they are prepared; every
//! byte is copied once within the store.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, LazyLock};

use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, WriteMultipart};
use tempfile::TempPath;
use tokio::runtime::{Builder, Runtime};

use highwater_core::error::{Error, Result};
use highwater_core::sink::WriterContext;

use super::name::{HIDDEN_SUFFIX, Naming};
use super::place::{OldFile, OldFiles, Place, StagedPart};
use crate::file::is_hidden;

/// The size of the pieces in which objects are uploaded and compared; smaller ones go at once.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// How many pieces of one object are on their way at the most.
const PIECES_AT_ONCE: usize = 4;

/// What the calls to stores run on. It lasts as long as the process, as connections are kept for the
/// next call.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(1).thread_name("objects").enable_all().build()
});

/// Waits for a store on whatever thread this is.
fn wait<T: Send + 'static>(call: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let stopped = |cause: &dyn std::fmt::Display| Error::Start { message: cause.to_string() };
    let runtime = RUNTIME.as_ref().map_err(|cause| stopped(cause))?;
    let (done, result) = sync_channel(1);
    runtime.spawn(async move { done.send(call.await) });
    result.recv().map_err(|_| stopped(&"a call to an object store did not return"))
}

/// The objects below a path in a store.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

impl Objects {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: &std::path::Path) -> Result<Self> {
        let parsed = path.to_str().and_then(|path| Path::parse(path).ok());
        let expected = "a path within the store, without . and ..";
        let path =
            parsed.ok_or_else(|| Error::option("the output folder", path.display(), expected))?;
        Ok(Objects { store, path })
    }

    /// Says what failed and where.
    fn failed(&self, action: &'static str, at: &Path) -> impl Fn(StoreError) -> Error + use<> {
        let at = format!("{}/{at}", self.store);
        move |cause| Error::io(action, &at, cause.into())
    }

    /// Lists the objects in the folder, without those below it.
    fn list(&self) -> Result<Vec<(String, ObjectMeta)>> {
        let (store, path) = (Arc::clone(&self.store), self.path.clone());
        let listed = wait(async move { store.list_with_delimiter(Some(&path)).await })?;
        let objects = listed.map_err(self.failed("list", &self.path))?.objects;
        let named = objects.into_iter().filter_map(|object| {
            let name = object.location.filename()?.to_owned();
            Some((name, object))
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(named)
    }

    fn head(&self, key: &Path) -> Result<Option<ObjectMeta>> {
        let (store, asked) = (Arc::clone(&self.store), key.clone());
        match wait(async move { store.head(&asked).await })? {
            Ok(object) => Ok(Some(object)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.failed("look at", key)(cause)),
        }
    }

    fn delete(&self, key: &Path) -> Result<()> {
        let (store, asked) = (Arc::clone(&self.store), key.clone());
        match wait(async move { store.delete(&asked).await })? {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed("delete", key)(cause)),
        }
    }

    fn copy(&self, from: &Path, to: &Path, replaces: bool) -> Result<Result<(), StoreError>> {
        let (store, from, to) = (Arc::clone(&self.store), from.clone(), to.clone());
        wait(async move {
            if replaces {
                return store.copy(&from, &to).await;
            }
            match store.copy_if_not_exists(&from, &to).await {
                Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => {
                    store.copy(&from, &to).await
                }
                copied => copied,
            }
        })
    }

    /// Whether the visible object is another one than the hidden one. It is not if the hidden one
    /// is gone: somebody else has completed the commit.
    fn is_foreign(&self, hidden: &Path, target: &Path) -> Result<bool> {
        let Some(size) = self.head(hidden)?.map(|object| object.size) else { return Ok(false) };
        if self.head(target)?.is_none_or(|object| object.size != size) {
            return Ok(true);
        }
        let (store, one, other) = (Arc::clone(&self.store), hidden.clone(), target.clone());
        let differ = wait(async move {
            let mut from = 0;
            while from < size {
                let piece = from..size.min(from + PIECE_BYTES);
                let found = store.get_range(&other, piece.clone()).await?;
                if found != store.get_range(&one, piece.clone()).await? {
                    return Ok(true);
                }
                from = piece.end;
            }
            Ok(false)
        })?;
        match differ {
            Err(StoreError::NotFound { .. }) => Ok(false),
            differ => differ.map_err(self.failed("read", target)),
        }
    }
}

impl Place for Objects {
    fn make(&self) -> Result<()> {
        Ok(())
    }

    fn any_visible(&self) -> Result<Option<String>> {
        Ok(self.list()?.into_iter().map(|(name, _)| name).find(|name| !is_hidden(name)))
    }

    fn occupied(&self, found: String) -> Error {
        Error::OutputExists { path: format!("{}/{}", self.store, self.path).into(), found }
    }

    fn results(&self, naming: &Naming) -> Result<Vec<OldFile>> {
        let mut found = self.list()?;
        found.retain(|(name, _)| naming.visible(name).is_some());
        let old =
            found.into_iter().map(|(name, object)| OldFile { name, version: version(&object) });
        Ok(old.collect())
    }

    fn create(&self, naming: &Naming, context: WriterContext) -> Result<(File, TempPath)> {
        let prefix = naming.hidden(context);
        let file = tempfile::Builder::new().prefix(&prefix).suffix(HIDDEN_SUFFIX).tempfile();
        let failed = |e| Error::io("create a file in", std::env::temp_dir(), e);
        Ok(file.map_err(failed)?.into_parts())
    }

    fn stage(&self, file: File, path: TempPath, name: &str, replaces: bool) -> Result<StagedPart> {
        let hidden = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let key = self.path.clone().join(hidden.as_str());
        let (store, to) = (Arc::clone(&self.store), key.clone());
        let uploaded = wait(async move { upload(store, &to, file).await })?;
        uploaded.map_err(self.failed("upload", &key))?;
        let (folder, name) = (self.path.to_string(), name.to_owned());
        Ok(StagedPart { folder, hidden, name, replaces })
    }

    fn show(&self, part: &StagedPart) -> Result<()> {
        let (hidden, target) = keys(part)?;
        match self.copy(&hidden, &target, part.replaces)? {
            Ok(()) => {}
            Err(StoreError::NotFound { .. }) => {
                return match part.replaces || self.head(&target)?.is_none() {
                    true => Err(Error::OutputLost {
                        path: format!("{}/{target}", self.store).into(),
                        hidden: part.hidden.clone(),
                    }),
                    false => Ok(()),
                };
            }
            Err(StoreError::AlreadyExists { .. }) => {
                if self.is_foreign(&hidden, &target)? {
                    return Err(self.occupied(part.name.clone()));
                }
            }
            Err(cause) => return Err(self.failed("copy", &target)(cause)),
        }
        self.delete(&hidden)
    }

    fn discard(&self, part: &StagedPart) {
        if let Ok((hidden, _)) = keys(part) {
            // What stays is hidden, and swept away by the next attempt.
            let _ = self.delete(&hidden);
        }
    }

    fn remove(&self, old: &OldFiles) -> Result<()> {
        for file in &old.files {
            let key = key(&old.folder, &file.name)?;
            if self.head(&key)?.is_some_and(|object| version(&object) == file.version) {
                self.delete(&key)?;
            }
        }
        Ok(())
    }

    fn folder(&self) -> &str {
        self.path.as_ref()
    }

    fn sweep(&self, naming: &Naming, attempt: u64) -> Result<()> {
        for (name, object) in self.list()? {
            if naming.attempt_of_hidden(&name).is_some_and(|of| of < attempt) {
                self.delete(&object.location)?;
            }
        }
        Ok(())
    }
}

/// Returns the hidden and the visible key of a part.
fn keys(part: &StagedPart) -> Result<(Path, Path)> {
    Ok((key(&part.folder, &part.hidden)?, key(&part.folder, &part.name)?))
}

fn key(folder: &str, name: &str) -> Result<Path> {
    Ok(Path::parse(folder).map_err(Error::state)?.join(name))
}

/// Returns what tells an object from a later one under that key.
fn version(object: &ObjectMeta) -> String {
    let tag = object.e_tag.as_deref().unwrap_or_default();
    format!("{}-{}-{tag}", object.size, object.last_modified.to_rfc3339())
}

/// Puts a file into the store, in pieces if it is large.
async fn upload(store: Arc<dyn ObjectStore>, key: &Path, mut file: File) -> Result<(), StoreError> {
    let unreadable = |cause: io::Error| StoreError::Generic { store: "file", source: cause.into() };
    file.rewind().map_err(unreadable)?;
    let mut next = || {
        let mut piece = Vec::new();
        (&mut file).take(PIECE_BYTES).read_to_end(&mut piece).map_err(unreadable)?;
        Ok::<_, StoreError>(piece)
    };
    let first = next()?;
    if (first.len() as u64) < PIECE_BYTES {
        return store.put(key, first.into()).await.map(drop);
    }
    let mut upload =
        WriteMultipart::new_with_chunk_size(store.put_multipart(key).await?, PIECE_BYTES as usize);
    let mut piece = Ok(first);
    loop {
        match piece {
            Ok(bytes) if bytes.is_empty() => return upload.finish().await.map(drop),
            Ok(bytes) => upload.put(bytes.into()),
            Err(cause) => {
                // The store drops pieces of uploads that are never completed in its own time.
                let _ = upload.abort().await;
                return Err(cause);
            }
        }
        upload.wait_for_capacity(PIECES_AT_ONCE).await?;
        piece = next();
    }
}

#[cfg(test)]
mod tests;
