//! The operator shell: the only code that holds the capabilities of stateful operators.
//!
//! ```text
//! activate:
//!   1 pull every batch of every input into the queue       (frontier now means "delivered")
//!   2 start gate: do nothing until the first epoch is known
//!   3 process batches of this epoch, within the budget and the credit; emit at the capability;
//!     not while a firing is incomplete
//!   4 E, W = least epoch and watermark over input frontiers AND queue; fire timers t < W
//!   5 W_op = min(W, first unfired timer); downgrade the capability to (e_op, W_op)
//!   6 if all have fired and E > e_op: freeze the state of e_op, e_op += 1, back to 3; in a loop,
//!     where e_op counts supersteps, its clock says at which of them a checkpoint is cut
//!   7 work left -> activate again; else park until a frontier, a batch, credit or a timer comes
//! ```
//!
//! The logic of an operator ([`Logic`]) says what happens to a record, a timer, a watermark; the
//! shell says when.
//!
//! **Invariants**, asserted in debug builds:
//! - I1 the stamps of the capability never go back; everything is emitted at the capability
//!   (`Shell::downgrade`).
//! - I2 `W_op` is at most every stamp not yet processed, so a record is late exactly if its limit is
//!   below `W_op` (`Shell::process`).
//! - I3 every timer `t < W` has fired before the capability passes `t` (`Shell::advance`).
//! - I4 the state frozen for `e` holds the effects of exactly the inputs stamped `<= e`
//!   (`Shell::leave`).
//! - I5 after the cut nothing is emitted at an epoch `<= e` (`Shell::downgrade`).
//!
//! **Why**: a message that was pulled is gone from timely's frontier, so the queue counts towards
//! `W`; a record late at its source but not here must still produce an output that is on time
//! downstream, so the operator holds its own capability; timely's frontiers are global per port, so
//! the queue of one worker would hold back all others if it were not pulled at once. A firing that
//! was interrupted is finished before anything else: otherwise a backlog that takes up every
//! activation would starve the timers, and a late record could reach a key whose timer has fired
//! before the watermark says so.
//!
//! **Sources**: Naiad, SOSP 2013 (papers/naiad.md); Watermarks in Stream Processing Systems,
//! VLDB 2021; Flink's `AbstractStreamOperator`.

mod logic;
mod flow;
mod build;
mod install;

mod input;
mod queue;
mod output;
mod rest;
mod look;
mod cut;
mod phases;

mod source;
mod origin;
mod rate;
mod idle;

use std::sync::Arc;
use std::time::Instant;

use timely::progress::frontier::MutableAntichain;
use timely::scheduling::Activator;

use crate::context::{Allowance, Context};
use crate::credit::Waiter;
use crate::error::Error;
use crate::job::Job;
use crate::metrics::OperatorMetrics;
use crate::record::{Batch, Data};
use crate::side::Sides;
use crate::time::{Bounds, Epoch, Time};
use crate::watermark::of_stamp;
use crate::worker::Running;

pub use build::{Inlet, ShellBuilder, SideRequest};
use cut::Left;
pub use flow::{Built, Drain, Flow, Stage, StagedFlow, forward};
pub use idle::{Gossip, SplitWatermarks, Status};
pub(crate) use input::Input;
pub(crate) use install::{Start, install, wakers};
pub(crate) use logic::AnyLogic;
pub use logic::Logic;
pub use origin::{Origin, Plain, SplitReader, Staged};
pub(crate) use output::Output;
use phases::Phases;
pub(crate) use queue::{Delivered, Pull, Queue};
use rest::Outcome;
pub use source::{Assign, SourceBuilder, SourceStates, SplitSnapshot, Strategy};

/// One operator on one worker: its logic, its queue and its capability.
///
/// The logic is called once a batch or a firing, so that a call may be virtual. The shell is then
/// compiled once for all operators with these types of records, and not for each of them.
pub(crate) struct Shell<A: Data, B: Data, O: Data> {
    pub(crate) logic: AnyLogic<A, B, O>,
    pub(crate) left: Input<A>,
    pub(crate) right: Option<Input<B>>,
    pub(crate) output: Output<O>,
    pub(crate) sides: Sides,
    pub(crate) queue: Queue<A, B>,
    pub(crate) buffer: Batch<O>,
    pub(crate) batch_records: usize,
    /// The epoch, in a loop the phase, whose records are being processed: `e_op`.
    pub(crate) epoch: Epoch,
    /// The stamp below which a limit is late: `W_op`.
    pub(crate) watermark: i64,
    /// The stamp up to which the restored state had fired: the sources may still be behind it.
    pub(crate) floor: i64,
    /// Whether a firing was interrupted; it is finished before anything else is done.
    pub(crate) firing: bool,
    /// Whether there is one watermark only, the last: those that come while operators before this
    /// one are still firing are left out.
    pub(crate) batch_mode: bool,
    pub(crate) ended: bool,
    /// Whether a freeze has left work behind.
    pub(crate) folding: bool,
    pub(crate) running: Running,
    pub(crate) job: Arc<Job>,
    pub(crate) worker: usize,
    pub(crate) metrics: Arc<OperatorMetrics>,
    pub(crate) activator: Activator,
    pub(crate) waiter: Waiter,
    /// The edge without credit and the receiver that ended this activation.
    pub(crate) held_by: Option<(usize, usize)>,
    /// When the operator will be woken for a processing-time timer, in ms since 1970.
    pub(crate) wake_ms: Option<i64>,
    pub(crate) phases: Phases,
}

