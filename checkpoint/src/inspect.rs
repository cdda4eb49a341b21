//! Looking into savepoints and checkpoints without the job that made them.
//!
//! ```text
//! address --Snapshot::open--> manifest --parts(operator, state)--> StateParts, read and compared
//!   a savepoint, or a job's folder:        '--extent()--> how much there is, of what types
//!   its newest checkpoint, or a given one  '--view()----> StateView --> entries as JSON
//!                                                             '--compare--> what has changed
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
mod parts;
mod view;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use highwater_core::cut::EncodedState;
use highwater_core::error::{Error, Result};

use crate::error::{InspectError, StorageError};
use crate::log;
use crate::manifest::{Manifest, OperatorSnapshot, PartRef, StoredPart, StoredState};
use crate::savepoint::Savepoint;
use crate::storage::Storage;

pub use compare::{Change, compare};
pub use parts::{Extent, StateParts};
pub use view::{Entry, StateView};

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
    /// - `address`: as in [`Storage::open`].
    /// - `checkpoint`: the number of a retained checkpoint; `None` for the newest one.
    ///
    /// # Errors
    /// When there is none, or what describes it is damaged.
    ///
    /// # Panics
    /// Inside of a tokio runtime, of which it has one of its own; it must not be dropped there, either.
    pub fn open(address: &str, checkpoint: Option<u64>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| Error::Start { message: cause.to_string() })?;
        let storage = Storage::open_existing(address)?;
        let found = runtime.block_on(find(&storage, checkpoint));
        let manifest = found.map_err(|error| error.at(&storage.to_string()))?;
        Ok(Snapshot { storage, manifest, runtime })
    }

    /// Returns what describes it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the operator with a uid.
    ///
    /// # Errors
    /// When there is none.
    pub fn operator(&self, uid: &str) -> Result<&OperatorSnapshot> {
        let operators = &self.manifest.operators;
        operators.iter().find(|operator| operator.uid == uid).ok_or_else(|| {
            let known = operators.iter().map(|operator| operator.uid.clone()).collect();
            let wanted = uid.to_owned();
            InspectError::NoOperator { wanted, known }.at(&self.storage.to_string())
        })
    }

    /// Reads what all former workers have stored of a state.
    ///
    /// # Errors
    /// When the operator has no such state, or a part of it is missing or damaged.
    pub fn parts(&self, operator: &OperatorSnapshot, state: &str) -> Result<StateParts> {
        let address = self.storage.to_string();
        let uid = operator.uid.clone();
        let mut stored: Vec<_> = operator.states.iter().filter(|s| s.state == state).collect();
        if stored.is_empty() {
            let known = operator.state_names().into_iter().map(str::to_owned).collect();
            let (operator, wanted) = (uid, state.to_owned());
            return Err(InspectError::NoState { operator, wanted, known }.at(&address));
        }
        stored.sort_by_key(|stored| stored.worker);
        let mut chains = Vec::with_capacity(stored.len());
        for stored in stored {
            let read = stored.chain.iter().map(|part| read(&self.storage, state, part));
            let chain = self.runtime.block_on(stream::iter(read).buffered(AT_ONCE).try_collect());
            let chain = chain.map_err(|error| InspectError::from(error).at(&address))?;
            chains.push((stored.worker, chain));
        }
        Ok(StateParts { address, uid, state: state.to_owned(), chains })
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

    /// Returns the bytes that all former workers have stored of a state.
    #[must_use]
    pub fn state_bytes(&self, state: &str) -> u64 {
        let of = self.states.iter().filter(|stored| stored.state == state);
        of.flat_map(StoredState::parts).map(PartRef::bytes).sum()
    }
}

async fn find(storage: &Storage, checkpoint: Option<u64>) -> Result<Manifest, InspectError> {
    let retained = if Savepoint::is_in(storage).await? {
        let (_, manifest) = Savepoint::load_from(storage.clone()).await?;
        if checkpoint.is_none_or(|wanted| wanted == manifest.checkpoint) {
            return Ok(manifest);
        }
        vec![manifest.checkpoint]
    } else {
        let history = log::read(storage).await?;
        let newest = history.newest().ok_or(InspectError::Nothing)?;
        let wanted = checkpoint.unwrap_or(newest.checkpoint);
        let mut completed = history.completed.iter();
        if let Some(found) = completed.find(|completed| completed.checkpoint == wanted) {
            return Ok(Manifest::load(storage, &found.manifest).await?);
        }
        history.completed.iter().map(|completed| completed.checkpoint).collect()
    };
    let wanted = checkpoint.unwrap_or_default();
    Err(InspectError::NoCheckpoint { wanted, known: retained })
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
