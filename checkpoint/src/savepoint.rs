//! Savepoints: everything that is needed to go on, in one folder that may be moved.
//!
//! ```text
//! {folder}/files/..    the parts, each state whole
//! {folder}/manifest    written last: without it there is no savepoint
//! ```
//!
//! The manifest is that of a checkpoint with paths below its own folder, so that a copy of the
//! folder, in this store or in another, is the same savepoint. The engine never deletes it, unless a
//! job has claimed it: then it goes when the first checkpoint after it is complete.
//!
//! **Sources**: Flink's canonical savepoints, which are self-contained and relocatable since 1.11.

use bytes::Bytes;

use crate::error::StorageError;
use crate::manifest::{Manifest, SnapshotKind, StoredPart};
use crate::storage::{ObjectRef, Storage, savepoint_file};

const MANIFEST: &str = "manifest";

/// A savepoint, open for reading or being written.
#[derive(Clone, Debug)]
pub struct Savepoint {
    storage: Storage,
}

impl Savepoint {
    /// Begins a savepoint in a folder that holds none.
    ///
    /// - `url`: the folder, as in [`Storage::open`].
    ///
    /// # Errors
    /// If the folder cannot be used or holds a savepoint.
    pub async fn create(url: &str) -> Result<Self, StorageError> {
        Self::create_in(Storage::open(url)?).await
    }

    /// Begins a savepoint in a storage of its own.
    ///
    /// # Errors
    /// If the storage holds a savepoint, or does not answer.
    pub async fn create_in(storage: Storage) -> Result<Self, StorageError> {
        if storage.exists(MANIFEST).await? {
            return Err(StorageError::Url {
                url: storage.to_string(),
                problem: "holds a savepoint already".into(),
                source: None,
            });
        }
        Ok(Savepoint { storage })
    }

    /// Opens the savepoint in a folder and checks that it is complete.
    ///
    /// - `url`: the folder, as in [`Storage::open`].
    ///
    /// # Errors
    /// If there is none, or one of its objects is missing or has another length.
    pub async fn load(url: &str) -> Result<(Self, Manifest), StorageError> {
        Self::load_from(Storage::open_existing(url)?).await
    }

    /// Opens the savepoint in a storage and checks that it is complete.
    ///
    /// # Errors
    /// If there is none, or one of its objects is missing or has another length.
    pub async fn load_from(storage: Storage) -> Result<(Self, Manifest), StorageError> {
        let manifest = Manifest::read(&storage, MANIFEST).await?;
        validate(&manifest)?;
        manifest.check(&storage).await?;
        Ok((Savepoint { storage }, manifest))
    }

    /// Deletes the savepoint: first that it is one, then its parts, and the folder if nothing else
    /// is in it.
    ///
    /// # Errors
    /// If something could not be deleted.
    pub async fn delete(self, manifest: &Manifest) -> Result<(), StorageError> {
        self.storage.delete(&[MANIFEST.to_owned()]).await?;
        let parts: Vec<_> = manifest.objects().map(|object| object.path.clone()).collect();
        self.storage.delete(&parts).await?;
        self.storage.remove_empty_folder();
        Ok(())
    }

    /// Returns where the parts are, to read them or to write further ones.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Writes a part.
    ///
    /// - `name`: any text that no other part of the savepoint has.
    ///
    /// # Errors
    /// If the store did not take it.
    pub async fn put_part(
        &self,
        name: &str,
        content: impl Into<Bytes>,
    ) -> Result<StoredPart, StorageError> {
        let part = self.storage.put_part(&savepoint_file(name), content).await?;
        Ok(StoredPart { part, slots: None })
    }

    /// Completes the savepoint by writing its manifest.
    ///
    /// # Errors
    /// If it is not the manifest of a savepoint, a state is not whole, or the store did not take it.
    pub async fn write(&self, manifest: &Manifest) -> Result<ObjectRef, StorageError> {
        validate(manifest)?;
        manifest.write_to(&self.storage, MANIFEST).await
    }
}

/// Deletes the savepoint that a job has claimed, if it is still there.
pub(crate) async fn delete_claimed(url: &str) {
    let deleted = match Savepoint::load(url).await {
        Ok((savepoint, manifest)) => savepoint.delete(&manifest).await,
        Err(StorageError::Missing { .. }) => return,
        Err(error) => Err(error),
    };
    match deleted {
        Ok(()) => tracing::info!(url, "the claimed savepoint is superseded and deleted"),
        Err(error) => tracing::warn!(url, %error, "the claimed savepoint could not be deleted"),
    }
}

/// Compares a manifest with what a savepoint promises.
fn validate(manifest: &Manifest) -> Result<(), StorageError> {
    if manifest.kind != SnapshotKind::Savepoint {
        return Err(StorageError::foreign(MANIFEST, "belongs to a checkpoint, not a savepoint"));
    }
    for operator in &manifest.operators {
        for state in &operator.states {
            if state.chain.len() != 1 || state.chain.iter().any(|part| part.slots.is_some()) {
                let (uid, name) = (&operator.uid, &state.state);
                let problem = format!("state {name:?} of operator {uid:?} is not whole");
                return Err(StorageError::foreign(MANIFEST, problem));
            }
        }
    }
    Ok(())
}
