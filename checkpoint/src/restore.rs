//! What a job goes on from: the manifest of a checkpoint, and the parts that it names.
//!
//! ```text
//! the log, newest first --> manifest --> all parts, read and compared --> Restored
//!          '-- damaged: a warning, and the one before it
//! ```
//!
//! **Invariants**
//! - *Never a wrong state*: a part is used only if its length and checksum are those of the manifest.
//! - *Never silently from the start*: when there are completed checkpoints and all are damaged, the
//!   job does not begin.
//! - *Never undone by one that was fenced*: a later attempt deletes what it does not need, which
//!   looks like damage; only the latest attempt takes it for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use highwater_core::cut::EncodedState;
use highwater_core::error::{Error, Result};
use highwater_core::time::Epoch;
use serde::{Deserialize, Serialize};

use crate::driver::Opening;
use crate::error::{CommitError, StorageError};
use crate::log::{Attempt, Completed, History};
use crate::manifest::{Manifest, PartRef, StoredState};
use crate::marker::is_committed;
use crate::options::Restore;
use crate::savepoint::Savepoint;
use crate::storage::{ObjectRef, Storage};

/// How many parts are read at once.
const AT_ONCE: usize = 8;

/// What is known of one operator.
#[derive(Debug, Default)]
struct Operator {
    name: String,
    states: Vec<Arc<EncodedState>>,
    committed: Vec<String>,
}

/// Where what a job goes on from is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Whence {
    /// It begins anew.
    #[default]
    Nothing,
    /// From a checkpoint: of this job, or of the one at the address.
    Checkpoint(Option<String>, ObjectRef),
    /// From the savepoint at the address.
    Savepoint(String),
}

/// What a job goes on from.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Where it was read.
    whence: Whence,
    /// The epoch in which the job begins.
    first: u64,
    /// The number of key groups, of a job that goes on.
    max_parallelism: Option<u32>,
    /// The checkpoint of this job that it goes on from.
    from: Option<Completed>,
    /// Whether the results of that checkpoint may not all be visible yet.
    unfinished: bool,
    /// Whether a later checkpoint was complete and is damaged: its results are made again.
    undoes: bool,
    operators: BTreeMap<String, Operator>,
}

impl Restored {
    /// Returns the start of a job without a past, or after checkpoints that it does not go on from.
    fn nothing(history: &History) -> Self {
        let newest = history.completed.iter().map(|completed| completed.checkpoint).max();
        Restored { first: newest.map_or(1, |newest| newest + 1), ..Restored::default() }
    }

    /// Reads what an option says, for an attempt that has just begun.
    ///
    /// # Errors
    /// When there is nothing at an address, everything there is damaged, or a later attempt has
    /// begun meanwhile.
    pub(crate) async fn read(
        restore: &Restore,
        storage: &Storage,
        attempt: &Attempt,
        history: &History,
    ) -> Result<Self> {
        match restore {
            Restore::None => Ok(Restored::nothing(history)),
            Restore::Latest => match newest(storage, Some(attempt), &history.completed).await? {
                Some(restored) => Ok(restored),
                None => {
                    tracing::warn!(%storage, "no checkpoint is complete yet: the job starts anew");
                    Ok(Restored::nothing(history))
                }
            },
            Restore::Since { attempt: first, or } => {
                let completed = history.completed.iter();
                let since = completed.take_while(|completed| completed.attempt >= *first);
                let since: Vec<_> = since.cloned().collect();
                match newest(storage, Some(attempt), &since).await? {
                    Some(restored) => Ok(restored),
                    None => Box::pin(Restored::read(or, storage, attempt, history)).await,
                }
            }
            Restore::From(url) => Restored::elsewhere(url, history).await,
        }
    }

    /// Reads a savepoint, or the newest checkpoint of another job.
    async fn elsewhere(url: &str, history: &History) -> Result<Self> {
        let (savepoint, manifest) = match Savepoint::load(url).await {
            Ok(loaded) => loaded,
            Err(StorageError::Missing { .. }) => {
                let elsewhere = Storage::open(url)?;
                let log = crate::log::read(&elsewhere).await?;
                let found = newest(&elsewhere, None, &log.completed).await?;
                let mut found = found.ok_or_else(|| {
                    Error::option("--restore", url, "a savepoint or a folder with checkpoints")
                })?;
                if let Whence::Checkpoint(at, _) = &mut found.whence {
                    *at = Some(url.to_owned());
                }
                return Ok(found.without_results(history));
            }
            Err(error) => return Err(Error::state(error)),
        };
        let mut restored = load(savepoint.storage(), &manifest).await?;
        restored.whence = Whence::Savepoint(url.to_owned());
        Ok(restored.without_results(history))
    }

