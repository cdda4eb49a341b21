//! The source shell: splits, the watermark grid, the trigger, the end of input.
//!
//! ```text
//! Reader --poll--> stage (map, filter, ...) --> event times --> generator --> emit at (e, w)
//!    one per split, in turn                                        |
//!                      every 200 ms: w = least watermark of the active splits
//! ```
//!
//! One capability per source and worker; its splits take turns under it. The watermark moves on a
//! grid of processing time that is the same for all workers, so that the minimum over them moves
//! once per step of the grid. A source that is told of a new epoch moves to it between two batches.
//!
//! At the end of its input a source promises that nothing comes any more. If the job takes
//! checkpoints it stays, and takes part in them, until the last one is complete.
//!
//! **Invariants**: the stamp moves only after everything it was computed from has been emitted
//! (`SourceShell::tick`); I1 as in the operator shell.
//!
//! **Cost**: nothing per record but the event-time function and the generator; one progress
//! message per step of the grid.
//!
//! **Sources**: Flink's `SourceOperator`, FLIP-27; Watermarks in Stream Processing Systems,
//! VLDB 2021, section 3.

mod build;
mod cut;
mod splits;
mod progress;

use std::sync::Arc;
use std::time::{Duration, Instant};

use timely::scheduling::Activator;

use super::Output;
use super::idle::{Gossip, SplitWatermarks, Status};
use super::origin::SplitReader;
use super::output::in_pieces;
use super::rate::Rate;
use crate::context::Port;
use crate::credit::Waiter;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::metrics::OperatorMetrics;
use crate::record::{Batch, Data};
use crate::source::Poll;
use crate::time::{Epoch, Time};
use crate::watermark::{WatermarkGenerator, of_stamp};
use crate::worker::Running;

pub use build::SourceBuilder;
pub use splits::{SourceStates, SplitSnapshot};
pub(crate) use splits::{from_json, to_json};

/// Gives every record of a batch its event time.
pub type Assign<T> = Box<dyn FnMut(&mut Batch<T>)>;

/// How the records of a source get event times and watermarks.
pub struct Strategy<T> {
    /// Gives every record of a batch its event time; `None` keeps the source's own.
    pub assign: Option<Assign<T>>,
    /// Makes the generator of a split.
    pub generator: Box<dyn Fn() -> Box<dyn WatermarkGenerator<T>>>,
    /// After how long without records a split is idle; `None` for never.
    pub idleness: Option<Duration>,
}

impl<T> std::fmt::Debug for Strategy<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Strategy").field("idleness", &self.idleness).finish_non_exhaustive()
    }
}

/// One split while it is read.
struct ActiveSplit<T> {
    reader: Box<dyn SplitReader<T>>,
    generator: Option<Box<dyn WatermarkGenerator<T>>>,
    /// When it last had a record; idleness counts from there.
    last_ms: i64,
    /// When it may be polled again, by [`SourceShell::time`].
    due: Option<Duration>,
    finished: bool,
    /// The records that were read.
    records: u64,
}

/// What an activation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    More,
    Blocked,
    Pending(Duration),
}

/// A source on one worker.
struct SourceShell<T: Data> {
    splits: Vec<ActiveSplit<T>>,
    watermarks: SplitWatermarks,
    start: Instant,
    /// The split whose turn it is.
    turn: usize,
    assign: Option<Assign<T>>,
    idleness_ms: Option<i64>,
    batch_mode: bool,
    gossip: Arc<Gossip>,
    output: Output<T>,
    made: Batch<T>,
    batch_records: usize,
    epoch: Epoch,
    stamp: i64,
    states: Option<Box<dyn SourceStates>>,
    rate: Option<Rate>,
    /// The step of the grid that the watermark was last moved in.
    step: i64,
    grid_ms: i64,
    /// When the places of the splits were last published, in ms since 1970.
    positions_ms: i64,
    running: Running,
    job: Arc<Job>,
    worker: usize,
    metrics: Arc<OperatorMetrics>,
    activator: Activator,
    waiter: Waiter,
}

