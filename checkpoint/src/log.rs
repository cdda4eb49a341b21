//! The log of a job: who may complete checkpoints, and which ones are complete.
//!
//! ```text
//! slot  0         1          2          3         4          5
//!       Fence{1}  Commit{7}  Commit{8}  Fence{2}  Commit{9}  ?     <- attempt 2 alone may take it
//!                 base: -    base: 1              base: 2          (and whoever fences it)
//! ```
//!
//! A slot can be taken once. An attempt begins by taking the slot after the last one with a `Fence`,
//! and completes a checkpoint by taking the slot after its own last one with a `Commit`. That slot
//! is in the log = the checkpoint is complete; nothing before it counts, nothing after it is needed.
//!
//! **Invariants**
//! - *Fenced* (I10): after `Fence{a + 1}` no commit of an attempt `<= a` enters the log. An attempt
//!   tries no slot but the one after its own last one. Once it is fenced, that slot is the next
//!   attempt's `Fence`: every slot before the fence was taken when the fence was made, by entries
//!   that are not its own or are its last. Fences are never deleted, so the try fails for ever,
//!   however long a sleeping attempt sleeps. (Tested with zombies in `tests/log.rs`.)
//! - *Known*: an attempt whose commit failed in an unknown way tries nothing but the same commit
//!   again ([`CommitError::Unsettled`]). The slot before a fence is never deleted either, so that
//!   such a commit, repeated after a long sleep, finds what became of it.
//! - *Visible after* (I9): effects are committed after [`Attempt::commit`] returned, or after
//!   [`fence`] found the commit; both have made the slot's copy before (`log/slot.rs`), so that
//!   damage of one object cannot undo what others have seen.
//! - *Whole*: from the oldest retained commit to the end no slot is ever deleted; a hole there is
//!   damage. A commit names its base and the oldest commit that is retained with it: what may be
//!   restored is known from the log alone, and agreed by all who read it (`garbage.rs` builds on it).
//!
//! **Damage**: a slot and its copy hold the same. One that cannot be read is replaced by the other,
//! with a warning. A last slot that cannot be read and has no copy was being written when the lights
//! went out: its author has not gone on (the copy comes first), so nothing of it is visible, and the
//! next fence takes its place. With both unreadable nobody knows, and [`fence`] says so.
//!
//! **Cost**: two small objects per checkpoint; kept are fences, retained commits, and of the others
//! a number that grows with the logarithm of the log (`log/end.rs`).
//!
//! **Sources**: Arroyo's state protocol, which has separate objects for generations and epochs: a
//! coordinator that wakes between the two completes a checkpoint whose transactions are gone.

mod end;
mod slot;

pub(crate) use end::{is_kept, newly_dispensable};
pub(crate) use slot::{Meaning, What, copy_path, meaning, slot_path};

use std::collections::BTreeMap;

use futures_util::StreamExt;

use crate::error::{CommitError, StorageError};
use crate::storage::{ObjectRef, Storage};
use end::{SPAN, find_end};
use slot::{Claim, ClaimError, Commit, Entry, claim, settle};

/// How many slots are read at once.
const READS_AT_ONCE: usize = 8;
/// How often a fence begins again because a slot vanished under its hands.
const VANISHED_MAX: u32 = 10;

/// A checkpoint that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The slot of the log that completed it.
    pub slot: u64,
    /// The epoch that it closes.
    pub checkpoint: u64,
    /// The attempt that made it.
    pub attempt: u64,
    /// Its manifest.
    pub manifest: ObjectRef,
}

/// What the log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The latest attempt, if there was one.
    pub attempt: Option<u64>,
    /// The last slot, if there is one.
    pub end: Option<u64>,
    /// The retained checkpoints, newest first: each was built on the one after it. One whose objects
    /// are damaged may be replaced by the next.
    pub completed: Vec<Completed>,
}

impl History {
    /// Returns the newest completed checkpoint.
    #[must_use]
    pub fn newest(&self) -> Option<&Completed> {
        self.completed.first()
    }

    /// Returns the slot from which nothing may be deleted.
    pub(crate) fn oldest_slot(&self) -> u64 {
        self.completed.last().map_or(0, |oldest| oldest.slot)
    }
}

/// Reads the log without changing it. A running job goes on meanwhile.
///
/// # Errors
/// If the store does not answer, or if damage leaves open what is complete.
pub async fn read(storage: &Storage) -> Result<History, StorageError> {
    Ok(look(storage, None).await?.history)
}

