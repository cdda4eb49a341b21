//! One slot of the log: two objects that hold the same, of which the second decides.
//!
//! ```text
//! claim:  create log/{n}  --taken--> theirs          read:  copies/{n}  --whole--> that
//!           | ours, or damaged                                 | damaged or missing
//!         create copies/{n} --taken--> theirs                log/{n}    --whole--> that
//!           | ours                                             | damaged
//!         the slot is ours                                   nobody has finished it: free
//! ```
//!
//! Both are only ever created, never replaced, so that each has one winner. Nobody goes on before
//! the copy is made: neither an author, nor one who found the first object whole and the copy
//! missing, who makes the copy for him ([`settle`]). Hence what any two readers conclude is the same,
//! even if either object is damaged at any time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::StorageError;
use crate::storage::{Kind, ObjectRef, Storage, seal};

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The number of the slot, as in its path.
    pub(crate) slot: u64,
    /// The attempt that took it.
    pub(crate) attempt: u64,
    /// Tells attempts apart that wanted the same number.
    pub(crate) owner: u64,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    /// The attempt began.
    Fence,
    /// The attempt completed a checkpoint.
    Commit(Commit),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) checkpoint: u64,
    pub(crate) manifest: ObjectRef,
    /// The slot of the checkpoint that this one is built on.
    pub(crate) base: Option<u64>,
    /// The slot of the oldest checkpoint that is retained with this one.
    pub(crate) oldest: u64,
}

impl Entry {
    pub(crate) fn checkpoint(&self) -> Option<u64> {
        match &self.what {
            What::Fence => None,
            What::Commit(commit) => Some(commit.checkpoint),
        }
    }

    /// Returns whether the entry completes this checkpoint with this manifest.
    pub(crate) fn commits(&self, checkpoint: u64, manifest: &ObjectRef) -> bool {
        match &self.what {
            What::Fence => false,
            What::Commit(commit) => commit.checkpoint == checkpoint && commit.manifest == *manifest,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.checkpoint() {
            None => write!(f, "attempt {}", self.attempt),
            Some(checkpoint) => write!(f, "checkpoint {checkpoint} of attempt {}", self.attempt),
        }
    }
}

/// Where a slot is. Listed in the order of the numbers.
pub(crate) fn slot_path(slot: u64) -> String {
    format!("log/{slot:020}")
}

/// Where the copy of a slot is.
pub(crate) fn copy_path(slot: u64) -> String {
    format!("copies/{slot:020}")
}

/// Returns the number of the slot at a path.
pub(crate) fn slot_of(path: &str) -> Option<u64> {
    path.strip_prefix("log/")?.parse().ok()
}

/// The error about a slot of which nobody can know what it held.
pub(crate) fn undecided(slot: u64) -> StorageError {
    StorageError::Undecided { slot: slot_path(slot), copy: copy_path(slot) }
}

/// One of the two objects of a slot.
enum Seen {
    Whole(Entry),
    Damaged(StorageError),
    Missing,
}

async fn see(storage: &Storage, path: &str, slot: u64) -> Result<Seen, StorageError> {
    match storage.read::<Entry>(path, Kind::Slot).await {
        Ok(entry) if entry.slot == slot => Ok(Seen::Whole(entry)),
        Ok(entry) => {
            let problem = format!("holds what belongs to {}", slot_path(entry.slot));
            Ok(Seen::Damaged(StorageError::foreign(path, problem)))
        }
        Err(StorageError::Missing { .. }) => Ok(Seen::Missing),
        Err(error) if error.is_damage() => Ok(Seen::Damaged(error)),
        Err(error) => Err(error),
    }
}

/// What a slot means.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// This; the copy may still have to be made.
    Entry { entry: Entry, copied: bool },
    /// Nothing yet: it was being written. Whoever makes its copy decides.
    Unfinished,
    /// Nothing is there.
    Missing,
    /// Something was there, and nobody can know what.
    Lost,
}

