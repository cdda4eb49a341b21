//! What a checkpoint consists of: the list of its parts, whose name in the log completes it.
//!
//! ```text
//! Manifest --> operators --> states --> chains: one full part, then the deltas on top of it
//!         '--> committables: what sinks have to make visible once the checkpoint is in the log
//! ```
//!
//! A part below [`INLINE_BYTES_MAX`] stands in the manifest itself, a larger one in an object of its
//! own. A delta may belong to an earlier checkpoint or attempt: manifests share objects, and an
//! object lives as long as a manifest names it (`garbage.rs`).
//!
//! **Invariants**
//! - A manifest is written after all the objects that it names, and before the slot of the log that
//!   names it ([`Manifest::write`] returns the reference that `Attempt::commit` asks for).
//! - A manifest is for the checkpoint and attempt of its name (compared in [`Manifest::load`]).
//! - A chain has a first part (checked in [`Manifest::load`]).
//!
//! **Sources**: Flink's checkpoint metadata, whose limit for parts inside it is 20 KB, too.

mod part;

pub use part::{INLINE_BYTES_MAX, PartRef};

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::error::StorageError;
use crate::storage::{Kind, ObjectRef, Storage};

/// The layout of manifests that this program writes.
const LAYOUT: u32 = 1;
/// How many objects are asked for at once.
const CHECKS_AT_ONCE: usize = 16;

/// Who owns a snapshot of the whole job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotKind {
    /// The engine: it is deleted when newer ones have taken its place.
    Checkpoint,
    /// The user: it is complete in one folder, and never deleted by the engine.
    Savepoint,
}

/// Everything that is needed to go on from a checkpoint or savepoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    layout: u32,
    /// The epoch that it closes.
    pub checkpoint: u64,
    /// The attempt that made it.
    pub attempt: u64,
    /// Who owns it.
    pub kind: SnapshotKind,
    /// When it was complete, in ms since 1970.
    pub created_ms: i64,
    /// The hash of the plan of the job that made it, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<u64>,
    /// The number of key groups, which never changes once there is state.
    pub max_parallelism: u32,
    /// The number of workers that made it.
    pub workers: usize,
    /// Whether the job had ended: there is nothing to go on with, but effects may be left to commit.
    pub finished: bool,
    /// The operators that have state, offsets or effects.
    pub operators: Vec<OperatorSnapshot>,
}

/// What one operator remembers, over all its workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorSnapshot {
    /// The uid, by which a restored job finds it.
    pub uid: String,
    /// The name that people read.
    pub name: String,
    /// The watermark of each former worker.
    pub watermarks: Vec<i64>,
    /// Its states, each as often as there are workers that have some.
    pub states: Vec<StoredState>,
    /// What its writers have prepared for the checkpoint and not made visible.
    pub committables: Vec<Committable>,
}

/// One state of one operator on one former worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredState {
    /// The name of the state, unique within the operator.
    pub state: String,
    /// The former worker.
    pub worker: usize,
    /// A full part, followed by the deltas on top of it, oldest first.
    pub chain: Vec<StoredPart>,
}

/// One part of a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPart {
    /// The entries.
    pub part: PartRef,
    /// The slots that it replaces, if it is a delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<PartRef>,
}

/// An effect of a sink that is prepared and not visible yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committable {
    /// The worker that prepared it.
    pub worker: usize,
    /// The epoch whose effects it holds.
    pub epoch: u64,
    /// What the sink needs to make it visible: JSON that the sink wrote.
    pub payload: String,
}

/// Where the manifest of a checkpoint is.
#[must_use]
pub fn manifest_path(checkpoint: u64, attempt: u64) -> String {
    format!("manifests/{checkpoint}-{attempt}")
}

impl Manifest {
    /// Returns a manifest without operators.
    #[must_use]
    pub fn new(checkpoint: u64, attempt: u64, kind: SnapshotKind) -> Self {
        Manifest {
            layout: LAYOUT,
            checkpoint,
            attempt,
            kind,
            created_ms: 0,
            plan: None,
            max_parallelism: 1,
            workers: 1,
            finished: false,
            operators: Vec::new(),
        }
    }

    /// Writes the manifest of a checkpoint and returns what the log has to say about it.
    ///
    /// # Errors
    /// If the store did not take it.
    pub async fn write(&self, storage: &Storage) -> Result<ObjectRef, StorageError> {
        self.write_to(storage, &manifest_path(self.checkpoint, self.attempt)).await
    }

    pub(crate) async fn write_to(
        &self,
        storage: &Storage,
        path: &str,
    ) -> Result<ObjectRef, StorageError> {
        storage.write(path, Kind::Manifest, self).await
    }

    /// Reads a manifest; its parts are checked by [`Manifest::check`] and when they are read.
    ///
    /// # Errors
    /// If it is missing, damaged or of a later version.
    pub async fn load(storage: &Storage, manifest: &ObjectRef) -> Result<Self, StorageError> {
        let content = storage.get(manifest).await?;
        let read: Manifest = crate::storage::unseal(&manifest.path, Kind::Manifest, &content)?;
        read.validate(&manifest.path)?;
        Ok(read)
    }

    /// Reads a manifest of which nobody knows the checksum; its own is compared.
    pub(crate) async fn read(storage: &Storage, path: &str) -> Result<Self, StorageError> {
        let read: Manifest = storage.read(path, Kind::Manifest).await?;
        read.validate(path)?;
        Ok(read)
    }

    fn validate(&self, path: &str) -> Result<(), StorageError> {
        if self.layout > LAYOUT {
            let (found, known) = (self.layout, LAYOUT);
            return Err(StorageError::Version { path: path.into(), found, known });
        }
        let named = manifest_path(self.checkpoint, self.attempt);
        if self.kind == SnapshotKind::Checkpoint && path != named {
            return Err(StorageError::foreign(path, format!("holds what belongs to {named}")));
        }
        for operator in &self.operators {
            if let Some(empty) = operator.states.iter().find(|state| state.chain.is_empty()) {
                let (uid, state) = (&operator.uid, &empty.state);
                let problem = format!("state {state:?} of operator {uid:?} has no parts");
                return Err(StorageError::foreign(path, problem));
            }
        }
        Ok(())
    }

    /// Checks that every object that the manifest names is there and has its length. The checksums
    /// are compared when the objects are read.
    ///
    /// # Errors
    /// The first object found that is missing or has another length.
    pub async fn check(&self, storage: &Storage) -> Result<(), StorageError> {
        let distinct: BTreeSet<&ObjectRef> = self.objects().collect();
        let checks: Vec<_> = distinct.into_iter().map(|object| storage.check(object)).collect();
        futures_util::stream::iter(checks).buffer_unordered(CHECKS_AT_ONCE).try_collect().await
    }

    /// Returns the objects that the manifest names, without itself; one may come twice.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.parts().filter_map(PartRef::object)
    }

    /// Returns all parts, in the order of operators, states and chains.
    pub fn parts(&self) -> impl Iterator<Item = &PartRef> {
        let states = self.operators.iter().flat_map(|operator| &operator.states);
        let stored = states.flat_map(|state| &state.chain);
        stored.flat_map(|stored| std::iter::once(&stored.part).chain(&stored.slots))
    }

    /// Returns the bytes of all parts together, inside the manifest and outside.
    #[must_use]
    pub fn parts_bytes(&self) -> u64 {
        self.parts().map(PartRef::bytes).sum()
    }
}
