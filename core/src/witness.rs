//! What a simulation may watch: every batch, every firing and every cut, as they happen.
//!
//! A witness sees what an operator really did, so that a test can play the same sequence to a
//! sequential model: whether a record is late depends on the watermark at its operator, which no
//! test can foretell from the input alone.

use std::any::Any;

use crate::metrics::OperatorMetrics;
use crate::time::{Epoch, Time};

/// Watches the operators of a job. Called on the worker's thread, in the order of what happens.
///
/// Batches are handed over as [`Batch<T>`](crate::record::Batch) behind [`Any`].
pub trait Witness: Send + Sync + 'static {
    /// A source is about to emit a batch under its stamp.
    fn emitted(&self, source: &OperatorMetrics, stamp: Time, batch: &dyn Any);

    /// An operator is about to work on a batch; [`OperatorMetrics::watermark`] is its watermark.
    ///
    /// - `input`: 0 for the first input, 1 for the second.
    /// - `stamp`: the stamp of the batch.
    fn received(&self, operator: &OperatorMetrics, input: usize, stamp: Time, batch: &dyn Any);

    /// An operator has fired timers up to `watermark`; `all` says whether none was left.
    fn fired(&self, operator: &OperatorMetrics, watermark: i64, all: bool);

    /// An operator has cut between `epoch` and the next.
    fn cut(&self, operator: &OperatorMetrics, epoch: Epoch);
}