    /// Reads what another process of the job goes on from, without results: those are its business.
    ///
    /// # Errors
    /// When it cannot be read here.
    pub(crate) async fn fetch(opening: &Opening, storage: &Storage) -> Result<Self> {
        let mut restored = match &opening.whence {
            Whence::Nothing => Restored::default(),
            Whence::Checkpoint(at, manifest) => {
                let elsewhere = at.as_ref().map(|url| Storage::open(url)).transpose()?;
                let storage = elsewhere.as_ref().unwrap_or(storage);
                let manifest = Manifest::load(storage, manifest).await.map_err(Error::state)?;
                load(storage, &manifest).await?
            }
            Whence::Savepoint(url) => {
                let (savepoint, manifest) = Savepoint::load(url).await.map_err(Error::state)?;
                load(savepoint.storage(), &manifest).await?
            }
        };
        restored.operators.values_mut().for_each(|operator| operator.committed.clear());
        restored.first = opening.first;
        Ok(restored)
    }

    pub(crate) fn whence(&self) -> &Whence {
        &self.whence
    }

    /// The results of another job are its own business; the numbers of this one go on.
    fn without_results(mut self, history: &History) -> Self {
        (self.from, self.unfinished, self.undoes) = (None, false, false);
        self.operators.values_mut().for_each(|operator| operator.committed.clear());
        self.first = self.first.max(Restored::nothing(history).first);
        self
    }

    pub(crate) fn first(&self) -> Epoch {
        Epoch(self.first)
    }

    pub(crate) fn resumes(&self) -> bool {
        self.max_parallelism.is_some()
    }

    pub(crate) fn max_parallelism(&self) -> Option<u32> {
        self.max_parallelism
    }

    /// Returns the checkpoint of this job that it goes on from.
    pub(crate) fn from(&self) -> Option<&Completed> {
        self.from.as_ref()
    }

    /// Returns the checkpoint after which everything that was committed is made once more.
    pub(crate) fn undo_after(&self) -> Option<Epoch> {
        self.from.as_ref().filter(|_| self.undoes).map(|from| Epoch(from.checkpoint))
    }

    /// Returns the checkpoint whose results the sinks make visible when they are opened.
    pub(crate) fn unfinished(&self) -> Option<&Completed> {
        self.from.as_ref().filter(|_| self.unfinished)
    }

    pub(crate) fn states(&self, uid: &str) -> Option<Vec<Arc<EncodedState>>> {
        self.operators.get(uid).map(|operator| operator.states.clone())
    }

    pub(crate) fn committed(&self, uid: &str) -> Vec<String> {
        self.operators.get(uid).map(|operator| operator.committed.clone()).unwrap_or_default()
    }

    /// # Errors
    /// When there is state of an operator that was not asked for.
    pub(crate) fn check_all_asked_for(&self, asked_for: &BTreeSet<String>) -> Result<()> {
        let forgotten = self.operators.iter().find(|(uid, operator)| {
            let has_something = !operator.states.is_empty() || !operator.committed.is_empty();
            has_something && !asked_for.contains(*uid)
        });
        match forgotten {
            None => Ok(()),
            Some((uid, operator)) => Err(Error::state(format!(
                "the checkpoint holds state of operator {:?} with uid {uid:?}, which the job does \
                 not have; give --allow-non-restored-state to leave it behind",
                operator.name
            ))),
        }
    }
}

