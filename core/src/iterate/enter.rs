//! Where a stream enters a loop, and where what has gone round enters it again.
//!
//! ```text
//! outside --> queue --Wave--------> body
//! give back --> waiting --Round-----^
//! ```
//!
//! While a wave is open, what comes enters at once; in other phases it waits, and keeps its credit. Its input is connected
//! to its output in no way that timely knows: its capability is the promise, and moves from phase to
//! phase as the clock of the loop says.
//!
//! **Invariants**: records enter in the position of the input in which they came (`Entrance::emit`);
//! the stamp inside is at most that of every record that still waits (`Entrance::advance`).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

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

/// What has come back and waits for the next round, by the phase in which it came.
///
/// It has no limit: what a round makes is taken in by the next one only, so a limit would be a
/// deadlock.
pub(crate) type Waiting<T> = Rc<RefCell<VecDeque<(u64, Batch<T>)>>>;

/// Lets a stream into a loop on one worker.
struct Entrance<T: Data> {
    clock: Rc<Clock>,
    place: usize,
    job: Arc<Job>,
    metrics: Arc<OperatorMetrics>,
    running: Running,
    worker: usize,
    input: Input<T>,
    queue: VecDeque<(Time, Batch<T>, usize)>,
    waiting: Option<Waiting<T>>,
    output: Output<T>,
    /// The phase of the capability, and its stamp.
    phase: Epoch,
    stamp: i64,
    /// The position of the input whose records enter.
    position: Epoch,
    /// Whether anything has entered in the wave.
    has_let_in: bool,
    activator: Activator,
    waiter: Waiter,
}

/// How far the work of a phase has come.
#[derive(PartialEq, Eq)]
enum Progress {
    Done,
    /// It is done as far as it can be: more may come.
    Open,
    More,
    Blocked,
}

/// Puts an entrance into the dataflow.
///
/// - `waiting`: what comes back, if anything does.
///
/// # Errors
/// When the uid is taken.
pub(crate) fn enter<'scope, T: Data>(
    dataflow: &Dataflow<'scope>,
    clock: &Rc<Clock>,
    (uid, name): (&str, &str),
    stream: Built<'scope, T>,
    waiting: Option<Waiting<T>>,
) -> Result<Built<'scope, T>> {
    let place = dataflow.add(uid, name)?;
    let metrics = dataflow.job().metrics();
    let metrics = metrics.register(uid, name, dataflow.worker(), Role::Stateless, Epoch(0));
    let mut builder = OperatorBuilder::new(name.to_owned(), dataflow.scope());
    let mut inlet = Inlet::straight(dataflow, stream);
    inlet.plan(dataflow, place);
    let input = inlet.connect(&mut builder, false);
    let (output, inside) = builder.new_output_connection::<Batch<T>, _>([(0, Antichain::new())]);
    let (activator, waiter) = wakers(dataflow, &builder.operator_info());
    clock.add_operator(activator.clone());
    let gate = Gate::default();
    let mut entrance = Entrance {
        clock: Rc::clone(clock),
        place: clock.add_entry(),
        job: Arc::clone(dataflow.job()),
        metrics,
        running: Running::new(name),
        worker: dataflow.worker(),
        input,
        queue: VecDeque::new(),
        waiting,
        output: Output::new(output, None, gate.clone()),
        phase: Epoch(0),
        stamp: i64::MIN,
        position: clock.first_position(),
        has_let_in: false,
        activator,
        waiter,
    };
    let start: Start = Box::new(move |mut capabilities| {
        entrance.output.capability = capabilities.pop();
        Box::new(move |frontiers| entrance.activate(&frontiers[0]))
    });
    install(builder, start);
    Ok(Built::new(inside, gate, place, None))
}

