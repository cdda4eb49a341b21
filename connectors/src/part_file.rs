//! Files as output: hidden while they are written, visible when they are committed.
//!
//! ```text
//! rows --> DIR/.part-00000-1.csv.x.tmp --rolled, or the epoch ends--> sealed
//!                                                  | prepare: flushed, synced
//!          the checkpoint is complete, or the job has ended
//!                 |-- commit --> DIR/part-00000-1-3-0.csv, or DIR/part-00000.csv
//!                 '-- abort  --> gone
//! a later attempt: recover(what was prepared and is committed) --> visible, all else gone
//! ```
//!
//! The result of a job is what `DIR/part-*` matches, or `DIR/NAME-*` for a sink that was named.
//! Readers of a folder skip names that begin with a dot. No file is empty, and none is changed
//! after it has become visible.
//!
//! - *A job without checkpoints* makes one file a worker, `part-WORKER.csv`, when it has succeeded.
//! - *A job with checkpoints* makes `part-WORKER-ATTEMPT-EPOCH-NUMBER.csv` with each of them. A file
//!   also ends when it is large or old enough, see [`PartSink::roll_at`]. The files of one checkpoint
//!   become visible one after the other, so a reader may see some of them before the others.
//!
//! **Old results.** A folder with any visible file is refused when the sink is opened, before the
//! job has read a single record, unless it may be overwritten or the job goes on from a checkpoint.
//! If it may be overwritten, the files of the same name prefix are replaced or removed when the job
//! commits for the first time, and stay as they are when it fails before that.
//!
//! **Invariants**
//! - *One name, one content*: a file that is committed never takes the place of another one, except
//!   of an old result that it replaces (`Place::show`).
//! - *Committed means kept*: from `prepare` to `commit` nothing removes a hidden file but an abort,
//!   or a later attempt for which its checkpoint is not in the log (`Place::sweep`).
//! - *Every old file has one remover*: without checkpoints a file named like that of a worker is
//!   left to that worker; any other to worker 0. So the workers may commit in any order, and none
//!   removes what another has just put there. What an old file was is remembered with its name, so
//!   that a repeated removal spares a newer file.
//!
//! Left out: a commit over several files is not one atomic step; a killed job without checkpoints
//! leaves its hidden files.
//!
//! **Sources**: Flink's `FileSink` (in-progress, pending and finished files).

mod name;
mod folder;
mod format;
mod place;
#[cfg(feature = "object-store")]
mod objects;
mod sealed;
mod sink;
mod writer;

pub use self::folder::refuse_existing;
pub use self::format::{PartBytes, RowError, RowFormat};
pub use self::sink::PartSink;

#[cfg(test)]
mod epochs;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