/// Begins an attempt: takes the end of the log, so that no earlier attempt completes anything any
/// more, and returns what the log says.
///
/// # Errors
/// If the store does not answer or refuses, or if damage leaves open what is complete.
pub async fn fence(storage: &Storage) -> Result<(Attempt, History), StorageError> {
    let owner = storage.pace().nonce();
    let mut known = None;
    let mut vanished = 0;
    loop {
        let view = look(storage, known).await?;
        if let Some(last) = &view.uncopied
            && !settle(storage, last).await?
        {
            continue;
        }
        let attempt = view.history.attempt.unwrap_or(0) + 1;
        let entry = Entry { slot: view.free, attempt, owner, what: What::Fence };
        match claim(storage, &entry).await {
            Ok(Claim::Ours) => {}
            Ok(Claim::Theirs(other)) => {
                tracing::debug!(slot = entry.slot, %other, "another attempt was faster");
                known = Some(entry.slot);
                continue;
            }
            Ok(Claim::Unknown(_)) => return Err(slot::undecided(entry.slot)),
            // It was there when we wrote and not when we read: somebody deletes by hand.
            Err(ClaimError::Unknown(StorageError::Missing { .. })) if vanished < VANISHED_MAX => {
                vanished += 1;
                continue;
            }
            Err(ClaimError::Not(error) | ClaimError::Unknown(error)) => return Err(error),
        }
        // The slot may have been free because it had been deleted, when the log went on while we
        // looked for its end. Then its true end is at least a span away.
        let end = find_end(storage, Some(entry.slot)).await?.unwrap_or(entry.slot);
        if end >= entry.slot + SPAN {
            known = Some(end);
            continue;
        }
        let chain = view.history.completed.clone();
        let attempt = Attempt {
            storage: storage.clone(),
            number: attempt,
            owner,
            last: entry.slot,
            chain,
            retained: 1,
            unsettled: None,
            fenced_by: None,
        };
        return Ok((attempt, view.history));
    }
}

/// The right to complete checkpoints, until another attempt takes it.
#[derive(Debug)]
pub struct Attempt {
    storage: Storage,
    number: u64,
    owner: u64,
    /// The last slot that is ours.
    last: u64,
    /// What the next checkpoint is built on, newest first.
    chain: Vec<Completed>,
    retained: usize,
    /// What was tried and may be in the log.
    unsettled: Option<Entry>,
    fenced_by: Option<String>,
}

impl Attempt {
    /// Returns the number of the attempt, counted from 1. It is part of the paths of its objects.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the last slot of the log that the attempt has taken; its fence at first.
    #[must_use]
    pub fn slot(&self) -> u64 {
        self.last
    }

    /// Returns the completed checkpoints that are retained, newest first.
    #[must_use]
    pub fn completed(&self) -> &[Completed] {
        &self.chain
    }

    /// Retains this many of the newest checkpoints with each further one; one unless said
    /// otherwise. A damaged checkpoint can be replaced by an older one only if that is retained.
    pub fn retain(&mut self, checkpoints: usize) {
        self.retained = checkpoints.max(1);
    }

    /// Says what the attempt goes on from: the next checkpoint is built on it, and newer ones are
    /// given up. Without this it is the newest in the log.
    ///
    /// - `from`: a checkpoint of the history, or `None` for a savepoint or a new start.
    pub fn goes_on_from(&mut self, from: Option<&Completed>) {
        let older = |completed: &Completed| from.is_some_and(|from| completed.slot <= from.slot);
        self.chain.retain(older);
    }

    /// Returns whether no later attempt has begun, as far as can be seen. One that has begun deletes
    /// what it does not need: an attempt that restores and finds something missing asks this first.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn is_latest(&self) -> Result<bool, StorageError> {
        Ok(match meaning(&self.storage, self.last + 1).await? {
            Meaning::Entry { entry, .. } => entry.owner == self.owner,
            Meaning::Missing | Meaning::Unfinished => true,
            Meaning::Lost => false,
        })
    }

    /// Completes a checkpoint: this is the instant at which it counts. A commit that ended
    /// [unsettled](CommitError::Unsettled) may be tried again with the same arguments.
    ///
    /// - `manifest`: its manifest, which has been written, as have the objects that it names.
    ///
    /// # Errors
    /// If another attempt has begun, or the store failed; the variants say what is known.
    ///
    /// # Panics
    /// If the checkpoint is not newer than what the attempt goes on from.
    pub async fn commit(
        &mut self,
        checkpoint: u64,
        manifest: &ObjectRef,
    ) -> Result<Completed, CommitError> {
        let slot = self.last + 1;
        if let Some(by) = &self.fenced_by {
            return Err(CommitError::Fenced { attempt: self.number, by: by.clone(), slot });
        }
        let tried_before = self.unsettled.is_some();
        let entry = match &self.unsettled {
            Some(entry) if entry.commits(checkpoint, manifest) => entry.clone(),
            Some(entry) => {
                let unsettled = entry.checkpoint().unwrap_or_default();
                return Err(CommitError::Waiting { checkpoint, unsettled });
            }
            None => self.entry(checkpoint, manifest),
        };
        // Said before the first try: if the caller drops this future, the try may still succeed.
        self.unsettled = Some(entry.clone());
        match claim(&self.storage, &entry).await {
            Ok(Claim::Ours) => {
                self.unsettled = None;
                self.last = slot;
                let manifest = manifest.clone();
                let completed = Completed { slot, checkpoint, attempt: self.number, manifest };
                self.chain.insert(0, completed.clone());
                self.chain.truncate(self.retained);
                Ok(completed)
            }
            Ok(Claim::Theirs(by)) => {
                let by = by.to_string();
                self.fenced_by = Some(by.clone());
                Err(CommitError::Fenced { attempt: self.number, by, slot })
            }
            Err(ClaimError::Not(source)) if !tried_before => {
                self.unsettled = None;
                Err(CommitError::Declined { checkpoint, source })
            }
            Ok(Claim::Unknown(source))
            | Err(ClaimError::Not(source) | ClaimError::Unknown(source)) => {
                Err(CommitError::Unsettled { checkpoint, source })
            }
        }
    }

    fn entry(&self, checkpoint: u64, manifest: &ObjectRef) -> Entry {
        let slot = self.last + 1;
        let base = self.chain.first();
        if let Some(base) = base {
            let newer = checkpoint > base.checkpoint;
            assert!(newer, "checkpoint {checkpoint} on top of checkpoint {}", base.checkpoint);
        }
        let also_retained = self.chain.iter().take(self.retained - 1).next_back();
        let what = What::Commit(Commit {
            checkpoint,
            manifest: manifest.clone(),
            base: base.map(|base| base.slot),
            oldest: also_retained.map_or(slot, |oldest| oldest.slot),
        });
        Entry { slot, attempt: self.number, owner: self.owner, what }
    }
}