impl<T: Data> Entrance<T> {
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
        let budget = self.job.config().budget;
        let deadline = self.job.config().turns.is_none().then(|| Instant::now() + budget.time);
        let mut allowance = Allowance::new(deadline, budget.batches);
        while let Some(kind) = self.clock.kind(self.phase) {
            let progress = match kind {
                Kind::Wave => match self.emit(&mut allowance) {
                    Progress::Done if !self.clock.is_closed(self.phase) => Progress::Open,
                    progress => progress,
                },
                Kind::Round(_) => self.emit_again(&mut allowance),
                Kind::Advance(stamp) => self.advance(stamp),
                Kind::Rest(_) | Kind::End { .. } => Progress::Done,
                Kind::Stop => {
                    self.output.capability = None;
                    return false;
                }
            };
            self.output.done();
            if progress != Progress::Done {
                self.rest(&progress);
                break;
            }
            self.leave_phase(kind);
        }
        let mut bounds = Bounds::closed();
        bounds.include_all(&frontier.frontier());
        self.clock.entry(self.place, bounds, self.stamp, self.has_let_in);
        true
    }

    /// Lets in what has come for the position of the loop.
    fn emit(&mut self, allowance: &mut Allowance) -> Progress {
        let mut later = VecDeque::new();
        let progress = loop {
            if self.is_blocked() {
                break Progress::Blocked;
            }
            if !allowance.take_batch() {
                break Progress::More;
            }
            match self.queue.pop_front() {
                None => break Progress::Done,
                Some(next) if next.0.epoch > self.position => later.push_back(next),
                Some((time, mut batch, from)) => {
                    let bytes = self.input.bytes(&batch);
                    self.has_let_in = true;
                    self.metrics.records_out.add(batch.len() as u64);
                    self.output.ship(&mut batch);
                    self.input.release(from, self.worker, time.epoch, bytes);
                }
            }
        };
        // They came before what is still in the queue.
        while let Some(next) = later.pop_back() {
            self.queue.push_front(next);
        }
        progress
    }

    /// Lets in what came back in the phases before.
    fn emit_again(&mut self, allowance: &mut Allowance) -> Progress {
        let Some(waiting) = self.waiting.clone() else { return Progress::Done };
        loop {
            if self.is_blocked() {
                return Progress::Blocked;
            }
            if !allowance.take_batch() {
                return Progress::More;
            }
            let next = waiting.borrow_mut().pop_front_if(|(phase, _)| *phase < self.phase.0);
            let Some((_, mut batch)) = next else { return Progress::Done };
            self.metrics.records_out.add(batch.len() as u64);
            self.output.ship(&mut batch);
        }
    }

    /// Moves the watermark inside, as far as the records that wait allow.
    fn advance(&mut self, stamp: i64) -> Progress {
        let held = self.queue.iter().map(|(time, ..)| time.watermark).min();
        self.stamp = self.stamp.max(held.map_or(stamp, |held| held.min(stamp)));
        self.output.downgrade(Time::new(self.phase, self.stamp));
        Progress::Done
    }

    fn leave_phase(&mut self, kind: Kind) {
        if let Kind::End { .. } = kind {
            self.position = self.position.next();
        }
        if let Some(waiting) = &self.waiting {
            // What came back after the last round that is allowed.
            let mut waiting = waiting.borrow_mut();
            while waiting.pop_front_if(|(phase, _)| *phase < self.phase.0).is_some() {}
        }
        self.has_let_in = false;
        self.phase = self.phase.next();
        self.output.downgrade(Time::new(self.phase, self.stamp));
    }

    fn is_blocked(&self) -> bool {
        self.output.gate.blocked(self.worker, self.phase)
    }

    fn rest(&self, progress: &Progress) {
        let gate = &self.output.gate;
        let at_once = match progress {
            Progress::Done | Progress::Open => false,
            Progress::More => true,
            Progress::Blocked => !gate.wait(self.worker, self.phase, &self.waiter),
        };
        if at_once {
            self.activator.activate();
        }
    }
}
