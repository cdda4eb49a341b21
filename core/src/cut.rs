//! The cut between two epochs: what operators freeze there, and who takes it.
//!
//! ```text
//! shell: epoch e is complete --> Logic::freeze(cut) --> FrozenState ...    Committable ...
//!                                                            | any thread       | prepare
//!                                                       EncodedState: bytes   text
//! the next start of the job:  Snapshots::restored(uid) --> operator     Sink::recover
//! ```
//!
//! Freezing takes constant time on the worker; encoding is done elsewhere, while the worker goes on.
//!
//! **Sources**: Lightweight Asynchronous Snapshots, 2015; Flink's `OperatorSnapshotFutures`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metrics::OperatorMetrics;
use crate::sink::Committable;
use crate::time::Epoch;

/// One state of one operator on one worker as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedState {
    /// The name of the state, unique within the operator.
    pub state: String,
    /// The entries, in the format of the state crate.
    pub part: Vec<u8>,
    /// In a delta: what the entries replace of the snapshot before. `None` in a full snapshot.
    pub slots: Option<Vec<u8>>,
}

/// One frozen state, on its way to become bytes.
pub trait FrozenState: Send {
    /// Returns the name of the state.
    fn state(&self) -> &str;

    /// Encodes the state; takes a time that depends on its size, on any thread.
    ///
    /// # Errors
    /// When it cannot be written as its type says.
    fn encode(self: Box<Self>) -> Result<EncodedState>;
}

/// How much is frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutKind {
    /// Only what has changed since the freeze before, where that was tracked.
    pub delta: bool,
    /// Track what changes from now on, so that the next one may be a delta.
    pub track: bool,
}

/// What an operator hands over at the end of an epoch.
pub struct Cut {
    /// The epoch that ends.
    pub epoch: Epoch,
    /// How much is to be frozen.
    pub kind: CutKind,
    /// The operator's watermark as Flink counts it: the floor of what it will fire again.
    pub watermark: i64,
    /// The processing time, in ms since 1970: values that have expired by then are left out.
    pub now_ms: i64,
    states: Vec<Box<dyn FrozenState>>,
    committables: Vec<Box<dyn Committable>>,
    failure: Option<Error>,
}

impl std::fmt::Debug for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let states: Vec<_> = self.states.iter().map(|state| state.state()).collect();
        f.debug_struct("Cut")
            .field("epoch", &self.epoch)
            .field("kind", &self.kind)
            .field("watermark", &self.watermark)
            .field("states", &states)
            .field("committables", &self.committables.len())
            .finish_non_exhaustive()
    }
}

impl Cut {
    /// Returns a cut to which nothing has been added.
    #[must_use]
    pub fn new(epoch: Epoch, kind: CutKind, watermark: i64, now_ms: i64) -> Self {
        let (states, committables) = (Vec::new(), Vec::new());
        Cut { epoch, kind, watermark, now_ms, states, committables, failure: None }
    }

    /// Adds a frozen state.
    pub fn add(&mut self, state: Box<dyn FrozenState>) {
        self.states.push(state);
    }

    /// Adds results that become visible with the checkpoint.
    pub fn add_committables(&mut self, committables: Vec<Box<dyn Committable>>) {
        self.committables.extend(committables);
    }

    /// Says that something could not be frozen, which ends the job; the first error counts.
    pub fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Takes the error with which freezing failed.
    pub fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Takes the results that become visible with the checkpoint.
    pub fn take_committables(&mut self) -> Vec<Box<dyn Committable>> {
        std::mem::take(&mut self.committables)
    }

    /// Returns the frozen states, in the order in which they were added.
    #[must_use]
    pub fn into_states(self) -> Vec<Box<dyn FrozenState>> {
        self.states
    }

    /// Encodes all states, one after the other.
    ///
    /// # Errors
    /// Those of the states.
    pub fn encode(self) -> Result<Vec<EncodedState>> {
        self.states.into_iter().map(FrozenState::encode).collect()
    }
}

/// Takes what operators freeze, and gives back what was stored of them.
///
/// # Contract
/// - *Soon*: `take` is called on the worker and returns at once; work is done elsewhere.
pub trait Snapshots: Send + Sync {
    /// Returns the epoch in which the job begins: the one after the checkpoint it goes on from.
    fn first_epoch(&self) -> Epoch;

    /// Returns which start of the job this is, from 1.
    fn attempt(&self) -> u64;

    /// Returns whether the job goes on from a checkpoint.
    fn resumes(&self) -> bool;

    /// Says how much the operators freeze at the end of an epoch.
    fn kind(&self, epoch: Epoch) -> CutKind;

    /// Takes what one operator on one worker has frozen.
    fn take(&self, operator: &OperatorMetrics, cut: Cut);

    /// Returns what is stored of the operator with this uid: for each former worker in order, and
    /// each of its states, a full snapshot and the deltas after it. `None` if the operator was not
    /// part of the checkpoint.
    ///
    /// # Errors
    /// When it cannot be read.
    fn restored(&self, uid: &str) -> Result<Option<Vec<Arc<EncodedState>>>>;

    /// Returns what the sink with this uid had prepared, in the order of the epochs, that must
    /// become visible because its checkpoint is complete.
    fn committed(&self, uid: &str) -> Vec<String>;

    /// Returns the checkpoint that the job goes on from if later ones were complete and are damaged:
    /// sinks have to take back what was committed with those.
    fn undo_after(&self) -> Option<Epoch>;
}