impl<T: Data> SourceShell<T> {
    fn activate(&mut self) -> bool {
        if self.output.capability.is_none() || self.job.must_stop() {
            return false;
        }
        let began = Instant::now();
        self.metrics.activity.begin(began);
        let _running = self.running.enter();
        let (alive, outcome) = match self.follow_trigger().and_then(|()| self.emit(began)) {
            Ok(outcome) => (self.settle(outcome), outcome),
            Err(error) => {
                let operator = self.metrics.name.clone();
                self.job.fail(Error::Operator { operator, source: Box::new(error) });
                return false;
            }
        };
        let blocked = alive && outcome == Outcome::Blocked;
        let gate = blocked.then_some(&self.output.gate);
        let held_by = gate.and_then(|gate| gate.blocker(self.worker, self.epoch));
        self.metrics.activity.end(Instant::now(), held_by);
        alive
    }

    /// Moves the watermark, and ends or arranges for the next activation.
    fn settle(&mut self, outcome: Outcome) -> bool {
        self.output.done();
        let finished = self.has_ended();
        self.tick(outcome == Outcome::Blocked, finished);
        if finished && self.job.is_released() {
            self.metrics.set_epoch(None);
            self.output.capability = None;
            return false;
        }
        if !finished || self.is_behind() {
            self.rest(outcome);
        }
        true
    }

    /// Whether nothing will come any more.
    fn has_ended(&self) -> bool {
        self.job.is_draining() || self.splits.iter().all(|split| split.finished)
    }

    /// Reads the splits in turn, within the budget and the credit.
    fn emit(&mut self, start: Instant) -> Result<Outcome> {
        let budget = self.job.config().budget;
        let began = self.time();
        let free_running = self.job.config().turns.is_none();
        let most = budget.source_bytes as usize / std::mem::size_of::<crate::Record<T>>().max(1);
        let mut left = most.max(1);
        let mut batches = budget.batches;
        loop {
            if self.job.is_draining() {
                return Ok(Outcome::More);
            }
            if self.output.gate.blocked(self.worker, self.epoch) {
                return Ok(Outcome::Blocked);
            }
            let timed_out = free_running && start.elapsed() >= budget.time;
            if left == 0 || batches == 0 || timed_out {
                return Ok(Outcome::More);
            }
            let mut limit = self.batch_records.min(left);
            if let Some(rate) = &mut self.rate {
                limit = limit.min(rate.fill());
                if limit == 0 {
                    return Ok(Outcome::Pending(rate.pause()));
                }
            }
            let Some(split) = self.next_split(began) else { return Ok(self.nothing_to_read()) };
            let read = self.read_split(split, limit)?;
            left = left.saturating_sub(read.max(1));
            batches -= 1;
        }
    }

    /// The next split in turn that could be polled when the activation began.
    ///
    /// One that has since said that it has nothing is not asked again before the next activation,
    /// however short its pause: what it has given would wait for the end of the budget.
    fn next_split(&mut self, began: Duration) -> Option<usize> {
        let count = self.splits.len();
        let found = (0..count).map(|i| (self.turn + i) % count).find(|&i| {
            let split = &self.splits[i];
            !split.finished && split.due.is_none_or(|due| due <= began)
        })?;
        self.turn = found + 1;
        Some(found)
    }

    fn nothing_to_read(&self) -> Outcome {
        let due = self.splits.iter().filter(|s| !s.finished).filter_map(|s| s.due).min();
        Outcome::Pending(due.map_or(Duration::ZERO, |due| due.saturating_sub(self.time())))
    }

    /// The time by which pauses are measured: in a simulation that of its clock, in whole ms.
    fn time(&self) -> Duration {
        if self.job.config().turns.is_some() {
            return Duration::from_millis(u64::try_from(self.job.now_ms()).unwrap_or(0));
        }
        self.start.elapsed()
    }

