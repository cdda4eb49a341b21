//! Does what the coordinator says, and tells it what came of that.
//!
//! ```text
//! workers --cuts--> Process --acks--> Coordinator --actions--> store, log, sinks, sources
//!                                        ^  |
//!                     a tick, a request -'  '- one future per step; the loop never waits for one
//! ```
//!
//! The loop is one future. In a job it runs on a thread of its own, with tokio's threads for what
//! takes long; in a simulation it is polled by whoever decides what happens next.

mod steps;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use futures_util::future::LocalBoxFuture;
use futures_util::lock::Mutex;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, select_biased};
use highwater_core::cut::Snapshots;
use highwater_core::error::{Error, Result};
use highwater_core::failpoint::reach;
use highwater_core::job::Job;
use highwater_core::time::Epoch;

use crate::background::Offload;
use crate::checkpoints::Checkpoints;
use crate::coordinator::{Action, Coordinator, Event, Request, Start, Status};
use crate::export::export;
use crate::garbage::{Collector, Superseding};
use crate::log::{Attempt, Completed};
use crate::marker::mark_committed;
use crate::messages::{Instance, Order, Report};
use crate::options::CheckpointOptions;
use crate::process::{Process, Taken};
use crate::savepoint::delete_claimed;
use crate::storage::Storage;
use steps::{commit, log, write};

/// How often the loop looks at the job and the clock.
const TICK: Duration = Duration::from_millis(5);

/// What somebody wants of the loop, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A savepoint.
    Savepoint(Request, oneshot::Sender<Result<Epoch, String>>),
    /// To know how far the checkpoints have come.
    Status(oneshot::Sender<Status>),
}

/// A step under way; what came of it, if the coordinator must know.
type Step = LocalBoxFuture<'static, Option<Event>>;

/// What several steps use.
struct Shared {
    attempt: Mutex<Attempt>,
    /// What the log retains since the last commit.
    retained: std::sync::Mutex<Vec<Completed>>,
    collector: Collector,
}

/// The loop.
pub(crate) struct Driver {
    options: CheckpointOptions,
    job: Arc<Job>,
    process: Arc<Process>,
    storage: Storage,
    shared: Arc<Shared>,
    coordinator: Coordinator,
    offload: Arc<dyn Offload>,
    taken: mpsc::UnboundedReceiver<Taken>,
    asked: mpsc::UnboundedReceiver<Asked>,
    /// Set when the workers have ended.
    ended: Arc<AtomicBool>,
    steps: FuturesUnordered<Step>,
    answer: Option<oneshot::Sender<Result<Epoch, String>>>,
    /// The checkpoint whose results the sinks make visible when they are opened.
    unfinished: Option<Completed>,
    /// The savepoint that goes when a checkpoint is complete.
    claimed: Option<String>,
    started: bool,
    drained: bool,
    /// Whether a commit slot may be in the log that the sinks do not know of.
    logging: bool,
}

impl Driver {
    pub(crate) fn new(
        checkpoints: Checkpoints,
        job: &Arc<Job>,
        offload: Arc<dyn Offload>,
    ) -> Driver {
        let Checkpoints { options, storage, attempt, garbage, unfinished, process, .. } =
            checkpoints;
        let start = Start {
            attempt: attempt.number(),
            first: process.first_epoch(),
            max_parallelism: job.key_groups().count(),
            workers: job.config().workers,
        };
        let claimed = options.restore.savepoint().filter(|_| options.claim).map(str::to_owned);
        let shared = Shared {
            attempt: Mutex::new(attempt),
            retained: std::sync::Mutex::default(),
            collector: Collector::new(garbage),
        };
        Driver {
            coordinator: Coordinator::new(options.clone(), start),
            options,
            job: Arc::clone(job),
            process,
            storage,
            shared: Arc::new(shared),
            offload,
            taken: checkpoints.taken,
            asked: checkpoints.asked,
            ended: checkpoints.ended,
            steps: FuturesUnordered::new(),
            answer: None,
            unfinished,
            claimed,
            started: false,
            drained: false,
            logging: false,
        }
    }

    /// Runs until the workers have ended.
    ///
    /// - `now`: the time since the start, and since 1970 in ms.
    pub(crate) async fn run(mut self, now: impl Fn() -> (Duration, i64)) {
        while !self.ended.load(Ordering::SeqCst) {
            let mut tick = self.storage.pace().sleep(TICK).fuse();
            let event = select_biased! {
                cut = self.taken.next() => {
                    cut.into_iter().for_each(|cut| self.store(cut));
                    continue;
                }
                came = self.steps.select_next_some() => came,
                asked = self.asked.next() => asked.map(|asked| self.asked(asked)),
                () = tick => Some(self.look()),
            };
            if let Some(event) = event {
                self.tell(event, now());
            }
        }
        self.end().await;
    }

    fn tell(&mut self, event: Event, (now, now_ms): (Duration, i64)) {
        self.logging &= !matches!(event, Event::Logged(Err(_)));
        for action in self.coordinator.on(event, now, now_ms) {
            self.act(action);
        }
    }

