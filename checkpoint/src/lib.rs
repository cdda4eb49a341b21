//! How a job moves from one epoch to the next, and how its memory survives.
//!
//! ```text
//! trigger --> every source moves its capability (e, w) -> (e + 1, w), between two batches
//!         --> the frontier leaves e, operator by operator --> each freezes its state and goes on
//!
//! objects under the address of the job:
//!   files/{attempt}/..                 parts of states
//!   manifests/{checkpoint}-{attempt}   the list of them            written after them
//!   log/{n}, copies/{n}                Fence | Commit(manifest)  THE COMMIT, by conditional create
//!   committed/{checkpoint}-{attempt}   all its effects are visible
//! ```
//!
//! An epoch is a consistent cut through the job: what came before it is in the frozen state, what
//! comes after is not. Nothing waits for it: a worker that is ahead keeps batches of the next epoch
//! in its queue and goes on with this one.
//!
//! **Sources**: Carbone et al., Lightweight Asynchronous Snapshots for Distributed Dataflows, 2015.

pub mod options;
pub mod checkpoints;
mod threaded;

mod process;
mod driver;
pub mod background;
pub mod coordinator;
pub mod messages;

mod restore;
mod export;

pub mod log;
pub mod manifest;
pub mod marker;
pub mod garbage;
pub mod savepoint;
pub mod storage;

pub mod inspect;

pub mod error;
#[cfg(feature = "testing")]
pub mod testing;

pub use checkpoints::{Checkpoints, Requests};
pub use coordinator::{Status, Then};
pub use error::{CommitError, StorageError};
pub use options::{CheckpointOptions, Restore};
pub use storage::{ObjectRef, Storage};
pub use threaded::{Running, Threaded};
