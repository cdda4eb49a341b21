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
//! **Invariants**: the stamp moves only after everything it was computed from has been emitted
//! (`SourceShell::tick`); I1 as in the operator shell.
//!
//! **Cost**: nothing per record but the event-time function and the generator; one progress
//! message per step of the grid.
//!
//! **Sources**: Flink's `SourceOperator`, FLIP-27; Watermarks in Stream Processing Systems,
//! VLDB 2021, section 3.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::scheduling::Activator;

use super::build::{Stage, wakers};
use super::idle::{Gossip, SplitWatermarks, Status};
use super::output::in_pieces;
use super::{Built, Output};
use crate::context::Port;
use crate::credit::{BUCKETS, Gate, Waiter};
use crate::dataflow::Dataflow;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::metrics::{OperatorMetrics, Role};
use crate::record::{Batch, Data};
use crate::source::{Poll, Reader, Source};
use crate::time::{Epoch, Time};
use crate::watermark::{WatermarkGenerator, of_stamp};
use crate::worker::Running;

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

/// Reads one split through the stateless steps that follow the source.
pub trait SplitReader<T> {
    /// Appends what was made of up to `limit` records; returns how many were read.
    ///
    /// # Errors
    /// Those of the reader.
    fn poll(&mut self, out: &mut Batch<T>, limit: usize) -> Result<(Poll, usize)>;
}

/// A source with the stateless steps that follow it.
pub trait Origin<T> {
    /// Opens the splits that this worker reads.
    ///
    /// - `place`: the source's place in the plan, the same on all workers.
    ///
    /// # Errors
    /// When the splits cannot be listed or opened.
    fn open(
        self: Box<Self>,
        dataflow: &Dataflow<'_>,
        place: usize,
    ) -> Result<Vec<Box<dyn SplitReader<T>>>>;
}

/// A source without any steps behind it.
#[derive(Debug)]
pub struct Plain<S>(pub S);

/// Reads a split of a [`Plain`] source.
struct PlainReader<R>(R);

impl<R: Reader> SplitReader<R::Item> for PlainReader<R> {
    fn poll(&mut self, out: &mut Batch<R::Item>, limit: usize) -> Result<(Poll, usize)> {
        let before = out.len();
        let poll = self.0.poll(out, limit)?;
        Ok((poll, out.len() - before))
    }
}

impl<S: Source> Origin<S::Item> for Plain<S> {
    fn open(
        self: Box<Self>,
        dataflow: &Dataflow<'_>,
        place: usize,
    ) -> Result<Vec<Box<dyn SplitReader<S::Item>>>> {
        let (worker, workers) = (dataflow.worker(), dataflow.workers());
        let splits = dataflow.job().shared("splits", place, || self.0.splits(workers))?;
        let mine = splits.iter().skip(worker).step_by(workers);
        mine.map(|split| {
            let reader: Box<dyn SplitReader<S::Item>> = Box::new(PlainReader(self.0.open(split)?));
            Ok(reader)
        })
        .collect()
    }
}

/// A source with one more step behind it.
pub struct Staged<A, B> {
    /// The source so far.
    pub origin: Box<dyn Origin<A>>,
    /// The step.
    pub stage: Stage<A, B>,
}

impl<A, B> std::fmt::Debug for Staged<A, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged").finish_non_exhaustive()
    }
}

/// Reads a split of a [`Staged`] source; the splits of a worker share the step.
struct StagedReader<A, B> {
    reader: Box<dyn SplitReader<A>>,
    stage: Rc<RefCell<Stage<A, B>>>,
    read: Batch<A>,
}

impl<A, B> SplitReader<B> for StagedReader<A, B> {
    fn poll(&mut self, out: &mut Batch<B>, limit: usize) -> Result<(Poll, usize)> {
        let polled = self.reader.poll(&mut self.read, limit)?;
        (self.stage.borrow_mut())(&mut self.read, out);
        self.read.clear();
        Ok(polled)
    }
}

impl<A: Data, B: Data> Origin<B> for Staged<A, B> {
    fn open(
        self: Box<Self>,
        dataflow: &Dataflow<'_>,
        place: usize,
    ) -> Result<Vec<Box<dyn SplitReader<B>>>> {
        let stage = Rc::new(RefCell::new(self.stage));
        let readers = self.origin.open(dataflow, place)?.into_iter();
        Ok(readers
            .map(|reader| {
                let stage = Rc::clone(&stage);
                let staged: Box<dyn SplitReader<B>> =
                    Box::new(StagedReader { reader, stage, read: Vec::new() });
                staged
            })
            .collect())
    }
}

/// What is known of a source before it is built.
pub struct SourceBuilder<T: Data> {
    /// The stable identity.
    pub uid: String,
    /// What people call it.
    pub name: String,
    /// Where the records come from.
    pub origin: Box<dyn Origin<T>>,
    /// How they get event times and watermarks; `None` keeps the source's own event times and
    /// makes no watermarks.
    pub strategy: Option<Strategy<T>>,
    /// Whether there is one watermark only, at the end.
    pub batch_mode: bool,
}

impl<T: Data> std::fmt::Debug for SourceBuilder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceBuilder").field("uid", &self.uid).finish_non_exhaustive()
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
}

/// A limit on the records per second, as a bucket that fills with time.
struct Rate {
    per_second: f64,
    allowed: f64,
    filled: Instant,
}

impl Rate {
    fn new(per_second: f64) -> Self {
        Rate { per_second, allowed: 0.0, filled: Instant::now() }
    }