/// Returns what a slot means.
pub(crate) async fn meaning(storage: &Storage, slot: u64) -> Result<Meaning, StorageError> {
    let path = copy_path(slot);
    let copy = match see(storage, &path, slot).await? {
        Seen::Whole(entry) => return Ok(Meaning::Entry { entry, copied: true }),
        copy => copy,
    };
    let first = see(storage, &slot_path(slot), slot).await?;
    Ok(match (copy, first) {
        (Seen::Damaged(error), Seen::Whole(entry)) => {
            tracing::warn!(%error, "the copy of a slot of the log is damaged, the slot is used");
            Meaning::Entry { entry, copied: true }
        }
        (_, Seen::Whole(entry)) => Meaning::Entry { entry, copied: false },
        (Seen::Missing, Seen::Damaged(_)) => Meaning::Unfinished,
        (Seen::Missing, Seen::Missing) => Meaning::Missing,
        _ => Meaning::Lost,
    })
}

/// Makes the copy of an entry whose author may not have come to it; returns `false` if the slot
/// turns out to hold something else.
pub(crate) async fn settle(storage: &Storage, entry: &Entry) -> Result<bool, StorageError> {
    let path = copy_path(entry.slot);
    if storage.create(&path, seal(&path, Kind::Slot, entry)?).await? {
        return Ok(true);
    }
    match see(storage, &path, entry.slot).await? {
        Seen::Whole(found) => Ok(found == *entry),
        // Whoever has damaged it: the entry is whole in its slot, and there is a copy.
        Seen::Damaged(_) => Ok(true),
        Seen::Missing => Ok(false),
    }
}

/// Who has a slot.
#[derive(Debug)]
pub(crate) enum Claim {
    /// We, now or since an earlier try.
    Ours,
    /// Another attempt.
    Theirs(Entry),
    /// Somebody whose entry cannot be read; perhaps we.
    Unknown(StorageError),
}

/// Why it is not known who has a slot.
#[derive(Debug)]
pub(crate) enum ClaimError {
    /// Our entry is not there and will not get there by what this call did.
    Not(StorageError),
    /// Our entry may be there, or get there yet.
    Unknown(StorageError),
}

/// Takes a slot, if nobody else has.
pub(crate) async fn claim(storage: &Storage, entry: &Entry) -> Result<Claim, ClaimError> {
    let path = slot_path(entry.slot);
    let object = seal(&path, Kind::Slot, entry).map_err(ClaimError::Not)?;
    let made = storage.create(&path, object.clone()).await;
    let mut whole = true;
    if !matches!(made, Ok(true)) {
        match see(storage, &path, entry.slot).await.map_err(ClaimError::Unknown)? {
            Seen::Whole(found) if found != *entry => return Ok(Claim::Theirs(found)),
            Seen::Whole(_) => {}
            // It may be ours or theirs: the copy decides.
            Seen::Damaged(_) => whole = false,
            Seen::Missing => {
                return Err(match made {
                    Err(error) if error.is_determinate() => ClaimError::Not(error),
                    Err(error) => ClaimError::Unknown(error),
                    Ok(_) => ClaimError::Unknown(StorageError::Missing { path }),
                });
            }
        }
    }
    // From here on a reader may conclude that the slot is ours: no failure is certain any more.
    let path = copy_path(entry.slot);
    let made = storage.create(&path, object).await;
    if matches!(made, Ok(true)) {
        return Ok(Claim::Ours);
    }
    match see(storage, &path, entry.slot).await.map_err(ClaimError::Unknown)? {
        Seen::Whole(found) if found == *entry => Ok(Claim::Ours),
        Seen::Whole(found) => Ok(Claim::Theirs(found)),
        // Our entry is whole in its slot: so everybody reads it.
        Seen::Damaged(_) if whole => Ok(Claim::Ours),
        Seen::Damaged(error) => Ok(Claim::Unknown(error)),
        Seen::Missing => {
            Err(ClaimError::Unknown(made.err().unwrap_or(StorageError::Missing { path })))
        }
    }
}
