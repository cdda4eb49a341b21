//! Deletes what no checkpoint needs any more.
//!
//! ```text
//! start of an attempt:  all of earlier attempts       - what retained manifests name --> delete
//! after each commit:    what the superseded ones name - what others name             --> delete
//! aborted checkpoint:   what it had written           - what others name             --> delete
//! ```
//!
//! **Invariants** (I8): a file is deleted only when no retained or in-progress manifest names it.
//! - What is retained is what the newest commit in the log says, and an attempt that goes on from
//!   an older checkpoint goes on from a retained one. So whatever a sleeping attempt deletes when
//!   it wakes, as superseded by its last commit or as older than its fence, no later attempt can
//!   name: each of them started from what that commit retains.
//! - A checkpoint in progress names files of its own attempt and of the checkpoint that its deltas
//!   are relative to. The former are only touched here once a manifest names them or
//!   [`Garbage::discard`] is told of them; the latter is a *base*, kept as if it were retained.
//! - A manifest that cannot be read may name anything: as long as it is retained no files of
//!   earlier attempts are deleted.
//! - Of the log only commits go: not those retained, not those by which its end is found
//!   (`log/end.rs`), not the one before a fence, which its author may still be asking for.
//!
//! Deleting is never needed for a right answer. What fails is logged, and found again by the sweep
//! at the start of the next attempt.
//!
//! **Cost**: one listing for each attempt; per commit nothing is listed, and two slots are read.

mod collector;

pub use collector::{Collector, Superseding};

use std::collections::BTreeSet;

use crate::error::StorageError;
use crate::log::{
    Completed, History, Meaning, What, copy_path, is_kept, meaning, newly_dispensable, slot_path,
};
use crate::manifest::{Manifest, manifest_path};
use crate::marker::marker_path;
use crate::storage::{ObjectRef, Storage};

/// How many slots a sweep looks at; what was not deleted in time is rare, and recent.
const SWEPT_SLOTS_MAX: usize = 256;

/// Knows which files are needed, and deletes the others.
#[derive(Debug)]
pub struct Garbage {
    storage: Storage,
    attempt: u64,
    /// The manifests whose files are needed, newest first.
    needed: Vec<Needed>,
    /// Retained checkpoints whose manifest could not be read.
    unread: Vec<Completed>,
}

#[derive(Debug)]
struct Needed {
    completed: Completed,
    files: BTreeSet<String>,
}

impl Garbage {
    /// Reads the retained manifests, so that it is known which files are needed.
    ///
    /// - `history`: what [`crate::log::fence`] found.
    /// - `attempt`: the number of the present attempt.
    pub async fn new(storage: &Storage, attempt: u64, history: &History) -> Self {
        let storage = storage.clone();
        let mut garbage = Garbage { storage, attempt, needed: Vec::new(), unread: Vec::new() };
        for completed in &history.completed {
            match Manifest::load(&garbage.storage, &completed.manifest).await {
                Ok(manifest) => garbage.needed.push(Needed::by(completed, &manifest)),
                Err(error) => {
                    tracing::warn!(
                        error = %error.sentence(), checkpoint = completed.checkpoint,
                        "a retained manifest cannot be read, files of earlier attempts are kept"
                    );
                    garbage.unread.push(completed.clone());
                }
            }
        }
        garbage
    }

    /// Deletes what earlier attempts have left behind.
    ///
    /// - `history`: what [`crate::log::fence`] found.
    pub async fn sweep(&self, history: &History) {
        let swept = self.left_behind(history).await;
        let deleted = match &swept {
            Ok(paths) => self.storage.delete(paths).await.map(|()| paths.len()),
            Err(_) => Ok(0),
        };
        match swept.and(deleted) {
            Ok(objects) => tracing::debug!(objects, "deleted what earlier attempts left behind"),
            Err(error) => warn(&error),
        }
        if let Err(error) = self.storage.clear_unfinished(self.attempt) {
            warn(&error);
        }
    }

    /// Deletes what a new checkpoint has superseded.
    ///
    /// - `retained`: what the attempt that has just completed it retains, see
    ///   [`Attempt::completed`](crate::log::Attempt::completed).
    /// - `manifest`: its manifest.
    /// - `bases`: the checkpoints that those in progress are relative to.
    pub async fn collect(
        &mut self,
        retained: &[Completed],
        completed: &Completed,
        manifest: &Manifest,
        bases: &[u64],
    ) {
        self.needed.insert(0, Needed::by(completed, manifest));
        let is_needed = |needed: &Needed| {
            retained.contains(&needed.completed) || bases.contains(&needed.completed.checkpoint)
        };
        let (needed, superseded): (Vec<_>, Vec<_>) = self.needed.drain(..).partition(is_needed);
        self.needed = needed;
        self.unread.retain(|unread| retained.contains(unread));
        let mut paths: BTreeSet<String> =
            superseded.into_iter().flat_map(|superseded| superseded.files).collect();
        if !self.unread.is_empty() {
            let own = format!("files/{}/", self.attempt);
            paths.retain(|path| path.starts_with(&own) || !path.starts_with("files/"));
        }
        self.delete_unneeded(paths).await;
        let oldest = retained.last().map_or(completed.slot, |oldest| oldest.slot);
        if let Err(error) = self.shorten_log(completed.slot, oldest).await {
            warn(&error);
        }
    }