    /// Fills the bucket, to a tenth of a second's worth at the most, and returns what is in it.
    fn fill(&mut self) -> usize {
        let now = Instant::now();
        let seconds = now.duration_since(self.filled).as_secs_f64();
        let most = (self.per_second / 10.0).max(1.0);
        self.allowed = (self.allowed + seconds * self.per_second).min(most);
        self.filled = now;
        self.allowed as usize
    }
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
    rate: Option<Rate>,
    /// The step of the grid that the watermark was last moved in.
    step: i64,
    grid_ms: i64,
    running: Running,
    job: Arc<Job>,
    worker: usize,
    metrics: Arc<OperatorMetrics>,
    activator: Activator,
    waiter: Waiter,
}

impl<T: Data> SourceBuilder<T> {
    /// Puts the source into the dataflow.
    ///
    /// # Errors
    /// When the uid is taken, or the splits cannot be listed or opened.
    pub fn build<'scope>(mut self, dataflow: &Dataflow<'scope>) -> Result<Built<'scope, T>> {
        let place = dataflow.add(&self.uid, &self.name)?;
        let job = Arc::clone(dataflow.job());
        let (worker, workers) = (dataflow.worker(), dataflow.workers());
        let name = self.name.clone();
        let named =
            |source: Error| Error::Operator { operator: name.clone(), source: Box::new(source) };
        let readers = self.origin.open(dataflow, place).map_err(named)?;
        let gossip = job.shared("gossip", place, || Ok(Gossip::new(workers)))?;
        let now_ms = job.now_ms();
        let splits = readers.into_iter().map(|reader| ActiveSplit {
            reader,
            generator: self.strategy.as_ref().map(|strategy| (strategy.generator)()),
            last_ms: now_ms,
            due: None,
            finished: false,
        });
        let splits: Vec<_> = splits.collect();
        let mut builder = OperatorBuilder::new(self.name.clone(), dataflow.scope());
        let (output, stream) = builder.new_output::<Batch<T>>();
        let gate = Gate::default();
        let built = Built::new(stream, gate.clone());
        let (activator, waiter) = wakers(dataflow, &builder.operator_info());
        activator.activate();
        let strategy = self.strategy.take();
        let idleness = strategy.as_ref().and_then(|strategy| strategy.idleness);
        let grid_ms =
            i64::try_from(job.config().watermark_interval.as_millis()).unwrap_or(i64::MAX);
        let rate = job.config().rate.map(|rate| Rate::new(rate as f64 / workers as f64));
        let metrics = job.metrics().register(&self.uid, &self.name, worker, Role::Source);
        let mut shell = SourceShell {
            watermarks: SplitWatermarks::new(splits.len()),
            splits,
            start: Instant::now(),
            turn: 0,
            assign: strategy.and_then(|strategy| strategy.assign),
            idleness_ms: idleness.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
            batch_mode: self.batch_mode,
            gossip,
            output: Output::new(output, None, gate),
            made: Vec::new(),
            batch_records: dataflow.batch_records::<T>(),
            epoch: Epoch(0),
            stamp: i64::MIN,
            rate,
            step: now_ms.div_euclid(grid_ms),
            grid_ms,
            running: Running::new(&self.name),
            job,
            worker,
            metrics,
            activator,
            waiter,
        };
        builder.build_reschedule(move |mut capabilities| {
            shell.output.capability = capabilities.pop();
            move |_frontiers| shell.activate()
        });
        Ok(built)
    }
}

impl<T: Data> SourceShell<T> {
    fn activate(&mut self) -> bool {
        if self.output.capability.is_none() || self.job.has_failed() {
            return false;
        }
        let _running = self.running.enter();
        self.follow_trigger();
        let outcome = match self.emit() {
            Ok(outcome) => outcome,
            Err(error) => {
                let operator = self.metrics.name.clone();
                self.job.fail(Error::Operator { operator, source: Box::new(error) });
                return false;
            }
        };
        self.output.done();
        let finished = self.splits.iter().all(|split| split.finished);
        self.tick(outcome == Outcome::Blocked, finished);
        if finished {
            self.metrics.set_epoch(None);
            self.output.capability = None;
            return false;
        }
        self.rest(outcome);
        true
    }

    /// Moves to the epoch that the job is in, unless operators are too far behind.
    fn follow_trigger(&mut self) {
        let mut epoch = self.job.epoch();
        if epoch <= self.epoch {
            return;
        }
        if let Some(least) = self.job.metrics().least_epoch() {
            epoch = epoch.min(Epoch(least.0 + BUCKETS as u64 - 1));
        }
        if epoch > self.epoch {
            self.epoch = epoch;
            self.metrics.set_epoch(Some(epoch));
            self.output.downgrade(Time::new(self.epoch, self.stamp));
        }
    }

    /// Reads the splits in turn, within the budget and the credit.
    fn emit(&mut self) -> Result<Outcome> {
        let budget = self.job.config().budget;
        let (start, began) = (Instant::now(), self.time());
        let free_running = self.job.config().turns.is_none();
        let most = budget.source_bytes as usize / std::mem::size_of::<crate::Record<T>>().max(1);
        let mut left = most.max(1);
        let mut batches = budget.batches;
        loop {
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
                    let seconds = (1.0 / rate.per_second).max(0.001);
                    return Ok(Outcome::Pending(Duration::from_secs_f64(seconds)));
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
        if let Some(rate) = &mut self.rate {
            rate.allowed -= read as f64;
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
        let status = self.status(now_ms, blocked);
        let may = self.gossip.tell(self.worker, status);
        if (self.batch_mode && !finished) || may <= self.stamp {
            return;
        }
        self.stamp = may;
        self.metrics.set_watermark(of_stamp(may));
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
