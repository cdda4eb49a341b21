//! Checkpoints that are kept in memory, and a sink that knows which of its records count.
//!
//! ```text
//! InMemory::empty() --run--> last(): epoch, states --InMemory::after--> the next run
//! ByEpoch --------------------> up_to(epoch): what became visible
//! ```
//!
//! A checkpoint is complete as soon as all operators have handed over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater::core::cut::{Cut, CutKind, EncodedState, Snapshots};
use highwater::core::job::Job;
use highwater::core::metrics::OperatorMetrics;
use highwater::core::record::{Batch, Data};
use highwater::core::sink::{Committable, Sink, Writer, WriterContext};
use highwater::core::time::Epoch;
use highwater::prelude::*;

/// The states of all operators, by uid, in the order of the workers.
pub(crate) type Stored = BTreeMap<String, Vec<Arc<EncodedState>>>;
/// What each operator on each worker has handed over at the end of an epoch.
type Taken = BTreeMap<(String, usize), Vec<EncodedState>>;

/// The checkpoints of one start of the job.
#[derive(Default)]
pub(crate) struct InMemory {
    first: Epoch,
    stored: Option<Stored>,
    taken: Mutex<BTreeMap<Epoch, Taken>>,
}

impl InMemory {
    /// Lets a job go on from a checkpoint, or start.
    pub(crate) fn after(checkpoint: Option<(Epoch, Stored)>) -> Self {
        let first = checkpoint.as_ref().map_or(Epoch(0), |(epoch, _)| epoch.next());
        let stored = checkpoint.map(|(_, stored)| stored);
        InMemory { first, stored, taken: Mutex::default() }
    }

    /// Whether all operators have handed over at the end of this epoch.
    fn is_complete(&self, epoch: Epoch, operators: usize) -> bool {
        let taken = self.taken.lock().expect("no panic");
        taken.get(&epoch).is_some_and(|taken| taken.len() == operators)
    }

    /// Takes a checkpoint and waits until it is complete, or the job has failed.
    pub(crate) fn checkpoint(&self, job: &Job) {
        let operators = job.metrics().operators().len();
        let ended = Epoch(job.trigger().0 - 1);
        while !job.has_failed() && !self.is_complete(ended, operators) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Returns the last complete checkpoint and its epoch.
    pub(crate) fn last(&self, job: &Job) -> Option<(Epoch, Stored)> {
        let operators = job.metrics().operators().len();
        let taken = self.taken.lock().expect("no panic");
        let (epoch, last) = taken.iter().rfind(|(_, taken)| taken.len() == operators)?;
        let mut stored = Stored::new();
        for ((uid, _worker), states) in last {
            stored.entry(uid.clone()).or_default().extend(states.iter().cloned().map(Arc::new));
        }
        Some((*epoch, stored))
    }
}

/// Waits until all operators of a job are made, or it has failed.
pub(crate) fn until_built(job: &Job) {
    while !job.is_built() && !job.has_failed() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Takes one checkpoint after the other; halts the job when there is one and the sink has `stop_at`
/// records, or lets it end when one was taken of everything.
pub(crate) fn drive<T: Data>(job: &Job, snapshots: &InMemory, sink: &ByEpoch<T>, stop_at: u64) {
    until_built(job);
    while !job.has_failed() {
        let is_last = job.is_drained();
        snapshots.checkpoint(job);
        if is_last {
            return job.release();
        }
        if sink.written() >= stop_at {
            return job.halt();
        }
    }
}

impl Snapshots for InMemory {
    fn first_epoch(&self) -> Epoch {
        self.first
    }

    fn attempt(&self) -> u64 {
        1
    }

    fn resumes(&self) -> bool {
        self.stored.is_some()
    }

    fn kind(&self, _: Epoch) -> CutKind {
        CutKind::default()
    }

    fn take(&self, operator: &OperatorMetrics, cut: Cut) {
        let epoch = cut.epoch;
        let states = cut.into_states().into_iter().map(|state| state.encode().expect("a state"));
        let name = (operator.uid.clone(), operator.worker);
        self.taken
            .lock()
            .expect("no panic")
            .entry(epoch)
            .or_default()
            .insert(name, states.collect());
    }

    fn restored(&self, uid: &str) -> Result<Option<Vec<Arc<EncodedState>>>> {
        Ok(self.stored.as_ref().and_then(|stored| stored.get(uid)).cloned())
    }

    fn undo_after(&self) -> Option<Epoch> {
        None
    }

    fn committed(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Collects what it is given, by epoch.
#[derive(Clone)]
pub(crate) struct ByEpoch<T> {
    epochs: Arc<Mutex<BTreeMap<Epoch, Vec<T>>>>,
    written: Arc<AtomicU64>,
    batch: Vec<T>,
}

impl<T> Default for ByEpoch<T> {
    fn default() -> Self {
        ByEpoch { epochs: Arc::default(), written: Arc::default(), batch: Vec::new() }
    }
}

impl<T> ByEpoch<T> {
    /// Returns how many records there were, whether they count or not.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Takes what a checkpoint made visible.
    pub(crate) fn up_to(&self, checkpoint: Epoch) -> Vec<T> {
        let mut epochs = self.epochs.lock().expect("no panic");
        let count = epochs.iter_mut().filter(|(epoch, _)| **epoch <= checkpoint);
        count.flat_map(|(_, records)| records.drain(..)).collect()
    }
}

impl<T: Data + Clone + Send> Sink<T> for ByEpoch<T> {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer<T>>> {
        Ok(Box::new(self.clone()))
    }
}

impl<T: Data + Send> Writer<T> for ByEpoch<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.written.fetch_add(batch.len() as u64, Ordering::SeqCst);
        self.batch.extend(batch.drain(..).map(|record| record.value));
        Ok(())
    }

    fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        let mut epochs = self.epochs.lock().expect("no panic");
        epochs.entry(epoch).or_default().append(&mut self.batch);
        Ok(Vec::new())
    }
}