    /// Deletes what a checkpoint had written that will never be completed.
    ///
    /// - `files`: the objects that its acknowledgements named, and its manifest if it was written.
    pub async fn discard(&self, files: impl IntoIterator<Item = ObjectRef>) {
        let own = format!("files/{}/", self.attempt);
        let manifest = format!("-{}", self.attempt);
        let is_own = |path: &String| {
            path.starts_with(&own) || path.starts_with("manifests/") && path.ends_with(&manifest)
        };
        let files = files.into_iter().map(|file| file.path).filter(is_own).collect();
        self.delete_unneeded(files).await;
    }

    async fn delete_unneeded(&self, mut paths: BTreeSet<String>) {
        for needed in &self.needed {
            paths.retain(|path| !needed.files.contains(path));
        }
        let paths: Vec<String> = paths.into_iter().collect();
        if let Err(error) = self.storage.delete(&paths).await {
            warn(&error);
        }
    }

    /// Returns what is there of earlier attempts and not needed.
    async fn left_behind(&self, history: &History) -> Result<Vec<String>, StorageError> {
        let mut paths = self.dispensable_slots(history).await?;
        let is_earlier = |attempt: Option<&str>| {
            attempt.and_then(|attempt| attempt.parse().ok()).is_some_and(|n: u64| n < self.attempt)
        };
        for folder in ["manifests", "committed"] {
            let mut found = self.storage.list(folder).await?;
            found.retain(|path| {
                let name = path.rsplit('/').next().unwrap_or_default();
                let is_retained = |completed: &Completed| {
                    name == format!("{}-{}", completed.checkpoint, completed.attempt)
                };
                is_earlier(name.split('-').nth(1)) && !history.completed.iter().any(is_retained)
            });
            paths.extend(found);
        }
        if self.unread.is_empty() {
            let mut found = self.storage.list("files").await?;
            found.retain(|path| is_earlier(path.split('/').nth(1)));
            found.retain(|path| !self.needed.iter().any(|needed| needed.files.contains(path)));
            paths.extend(found);
        }
        Ok(paths)
    }

    /// Returns the objects of slots that should have been deleted before.
    async fn dispensable_slots(&self, history: &History) -> Result<Vec<String>, StorageError> {
        let Some(end) = history.end else {
            return Ok(Vec::new());
        };
        let oldest = history.oldest_slot();
        let mut listed: Vec<u64> = Vec::new();
        for path in self.storage.list("log").await? {
            listed.extend(path.rsplit('/').next().and_then(|slot| slot.parse::<u64>().ok()));
        }
        listed.retain(|slot| *slot < oldest && !is_kept(*slot, end));
        let mut paths = Vec::new();
        for slot in listed.into_iter().rev().take(SWEPT_SLOTS_MAX) {
            if self.is_superseded(slot).await? {
                paths.extend([slot_path(slot), copy_path(slot)]);
            }
        }
        Ok(paths)
    }

    /// Deletes the slots that the log no longer needs now that it has this end.
    async fn shorten_log(&self, end: u64, oldest: u64) -> Result<(), StorageError> {
        for slot in newly_dispensable(end).filter(|slot| *slot < oldest) {
            if self.is_superseded(slot).await? {
                self.storage.delete(&[slot_path(slot), copy_path(slot)]).await?;
            }
        }
        Ok(())
    }

    /// Returns whether a slot that is not retained holds a commit that no fence follows.
    async fn is_superseded(&self, slot: u64) -> Result<bool, StorageError> {
        let Meaning::Entry { entry, .. } = meaning(&self.storage, slot).await? else {
            return Ok(false);
        };
        if !matches!(entry.what, What::Commit(_)) {
            return Ok(false);
        }
        Ok(match meaning(&self.storage, slot + 1).await? {
            Meaning::Entry { entry, .. } => matches!(entry.what, What::Commit(_)),
            // Fences are not deleted: it was a commit.
            Meaning::Missing => true,
            Meaning::Unfinished | Meaning::Lost => false,
        })
    }
}

impl Needed {
    fn by(completed: &Completed, manifest: &Manifest) -> Self {
        let mut files: BTreeSet<String> =
            manifest.objects().map(|object| object.path.clone()).collect();
        let Completed { checkpoint, attempt, .. } = *completed;
        files.extend([manifest_path(checkpoint, attempt), marker_path(checkpoint, attempt)]);
        Needed { completed: completed.clone(), files }
    }
}

fn warn(error: &StorageError) {
    tracing::warn!(
        error = %error.sentence(),
        "what is no longer needed could not be deleted; the next attempt tries again"
    );
}
