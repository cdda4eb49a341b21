//! One attempt of a job: its workers, the loop that takes its checkpoints, and its end.
//!
//! ```text
//! Checkpoints::open --polled--> Job::new --> workers under turns, the loop polled beside them
//!        '------- killed at any poll or turn: all that was in memory is gone -------'
//! ```

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use highwater_checkpoint::background::Offload;
use highwater_checkpoint::{CheckpointOptions, Checkpoints, Storage};
use highwater_core::config::Config;
use highwater_core::error::Result;
use highwater_core::job::Job;
use highwater_core::key::KeyGroups;
use highwater_core::worker::Turns;
use highwater_operators::environment::{Env, Summary, run};

use super::baton::{Baton, Seats};
use super::link::Link;
use super::time::Time;
use crate::faults::Faults;
use crate::journal::{Journal, Note};
use crate::random::Random;

/// The program of the job.
pub(crate) type Program = Arc<dyn for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync>;

/// What an attempt is given.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) faults: Faults,
    pub(crate) options: CheckpointOptions,
    pub(crate) storage: Storage,
    pub(crate) link: Link,
    /// The longest time that work in the background takes, in ms.
    pub(crate) offload_ms_max: i64,
    pub(crate) random: Random,
}

type Opening = Pin<Box<dyn Future<Output = (Config, Result<Checkpoints>)>>>;
type Driver = Pin<Box<dyn Future<Output = ()>>>;

enum Stage {
    /// It fences the log and reads what it goes on from.
    Opening(Opening),
    Running {
        job: Arc<Job>,
        driver: Driver,
        requests: highwater_checkpoint::checkpoints::Requests,
        seats: Arc<Seats>,
        thread: Option<JoinHandle<Result<Summary>>>,
    },
    Over,
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was killed.
    Killed,
    /// By itself; `Ok` if the job is complete.
    Itself(Result<Summary>),
}

/// What an attempt did.
#[derive(Debug)]
pub(crate) struct Done {
    /// What its operators did.
    pub(crate) journal: Vec<Note>,
    /// `None` if it never began.
    pub(crate) began: Option<Began>,
    /// Whether it completed the job.
    pub(crate) is_complete: bool,
}

/// With what an attempt began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    /// Its number.
    pub(crate) attempt: u64,
    /// Its first epoch.
    pub(crate) first: u64,
    /// How it divided keys.
    pub(crate) key_groups: KeyGroups,
}

/// Remembers that somebody wants to be polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One attempt.
pub(crate) struct Attempt {
    stage: Stage,
    baton: Arc<Baton>,
    time: Arc<Time>,
    program: Program,
    faults: Faults,
    link: Link,
    offload: Arc<Delayed>,
    woken: Arc<Woken>,
    journal: Arc<Journal>,
    began: Option<Began>,
    ended: Option<Ended>,
}

/// Does work after a while.
struct Delayed {
    time: Arc<Time>,
    ms_max: i64,
    random: Mutex<Random>,
}

impl Offload for Delayed {
    fn offload(
        &self,
        work: Box<dyn FnOnce() -> Box<dyn std::any::Any + Send> + Send>,
    ) -> BoxFuture<'static, Result<Box<dyn std::any::Any + Send>, String>> {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let sleep = self.time.sleep(random.between(0, self.ms_max));
        async move {
            sleep.await;
            Ok(work())
        }
        .boxed()
    }
}

impl Attempt {
    pub(crate) fn begin(
        setup: Setup,
        program: &Program,
        baton: &Arc<Baton>,
        time: &Arc<Time>,
    ) -> Self {
        let Setup { mut config, faults, options, storage, link, offload_ms_max, random } = setup;
        let journal = Arc::new(Journal::default());
        config.witness = Some(Arc::<Journal>::clone(&journal));
        let opening: Opening = Box::pin(async move {
            let opened = Checkpoints::open(options, storage, &mut config).await;
            (config, opened)
        });
        let (time, random) = (Arc::clone(time), Mutex::new(random));
        let offload = Delayed { time: Arc::clone(&time), ms_max: offload_ms_max, random };
        Attempt {
            stage: Stage::Opening(opening),
            baton: Arc::clone(baton),
            time,
            program: Arc::clone(program),
            faults,
            link,
            offload: Arc::new(offload),
            woken: Arc::new(Woken(AtomicBool::new(true))),
            journal,
            began: None,
            ended: None,
        }
    }

    /// Returns whether polling it may do something.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_over() && self.woken.0.load(Ordering::SeqCst)
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Returns whether nothing happens in it before somebody wakes.
    pub(crate) fn only_waits(&self) -> bool {
        let idle = match &self.stage {
            Stage::Running { job, seats, .. } => {
                let here = |epoch| epoch == job.epoch();
                let all_here =
                    || job.metrics().operators().iter().all(|o| o.epoch().is_none_or(here));
                seats.is_over() || job.is_drained() && all_here()
            }
            Stage::Opening(_) | Stage::Over => true,
        };
        idle && !self.is_ready()
    }

