//! Makes a savepoint of a checkpoint: a copy of its parts in a folder of the user's.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::error::StorageError;
use crate::manifest::{Manifest, SnapshotKind, StoredState};
use crate::savepoint::Savepoint;
use crate::storage::Storage;

/// How many parts are copied at once.
const AT_ONCE: usize = 4;

/// Copies a checkpoint whose states are whole into a savepoint.
///
/// # Errors
/// When the folder holds a savepoint already, or something cannot be read or written; there is no
/// savepoint then.
pub(crate) async fn export(
    storage: &Storage,
    manifest: &Manifest,
    url: &str,
) -> Result<(), StorageError> {
    let savepoint = Savepoint::create(url).await?;
    let mut copy = manifest.clone();
    copy.kind = SnapshotKind::Savepoint;
    for operator in &mut copy.operators {
        // What sinks had prepared is visible: the checkpoint is complete.
        operator.committables.clear();
        let uid = &operator.uid;
        let states = operator.states.iter().map(|state| whole(storage, &savepoint, uid, state));
        operator.states = stream::iter(states).buffered(AT_ONCE).try_collect().await?;
    }
    savepoint.write(&copy).await.map(drop)
}

async fn whole(
    storage: &Storage,
    savepoint: &Savepoint,
    uid: &str,
    state: &StoredState,
) -> Result<StoredState, StorageError> {
    let mut chain = Vec::with_capacity(state.chain.len());
    for stored in &state.chain {
        let name = format!("{uid}/{}/{}", state.state, state.worker);
        chain.push(savepoint.put_part(&name, storage.part(&stored.part).await?).await?);
    }
    Ok(StoredState { chain, ..state.clone() })
}
