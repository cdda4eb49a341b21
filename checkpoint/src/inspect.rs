//! Looking into savepoints and checkpoints without the job that made them.
//!
//! ```text
//! address --Snapshot::open--> manifest --parts(operator, state)--> StateParts, read and compared
//!   a savepoint, or a job's folder:               '--view()--> StateView --> entries as JSON
//!   its newest checkpoint, or a given one                          '--compare--> what has changed
//! ```
//!
//! Nothing is written, and no running job is disturbed: the log is read and not fenced. A job deletes
//! checkpoints that it no longer retains, also while one of them is being looked into; a savepoint
//! stays.
//!
//! **Invariants**
//! - *Whole*: every part that is shown has the length and the checksum of the manifest, and is of the
//!   operator and the state under which the manifest lists it (asserted in [`StateParts::view`]).
//! - *Once*: no two workers have stored the same key group of a keyed state (asserted where entries
//!   are read, `inspect/view.rs`).
//!
//! **Cost**: the parts of one state are in memory at a time.
//!
//! **Sources**: Flink's State Processor API, which reads savepoints as tables, given their types.

mod compare;
mod view;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use highwater_core::cut::EncodedState;
use highwater_core::error::{Error, Result};

use crate::error::StorageError;
use crate::manifest::{Manifest, OperatorSnapshot, StoredPart};
use crate::savepoint::Savepoint;
use crate::storage::Storage;

pub use compare::{Change, Tally, compare};
pub use view::{Entry, StateParts, StateView};

/// How many parts are read at once.
const AT_ONCE: usize = 4;

/// A savepoint or a completed checkpoint, open for reading.
#[derive(Debug)]
pub struct Snapshot {
    storage: Storage,
    manifest: Manifest,
    runtime: tokio::runtime::Runtime,
}

impl Snapshot {
    /// Opens a savepoint, or a checkpoint of the job that keeps its checkpoints at the address.
    ///
    /// - `path`: the address, as in [`Storage::open`].
    /// - `checkpoint`: the number of a retained checkpoint; `None` for the newest one.
    ///
    /// # Errors
    /// When there is none, or what describes it is damaged.
    pub fn open(path: &str, checkpoint: Option<u64>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| Error::Start { message: cause.to_string() })?;
        let storage = Storage::open_existing(path)?;
        let manifest = runtime.block_on(find(&storage, path, checkpoint))?;
        Ok(Snapshot { storage, manifest, runtime })
    }

    /// Returns what describes it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the operator with a uid.
    #[must_use]
    pub fn operator(&self, uid: &str) -> Option<&OperatorSnapshot> {
        self.manifest.operators.iter().find(|operator| operator.uid == uid)
    }

    /// Reads what all former workers have stored of a state.
    ///
    /// # Errors
    /// When a part is missing or damaged.
    pub fn parts(&self, operator: &OperatorSnapshot, state: &str) -> Result<StateParts> {
        let mut stored: Vec<_> = operator.states.iter().filter(|s| s.state == state).collect();
        stored.sort_by_key(|stored| stored.worker);
        let mut chains = Vec::with_capacity(stored.len());
        for stored in stored {
            let read = stored.chain.iter().map(|part| read(&self.storage, state, part));
            let chain =
                self.runtime.block_on(stream::iter(read).buffered(AT_ONCE).try_collect())?;
            chains.push((stored.worker, chain));
        }
        Ok(StateParts::new(operator.uid.clone(), state.to_owned(), chains))
    }
}

impl OperatorSnapshot {
    /// Returns the names of its states, sorted.
    #[must_use]
    pub fn state_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.states.iter().map(|stored| stored.state.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

async fn find(storage: &Storage, path: &str, checkpoint: Option<u64>) -> Result<Manifest> {
    if Savepoint::is_in(storage).await? {
        let (_, manifest) = Savepoint::load_from(storage.clone()).await?;
        return match checkpoint {
            Some(wanted) if wanted != manifest.checkpoint => {
                let expected = format!("{}, of which the savepoint is", manifest.checkpoint);
                Err(Error::option("--checkpoint", wanted, expected))
            }
            _ => Ok(manifest),
        };
    }
    let history = crate::log::read(storage).await?;
    let Some(newest) = history.newest() else {
        let expected = "a savepoint, or the folder of a job with a completed checkpoint";
        return Err(Error::option("PATH", path, expected));
    };
    let number = checkpoint.unwrap_or(newest.checkpoint);
    match history.completed.iter().find(|completed| completed.checkpoint == number) {
        Some(completed) => Ok(Manifest::load(storage, &completed.manifest).await?),
        None => {
            let known = history.completed.iter().map(|completed| completed.checkpoint.to_string());
            let expected = format!("a retained one: {}", known.collect::<Vec<_>>().join(", "));
            Err(Error::option("--checkpoint", number, expected))
        }
    }
}

async fn read(
    storage: &Storage,
    state: &str,
    stored: &StoredPart,
) -> Result<EncodedState, StorageError> {
    let part = storage.part(&stored.part).await?.into();
    let slots = match &stored.slots {
        Some(slots) => Some(storage.part(slots).await?.into()),
        None => None,
    };
    Ok(EncodedState { state: state.to_owned(), part, slots })
}
