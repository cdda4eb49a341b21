//! The life of one attempt, as a job would lead it, and the journal of what it was told.

use std::sync::{Arc, Mutex};

use highwater_checkpoint::garbage::Garbage;
use highwater_checkpoint::log::{self, Attempt, Completed, History};
use highwater_checkpoint::manifest::{
    Manifest, OperatorSnapshot, PartRef, SnapshotKind, StoredPart, StoredState,
};
use highwater_checkpoint::storage::{Retry, file_path};
use highwater_checkpoint::testing::{FaultyStore, Turns};
use highwater_checkpoint::{CommitError, ObjectRef, Storage, StorageError};
use object_store::ObjectStore;

/// What an attempt was told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Fenced { attempt: u64, slot: u64, history: History },
    Committed(Completed),
    Declined { attempt: u64, checkpoint: u64 },
    FencedOut { attempt: u64 },
}

pub(crate) type Journal = Arc<Mutex<Vec<Event>>>;

/// How a job lives.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) storage: Storage,
    pub(crate) journal: Journal,
    /// How many checkpoints it makes before it ends.
    pub(crate) checkpoints: u64,
    pub(crate) retained: usize,
    /// How often it tries a commit whose fate is not known.
    pub(crate) stubborn: u32,
}

impl Life {
    fn say(&self, event: Event) {
        self.journal.lock().unwrap().push(event);
    }

    /// Lives until it is fenced, has made its checkpoints, or the store fails too often.
    pub(crate) async fn live(self) {
        let (mut attempt, history) = match log::fence(&self.storage).await {
            Ok(fenced) => fenced,
            Err(error) => return assert_retry(&error),
        };
        let (number, slot) = (attempt.number(), attempt.slot());
        self.say(Event::Fenced { attempt: number, slot, history: history.clone() });
        attempt.retain(self.retained);
        let mut garbage = Garbage::new(&self.storage, number, &history).await;
        garbage.sweep(&history).await;
        let mut chain = match history.newest() {
            None => Vec::new(),
            Some(newest) => match self.restore(newest).await {
                Ok(chain) => chain,
                // Whoever came after it needs less of what it restores.
                Err(_) if matches!(attempt.is_latest().await, Ok(false)) => {
                    return self.say(Event::FencedOut { attempt: number });
                }
                Err(error) => return assert_retry(&error),
            },
        };
        let first = history.newest().map_or(1, |newest| newest.checkpoint + 1);
        for checkpoint in first..first + self.checkpoints {
            let Ok((manifest, written)) = self.snapshot(number, checkpoint, &chain).await else {
                continue;
            };
            match self.commit(&mut attempt, checkpoint, &written).await {
                Ok(completed) => {
                    self.say(Event::Committed(completed.clone()));
                    chain.clone_from(&manifest.operators[0].states[0].chain);
                    garbage.collect(attempt.completed(), &completed, &manifest, &[]).await;
                }
                Err(CommitError::Declined { .. }) => {
                    self.say(Event::Declined { attempt: number, checkpoint });
                    let own = manifest.objects().filter(|file| !named(&chain, file)).cloned();
                    garbage.discard(own.chain([written])).await;
                }
                Err(CommitError::Fenced { .. }) => {
                    return self.say(Event::FencedOut { attempt: number });
                }
                Err(_) => return,
            }
        }
    }

    /// Reads all of a checkpoint: what is retained is there and whole.
    async fn restore(&self, from: &Completed) -> Result<Vec<StoredPart>, StorageError> {
        let manifest = Manifest::load(&self.storage, &from.manifest).await?;
        manifest.check(&self.storage).await?;
        for part in manifest.parts() {
            self.storage.part(part).await?;
        }
        Ok(manifest.operators[0].states[0].chain.clone())
    }

    /// Writes a full part now and then, else a delta on top of the last completed checkpoint.
    pub(crate) async fn snapshot(
        &self,
        attempt: u64,
        checkpoint: u64,
        completed: &[StoredPart],
    ) -> Result<(Manifest, ObjectRef), StorageError> {
        let path = file_path(attempt, &format!("{checkpoint}-count"));
        let file = self.storage.put(&path, path.clone().into_bytes()).await?;
        let part = StoredPart { part: PartRef::File(file), slots: None };
        let mut chain = if checkpoint.is_multiple_of(3) { Vec::new() } else { completed.to_vec() };
        chain.push(part);
        let mut manifest = Manifest::new(checkpoint, attempt, SnapshotKind::Checkpoint);
        manifest.operators.push(OperatorSnapshot {
            uid: "count".into(),
            states: vec![StoredState { state: "count".into(), worker: 0, chain }],
            ..OperatorSnapshot::default()
        });
        let written = manifest.write(&self.storage).await?;
        Ok((manifest, written))
    }

    async fn commit(
        &self,
        attempt: &mut Attempt,
        checkpoint: u64,
        manifest: &ObjectRef,
    ) -> Result<Completed, CommitError> {
        let mut tries = 0;
        loop {
            match attempt.commit(checkpoint, manifest).await {
                Err(CommitError::Unsettled { .. }) if tries < self.stubborn => tries += 1,
                settled => return settled,
            }
        }
    }
}

/// Returns a storage in a store that fails from a seed, paced by the turns.
pub(crate) fn storage(store: &Arc<FaultyStore>, turns: &Turns, tries: u32) -> Storage {
    let store: Arc<dyn ObjectStore> = Arc::clone(store) as _;
    let retry = Retry { tries, ..Retry::default() };
    Storage::of(store, "job").unwrap().with_pace(turns.pace()).with_retry(retry)
}

fn named(chain: &[StoredPart], file: &ObjectRef) -> bool {
    chain.iter().any(|stored| stored.part.object() == Some(file))
}

/// A store that fails may end a life; damage where none was done may not.
fn assert_retry(error: &StorageError) {
    let may_pass = matches!(error, StorageError::Unavailable { .. } | StorageError::Refused { .. });
    assert!(may_pass, "{}", error.sentence());
}