    /// Polls a split once and emits what it gave; returns the records read.
    fn read_split(&mut self, index: usize, limit: usize) -> Result<usize> {
        let now = self.time();
        let split = &mut self.splits[index];
        let (poll, read) = split.reader.poll(&mut self.made, limit)?;
        split.due = None;
        match poll {
            Poll::More => {}
            Poll::Pending(wait) => split.due = Some(now + wait),
            Poll::End => {
                split.finished = true;
                self.watermarks.finished(index);
            }
        }
        if read == 0 {
            return Ok(0);
        }
        self.metrics.records_in.add(read as u64);
        split.records += read as u64;
        if let Some(rate) = &mut self.rate {
            rate.take(read);
        }
        if self.idleness_ms.is_some() {
            split.last_ms = self.job.now_ms();
            self.watermarks.active(index);
        }
        if let Some(assign) = &mut self.assign {
            assign(&mut self.made);
        }
        if let Some(generator) = &mut split.generator {
            generator.on_batch(&self.made);
        }
        self.metrics.records_out.add(self.made.len() as u64);
        if let Some(witness) = self.job.config().witness.as_ref().filter(|_| !self.made.is_empty())
        {
            witness.emitted(&self.metrics, Time::new(self.epoch, self.stamp), &self.made);
        }
        let (made, output, most) = (&mut self.made, &mut self.output, self.batch_records);
        in_pieces(made, most, |piece| output.ship(piece));
        self.made.clear();
        Ok(read)
    }

    /// Moves the watermark when the grid has moved, or at the end of the input.
    fn tick(&mut self, blocked: bool, finished: bool) {
        let now_ms = self.job.now_ms();
        let step = now_ms.div_euclid(self.grid_ms);
        if step == self.step && !finished {
            return;
        }
        self.step = step;
        let status = if finished { Status::Finished } else { self.status(now_ms, blocked) };
        self.publish_progress(now_ms);
        let may = self.gossip.tell(self.worker, status);
        if (self.batch_mode && !finished) || may <= self.stamp {
            return;
        }
        self.stamp = may;
        self.metrics.set_watermark(of_stamp(may));
        self.metrics.set_output_watermark(of_stamp(may));
        self.output.downgrade(Time::new(self.epoch, may));
    }

    /// Asks the generators how far their splits have come, and which splits have fallen silent.
    fn status(&mut self, now_ms: i64, blocked: bool) -> Status {
        let watermarks = &mut self.watermarks;
        for (index, split) in self.splits.iter_mut().enumerate() {
            // A split that is idle stays so until it has a record.
            if !watermarks.is_active(index) {
                continue;
            }
            if let Some(watermark) = split.generator.as_mut().and_then(|g| g.on_periodic_emit()) {
                watermarks.watermark(index, watermark);
            }
            if blocked {
                // The clock of idleness stands still while there is no credit (FLINK-35886).
                split.last_ms = now_ms;
            }
            if self.idleness_ms.is_some_and(|most| now_ms - split.last_ms >= most) {
                watermarks.idle(index);
            }
        }
        watermarks.status()
    }

    /// Arranges for the next activation.
    fn rest(&mut self, outcome: Outcome) {
        if self.job.config().turns.is_some() {
            return self.activator.activate();
        }
        let grid_ms = self.grid_ms - self.job.now_ms().rem_euclid(self.grid_ms);
        let to_tick = Duration::from_millis(grid_ms.unsigned_abs());
        match outcome {
            Outcome::More => self.activator.activate(),
            Outcome::Pending(wait) => self.activator.activate_after(wait.min(to_tick)),
            Outcome::Blocked => {
                self.metrics.blocked.add(1);
                if self.output.gate.wait(self.worker, self.epoch, &self.waiter) {
                    self.activator.activate_after(to_tick);
                } else {
                    self.activator.activate();
                }
            }
        }
    }
}
