//! The workers of a process: building the dataflow, stepping it, parking, and ending together.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use timely::worker::Worker;

use crate::dataflow::Dataflow;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::peers::Peers;
use crate::store::Lost;
use crate::time::Time;

/// Decides which worker steps next, for simulations. Workers step one at a time.
pub trait Turns: Send + Sync + 'static {
    /// Waits for the worker's turn; returns false when there are no more turns.
    fn wait(&self, worker: usize) -> bool;
    /// Ends the worker's turn; `alive` says whether it wants another.
    fn done(&self, worker: usize, alive: bool);
    /// Ends all turns: the job has failed.
    fn stop(&self);
}

thread_local! {
    /// The operator that is running on this thread, for the message when it panics.
    static RUNNING: RefCell<Option<Rc<str>>> = const { RefCell::new(None) };
}

/// The name of an operator, to be announced while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    name: Rc<str>,
}

/// Announces an operator until it is dropped; a panic leaves the announcement in place.
pub(crate) struct RunningGuard;

impl Running {
    pub(crate) fn new(name: &str) -> Self {
        Running { name: name.into() }
    }

    pub(crate) fn enter(&self) -> RunningGuard {
        RUNNING.with_borrow_mut(|running| *running = Some(Rc::clone(&self.name)));
        RunningGuard
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            RUNNING.with_borrow_mut(|running| *running = None);
        }
    }
}

/// Runs a job to its end on as many threads as it has workers.
///
/// - `build`: puts the operators into the dataflow; called once per worker.
///
/// Results become visible only if all workers end without an error.
///
/// # Errors
/// The first error of any worker; a panic is an error that names its operator, if any was running.
pub fn run<F>(job: &Arc<Job>, build: F) -> Result<()>
where
    F: for<'scope> Fn(&Dataflow<'scope>) -> Result<()> + Send + Sync + 'static,
{
    start(job, Arc::new(build))
}

/// Puts the operators into the dataflow of a worker.
type Build = Arc<dyn for<'scope> Fn(&Dataflow<'scope>) -> Result<()> + Send + Sync>;

/// Runs a job whatever the type of its program, so that timely is compiled for it once.
fn start(job: &Arc<Job>, build: Build) -> Result<()> {
    let ran = match job.others().map(|across| Arc::clone(across.peers())) {
        Some(peers) => run_across(job, &*peers, build),
        None => run_here(job, build),
    };
    if let Err(error) = ran {
        job.fail(error);
    }
    job.finish()
}

/// Runs the workers of a job that has no other process.
fn run_here(job: &Arc<Job>, build: Build) -> Result<()> {
    let config = match job.config().workers {
        1 if job.config().turns.is_none() => timely::Config::thread(),
        workers => timely::Config::process(workers),
    };
    let shared = Arc::clone(job);
    let guards = timely::execute(config, move |worker| work(worker, &shared, &*build))
        .map_err(|message| Error::Start { message })?;
    join(job, guards);
    Ok(())
}

/// Runs the workers of one process of a job that has several.
fn run_across(job: &Arc<Job>, peers: &dyn Peers, build: Build) -> Result<()> {
    let failing = Arc::downgrade(job);
    peers.on_loss(Box::new(move |error| {
        if let Some(job) = failing.upgrade() {
            job.fail(error);
        }
    }));
    let mut network = peers.network(job.config().workers)?;
    let (ended, telling) = (Arc::new(AtomicBool::new(false)), Arc::clone(job));
    let over = Arc::clone(&ended);
    let teller = std::thread::Builder::new().name("credits".to_owned()).spawn(move || {
        telling.keep_telling(|interval| {
            std::thread::park_timeout(interval);
            !over.load(Ordering::SeqCst)
        });
    });
    let teller = teller.map_err(|cause| Error::Start { message: cause.to_string() })?;
    let shared = Arc::clone(job);
    let (builders, options) = (network.builders(), timely::WorkerConfig::default());
    let guards = timely::execute::execute_from(builders, Box::new(()), options, move |worker| {
        work(worker, &shared, &*build);
    });
    join(job, guards.map_err(|message| Error::Start { message })?);
    network.end(!job.has_failed());
    ended.store(true, Ordering::SeqCst);
    teller.thread().unpark();
    match teller.join() {
        Ok(()) => Ok(()),
        Err(panic) => Err(Error::Start { message: message_of(&*panic) }),
    }
}

/// Waits until the workers have ended.
fn join(job: &Job, guards: timely::communication::WorkerGuards<()>) {
    for ended in guards.join() {
        if let Err(message) = ended {
            job.fail(Error::Start { message });
        }
    }
}

/// The life of one worker.
fn work(
    worker: &mut Worker,
    job: &Arc<Job>,
    build: &dyn for<'scope> Fn(&Dataflow<'scope>) -> Result<()>,
) {
    job.register_thread();
    let index = worker.index();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        worker.dataflow::<Time, _, _>(|scope| {
            let dataflow = Dataflow::new(scope, Arc::clone(job));
            build(&dataflow)?;
            job.agree_on(index, &dataflow.plan())
        })?;
        if job.may_begin()? {
            step_to_the_end(worker, job);
        }
        Ok(())
    }));
    match lived {
        Ok(Ok(())) => {}
        Ok(Err(error)) => job.fail(error),
        Err(panic) => {
            let operator = RUNNING.with_borrow_mut(Option::take).map(|name| name.to_string());
            job.fail(match (panic.downcast::<Lost>(), operator) {
                (Ok(lost), Some(operator)) => {
                    Error::Operator { operator, source: Box::new(lost.0) }
                }
                (Ok(lost), None) => lost.0,
                (Err(panic), operator) => {
                    Error::Panicked { operator, worker: index, message: message_of(&*panic) }
                }
            });
        }
    }
    if job.must_stop() {
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    }
}

fn step_to_the_end(worker: &mut Worker, job: &Arc<Job>) {
    let index = worker.index();
    match job.config().turns.clone() {
        None => {
            while worker.has_dataflows() && !job.must_stop() {
                worker.step_or_park(None);
            }
        }
        Some(turns) => {
            while turns.wait(index) {
                worker.step();
                turns.done(index, worker.has_dataflows() && !job.must_stop());
            }
        }
    }
}

/// Returns the message of a panic.
#[must_use]
pub fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
        .to_owned()
}