impl<A: Data, B: Data, O: Data> Shell<A, B, O> {
    /// Moves the capabilities to where the job goes on.
    pub(crate) fn begin(&mut self) {
        if (self.epoch, self.watermark) != (Epoch(0), i64::MIN) {
            self.metrics.set_watermark(of_stamp(self.watermark));
            self.downgrade(self.epoch, self.watermark, self.job.now_ms());
        }
    }

    /// Runs the operator once; returns whether it must be kept alive.
    pub(crate) fn activate(&mut self, frontiers: &[MutableAntichain<Time>]) -> bool {
        if self.ended || self.job.must_stop() {
            return false;
        }
        let began = Instant::now();
        self.metrics.activity.begin(began);
        let _running = self.running.enter();
        let alive = self.work(frontiers, began);
        self.metrics.set_queue(self.queue.len());
        self.metrics.activity.end(Instant::now(), self.held_by.take());
        alive
    }

    /// Steps 1 to 7.
    fn work(&mut self, frontiers: &[MutableAntichain<Time>], began: Instant) -> bool {
        self.pull();
        self.look(frontiers, began);
        if self.before_first_epoch(frontiers) {
            return true;
        }
        let budget = self.job.config().budget;
        let deadline = self.job.config().turns.is_none().then(|| began + budget.time);
        let mut allowance = Allowance::new(deadline, budget.batches);
        let now_ms = self.job.now_ms();
        let mut failure = None;
        let outcome = loop {
            if !self.phases.has_begun(self.epoch) {
                break Outcome::Resting;
            }
            let outcome = if self.firing {
                Outcome::More
            } else {
                self.process(&mut allowance, now_ms, &mut failure)
            };
            self.firing = !self.advance(frontiers, &mut allowance, now_ms, &mut failure);
            if let Some(error) = failure.take() {
                self.fail(error);
                return false;
            }
            if self.firing {
                break self.blocked_or(Outcome::More);
            }
            match self.leave(frontiers, &mut allowance, now_ms, &mut failure) {
                Left::Yes => {}
                Left::No => break outcome,
                Left::Interrupted => break self.blocked_or(Outcome::More),
            }
        };
        if let Some(error) = failure.take() {
            self.fail(error);
            return false;
        }
        if self.close(frontiers, &mut allowance, now_ms) {
            return false;
        }
        self.folding = self.folding && self.logic.fold();
        self.rest(outcome, now_ms);
        true
    }

    /// Step 1: everything that has arrived goes into the queue.
    fn pull(&mut self) {
        let (epoch, metrics, queue) = (self.epoch, &self.metrics, &mut self.queue);
        let mut deliver = |delivered: Delivered<A, B>| {
            metrics.records_in.add(delivered.records() as u64);
            debug_assert!(delivered.records() > 0, "I6: an empty batch arrived");
            queue.deliver(delivered, epoch);
        };
        self.left.pull(&mut |time, batch, from| {
            deliver(Delivered { time, batch: Pull::Left(batch), from });
        });
        if let Some(right) = &mut self.right {
            right.pull(&mut |time, batch, from| {
                deliver(Delivered { time, batch: Pull::Right(batch), from });
            });
        }
    }

    /// Step 2: right after a restore the frontier still says epoch 0, which means nothing.
    fn before_first_epoch(&self, frontiers: &[MutableAntichain<Time>]) -> bool {
        self.bounds(frontiers).epoch.is_some_and(|least| least < self.epoch)
    }

    /// The least epoch and stamp that can still turn up, in the inputs or in the queue.
    fn bounds(&self, frontiers: &[MutableAntichain<Time>]) -> Bounds {
        let mut bounds = Bounds::closed();
        for frontier in frontiers {
            bounds.include_all(&frontier.frontier());
        }
        self.queue.stamps().for_each(|time| bounds.include(time));
        bounds
    }