    /// Gives its workers no turns for now, or lets them go on.
    pub(crate) fn hold(&self, held: bool) {
        if let Stage::Running { seats, .. } = &self.stage {
            seats.hold(held);
        }
    }

    /// Returns where every operator stands.
    pub(crate) fn describe(&self) -> String {
        match &self.stage {
            Stage::Opening(_) => "opens".to_owned(),
            Stage::Running { job, .. } => {
                let mut operators = job.metrics().operators();
                operators.sort_by_key(|o| (o.uid.clone(), o.worker));
                let lines = operators.iter().map(|o| {
                    let (uid, worker, watermark) = (&o.uid, o.worker, o.watermark());
                    format!("\n  {uid} on {worker}: {:?}, watermark {watermark}", o.epoch())
                });
                format!("runs in {}{}", job.epoch(), lines.collect::<String>())
            }
            Stage::Over => format!("ended: {:?}", self.ended),
        }
    }

    /// Polls the loop that takes checkpoints, or the opening.
    pub(crate) fn poll(&mut self) {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        match &mut self.stage {
            Stage::Opening(opening) => {
                if let std::task::Poll::Ready((config, opened)) = opening.poll_unpin(&mut context) {
                    self.opened(config, opened);
                }
            }
            Stage::Running { driver, .. } => {
                let is_over = driver.poll_unpin(&mut context).is_ready();
                if self.link.is_fatal() {
                    self.kill();
                } else if is_over {
                    self.stage = Stage::Over;
                }
            }
            Stage::Over => {}
        }
        if matches!(self.stage, Stage::Opening(_)) && self.link.is_fatal() {
            self.kill();
        }
    }

    /// The checkpoints are open: the workers start.
    fn opened(&mut self, mut config: Config, opened: Result<Checkpoints>) {
        let seats = self.baton.seat(self.faults.clone());
        config.turns = Some(Arc::<Seats>::clone(&seats));
        let started = opened.and_then(|checkpoints| {
            let job = Arc::new(Job::new(config)?);
            Ok((checkpoints, job))
        });
        let (checkpoints, job) = match started {
            Ok(started) => started,
            Err(error) => {
                seats.stop();
                self.ended = Some(Ended::Itself(Err(error)));
                self.stage = Stage::Over;
                return;
            }
        };
        let (attempt, first) = (checkpoints.attempt(), checkpoints.begins().0.0);
        self.began = Some(Began { attempt, first, key_groups: job.key_groups() });
        let time = Arc::clone(&self.time);
        let start_ms = time.now_ms();
        let now = move || {
            let now_ms = time.now_ms();
            (Duration::from_millis((now_ms - start_ms).unsigned_abs()), now_ms)
        };
        let offload = Arc::<Delayed>::clone(&self.offload);
        let requests = checkpoints.requests();
        let driver = checkpoints.drive(&job, offload, now);
        let (shared, program) = (Arc::clone(&job), Arc::clone(&self.program));
        let thread = std::thread::spawn(move || run(&shared, move |env| program(env)));
        seats.assemble();
        let (driver, thread) = (Box::pin(driver), Some(thread));
        self.stage = Stage::Running { job, driver, requests, seats, thread };
        self.woken.0.store(true, Ordering::SeqCst);
    }

    /// Takes note of the end of the workers.
    pub(crate) fn settle(&mut self) {
        if let Stage::Running { seats, thread, requests, .. } = &mut self.stage
            && seats.is_over()
            && let Some(thread) = thread.take()
        {
            self.ended = Some(Ended::Itself(joined(thread)));
            requests.workers_ended();
            self.woken.0.store(true, Ordering::SeqCst);
        }
    }

    /// Ends the attempt where it stands, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Stage::Running { job, driver, thread, .. } =
            std::mem::replace(&mut self.stage, Stage::Over)
        {
            drop(driver);
            job.halt();
            if let Some(thread) = thread {
                // It was killed, whatever it came to.
                let _ = joined(thread);
            }
        }
        self.ended = Some(Ended::Killed);
    }

    /// Returns whether the job is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_over() && matches!(self.ended, Some(Ended::Itself(Ok(_))))
    }

    /// # Errors
    /// When it failed though nobody provoked it.
    pub(crate) fn verdict(&self) -> std::result::Result<(), String> {
        match &self.ended {
            Some(Ended::Itself(Err(error))) => Err(error.sentence()),
            _ => Ok(()),
        }
    }

    pub(crate) fn finish(self) -> Done {
        let is_complete = self.is_complete();
        Done { journal: self.journal.take(), began: self.began, is_complete }
    }
}

fn joined(thread: JoinHandle<Result<Summary>>) -> Result<Summary> {
    match thread.join() {
        Ok(ended) => ended,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
