//! What the user of a shell brings along: what happens to a record, a timer, a watermark.
//!
//! ```text
//! shell --left, right: a batch-->  logic --emit--> context
//!       --fire: a watermark---->         --first timer--> shell: how far the capability may go
//!       --freeze: an epoch-----> frozen state
//! ```
//!
//! The logic never sees a stamp, a capability or a frontier; when its methods are called is the
//! business of the [shell](super).

use crate::context::Context;
use crate::cut::Cut;
use crate::record::{Batch, Data};

/// What an operator does with records, timers and the end of its input.
///
/// # Contract
/// - *Emit only through the context*: everything else is invisible to checkpoints.
/// - *Timers in order*: `fire` fires event-time timers in the order of their time and may stop when
///   [`Context::should_yield`] says so; it is called again.
/// - *Constant freeze*: `freeze` takes constant time, whatever the size of the state; `fold` takes
///   little time whenever it is called.
pub trait Logic: 'static {
    /// The records of the first input.
    type Left: Data;
    /// The records of the second input; `Infallible` when there is none.
    type Right: Data;
    /// The records of the main output.
    type Out: Data;

    /// Works on records of the first input and leaves `batch` empty or to be dropped.
    fn left(&mut self, batch: &mut Batch<Self::Left>, cx: &mut Context<'_, Self::Out>);

    /// Works on records of the second input.
    fn right(&mut self, _batch: &mut Batch<Self::Right>, _cx: &mut Context<'_, Self::Out>) {}

    /// Fires the event-time timers with `t <= watermark`, in order. Returns the time of the first
    /// one that it left for the next call, `None` when all have fired.
    fn fire(&mut self, _watermark: i64, _cx: &mut Context<'_, Self::Out>) -> Option<i64> {
        None
    }

    /// Fires the processing-time timers with `t <= over_ms`, in order; the clock of the context is
    /// past that.
    fn fire_processing(&mut self, _over_ms: i64, _cx: &mut Context<'_, Self::Out>) {}

    /// Called in a loop at the end of each superstep, after its last record and timer; returns
    /// whether it is done. It may stop when [`Context::should_yield`] says so; it is called again.
    fn end_superstep(&mut self, _cx: &mut Context<'_, Self::Out>) -> bool {
        true
    }

    /// Called in a loop whenever it has come to rest: all that has entered is worked off, and nothing
    /// goes round. What is emitted may leave; what would go round is dropped. Returns whether it is
    /// done, as `end_superstep` does.
    fn at_rest(&mut self, _cx: &mut Context<'_, Self::Out>) -> bool {
        true
    }

    /// Returns the time of the first event-time timer, for I3.
    fn first_timer(&self) -> Option<i64> {
        None
    }

    /// Returns when the next processing-time timer is due, in ms since 1970.
    fn first_processing_timer(&self) -> Option<i64> {
        None
    }

    /// Returns the stamp that the operator promises downstream when its input promises `stamp`.
    /// Only operators that make watermarks of their own differ; `now_ms` is the processing time.
    fn promise(&mut self, stamp: i64, _now_ms: i64) -> i64 {
        stamp
    }

    /// Returns the watermark up to which the restored state has fired, `i64::MIN` for none.
    fn floor(&self) -> i64 {
        i64::MIN
    }

    /// Judges by this watermark what is late, until the next call: after a restore some key groups
    /// may have come further than the operator.
    fn judge_at(&mut self, _watermark: i64) {}

    /// Freezes the state as of the end of an epoch, in constant time, and adds it to the cut.
    fn freeze(&mut self, _cut: &mut Cut) {}

    /// Does a little of the work that a freeze has left behind; returns whether there is more.
    fn fold(&mut self) -> bool {
        false
    }

    /// Called once, after the last record and the last timer.
    fn end(&mut self, _cx: &mut Context<'_, Self::Out>) {}
}

/// The logic of any operator with these types of records.
pub(crate) type AnyLogic<A, B, O> = Box<dyn Logic<Left = A, Right = B, Out = O>>;