    /// Looks at the job: whether it has started, or has nothing left to do.
    fn look(&mut self) -> Event {
        if !self.started && self.job.is_built() {
            self.started = true;
            if let Err(error) = self.process.all_made(self.options.allow_non_restored_state) {
                self.job.fail(error);
                return Event::Tick;
            }
            if let Some(completed) = self.unfinished.take() {
                self.mark(completed, false);
            }
            let instances = self.job.metrics().operators();
            let instances = instances
                .iter()
                .map(|operator| Instance { uid: operator.uid.clone(), worker: operator.worker });
            return Event::Report(Report::Started { instances: instances.collect() });
        }
        if !self.drained && self.job.is_drained() {
            self.drained = true;
            return Event::Report(Report::Drained);
        }
        Event::Tick
    }

    fn asked(&mut self, asked: Asked) -> Event {
        let (request, answer) = match asked {
            Asked::Savepoint(request, answer) => (request, answer),
            Asked::Status(answer) => {
                // Whoever asked may have gone away.
                let _ = answer.send(self.coordinator.status());
                return Event::Tick;
            }
        };
        // The one before is told that another one is under way by nobody listening to it.
        if self.answer.is_none() {
            self.answer = Some(answer);
            return Event::Request(request);
        }
        let _ = answer.send(Err("another one is under way".to_owned()));
        Event::Tick
    }

    fn step(&self, step: impl Future<Output = Option<Event>> + 'static) {
        self.steps.push(step.boxed_local());
    }

    /// Stores what an operator has frozen.
    fn store(&self, cut: Taken) {
        let (process, storage) = (Arc::clone(&self.process), self.storage.clone());
        let (offload, job) = (Arc::clone(&self.offload), Arc::clone(&self.job));
        self.step(async move {
            match process.store(cut, &storage, &*offload).await {
                Ok(ack) => Some(Event::Report(Report::Acked(ack))),
                Err(error) => {
                    job.fail(error);
                    None
                }
            }
        });
    }

    fn act(&mut self, action: Action) {
        let storage = self.storage.clone();
        match action {
            Action::Order(order) => self.order(order),
            Action::Write(manifest) => self.step(async move {
                let written = write(&storage, &manifest).await;
                Some(Event::Written(written.map_err(|error| error.sentence())))
            }),
            Action::Log { checkpoint, manifest } => {
                self.logging = true;
                let (shared, job) = (Arc::clone(&self.shared), Arc::clone(&self.job));
                self.step(async move { log(&shared, &job, checkpoint, &manifest).await });
            }
            Action::Mark(completed) => self.mark(completed, true),
            Action::Collect { completed, manifest } => {
                let (shared, claimed) = (Arc::clone(&self.shared), self.claimed.take());
                let retained =
                    shared.retained.lock().unwrap_or_else(PoisonError::into_inner).clone();
                shared.collector.add(Superseding { completed, manifest: *manifest, retained });
                self.step(async move {
                    let before = reach("collect-before");
                    shared.collector.collect().await;
                    if let Err(error) = before.and_then(|()| reach("collect-after")) {
                        tracing::warn!(error = error.sentence(), "collecting garbage failed");
                    }
                    if let Some(url) = claimed {
                        delete_claimed(&url).await;
                    }
                    None
                });
            }
            Action::Discard(written) => {
                let shared = Arc::clone(&self.shared);
                self.step(async move {
                    shared.collector.discard(written).await;
                    None
                });
            }
            Action::Export { url, manifest } => self.step(async move {
                let exported = export(&storage, &manifest, &url).await;
                Some(Event::Exported(exported.map_err(|error| Error::state(error).sentence())))
            }),
            Action::Answer(answer) => {
                if let Some(waits) = self.answer.take() {
                    // Whoever asked may have gone away.
                    let _ = waits.send(answer);
                }
            }
            Action::Fail(error) => self.job.fail(error),
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Trigger { epoch, kind } => {
                self.process.set_kind(epoch, kind);
                let before = reach("trigger-before");
                let next = self.job.trigger();
                debug_assert_eq!(next, epoch.next(), "only the coordinator triggers");
                if let Err(error) = before.and_then(|()| reach("trigger-after")) {
                    self.job.fail(error);
                }
            }
            Order::Commit { checkpoint } => {
                let waiting = self.process.take_waiting(checkpoint);
                let (offload, storage) = (Arc::clone(&self.offload), self.storage.clone());
                let job = Arc::clone(&self.job);
                self.step(async move {
                    match commit(waiting, &*offload, &storage).await {
                        Ok(()) => Some(Event::Report(Report::Committed { checkpoint })),
                        Err(error) => {
                            job.fail(error);
                            None
                        }
                    }
                });
            }
            Order::Drain => self.job.drain(),
            Order::Release => self.job.release(),
            Order::Halt => self.job.halt(),
        }
    }

    /// Notes that all effects of a checkpoint are visible. Without the note they are made visible
    /// again, which changes nothing.
    fn mark(&mut self, completed: Completed, tell: bool) {
        self.logging &= !tell;
        let storage = self.storage.clone();
        self.step(async move {
            let marked = async {
                reach("mark-before")?;
                mark_committed(&storage, &completed).await?;
                reach("mark-after")
            };
            if let Err(error) = marked.await {
                let (checkpoint, error) = (completed.checkpoint, error.sentence());
                tracing::warn!(checkpoint, error, "not marked as committed");
            }
            tell.then_some(Event::Marked)
        });
    }

    /// Finishes what is under way, and throws away what will never be visible.
    async fn end(mut self) {
        if self.coordinator.is_released() {
            while self.steps.next().await.is_some() {}
        } else if !self.logging {
            self.process.abandon().into_iter().for_each(|mut committable| committable.abort());
        }
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err("the job has ended".to_owned()));
        }
    }
}
