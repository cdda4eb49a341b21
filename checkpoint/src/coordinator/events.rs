//! What the coordinator is told, and what it wants done.

use highwater_core::error::Error;
use highwater_core::time::Epoch;

use crate::log::Completed;
use crate::manifest::Manifest;
use crate::messages::{Order, Report};
use crate::storage::ObjectRef;

/// What is known of a job before it starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Which start of the job this is.
    pub attempt: u64,
    /// The epoch in which it begins.
    pub first: Epoch,
    /// The number of key groups.
    pub max_parallelism: u32,
    /// The number of workers.
    pub workers: usize,
}

/// What happens to the job after a savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    Continue,
    /// It stops where it is.
    Suspend,
    /// Its sources end, windows fire, and the savepoint is taken after that.
    Drain,
}

/// A wish for a savepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where to put it; `None` if a checkpoint of the job is enough.
    pub url: Option<String>,
    /// What happens to the job afterwards.
    pub then: Then,
}

/// What the coordinator is told.
#[derive(Debug)]
pub enum Event {
    /// Some time has passed.
    Tick,
    /// A process says something.
    Report(Report),
    /// The manifest is written, or could not be.
    Written(Result<ObjectRef, String>),
    /// The manifest is in the log; or it certainly is not and will not be, for this reason.
    Logged(Result<Completed, String>),
    /// It is noted that all effects of the checkpoint are visible.
    Marked,
    /// The savepoint is where it was wished for, or could not be put there.
    Exported(Result<(), String>),
    /// Somebody wishes for a savepoint.
    Request(Request),
}

/// What the coordinator wants done.
#[derive(Debug)]
pub enum Action {
    /// Tell the processes.
    Order(Order),
    /// Write a manifest.
    Write(Box<Manifest>),
    /// Put the manifest of a checkpoint into the log.
    Log {
        /// The checkpoint.
        checkpoint: Epoch,
        /// Where its manifest is.
        manifest: ObjectRef,
    },
    /// Note that all effects of a checkpoint are visible.
    Mark(Completed),
    /// Delete what no retained checkpoint needs.
    Collect {
        /// The checkpoint that is complete now.
        completed: Completed,
        /// Its manifest.
        manifest: Box<Manifest>,
    },
    /// Delete what a checkpoint had written that was given up.
    Discard(Vec<ObjectRef>),
    /// Put a copy of the checkpoint where the request says.
    Export {
        /// Where.
        url: String,
        /// What.
        manifest: Box<Manifest>,
    },
    /// Answer the request for a savepoint.
    Answer(Result<Epoch, String>),
    /// End the job with an error.
    Fail(Error),
}
