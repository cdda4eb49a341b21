//! Decides when checkpoints begin, when they are complete, and when the job may end.
//!
//! ```text
//! Event --> Coordinator --> [Action]
//!
//! tick, drained, request --> Order::Trigger
//! acknowledged by all    --> Write the manifest --> Log it: COMMIT POINT --> Order::Commit
//!                                                   --> Mark --> Collect garbage
//! the last one is marked --> Order::Release
//! ```
//!
//! The coordinator is a pure machine: it does no input or output, and knows no clock but the one it
//! is told. Whoever drives it (`driver.rs`) does what it says and tells it what came of that.
//!
//! **Invariants**
//! - *In order*: a checkpoint completes after all before it have completed or been given up, and
//!   after every operator has answered for all of them (`Coordinator::proceed`).
//! - *Nothing lost*: what sinks prepared for a checkpoint that was given up belongs to the next one
//!   that completes (`Prepared::take`).
//! - *Relative to what is stored*: after a checkpoint was given up the next one is full
//!   (`Coordinator::give_up`).
//! - I9: `Order::Commit` comes after `Event::Logged`, never before.
//!
//! **Sources**: Flink's `CheckpointCoordinator`; Lightweight Asynchronous Snapshots, 2015.

mod events;
mod pending;
mod request;
mod snapshot;
mod statistics;
mod under_way;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use highwater_core::cut::CutKind;
use highwater_core::error::Error;
use highwater_core::time::Epoch;

use crate::log::Completed;
use crate::manifest::Manifest;
use crate::messages::{Ack, Instance, Order, Report};
use crate::options::CheckpointOptions;
use crate::storage::ObjectRef;
use pending::{AllPending, Pending};
use snapshot::{Chains, Prepared};

pub use events::{Action, Event, Request, Start, Then};
pub use statistics::{
    CompletedCheckpoint, FailedCheckpoint, Stage, Statistics, Status, Summary, UnderWay,
};

/// The checkpoint that everybody has acknowledged.
#[derive(Debug)]
struct Completing {
    checkpoint: Epoch,
    /// When it was triggered, since the start of the coordinator.
    triggered: Duration,
    last: bool,
    manifest: Manifest,
    /// What was written for it alone.
    written: Vec<ObjectRef>,
    /// Its place in the log, once it is there.
    completed: Option<Completed>,
}

/// The coordinator of the checkpoints of one job.
#[derive(Debug)]
pub struct Coordinator {
    options: CheckpointOptions,
    start: Start,
    now: Duration,
    /// Wall-clock time, in ms since 1970, for manifests.
    now_ms: i64,
    /// The epoch that runs: the number of the next checkpoint.
    running: Epoch,
    instances: Option<BTreeSet<Instance>>,
    pending: AllPending,
    completing: Option<Completing>,
    prepared: Prepared,
    chains: Chains,
    full_next: bool,
    deltas: u32,
    failures: u32,
    triggered: Duration,
    /// When the last one completed or was given up.
    ended: Option<Duration>,
    /// Whether the checkpoint with which the job ends is complete.
    last_completed: bool,
    drained: bool,
    released: bool,
    request: Option<Request>,
    /// The checkpoint that the request waits for.
    requested: Option<Epoch>,
    statistics: Statistics,
    actions: Vec<Action>,
}

impl Coordinator {
    /// Returns the coordinator of a job that has not started.
    #[must_use]
    pub fn new(options: CheckpointOptions, start: Start) -> Self {
        Coordinator {
            options,
            start,
            now: Duration::ZERO,
            now_ms: 0,
            running: start.first,
            instances: None,
            pending: AllPending::new(),
            completing: None,
            prepared: Prepared::default(),
            chains: Chains::default(),
            full_next: true,
            deltas: 0,
            failures: 0,
            triggered: Duration::ZERO,
            ended: None,
            last_completed: false,
            drained: false,
            released: false,
            request: None,
            requested: None,
            statistics: Statistics::default(),
            actions: Vec::new(),
        }
    }

    /// Takes an event and returns what is to be done, in this order.
    ///
    /// - `now`: since the start of the coordinator; `now_ms`: since 1970.
    pub fn on(&mut self, event: Event, now: Duration, now_ms: i64) -> Vec<Action> {
        (self.now, self.now_ms) = (now, now_ms);
        match event {
            Event::Tick => self.expire(),
            Event::Report(report) => self.report(report),
            Event::Written(Ok(manifest)) => self.written(manifest),
            Event::Logged(Ok(completed)) => self.logged(completed),
            Event::Written(Err(why)) | Event::Logged(Err(why)) => self.not_completed(&why),
            Event::Marked => self.marked(),
            Event::Exported(exported) => self.exported(exported),
            Event::Request(request) => self.requested(request),
        }
        self.proceed();
        self.trigger_if_due();
        std::mem::take(&mut self.actions)
    }

