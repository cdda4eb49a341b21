//! What the coordinator and the processes of a job say to each other.
//!
//! ```text
//! coordinator --Order--> every process        trigger, commit, let the job end
//! coordinator <-Report-- every process        frozen and stored, declined, committed, drained
//! ```
//!
//! The coordinator is in the first process; to the others the messages go over their links.
//!
//! **Sources**: Flink's `TriggerCheckpoint`, `AcknowledgeCheckpoint`, `DeclineCheckpoint`,
//! `NotifyCheckpointComplete`.

use highwater_core::cut::CutKind;
use highwater_core::time::Epoch;
use serde::{Deserialize, Serialize};

use crate::manifest::StoredPart;

/// One operator on one worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instance {
    /// The uid of the operator.
    pub uid: String,
    /// The worker.
    pub worker: usize,
}

/// What the coordinator asks of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Move all sources to the epoch after this one.
    Trigger {
        /// The epoch that ends, which is the number of the checkpoint.
        epoch: Epoch,
        /// How much operators freeze.
        kind: CutKind,
    },
    /// Make visible what sinks prepared in this epoch and before: the checkpoint is in the log.
    Commit {
        /// The checkpoint.
        checkpoint: Epoch,
    },
    /// End all sources where they are.
    Drain,
    /// Let the job end: its last checkpoint is complete.
    Release,
    /// Stop where you are.
    Halt,
}

/// What one operator on one worker has frozen for an epoch, once it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Which operator, where.
    pub instance: Instance,
    /// Its name.
    pub name: String,
    /// The epoch.
    pub epoch: Epoch,
    /// Its watermark at the cut.
    pub watermark: i64,
    /// Its states, each with what was stored of it; or why they could not be stored.
    pub states: Result<Vec<(String, StoredPart)>, String>,
    /// What its sink has prepared, as [`Sink::recover`](highwater_core::sink::Sink::recover) needs
    /// it.
    pub committables: Vec<String>,
}

/// What a process tells the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// All its workers have built their dataflows, which hold these operators.
    Started {
        /// The operators.
        instances: Vec<Instance>,
    },
    /// An operator has cut, and what it froze is stored or could not be.
    Acked(Ack),
    /// What sinks prepared up to the checkpoint is visible.
    Committed {
        /// The checkpoint.
        checkpoint: Epoch,
    },
    /// All sources have ended and everything has been worked off.
    Drained,
}
