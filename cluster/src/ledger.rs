//! What coordinators must not forget, and which of them counts.
//!
//! ```text
//! slot  0         1       2       3         4            5
//!       Fence{1}  Job{a}  Job{b}  Fence{2}  Whole{a, b}  ?     <- coordinator 2 alone may take it
//!                                                                 (and whoever fences it)
//! ```
//!
//! The objects are under the address that all coordinators of a cluster are given. A slot is created
//! once, so that it has one winner. A coordinator begins by taking the slot after the last with a
//! `Fence`, and remembers something by taking the slot after its own last one. When that is taken by
//! somebody else, it was fenced, and ends.
//!
//! **Invariants**
//! - *Fenced*: after `Fence{n + 1}` nothing of coordinator `n` enters the ledger, however long it
//!   slept: it tries no slot but the one after its own last, which is the next fence, and fences are
//!   never deleted.
//! - *Whole*: what a `Whole` does not hold is forgotten; slots before it are deleted, but for fences.
//!
//! **Cost**: an object for each change of a job; after 256 of them one with all jobs.
//!
//! **Sources**: the log of checkpoints, `checkpoint/src/log.rs`.

use std::collections::BTreeMap;

use highwater::checkpoint::{Storage, StorageError};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::{JobId, random};
use crate::record::JobRecord;

/// After how many slots all that is known is written anew.
const SLOTS_MAX: usize = 256;
/// How often a coordinator that begins tries to be the next one, when others begin, too.
const TRIES: usize = 100;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    slot: u64,
    coordinator: u64,
    /// Tells coordinators apart that wanted the same number.
    owner: u64,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    /// The coordinator began.
    Fence,
    /// What is known of a job now.
    Job(Box<JobRecord>),
    /// A job is forgotten.
    Forgotten(JobId),
    /// All jobs.
    Whole(Vec<JobRecord>),
}

/// The right to remember.
#[derive(Debug)]
pub struct Ledger {
    storage: Storage,
    coordinator: u64,
    owner: u64,
    /// The slot that is tried next.
    next: u64,
    /// The slots that the next `Whole` makes superfluous.
    superfluous: Vec<String>,
}

fn path(slot: u64) -> String {
    format!("ledger/{slot:020}")
}

fn slot_of(path: &str) -> Option<u64> {
    path.strip_prefix("ledger/")?.parse().ok()
}

async fn read(storage: &Storage, slot: u64) -> Result<Entry> {
    let path = path(slot);
    let bytes = storage.fetch(&path).await?;
    let damaged = |problem: String| Error::Damaged { path: path.clone(), problem };
    let entry: Entry =
        serde_json::from_slice(&bytes).map_err(|cause| damaged(cause.to_string()))?;
    match entry.slot == slot {
        true => Ok(entry),
        false => Err(damaged(format!("it holds what belongs to slot {}", entry.slot))),
    }
}

impl Ledger {
    /// Takes over from the coordinator before, and returns what is known of all jobs.
    ///
    /// # Errors
    /// When the storage cannot be read or written, or an object in it is damaged.
    pub async fn open(storage: Storage) -> Result<(Self, Vec<JobRecord>)> {
        let owner = random()?;
        for _ in 0..TRIES {
            let mut slots: Vec<u64> =
                storage.list("ledger").await?.iter().filter_map(|path| slot_of(path)).collect();
            slots.sort_unstable();
            let (mut last, mut jobs, mut superfluous) = (0, BTreeMap::new(), Vec::new());
            for slot in &slots {
                let entry = match read(&storage, *slot).await {
                    Ok(entry) => entry,
                    // The coordinator before has just written all anew.
                    Err(Error::Storage(StorageError::Missing { .. })) => continue,
                    Err(error) => return Err(error),
                };
                last = last.max(entry.coordinator);
                if entry.what != What::Fence {
                    superfluous.push(path(*slot));
                }
                match entry.what {
                    What::Fence => {}
                    What::Job(record) => drop(jobs.insert(record.spec.id, *record)),
                    What::Forgotten(id) => drop(jobs.remove(&id)),
                    What::Whole(records) => {
                        jobs = records.into_iter().map(|job| (job.spec.id, job)).collect();
                    }
                }
            }
            let next = slots.last().map_or(0, |slot| slot + 1);
            let mut ledger = Ledger {
                storage: storage.clone(),
                coordinator: last + 1,
                owner,
                next,
                superfluous,
            };
            match ledger.append(What::Fence).await {
                Ok(()) => return Ok((ledger, jobs.into_values().collect())),
                Err(Error::Fenced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let why = format!("{TRIES} others were faster");
        Err(Error::Damaged { path: storage.to_string(), problem: why })
    }

    /// Returns which coordinator this is.
    #[must_use]
    pub fn coordinator(&self) -> u64 {
        self.coordinator
    }

    /// Remembers what is known of a job.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another coordinator has taken over; others when the storage fails.
    pub async fn save(&mut self, record: &JobRecord) -> Result<()> {
        self.superfluous.push(path(self.next));
        self.append(What::Job(Box::new(record.clone()))).await
    }

    /// Forgets a job.
    ///
    /// # Errors
    /// As [`Ledger::save`].
    pub async fn forget(&mut self, job: JobId) -> Result<()> {
        self.superfluous.push(path(self.next));
        self.append(What::Forgotten(job)).await
    }

    /// Whether all that is known should be written anew.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.superfluous.len() >= SLOTS_MAX
    }

    /// Writes all that is known anew, and deletes what was written before.
    ///
    /// # Errors
    /// As [`Ledger::save`].
    pub async fn rewrite(&mut self, records: Vec<JobRecord>) -> Result<()> {
        let whole = path(self.next);
        self.append(What::Whole(records)).await?;
        let superfluous = std::mem::replace(&mut self.superfluous, vec![whole]);
        if let Err(error) = self.storage.delete(&superfluous).await {
            tracing::warn!(%error, "slots of the ledger stay behind");
        }
        Ok(())
    }

    /// Checks that no other coordinator has taken over.
    ///
    /// # Errors
    /// As [`Ledger::save`].
    pub async fn check(&self) -> Result<()> {
        match self.storage.exists(&path(self.next)).await? {
            true => Err(self.fenced().await),
            false => Ok(()),
        }
    }

    async fn append(&mut self, what: What) -> Result<()> {
        let (slot, coordinator, owner) = (self.next, self.coordinator, self.owner);
        let entry = Entry { slot, coordinator, owner, what };
        let damaged = |cause: serde_json::Error| Error::Damaged {
            path: path(slot),
            problem: cause.to_string(),
        };
        let bytes = serde_json::to_vec(&entry).map_err(damaged)?;
        let made = self.storage.create(&path(slot), bytes.into()).await;
        // A try that failed may have been done: what is there decides.
        let is_ours = match made {
            Ok(true) => true,
            Ok(false) => read(&self.storage, slot).await? == entry,
            Err(error) => match read(&self.storage, slot).await {
                Ok(found) => found == entry,
                Err(_) => return Err(error.into()),
            },
        };
        if !is_ours {
            return Err(self.fenced().await);
        }
        self.next += 1;
        Ok(())
    }

    async fn fenced(&self) -> Error {
        let by = read(&self.storage, self.next).await.map(|entry| entry.coordinator);
        let by = by.unwrap_or(self.coordinator + 1);
        Error::Fenced { ours: self.coordinator, by, ledger: self.storage.to_string() }
    }
}

#[cfg(test)]
mod tests;
