//! What the completed checkpoints consist of: parts on top of parts, and results not yet visible.

use std::collections::BTreeMap;

use highwater_core::time::Epoch;

use super::Start;
use super::pending::Pending;
use crate::manifest::{
    Committable, Manifest, OperatorSnapshot, SnapshotKind, StoredPart, StoredState,
};
use crate::messages::Instance;

/// For each operator on each worker and each of its states: a full part and the deltas after it.
#[derive(Debug, Default)]
pub(super) struct Chains {
    of: BTreeMap<Instance, BTreeMap<String, Vec<StoredPart>>>,
}

impl Chains {
    /// Adds the parts of the next checkpoint.
    pub(super) fn extend(&mut self, pending: &Pending) {
        for (instance, ack) in &pending.acks {
            let before = self.of.remove(instance).unwrap_or_default();
            let mut chains = BTreeMap::new();
            for (state, part) in ack.states.iter().flatten() {
                let mut chain = match part.slots {
                    Some(_) => before.get(state).cloned().unwrap_or_default(),
                    None => Vec::new(),
                };
                chain.push(part.clone());
                chains.insert(state.clone(), chain);
            }
            self.of.insert(instance.clone(), chains);
        }
    }

    /// Returns the manifest of the checkpoint that was added last, without what sinks prepared.
    pub(super) fn manifest(&self, checkpoint: Epoch, pending: &Pending, start: &Start) -> Manifest {
        let kind = SnapshotKind::Checkpoint;
        let mut manifest = Manifest::new(checkpoint.0, start.attempt, kind);
        manifest.max_parallelism = start.max_parallelism;
        manifest.workers = start.workers;
        let mut operators: BTreeMap<&str, OperatorSnapshot> = BTreeMap::new();
        for (instance, ack) in &pending.acks {
            let operator = operators.entry(&instance.uid).or_insert_with(|| OperatorSnapshot {
                uid: instance.uid.clone(),
                name: ack.name.clone(),
                watermarks: Vec::new(),
                states: Vec::new(),
                committables: Vec::new(),
            });
            operator.watermarks.push(ack.watermark);
            let chains = self.of.get(instance).into_iter().flatten();
            operator.states.extend(chains.map(|(state, chain)| StoredState {
                state: state.clone(),
                worker: instance.worker,
                chain: chain.clone(),
            }));
        }
        manifest.operators = operators.into_values().collect();
        manifest
    }
}

/// What sinks have prepared and no checkpoint has made visible.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    of: BTreeMap<String, Vec<Committable>>,
}

impl Prepared {
    /// Adds what was prepared in the epoch of a checkpoint, whether it completes or not.
    pub(super) fn add(&mut self, pending: &Pending) {
        for (instance, ack) in &pending.acks {
            for payload in &ack.committables {
                let (worker, epoch) = (instance.worker, ack.epoch.0);
                let committable = Committable { worker, epoch, payload: payload.clone() };
                self.of.entry(instance.uid.clone()).or_default().push(committable);
            }
        }
    }

    /// Moves everything into the manifest of a checkpoint that is about to complete.
    pub(super) fn take(&mut self, manifest: &mut Manifest) {
        for operator in &mut manifest.operators {
            operator.committables = self.of.remove(&operator.uid).unwrap_or_default();
        }
    }

    /// Takes back what a checkpoint has not made visible after all.
    pub(super) fn give_back(&mut self, manifest: Manifest) {
        for operator in manifest.operators {
            let mut committables = operator.committables;
            if committables.is_empty() {
                continue;
            }
            let of = self.of.entry(operator.uid).or_default();
            committables.append(of);
            *of = committables;
        }
    }
}