/// Reads the newest checkpoint that is not damaged, `None` if there are none.
///
/// - `attempt`: the one that goes on from it, if it is of the same job.
async fn newest(
    storage: &Storage,
    attempt: Option<&Attempt>,
    commits: &[Completed],
) -> Result<Option<Restored>> {
    let mut damaged = None;
    for commit in commits {
        match read(storage, commit).await {
            Ok(mut restored) => {
                restored.unfinished = !is_committed(storage, commit).await?;
                if !restored.unfinished {
                    restored.operators.values_mut().for_each(|o| o.committed.clear());
                }
                restored.whence = Whence::Checkpoint(None, commit.manifest.clone());
                restored.from = Some(commit.clone());
                restored.undoes = damaged.is_some();
                return Ok(Some(restored));
            }
            Err(error) if error.is_damage() => {
                if let Some(attempt) = attempt
                    && !attempt.is_latest().await?
                {
                    return Err(Error::state(CommitError::Fenced {
                        attempt: attempt.number(),
                        by: "a later attempt".to_owned(),
                        slot: attempt.slot() + 1,
                    }));
                }
                let checkpoint = commit.checkpoint;
                tracing::warn!(checkpoint, %error, "a checkpoint is damaged, trying the one before");
                damaged.get_or_insert(error);
            }
            Err(error) => return Err(Error::state(error)),
        }
    }
    let Some(newest) = damaged else { return Ok(None) };
    let why = Error::state(newest).sentence();
    Err(Error::state(format!(
        "no checkpoint that is retained is undamaged, the newest: {why}; give --restore none to \
         start anew, or the address of a savepoint"
    )))
}

async fn read(storage: &Storage, commit: &Completed) -> Result<Restored, StorageError> {
    let manifest = Manifest::load(storage, &commit.manifest).await?;
    load(storage, &manifest).await
}

/// Reads all parts that a manifest names.
async fn load(storage: &Storage, manifest: &Manifest) -> Result<Restored, StorageError> {
    let mut operators = BTreeMap::new();
    for operator in &manifest.operators {
        let chains = operator.states.iter().map(|state| chain(storage, state));
        let chains: Vec<Vec<_>> = stream::iter(chains).buffered(AT_ONCE).try_collect().await?;
        let committed = operator.committables.iter().map(|c| c.payload.clone()).collect();
        let states = chains.into_iter().flatten().collect();
        let known = Operator { name: operator.name.clone(), states, committed };
        operators.insert(operator.uid.clone(), known);
    }
    Ok(Restored {
        first: manifest.checkpoint + 1,
        max_parallelism: Some(manifest.max_parallelism),
        operators,
        ..Restored::default()
    })
}

async fn chain(
    storage: &Storage,
    state: &StoredState,
) -> Result<Vec<Arc<EncodedState>>, StorageError> {
    let mut chain = Vec::with_capacity(state.chain.len());
    for stored in &state.chain {
        let part = bytes(storage, &stored.part).await?;
        let slots = match &stored.slots {
            Some(slots) => Some(bytes(storage, slots).await?),
            None => None,
        };
        chain.push(Arc::new(EncodedState { state: state.state.clone(), part, slots }));
    }
    Ok(chain)
}

async fn bytes(storage: &Storage, part: &PartRef) -> Result<Vec<u8>, StorageError> {
    Ok(storage.part(part).await?.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::log::fence;
    use crate::manifest::SnapshotKind;

    /// Two checkpoints are complete, another attempt has begun, and the newer is gone.
    #[tokio::test]
    async fn what_a_later_attempt_has_deleted_is_not_damage() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let storage = Storage::open(&folder.path().to_string_lossy()).expect("a storage");
        let (mut first, _) = fence(&storage).await.expect("a first attempt");
        first.retain(2);
        for checkpoint in [1, 2] {
            let manifest = Manifest::new(checkpoint, first.number(), SnapshotKind::Checkpoint);
            let written = manifest.write(&storage).await.expect("a manifest");
            first.commit(checkpoint, &written).await.expect("a checkpoint");
        }
        let (second, history) = fence(&storage).await.expect("a second attempt");
        let newest = history.newest().expect("a checkpoint");
        fs::remove_file(folder.path().join(&newest.manifest.path)).expect("a file");

        let latest = Restore::Latest;
        let fallen = Restored::read(&latest, &storage, &second, &history).await;
        let fallen = fallen.expect("the one before is whole");
        assert_eq!((fallen.first(), fallen.undo_after()), (Epoch(2), Some(Epoch(1))));

        let _third = fence(&storage).await.expect("a third attempt");
        let fenced = Restored::read(&latest, &storage, &second, &history).await;
        let fenced = fenced.expect_err("the second is not the latest").sentence();
        assert!(fenced.contains("attempt 2 was fenced"), "{fenced}");
    }
}
