//! Says of a completed checkpoint that all its effects are visible.
//!
//! A checkpoint in the log without its marker may have made some of its effects visible, or none,
//! or all: whoever restores it commits them again, which changes nothing where it was done. The
//! marker carries the attempt, since a number is used again when a job falls back behind a
//! checkpoint.

use serde::{Deserialize, Serialize};

use crate::error::StorageError;
use crate::log::Completed;
use crate::storage::{Kind, Storage};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Marker {
    checkpoint: u64,
    attempt: u64,
}

/// Where the marker of a checkpoint is.
#[must_use]
pub fn marker_path(checkpoint: u64, attempt: u64) -> String {
    format!("committed/{checkpoint}-{attempt}")
}

/// Says that all effects of a completed checkpoint are visible.
///
/// # Errors
/// If the store did not take it; saying it again is harmless.
pub async fn mark_committed(storage: &Storage, of: &Completed) -> Result<(), StorageError> {
    let marker = Marker { checkpoint: of.checkpoint, attempt: of.attempt };
    let path = marker_path(of.checkpoint, of.attempt);
    storage.write(&path, Kind::Marker, &marker).await.map(drop)
}

/// Returns whether all effects of a completed checkpoint are known to be visible. A damaged marker
/// says nothing: committing again is harmless.
///
/// # Errors
/// If the store does not say.
pub async fn is_committed(storage: &Storage, of: &Completed) -> Result<bool, StorageError> {
    let path = marker_path(of.checkpoint, of.attempt);
    match storage.read::<Marker>(&path, Kind::Marker).await {
        Ok(marker) => Ok(marker.checkpoint == of.checkpoint && marker.attempt == of.attempt),
        Err(StorageError::Missing { .. }) => Ok(false),
        Err(error) if error.is_damage() => {
            tracing::warn!(error = %error, "a marker is damaged, effects are committed again");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
