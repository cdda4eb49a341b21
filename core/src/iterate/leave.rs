//! Where a stream leaves a loop.
//!
//! ```text
//! body --(phase, stamp inside)--> queue --(position, stamp outside)--> outside
//! ```
//!
//! What leaves belongs to the position of the input that the loop is working on. The promise to the
//! outside moves when the loop has come to rest, and no further than what is at rest.
//!
//! **Invariants**: what a phase makes leaves before the position ends (`Exit::follow`); I1 as in the
//! operator shell.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::{Antichain, MutableAntichain};
use timely::scheduling::Activator;

use super::clock::Clock;
use super::leader::Kind;
use crate::context::{Allowance, Port};
use crate::credit::{Gate, Waiter};
use crate::dataflow::Dataflow;
use crate::error::Result;
use crate::job::Job;
use crate::metrics::{OperatorMetrics, Role};
use crate::record::{Batch, Data};
use crate::shell::{Built, Inlet, Input, Output, Start, install, wakers};
use crate::time::{Bounds, Epoch, Time};
use crate::worker::Running;

/// Lets a stream out of a loop on one worker.
struct Exit<T: Data> {
    clock: Rc<Clock>,
    place: usize,
    job: Arc<Job>,
    metrics: Arc<OperatorMetrics>,
    running: Running,
    worker: usize,
    input: Input<T>,
    queue: VecDeque<(Time, Batch<T>, usize)>,
    output: Output<T>,
    /// The phase that is let out.
    phase: Epoch,
    /// Where the outside is, and what it is promised.
    position: Epoch,
    stamp: i64,
    activator: Activator,
    waiter: Waiter,
}

/// Puts an exit into the dataflow.
///
/// - `outside`: the dataflow that the stream leaves into.
///
/// # Errors
/// When the uid is taken.
pub(crate) fn leave<'scope, T: Data>(
    outside: &Dataflow<'scope>,
    clock: &Rc<Clock>,
    (uid, name): (&str, &str),
    stream: Built<'scope, T>,
) -> Result<Built<'scope, T>> {
    let place = outside.add(uid, name)?;
    let metrics = outside.job().metrics();
    let metrics = metrics.register(uid, name, outside.worker(), Role::Stateless, Epoch(0));
    let mut builder = OperatorBuilder::new(name.to_owned(), outside.scope());
    let mut inlet = Inlet::straight(outside, stream);
    inlet.plan(outside, place);
    let input = inlet.connect(&mut builder, false);
    let (output, left) = builder.new_output_connection::<Batch<T>, _>([(0, Antichain::new())]);
    let (activator, waiter) = wakers(outside, &builder.operator_info());
    clock.add_operator(activator.clone());
    let gate = Gate::default();
    let position = clock.first_position();
    let mut exit = Exit {
        clock: Rc::clone(clock),
        place: clock.add_exit(),
        job: Arc::clone(outside.job()),
        metrics,
        running: Running::new(name),
        worker: outside.worker(),
        input,
        queue: VecDeque::new(),
        output: Output::new(output, None, gate.clone()),
        phase: Epoch(0),
        position,
        stamp: i64::MIN,
        activator,
        waiter,
    };
    let start: Start = Box::new(move |mut capabilities| {
        exit.output.capability = capabilities.pop();
        exit.output.downgrade(Time::new(position, i64::MIN));
        Box::new(move |frontiers| exit.activate(&frontiers[0]))
    });
    install(builder, start);
    Ok(Built::new(left, gate, place, None))
}

impl<T: Data> Exit<T> {
    fn activate(&mut self, frontier: &MutableAntichain<Time>) -> bool {
        if self.job.must_stop() || self.output.capability.is_none() {
            return false;
        }
        let running = self.running.clone();
        let _running = running.enter();
        let queue = &mut self.queue;
        let metrics = &self.metrics;
        self.input.pull(&mut |time, batch, from| {
            metrics.records_in.add(batch.len() as u64);
            queue.push_back((time, batch, from));
        });
        let mut bounds = Bounds::closed();
        bounds.include_all(&frontier.frontier());
        let budget = self.job.config().budget;
        let mut allowance = Allowance::new(None, budget.batches);
        while self.emit(&mut allowance) {
            let passed = bounds.epoch.is_none_or(|least| least > self.phase);
            let Some(kind) = self.clock.kind(self.phase).filter(|_| passed) else { break };
            if kind == Kind::Stop {
                self.output.done();
                self.output.capability = None;
                self.clock.exit_passed(self.place, u64::MAX);
                return false;
            }
            self.follow(kind);
        }
        self.output.done();
        true
    }

    /// Lets out what was made up to the present phase; returns whether that is all.
    fn emit(&mut self, allowance: &mut Allowance) -> bool {
        let mut later = VecDeque::new();
        let mut is_done = false;
        while !is_done {
            if self.output.gate.blocked(self.worker, self.position) {
                if !self.output.gate.wait(self.worker, self.position, &self.waiter) {
                    self.activator.activate();
                }
                break;
            }
            if !allowance.take_batch() {
                self.activator.activate();
                break;
            }
            match self.queue.pop_front() {
                None => is_done = true,
                Some(next) if next.0.epoch > self.phase => later.push_back(next),
                Some((time, mut batch, from)) => {
                    let bytes = self.input.bytes(&batch);
                    self.metrics.records_out.add(batch.len() as u64);
                    self.output.ship(&mut batch);
                    self.input.release(from, self.worker, time.epoch, bytes);
                }
            }
        }
        while let Some(next) = later.pop_back() {
            self.queue.push_front(next);
        }
        is_done
    }

    /// Goes on to the next phase.
    fn follow(&mut self, kind: Kind) {
        if let Kind::Rest(stamp) | Kind::End { stamp, .. } = kind {
            self.stamp = self.stamp.max(stamp);
        }
        if let Kind::End { .. } = kind {
            self.position = self.position.next();
        }
        self.output.done();
        self.output.downgrade(Time::new(self.position, self.stamp));
        self.phase = self.phase.next();
        self.clock.exit_passed(self.place, self.phase.0);
    }
}
