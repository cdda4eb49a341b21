//! The journal of a run: what every operator emitted, received, fired and cut, in one order.
//!
//! Under seeded turns one worker runs at a time, so the order is that of the events themselves and
//! the same for every run of a seed.

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

use highwater_core::metrics::OperatorMetrics;
use highwater_core::record::{Batch, Record};
use highwater_core::time::{Epoch, Time};
use highwater_core::witness::Witness;

use crate::world::Item;

/// Something that happened at an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A source emitted records.
    Emitted {
        /// The source's stamp.
        stamp: Time,
        /// The records.
        records: Vec<Record<Item>>,
    },
    /// An operator worked on records.
    Received {
        /// The input they came on, 0 or 1.
        input: usize,
        /// The stamp they came with.
        stamp: Time,
        /// The operator's watermark, as Flink counts it.
        watermark: i64,
        /// The records; none if they are not of the type of the simulation.
        records: Vec<Record<Item>>,
    },
    /// An operator fired timers.
    Fired {
        /// The watermark up to which it fired, as Flink counts it.
        watermark: i64,
        /// Whether no timer up to it was left.
        all: bool,
    },
    /// An operator cut between an epoch and the next.
    Cut {
        /// The epoch that ended.
        epoch: Epoch,
    },
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The uid of the operator.
    pub uid: String,
    /// The worker.
    pub worker: usize,
    /// What happened.
    pub happening: Happening,
}

/// Writes down what happens in a run.
#[derive(Debug, Default)]
pub struct Journal {
    notes: Mutex<Vec<Note>>,
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, Vec<Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, operator: &OperatorMetrics, happening: Happening) {
        let (uid, worker) = (operator.uid.clone(), operator.worker);
        self.lock().push(Note { uid, worker, happening });
    }

    /// Takes out what was written so far.
    #[must_use]
    pub fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *self.lock())
    }
}

fn records(batch: &dyn Any) -> Vec<Record<Item>> {
    batch.downcast_ref::<Batch<Item>>().cloned().unwrap_or_default()
}

impl Witness for Journal {
    fn emitted(&self, source: &OperatorMetrics, stamp: Time, batch: &dyn Any) {
        self.note(source, Happening::Emitted { stamp, records: records(batch) });
    }

    fn received(&self, operator: &OperatorMetrics, input: usize, stamp: Time, batch: &dyn Any) {
        let (watermark, records) = (operator.watermark(), records(batch));
        self.note(operator, Happening::Received { input, stamp, watermark, records });
    }

    fn fired(&self, operator: &OperatorMetrics, watermark: i64, all: bool) {
        self.note(operator, Happening::Fired { watermark, all });
    }

    fn cut(&self, operator: &OperatorMetrics, epoch: Epoch) {
        self.note(operator, Happening::Cut { epoch });
    }
}
