//! Collects garbage beside a job that goes on completing checkpoints.
//!
//! ```text
//! a checkpoint is complete --add--> those that wait, in order --collect--> deleted, one by one
//! ```
//!
//! Deleting may take longer than the next checkpoint does. Each is collected with what was retained
//! when it was completed, and after all before it: else one that comes late would find a newer one,
//! which it does not retain, and delete its files (I8).

use std::collections::VecDeque;
use std::sync::PoisonError;

use futures_util::lock::Mutex;

use super::Garbage;
use crate::log::Completed;
use crate::manifest::Manifest;
use crate::storage::ObjectRef;

/// A checkpoint that has superseded others.
#[derive(Clone, Debug)]
pub struct Superseding {
    /// The checkpoint.
    pub completed: Completed,
    /// Its manifest.
    pub manifest: Manifest,
    /// What was retained when it was completed, see
    /// [`Attempt::completed`](crate::log::Attempt::completed).
    pub retained: Vec<Completed>,
}

/// Collects garbage in the order of the checkpoints.
#[derive(Debug)]
pub struct Collector {
    garbage: Mutex<Garbage>,
    waiting: std::sync::Mutex<VecDeque<Superseding>>,
}

impl Collector {
    /// Returns a collector that has nothing to do.
    #[must_use]
    pub fn new(garbage: Garbage) -> Self {
        Collector { garbage: Mutex::new(garbage), waiting: std::sync::Mutex::default() }
    }

    /// Says that a checkpoint is complete; called in the order of the checkpoints.
    pub fn add(&self, superseding: Superseding) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(superseding);
    }

    /// Deletes what those added have superseded, unless somebody else is about it: then waits for
    /// him.
    pub async fn collect(&self) {
        let mut garbage = self.garbage.lock().await;
        while let Some(Superseding { completed, manifest, retained }) = self.next() {
            garbage.collect(&retained, &completed, &manifest, &[]).await;
        }
    }

    /// Deletes what a checkpoint had written that will never be completed, see
    /// [`Garbage::discard`].
    pub async fn discard(&self, files: impl IntoIterator<Item = ObjectRef>) {
        self.garbage.lock().await.discard(files).await;
    }

    fn next(&self) -> Option<Superseding> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