    /// Step 3: works through the batches of this epoch.
    fn process(
        &mut self,
        allowance: &mut Allowance,
        now_ms: i64,
        failure: &mut Option<Error>,
    ) -> Outcome {
        while !self.queue.is_empty() {
            if self.is_blocked() {
                return Outcome::Blocked;
            }
            if !allowance.take_batch() {
                return Outcome::More;
            }
            let Some(Delivered { time, batch, from }) = self.queue.pop() else { break };
            debug_assert!(
                self.watermark <= time.watermark.max(self.floor) && time.epoch <= self.epoch,
                "I2: {} is at ({}, {}) and finds {time:?}",
                self.metrics.name,
                self.epoch,
                self.watermark
            );
            if let Some(witness) = &self.job.config().witness {
                match &batch {
                    Pull::Left(batch) => witness.received(&self.metrics, 0, time, batch),
                    Pull::Right(batch) => witness.received(&self.metrics, 1, time, batch),
                }
            }
            match batch {
                Pull::Left(mut batch) => {
                    let bytes = self.left.bytes(&batch);
                    self.run(allowance, now_ms, failure, |logic, cx| logic.left(&mut batch, cx));
                    self.left.release(from, self.worker, time.epoch, bytes);
                }
                Pull::Right(mut batch) => {
                    let bytes = self.right.as_ref().map_or(0, |right| right.bytes(&batch));
                    self.run(allowance, now_ms, failure, |logic, cx| logic.right(&mut batch, cx));
                    if let Some(right) = &self.right {
                        right.release(from, self.worker, time.epoch, bytes);
                    }
                }
            }
            if failure.is_some() {
                return Outcome::Idle;
            }
        }
        Outcome::Idle
    }

    /// Runs a part of the logic with a context; what it emits is stamped with the capability.
    fn run<R>(
        &mut self,
        allowance: &mut Allowance,
        now_ms: i64,
        failure: &mut Option<Error>,
        part: impl FnOnce(&mut dyn Logic<Left = A, Right = B, Out = O>, &mut Context<'_, O>) -> R,
    ) -> R {
        let mut cx = Context {
            buffer: &mut self.buffer,
            batch_records: self.batch_records,
            port: &mut self.output,
            sides: &mut self.sides,
            watermark: of_stamp(self.watermark),
            now_ms,
            allowance,
            worker: self.worker,
            epoch: self.epoch,
            superstep: self.phases.superstep(self.epoch),
            metrics: &self.metrics,
            failure,
        };
        part(&mut *self.logic, &mut cx)
    }

    /// Ships everything emitted so far at the present capability.
    fn flush(&mut self, allowance: &mut Allowance, now_ms: i64, failure: &mut Option<Error>) {
        self.run(allowance, now_ms, failure, |_, cx| cx.flush());
        self.output.done();
    }

    /// Steps 4 and 5: fires what is due, then moves the capability. Returns whether all that was
    /// due has fired.
    fn advance(
        &mut self,
        frontiers: &[MutableAntichain<Time>],
        allowance: &mut Allowance,
        now_ms: i64,
        failure: &mut Option<Error>,
    ) -> bool {
        // As with a watermark, a time has come when it is over: records of this ms may still come.
        let over_ms = now_ms.saturating_sub(1);
        if self.logic.first_processing_timer().is_some_and(|due| due <= over_ms) {
            self.run(allowance, now_ms, failure, |logic, cx| logic.fire_processing(over_ms, cx));
        }
        let mut reached = self.bounds(frontiers).watermark;
        if self.batch_mode && reached < i64::MAX {
            reached = self.watermark;
        }
        let mut next = reached;
        let mut all_fired = true;
        if reached > self.watermark {
            let watermark = of_stamp(reached);
            let unfired = self.run(allowance, now_ms, failure, |logic, cx| {
                cx.watermark = watermark;
                logic.fire(watermark, cx)
            });
            // The end of time is reached only when nothing is left to fire.
            next = match unfired {
                None => reached,
                Some(unfired) => unfired.min(reached).min(i64::MAX - 1),
            };
            all_fired = unfired.is_none();
            if let Some(witness) = &self.job.config().witness {
                witness.fired(&self.metrics, watermark, all_fired);
            }
            debug_assert!(
                unfired.is_some() || self.logic.first_timer().is_none_or(|t| t > watermark),
                "I3: {} left a timer at or before {watermark}",
                self.metrics.name
            );
        }
        self.flush(allowance, now_ms, failure);
        self.downgrade(self.epoch, next.max(self.watermark), now_ms);
        all_fired
    }

    fn downgrade(&mut self, epoch: Epoch, watermark: i64, now_ms: i64) {
        debug_assert!(
            self.epoch <= epoch && self.watermark <= watermark,
            "I1: ({}, {}) cannot go back to ({epoch}, {watermark})",
            self.epoch,
            self.watermark
        );
        debug_assert!(self.buffer.is_empty(), "I5: records are left behind by the capability");
        if watermark != self.watermark {
            self.metrics.set_watermark(of_stamp(watermark));
        }
        self.epoch = epoch;
        self.watermark = watermark;
        let promise = self.logic.promise(watermark, now_ms);
        self.metrics.set_output_watermark(of_stamp(promise));
        self.output.downgrade(Time::new(epoch, promise));
        self.sides.downgrade(Some(Time::new(epoch, promise)));
    }

    fn fail(&mut self, error: Error) {
        let operator = self.metrics.name.clone();
        self.job.fail(Error::Operator { operator, source: Box::new(error) });
    }
}
