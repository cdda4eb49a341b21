//! One process of a job: takes what operators freeze, stores it, and makes results visible.
//!
//! ```text
//! worker --take(cut)--> channel --> encode and prepare, on another thread --> store --> Ack
//! Order::Trigger --> Job::trigger       Order::Commit --> every committable up to the checkpoint
//! ```
//!
//! The worker hands a cut over and goes on: encoding, flushing and uploading are done elsewhere,
//! those of many operators at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::mpsc::UnboundedSender;
use highwater_core::cut::{Cut, CutKind, EncodedState, Snapshots};
use highwater_core::error::{Error, Result};
use highwater_core::failpoint::reach;
use highwater_core::metrics::OperatorMetrics;
use highwater_core::sink::Committable;
use highwater_core::time::Epoch;

use crate::background::Offload;
use crate::manifest::{PartRef, StoredPart};
use crate::messages::{Ack, Instance};
use crate::restore::Restored;
use crate::storage::{Storage, file_path};

/// What an operator on a worker handed over.
pub(crate) struct Taken {
    instance: Instance,
    name: String,
    cut: Cut,
}

/// What waits for the verdict, by epoch.
type Waiting = BTreeMap<Epoch, Vec<Box<dyn Committable>>>;

struct State {
    kinds: BTreeMap<Epoch, CutKind>,
    restored: Restored,
    asked_for: BTreeSet<String>,
    waiting: Waiting,
}

/// The checkpoints of a job as its operators see them in one process.
pub(crate) struct Process {
    attempt: u64,
    first: Epoch,
    resumes: bool,
    undo_after: Option<Epoch>,
    taken: UnboundedSender<Taken>,
    state: Mutex<State>,
}

impl Process {
    /// - `taken`: where cuts go.
    pub(crate) fn new(attempt: u64, restored: Restored, taken: UnboundedSender<Taken>) -> Self {
        let (first, resumes) = (restored.first(), restored.resumes());
        let undo_after = restored.undo_after();
        let state = State {
            kinds: BTreeMap::new(),
            restored,
            asked_for: BTreeSet::new(),
            waiting: Waiting::new(),
        };
        Process { attempt, first, resumes, undo_after, taken, state: Mutex::new(state) }
    }

    /// Returns which start of the job this is, from 1.
    pub(crate) fn attempt(&self) -> u64 {
        self.attempt
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how much operators freeze at the end of an epoch, before it is triggered.
    pub(crate) fn set_kind(&self, epoch: Epoch, kind: CutKind) {
        let mut state = self.state();
        state.kinds.retain(|before, _| before.0 + 16 > epoch.0);
        state.kinds.insert(epoch, kind);
    }

    /// Called when all operators have been made: forgets what they started with.
    ///
    /// # Errors
    /// When the checkpoint holds state of an operator that the job does not have.
    pub(crate) fn all_made(&self, allow_non_restored_state: bool) -> Result<()> {
        let mut state = self.state();
        let restored = std::mem::take(&mut state.restored);
        if allow_non_restored_state {
            return Ok(());
        }
        restored.check_all_asked_for(&state.asked_for)
    }

    /// Takes what sinks have prepared up to a checkpoint, in the order of the epochs.
    pub(crate) fn take_waiting(&self, checkpoint: Epoch) -> Vec<Box<dyn Committable>> {
        let mut state = self.state();
        let later = state.waiting.split_off(&checkpoint.next());
        std::mem::replace(&mut state.waiting, later).into_values().flatten().collect()
    }

    /// Takes what was prepared and will not be made visible by this attempt.
    pub(crate) fn abandon(&self) -> Vec<Box<dyn Committable>> {
        std::mem::take(&mut self.state().waiting).into_values().flatten().collect()
    }

    /// Encodes and stores what an operator handed over.
    ///
    /// # Errors
    /// When a sink could not make its results durable, which ends the job.
    pub(crate) async fn store(
        &self,
        taken: Taken,
        storage: &Storage,
        background: &dyn Offload,
    ) -> Result<Ack> {
        let Taken { instance, name, mut cut } = taken;
        let (epoch, watermark) = (cut.epoch, cut.watermark);
        let mut committables = cut.take_committables();
        let (encoded, prepared, committables) = background
            .run(move || {
                let prepare = |committable: &mut Box<dyn Committable>| {
                    reach("prepare-before")?;
                    let payload = committable.prepare()?;
                    reach("prepare-after").map(|()| payload)
                };
                let prepared: Result<Vec<_>> = committables.iter_mut().map(prepare).collect();
                (cut.encode(), prepared, committables)
            })
            .await?;
        let named = |error| Error::Operator { operator: name.clone(), source: Box::new(error) };
        let payloads = match prepared {
            Ok(payloads) => payloads,
            Err(error) => {
                committables.into_iter().for_each(|mut committable| committable.abort());
                return Err(named(error));
            }
        };
        self.state().waiting.entry(epoch).or_default().extend(committables);
        let states = match encoded {
            Ok(states) => put_all(storage, self.attempt, epoch, &instance, states).await,
            Err(error) => Err(error.sentence()),
        };
        reach("ack-before").map_err(named)?;
        Ok(Ack { instance, name, epoch, watermark, states, committables: payloads })
    }
}

/// Stores the states of an operator on a worker.
async fn put_all(
    storage: &Storage,
    attempt: u64,
    epoch: Epoch,
    instance: &Instance,
    states: Vec<EncodedState>,
) -> Result<Vec<(String, StoredPart)>, String> {
    let mut stored = Vec::with_capacity(states.len());
    for state in states {
        let name = format!("{}/{}/{}-{}", instance.uid, state.state, epoch.0, instance.worker);
        let part = put(storage, attempt, &name, state.part).await?;
        let slots = match state.slots {
            Some(slots) => Some(put(storage, attempt, &format!("{name}-slots"), slots).await?),
            None => None,
        };
        stored.push((state.state, StoredPart { part, slots }));
    }
    Ok(stored)
}

async fn put(
    storage: &Storage,
    attempt: u64,
    name: &str,
    bytes: Vec<u8>,
) -> Result<PartRef, String> {
    let put = async {
        reach("upload-before")?;
        let part = storage.put_part(&file_path(attempt, name), bytes).await?;
        reach("upload-after").map(|()| part)
    };
    put.await.map_err(|error: Error| error.sentence())
}

impl Snapshots for Process {
    fn first_epoch(&self) -> Epoch {
        self.first
    }

    fn attempt(&self) -> u64 {
        self.attempt
    }

    fn resumes(&self) -> bool {
        self.resumes
    }

    fn kind(&self, epoch: Epoch) -> CutKind {
        self.state().kinds.get(&epoch).copied().unwrap_or_default()
    }

    fn take(&self, operator: &OperatorMetrics, cut: Cut) {
        let instance = Instance { uid: operator.uid.clone(), worker: operator.worker };
        // Nobody listens any more only when the job is over.
        let _ = self.taken.unbounded_send(Taken { instance, name: operator.name.clone(), cut });
    }

    fn restored(&self, uid: &str) -> Result<Option<Vec<Arc<EncodedState>>>> {
        let mut state = self.state();
        state.asked_for.insert(uid.to_owned());
        Ok(state.restored.states(uid))
    }

    fn undo_after(&self) -> Option<Epoch> {
        self.undo_after
    }

    fn committed(&self, uid: &str) -> Vec<String> {
        let mut state = self.state();
        state.asked_for.insert(uid.to_owned());
        state.restored.committed(uid)
    }
}
