//! The checkpoints that are under way: who has acknowledged what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highwater_core::time::Epoch;

use crate::messages::{Ack, Instance};

/// One checkpoint under way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// When it was triggered or given up, since the start of the coordinator.
    pub(super) since: Duration,
    /// Whether the job ends with it.
    pub(super) last: bool,
    /// Whether it has been given up. It still waits for its acknowledgements: what sinks prepared
    /// in its epoch belongs to the next checkpoint that completes.
    pub(super) aborted: bool,
    waits_for: BTreeSet<Instance>,
    pub(super) acks: BTreeMap<Instance, Ack>,
}

impl Pending {
    pub(super) fn new(since: Duration, last: bool, instances: &BTreeSet<Instance>) -> Self {
        Pending { since, last, aborted: false, waits_for: instances.clone(), acks: BTreeMap::new() }
    }

    /// Takes an acknowledgement; returns whether it was waited for.
    pub(super) fn ack(&mut self, ack: Ack) -> bool {
        let waited = self.waits_for.remove(&ack.instance);
        if waited {
            self.acks.insert(ack.instance.clone(), ack);
        }
        waited
    }

    /// Returns whether everybody has answered.
    pub(super) fn is_answered(&self) -> bool {
        self.waits_for.is_empty()
    }

    /// Returns who has not answered yet.
    pub(super) fn silent(&self) -> impl Iterator<Item = &Instance> {
        self.waits_for.iter()
    }
}

/// All checkpoints under way, by number.
pub(super) type AllPending = BTreeMap<Epoch, Pending>;
