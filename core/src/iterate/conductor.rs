//! The operator that begins the phases of a loop, one on each worker.
//!
//! ```text
//! clock --report--> conductor --exchange--> leader, on the first worker
//!   '<--begin------ conductor <--exchange---- decision, to all workers
//! ```
//!
//! Its messages travel in a stream of their own, so that a loop over several processes needs nothing
//! that a loop in one does not. The stream carries no time: it is open until the loop stops.
//!
//! **Cost**: two messages a worker and phase.

use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::scheduling::Activator;

use super::clock::Clock;
use super::leader::{Decision, Kind, Leader, Report};
use crate::context::Port;
use crate::credit::Gate;
use crate::dataflow::Dataflow;
use crate::job::Job;
use crate::record::{Batch, Record};
use crate::shell::{Built, Inlet, Input, Output, Start, install, wakers};
use crate::time::{Epoch, NO_EVENT_TIME};
use crate::worker::Running;

/// What conductors say to each other.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Say {
    Told(Report),
    Entered,
    Begin(u64, Kind),
    Close(u64),
}

/// A message to the conductor of a worker.
type Message = (usize, Say);

/// Begins the phases of a loop on one worker.
struct Conductor {
    clock: Rc<Clock>,
    leader: Option<Leader>,
    job: Arc<Job>,
    running: Running,
    worker: usize,
    workers: usize,
    input: Input<Message>,
    output: Output<Message>,
    /// The phases before this one are told.
    told: u64,
    has_said_entered: bool,
    activator: Activator,
}

/// Puts the conductor of a loop into the dataflow.
pub(crate) fn conduct(dataflow: &Dataflow<'_>, clock: &Rc<Clock>, at_most: Option<u64>) {
    const NAME: &str = "loop";
    let mut builder = OperatorBuilder::new(NAME.to_owned(), dataflow.scope());
    let (output, stream) = builder.new_output::<Batch<Message>>();
    let to = |message: &Message| message.0;
    let inlet = Inlet::route(dataflow, Built::unplanned(stream), to);
    let input = inlet.connect(&mut builder, false);
    let (activator, _) = wakers(dataflow, &builder.operator_info());
    clock.set_conductor(activator.clone());
    let (worker, workers) = (dataflow.worker(), dataflow.workers());
    let leader = (worker == 0).then(|| Leader::new(workers, at_most, clock.first_position()));
    let mut conductor = Conductor {
        clock: Rc::clone(clock),
        leader,
        job: Arc::clone(dataflow.job()),
        running: Running::new(NAME),
        worker,
        workers,
        input,
        output: Output::new(output, None, Gate::default()),
        told: 0,
        has_said_entered: false,
        activator,
    };
    let start: Start = Box::new(move |mut capabilities| {
        conductor.output.capability = capabilities.pop();
        Box::new(move |_frontiers| conductor.activate())
    });
    install(builder, start);
}

impl Conductor {
    fn activate(&mut self) -> bool {
        if self.job.must_stop() || self.output.capability.is_none() {
            return false;
        }
        let running = self.running.clone();
        let _running = running.enter();
        self.listen();
        self.tell();
        if let Some(decision) = self.decide() {
            let say = match decision {
                Decision::Begin(phase, kind) => Say::Begin(phase, kind),
                Decision::Close(phase) => Say::Close(phase),
            };
            (0..self.workers).for_each(|to| self.say(to, say));
        }
        self.output.done();
        if self.kind() == Some(Kind::Stop) {
            self.output.capability = None;
        }
        true
    }

    /// Returns what kind of phase was begun last.
    fn kind(&self) -> Option<Kind> {
        self.clock.kind(Epoch(self.clock.phase()?))
    }

    fn is_open(&self) -> bool {
        let phase = self.clock.phase().map(Epoch);
        self.kind() == Some(Kind::Wave) && phase.is_some_and(|phase| !self.clock.is_closed(phase))
    }

    fn say(&mut self, to: usize, say: Say) {
        self.output.ship(&mut vec![Record::new(NO_EVENT_TIME, (to, say))]);
    }

    /// Takes the messages that have come.
    fn listen(&mut self) {
        let mut heard = Vec::new();
        self.input.pull(&mut |time, batch, from| heard.push((time, batch, from)));
        for (time, batch, from) in heard {
            self.input.release(from, self.worker, time.epoch, self.input.bytes(&batch));
            for Record { value: (_, say), .. } in batch {
                self.hear(say);
            }
        }
    }

    fn hear(&mut self, say: Say) {
        match (say, &mut self.leader) {
            (Say::Begin(phase, kind), _) => {
                self.has_said_entered &= kind != Kind::Wave;
                self.clock.begin(phase, kind);
            }
            (Say::Close(phase), _) => self.clock.close(phase),
            (Say::Told(report), Some(leader)) => leader.report(report),
            (Say::Entered, Some(leader)) => leader.entered(),
            (Say::Told(_) | Say::Entered, None) => {}
        }
    }

    /// Tells the leader what there is to tell.
    fn tell(&mut self) {
        if let Some(phase) = self.clock.phase()
            && self.told <= phase
            && let Some(report) = self.clock.report(phase)
        {
            self.told = phase + 1;
            self.say(0, Say::Told(report));
        }
        if self.each_move() && !self.has_said_entered && self.is_open() && self.clock.has_entered()
        {
            self.has_said_entered = true;
            self.say(0, Say::Entered);
        }
    }

    /// Whether a wave is closed when anything is in it, before the end of the input: not in batch
    /// mode, and not in a loop within a loop, whose input ends with each round around it.
    fn each_move(&self) -> bool {
        self.clock.is_outermost() && !self.job.batch_mode()
    }

    fn decide(&mut self) -> Option<Decision> {
        let (clock, each_move) = (&self.clock, self.each_move());
        let leader = self.leader.as_mut()?;
        let decided =
            leader.decide(clock.input(), each_move, |position| clock.cut_of_position(position));
        if decided.is_some() {
            // What arrives while the message is on its way is looked at afterwards.
            self.activator.activate();
        }
        decided
    }
}