/// What was found at the end of the log.
struct View {
    history: History,
    /// The last entry, if its copy is missing.
    uncopied: Option<Entry>,
    /// The slot to take: the one after the last, or the last if it was never finished.
    free: u64,
}

/// Reads the log back from its end, as far as anything in it matters.
async fn look(storage: &Storage, mut known: Option<u64>) -> Result<View, StorageError> {
    loop {
        let Some(end) = find_end(storage, known).await? else {
            return Ok(View { history: History::default(), uncopied: None, free: 0 });
        };
        match read_back(storage, end).await {
            // A running attempt deletes slots behind us while we read.
            Err(StorageError::Undecided { .. })
                if find_end(storage, Some(end)).await? != Some(end) =>
            {
                known = Some(end);
            }
            view => return view,
        }
    }
}

async fn read_back(storage: &Storage, end: u64) -> Result<View, StorageError> {
    let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
    let mut view = View { history: History::default(), uncopied: None, free: end + 1 };
    // The oldest slot that matters, known once the newest commit is.
    let mut oldest = None;
    let mut slots = futures_util::stream::iter((0..=end).rev())
        .map(|slot| async move { (slot, meaning(storage, slot).await) })
        .buffered(READS_AT_ONCE);
    while let Some((slot, found)) = slots.next().await {
        if oldest.is_some_and(|oldest| slot < oldest) {
            break;
        }
        match found? {
            Meaning::Entry { entry, copied } => {
                if slot == end && !copied {
                    view.uncopied = Some(entry.clone());
                }
                if let (None, What::Commit(commit)) = (oldest, &entry.what) {
                    oldest = Some(commit.oldest);
                }
                entries.insert(slot, entry);
            }
            Meaning::Unfinished if slot == end => {
                tracing::warn!(
                    slot = slot_path(slot),
                    "the last slot of the log is damaged and has no copy: whoever wrote it was \
                     interrupted, the checkpoint before counts"
                );
                view.free = end;
            }
            // Somebody had begun to write it, and not even that is left.
            Meaning::Missing if slot == end => view.free = end,
            Meaning::Unfinished | Meaning::Lost | Meaning::Missing if oldest.is_some() => {
                tracing::warn!(
                    slot = slot_path(slot),
                    "a slot of the log and its copy are damaged or missing: an older checkpoint \
                     cannot be used"
                );
            }
            Meaning::Unfinished | Meaning::Lost | Meaning::Missing => {
                return Err(slot::undecided(slot));
            }
        }
    }
    view.history = History {
        attempt: entries.values().map(|entry| entry.attempt).max(),
        end: Some(end),
        completed: chain(&entries, oldest),
    };
    Ok(view)
}

/// Follows the bases from the newest commit to the oldest that is retained.
fn chain(entries: &BTreeMap<u64, Entry>, oldest: Option<u64>) -> Vec<Completed> {
    let newest = entries.values().rev().find(|entry| entry.checkpoint().is_some());
    let mut completed = Vec::new();
    let mut next = newest;
    while let Some(Entry { slot, attempt, what: What::Commit(commit), .. }) = next {
        completed.push(Completed {
            slot: *slot,
            checkpoint: commit.checkpoint,
            attempt: *attempt,
            manifest: commit.manifest.clone(),
        });
        // A base stands before what is built on it, whatever a damaged log says.
        let base = commit.base.filter(|base| base < slot && Some(*base) >= oldest);
        next = base.and_then(|base| entries.get(&base));
    }
    completed
}
