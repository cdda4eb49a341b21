//! Does what the coordinator says, and tells it what came of that.
//!
//! ```text
//! workers --cuts--> Process --acks--> Coordinator --actions--> store, log, sinks, sources
//!                                        ^  |
//!                     a tick, a request -'  '- one future per step; the loop never waits for one
//! ```
//!
//! Every process has a `Member`, which looks at its job and does what concerns its operators. The
//! first process has the coordinator, too, and takes the reports of all; the others have a `Follower`.
//!
//! The loop is one future. In a job it runs on a thread of its own, with tokio's threads for what
//! takes long; in a simulation it is polled by whoever decides what happens next.

mod follower;
mod member;
mod steps;
mod tally;

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
use highwater_core::peers::Topic;
use highwater_core::time::Epoch;

use crate::background::Offload;
use crate::checkpoints::Checkpoints;
use crate::coordinator::{Action, Coordinator, Event, Request, Start, Status};
use crate::export::export;
use crate::garbage::{Collector, Superseding};
use crate::log::{Attempt, Completed};
use crate::marker::mark_committed;
use crate::messages::{Order, Report};
use crate::process::Taken;
use crate::savepoint::delete_claimed;
use crate::storage::Storage;
pub(crate) use follower::{Follower, Opening, Told, tell_all};
use member::{Member, Work};
use steps::{log, write};
use tally::Tally;

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
    job: Arc<Job>,
    member: Member,
    tally: Tally,
    storage: Storage,
    shared: Arc<Shared>,
    coordinator: Coordinator,
    taken: mpsc::UnboundedReceiver<Taken>,
    /// What other processes report.
    heard: mpsc::UnboundedReceiver<(usize, Report)>,
    /// Keeps that open when there are none.
    _hearing: mpsc::UnboundedSender<(usize, Report)>,
    asked: mpsc::UnboundedReceiver<Asked>,
    /// Set when the workers have ended.
    ended: Arc<AtomicBool>,
    steps: FuturesUnordered<Step>,
    answer: Option<oneshot::Sender<Result<Epoch, String>>>,
    /// The checkpoint whose results the sinks make visible when they are opened.
    unfinished: Option<Completed>,
    /// The savepoint that goes when a checkpoint is complete.
    claimed: Option<String>,
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
            workers: job.config().total_workers(),
        };
        let claimed = options.restore.savepoint().filter(|_| options.claim).map(str::to_owned);
        let shared = Shared {
            attempt: Mutex::new(attempt),
            retained: std::sync::Mutex::default(),
            collector: Collector::new(garbage),
        };
        let lenient = options.allow_non_restored_state;
        let (hearing, heard) = mpsc::unbounded();
        let processes = hear_others(job, &hearing);
        Driver {
            coordinator: Coordinator::new(options, start),
            job: Arc::clone(job),
            member: Member::new(job, process, storage.clone(), offload, lenient),
            tally: Tally::new(processes),
            storage,
            shared: Arc::new(shared),
            taken: checkpoints.taken,
            heard,
            _hearing: hearing,
            asked: checkpoints.asked,
            ended: checkpoints.ended,
            steps: FuturesUnordered::new(),
            answer: None,
            unfinished,
            claimed,
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
                    cut.into_iter().for_each(|cut| self.work(self.member.store(cut)));
                    continue;
                }
                heard = self.heard.next() => {
                    heard.and_then(|(from, report)| self.tally.take(from, report)).map(Event::Report)
                }
                came = self.steps.select_next_some() => came.and_then(|event| self.count(event)),
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

    /// Looks at the job in this process.
    fn look(&mut self) -> Event {
        let Some(report) = self.member.look() else { return Event::Tick };
        if let Report::Started { .. } = report
            && let Some(completed) = self.unfinished.take()
        {
            self.mark(completed, false);
        }
        self.count(Event::Report(report)).unwrap_or(Event::Tick)
    }

    /// Passes on what the coordinator must know: a report of this process if it was the last.
    fn count(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Report(report) => self.tally.take(0, report).map(Event::Report),
            event => Some(event),
        }
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

    /// Does work of this process.
    fn work(&self, work: Work) {
        self.step(work.map(|report| report.map(Event::Report)));
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

    /// Asks something of all processes.
    fn order(&mut self, order: Order) {
        if let Some(peers) = &self.job.config().peers
            && let Err(error) = tell_all(&**peers, &Told::Order(order.clone()))
        {
            return self.job.fail(error);
        }
        if let Some(work) = self.member.obey(order) {
            self.work(work);
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
            self.member.abandon();
        }
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err("the job has ended".to_owned()));
        }
    }
}

/// Takes the reports of the other processes, if there are any; returns how many processes there are.
fn hear_others(job: &Arc<Job>, hearing: &mpsc::UnboundedSender<(usize, Report)>) -> usize {
    let Some(peers) = &job.config().peers else { return 1 };
    let (hearing, failing) = (hearing.clone(), Arc::downgrade(job));
    peers.listen(
        Topic::Checkpoints,
        Box::new(move |from, message| match serde_json::from_slice(message) {
            // The loop has ended only when the job has.
            Ok(report) => drop(hearing.unbounded_send((from, report))),
            Err(error) => {
                if let Some(job) = failing.upgrade() {
                    job.fail(Error::state(format!("process {from} reports: {error}")));
                }
            }
        }),
    );
    peers.processes()
}