    /// Returns whether the job may end: its last checkpoint is complete.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// Returns how far the checkpoints have come.
    #[must_use]
    pub fn status(&self) -> Status {
        let pending = self.pending.values().filter(|pending| !pending.aborted).count();
        Status {
            attempt: self.start.attempt,
            epoch: self.running.0,
            in_progress: pending + usize::from(self.completing.is_some()),
            checkpoints: self.statistics.clone(),
            under_way: self.under_way(),
        }
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Started { instances } => {
                self.instances = Some(instances.into_iter().collect());
                self.triggered = self.now;
            }
            Report::Acked(ack) => self.acked(ack),
            Report::Committed { checkpoint } => {
                let of = self.completing.as_ref().filter(|of| of.checkpoint == checkpoint);
                self.actions.extend(of.and_then(|of| of.completed.clone()).map(Action::Mark));
            }
            Report::Drained => self.drained = true,
        }
    }

    fn acked(&mut self, ack: Ack) {
        let epoch = ack.epoch;
        let declined =
            ack.states.as_ref().err().map(|why| {
                format!("operator {:?} on worker {}: {why}", ack.name, ack.instance.worker)
            });
        let Some(pending) = self.pending.get_mut(&epoch) else { return };
        let counts = pending.ack(ack) && !pending.aborted;
        if let (true, Some(why)) = (counts, declined) {
            self.give_up(epoch, &why);
        }
    }

    /// Gives up a checkpoint, and with it those that build on it.
    fn give_up(&mut self, checkpoint: Epoch, why: &str) {
        tracing::warn!(checkpoint = checkpoint.0, why, "a checkpoint failed");
        self.statistics.fail(checkpoint, why, self.now_ms);
        for (_, pending) in self.pending.range_mut(checkpoint..) {
            pending.aborted = true;
            pending.since = self.now;
        }
        self.full_next = true;
        self.ended = Some(self.now);
        self.failures += 1;
        if self.requested.take_if(|requested| *requested >= checkpoint).is_some() {
            self.request = None;
            self.actions.push(Action::Answer(Err(why.to_owned())));
        }
        if self.failures > self.options.tolerable_failures {
            let tolerable = self.options.tolerable_failures;
            let message = format!(
                "checkpoint {} failed, the {}. in a row, tolerable are {tolerable}: {why}",
                checkpoint.0, self.failures
            );
            self.actions.push(Action::Fail(Error::state(message)));
        }
    }

    /// Gives up checkpoints that take too long; one that was given up and is still not answered
    /// counts again.
    fn expire(&mut self) {
        let (now, timeout) = (self.now, self.options.timeout);
        let late = self
            .pending
            .iter()
            .find(|(_, pending)| !pending.is_answered() && now >= pending.since + timeout);
        if let Some((checkpoint, pending)) = late {
            let silent: Vec<_> = pending.silent().map(|i| i.uid.as_str()).take(3).collect();
            let why = format!("not complete after {timeout:?}, no answer from {silent:?}");
            self.give_up(*checkpoint, &why);
        }
    }

    /// Turns the oldest checkpoint into a manifest when everybody has answered.
    fn proceed(&mut self) {
        while self.completing.is_none()
            && let Some(oldest) = self.pending.first_entry()
            && oldest.get().is_answered()
        {
            let (checkpoint, pending) = oldest.remove_entry();
            self.prepared.add(&pending);
            let written = pending.objects().cloned().collect();
            if pending.aborted {
                self.discard(written);
                continue;
            }
            self.chains.extend(&pending);
            let mut manifest = self.chains.manifest(checkpoint, &pending, &self.start);
            manifest.created_ms = self.now_ms;
            manifest.finished = pending.last;
            self.prepared.take(&mut manifest);
            self.actions.push(Action::Write(Box::new(manifest.clone())));
            self.completing = Some(Completing {
                checkpoint,
                triggered: pending.since,
                last: pending.last,
                manifest,
                written,
                completed: None,
            });
        }
    }

    fn written(&mut self, manifest: ObjectRef) {
        if let Some(Completing { checkpoint, written, .. }) = &mut self.completing {
            written.push(manifest.clone());
            self.actions.push(Action::Log { checkpoint: *checkpoint, manifest });
        }
    }

    fn not_completed(&mut self, why: &str) {
        if let Some(completing) = self.completing.take() {
            self.prepared.give_back(completing.manifest);
            self.give_up(completing.checkpoint, why);
            self.discard(completing.written);
        }
    }

    /// Deletes what will never be part of a checkpoint: the next one is full.
    fn discard(&mut self, written: Vec<ObjectRef>) {
        if !written.is_empty() {
            self.actions.push(Action::Discard(written));
        }
    }

    /// The commit point is passed.
    fn logged(&mut self, place: Completed) {
        if let Some(Completing { checkpoint, completed, .. }) = &mut self.completing {
            *completed = Some(place);
            let checkpoint = *checkpoint;
            self.actions.push(Action::Order(Order::Commit { checkpoint }));
        }
    }

    fn marked(&mut self) {
        let Some(completing) = self.completing.take() else { return };
        let Completing { checkpoint, triggered, last, manifest, completed, .. } = completing;
        let (bytes, took) = (manifest.parts_bytes(), self.now.saturating_sub(triggered));
        tracing::info!(checkpoint = checkpoint.0, bytes, "completed");
        self.statistics.complete(checkpoint, bytes, took, self.now_ms);
        self.failures = 0;
        self.ended = Some(self.now);
        self.last_completed = last;
        if let Some(completed) = completed {
            let manifest = Box::new(manifest.clone());
            self.actions.push(Action::Collect { completed, manifest });
        }
        let requested = self.requested == Some(checkpoint);
        match self.request.as_ref().filter(|_| requested).and_then(|request| request.url.clone()) {
            Some(url) => self.actions.push(Action::Export { url, manifest: Box::new(manifest) }),
            None if requested => self.exported(Ok(())),
            None => {}
        }
        self.release_if_done();
    }

    fn release(&mut self) {
        self.released = true;
        self.actions.push(Action::Order(Order::Release));
    }

    /// Lets the job end after its last checkpoint, unless a savepoint is still being written.
    fn release_if_done(&mut self) {
        if self.last_completed && self.request.is_none() && !self.released {
            self.release();
        }
    }

    /// Returns the checkpoint with which the job ends, if it is under way.
    fn last(&self) -> Option<Epoch> {
        let completing = self.completing.as_ref().filter(|completing| completing.last);
        let mut pending = self.pending.iter().filter(|(_, of)| of.last && !of.aborted);
        completing.map(|of| of.checkpoint).or_else(|| pending.next().map(|(last, _)| *last))
    }

    fn trigger_if_due(&mut self) {
        let Some(instances) = &self.instances else { return };
        // Those that were given up count until they are answered: behind them nothing completes, and
        // a job that is too slow for its timeout would pile up epochs for ever.
        let busy = self.pending.len() + usize::from(self.completing.is_some());
        let has_last = self.last_completed || self.last().is_some() || self.stops_at_requested();
        if self.released || has_last || busy >= self.options.max_concurrent {
            return;
        }
        let (last, wanted) = match &self.request {
            _ if self.drained => (true, true),
            Some(request) => (false, request.then != Then::Drain && self.requested.is_none()),
            None => (false, false),
        };
        if wanted && (busy > 0 || (self.failures > 0 && !self.has_rested())) {
            return;
        }
        let paused = self.ended.is_none_or(|ended| self.now >= ended + self.options.min_pause);
        let due = self.has_rested() && paused;
        if !wanted && !due {
            return;
        }
        let checkpoint = self.running;
        if self.request.is_some() && self.requested.is_none() && (wanted || last) {
            self.requested = Some(checkpoint);
        }
        let pending = Pending::new(self.now, last, instances);
        let kind = self.kind(self.requested == Some(checkpoint));
        self.pending.insert(checkpoint, pending);
        self.running = checkpoint.next();
        self.triggered = self.now;
        self.actions.push(Action::Order(Order::Trigger { epoch: checkpoint, kind }));
    }

    /// Whether the checkpoint that was asked for is the last unless it fails: what a later one made
    /// visible would be made once more by whoever goes on from the savepoint.
    fn stops_at_requested(&self) -> bool {
        let suspends = |request: &Request| request.then == Then::Suspend;
        self.requested.is_some() && self.request.as_ref().is_some_and(suspends)
    }

    /// Whether an interval has passed since the last trigger.
    fn has_rested(&self) -> bool {
        self.now >= self.triggered + self.options.interval
    }

    /// Chooses between full and delta. A savepoint is full, as it stands for itself.
    fn kind(&mut self, savepoint: bool) -> CutKind {
        let full =
            std::mem::take(&mut self.full_next) || savepoint || self.deltas >= self.options.deltas;
        self.deltas = if full { 0 } else { self.deltas + 1 };
        CutKind { delta: !full, track: self.options.deltas > 0 }
    }
}
