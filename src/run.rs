//! Runs a job in this process, with everything that stands beside it.
//!
//! ```text
//! checkpoints opened --> job --> report, checkpoints, control socket, signals --> workers
//!                                     all ended in the opposite order      <----'
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use highwater_checkpoint::{Running, Threaded};
use highwater_core::error::Result;
use highwater_core::job::Job;
use highwater_core::peers::Peers;
use highwater_mesh::Mesh;
use highwater_operators::environment::{Env, Summary};

use crate::attendant::{Attended, attend};
use crate::control::{Desk, Server, default_path};
use crate::observe::Observer;
use crate::options::Config;
use crate::report::Report;
use crate::supervisor::{Attempt, Open};
use crate::together::meet;

/// How a job has ended.
pub(crate) struct Ended {
    pub(crate) result: Result<Summary>,
    /// Whether it was at work: nothing was wrong with what it began with.
    pub(crate) began: bool,
}

/// Runs a job.
///
/// - `attempt`: the connection with the supervisor, if there is one.
pub(crate) fn run<F>(config: Config, attempt: Option<&'static Attempt>, program: F) -> Ended
where
    F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
{
    let mesh = match meet(&config, attempt) {
        Ok(mesh) => mesh,
        Err(error) => return Ended { result: Err(error), began: false },
    };
    let ended = run_with(config, attempt, mesh.as_ref(), program);
    if let Some(mesh) = mesh {
        if let Err(error) = &ended.result {
            mesh.fail(error);
        }
        mesh.leave();
    }
    ended
}

/// Runs a job that is connected with its other processes.
fn run_with<F>(
    mut config: Config,
    attempt: Option<&'static Attempt>,
    mesh: Option<&Arc<Mesh>>,
    program: F,
) -> Ended
where
    F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
{
    if let Some(mesh) = mesh {
        config.engine.peers = Some(Arc::clone(mesh) as Arc<dyn Peers>);
        // The first process speaks for all.
        config.progress &= mesh.index() == 0;
    }
    match Prepared::new(config, attempt) {
        Ok(prepared) => {
            let job = Arc::clone(&prepared.job);
            let result = prepared.run(attempt, program);
            // A checkpoint is triggered when everything that was restored has been accepted.
            let began = match job.config().snapshots {
                Some(_) => job.epoch() > job.first_epoch(),
                None => job.is_built(),
            };
            Ended { result, began }
        }
        Err(error) => Ended { result: Err(error), began: false },
    }
}

/// A job that is about to run.
struct Prepared {
    job: Arc<Job>,
    checkpoints: Option<Threaded>,
    progress: bool,
    metrics: Option<PathBuf>,
    control: Option<Socket>,
    attended: bool,
}

/// Where a job listens.
struct Socket {
    path: PathBuf,
    /// Whether the job does not run without it.
    needed: bool,
}

impl Prepared {
    fn new(mut config: Config, attempt: Option<&Attempt>) -> Result<Self> {
        attempt.map(|attempt| attempt.describe(&mut config)).transpose()?;
        let Config { mut engine, progress, metrics, checkpoints, control, attended, .. } = config;
        let mut socket = control.map(|path| Socket { path, needed: true });
        let checkpoints = match checkpoints {
            Some(mut options) => {
                let url = options.url.clone();
                if attended && socket.is_none() {
                    socket = default_path(&url).map(|path| Socket { path, needed: false });
                }
                attempt.inspect(|attempt| attempt.go_on(&mut options));
                let opened = Threaded::open(options, &mut engine)?;
                attempt.inspect(|attempt| attempt.begun(&url, opened.attempt()));
                Some(opened)
            }
            None => None,
        };
        let job = Arc::new(Job::new(engine)?);
        Ok(Prepared { job, checkpoints, progress, metrics, control: socket, attended })
    }

    fn run<F>(self, attempt: Option<&'static Attempt>, program: F) -> Result<Summary>
    where
        F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
    {
        let Prepared { job, checkpoints, progress, metrics, control, attended } = self;
        let observer = Arc::new(Observer::new(&job));
        let report = Report::start(&job, &observer, progress, metrics, attempt)?;
        let beside = match checkpoints.map(|opened| opened.start(&job)) {
            Some(running) => {
                Some(Beside::start(&job, &observer, running, control, attended, attempt)?)
            }
            None => None,
        };
        let ended = highwater_operators::environment::run(&job, program);
        if let Some(beside) = beside {
            beside.end();
        }
        report.end(ended.as_ref().ok())?;
        ended
    }
}

/// What stands beside a job that takes checkpoints.
struct Beside<'a> {
    checkpoints: Running,
    /// Questions of the supervisor.
    questions: Option<Open<'a>>,
    signals: Option<Attended>,
    server: Option<Server>,
}

impl<'a> Beside<'a> {
    fn start(
        job: &Arc<Job>,
        observer: &Arc<Observer>,
        checkpoints: Running,
        socket: Option<Socket>,
        attended: bool,
        attempt: Option<&'a Attempt>,
    ) -> Result<Self> {
        // What is asked of the job is asked of its first process.
        let Some(requests) = checkpoints.requests() else {
            return Ok(Beside { checkpoints, questions: None, signals: None, server: None });
        };
        let failures = attempt.map(Attempt::failures).unwrap_or_default();
        observer.take_checkpoints(requests.clone());
        let desk = Arc::new(Desk::new(job, observer, requests, failures));
        let server = match socket {
            Some(Socket { path, needed }) => match Server::listen(&path, &desk) {
                Ok(server) => Some(server),
                Err(error) if needed => return Err(error),
                Err(error) => {
                    tracing::warn!("the job cannot be controlled: {}", error.sentence());
                    None
                }
            },
            None => None,
        };
        let signals = attended.then(|| attend(&desk)).transpose()?;
        let questions = attempt.map(|attempt| attempt.open(&desk));
        Ok(Beside { checkpoints, questions, signals, server })
    }

    fn end(self) {
        self.checkpoints.end();
        drop(self.questions);
        drop(self.signals);
        self.server.into_iter().for_each(Server::end);
    }
}
