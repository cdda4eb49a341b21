//! Where wishes for a running job are taken: one savepoint after the other.

use std::sync::{Arc, Mutex, PoisonError};

use highwater_checkpoint::{Requests, Then};
use highwater_core::error::Error;
use highwater_core::job::Job;
use highwater_core::metrics::Role;

use super::protocol::{How, JobStatus, Request, Response};
use crate::observe::{JobView, Observer};
use crate::supervisor::Failure;

/// Takes wishes for a running job.
pub(crate) struct Desk {
    job: Arc<Job>,
    observer: Arc<Observer>,
    requests: Requests,
    restarts: Vec<Failure>,
    /// Held while a savepoint is taken.
    turn: Mutex<()>,
}

impl Desk {
    /// - `restarts`: the failures after which the job was started again.
    pub(crate) fn new(
        job: &Arc<Job>,
        observer: &Arc<Observer>,
        requests: Requests,
        restarts: &[Failure],
    ) -> Self {
        let (job, observer) = (Arc::clone(job), Arc::clone(observer));
        Desk { job, observer, requests, restarts: restarts.to_vec(), turn: Mutex::new(()) }
    }

    pub(crate) fn answer(&self, request: Request) -> Response {
        match request {
            Request::Savepoint { url } => self.savepoint(Some(url), Then::Continue),
            Request::Checkpoint => self.savepoint(None, Then::Continue),
            Request::Stop { how: How::Suspend, url } => self.savepoint(url, Then::Suspend),
            Request::Stop { how: How::Drain, url } => self.savepoint(url, Then::Drain),
            Request::Status => self.status(),
            Request::View => Response::View(Box::new(self.view())),
            Request::Why { operator } => self.why(operator.as_deref()),
        }
    }

    fn savepoint(&self, url: Option<String>, then: Then) -> Response {
        match self.ask(url, then) {
            Ok(checkpoint) => Response::Checkpoint(checkpoint),
            Err(why) => Response::Error(why),
        }
    }

    fn ask(&self, url: Option<String>, then: Then) -> Result<u64, String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.requests.wait(url, then).map(|epoch| epoch.0)
    }

    /// What this process knows of the job.
    fn view(&self) -> JobView {
        JobView::of([(0, &self.observer.look())])
    }

    fn why(&self, operator: Option<&str>) -> Response {
        let view = self.view();
        match operator.filter(|operator| view.vertex(operator).is_none()) {
            None => Response::Why(view.why(operator)),
            Some(unknown) => {
                let known: Vec<_> =
                    view.vertices.iter().map(|vertex| vertex.uid.as_str()).collect();
                let known = known.join(", ");
                Response::Error(format!("the job has no operator {unknown:?}, it has {known}"))
            }
        }
    }

    fn status(&self) -> Response {
        let Some(checkpoints) = self.requests.status() else {
            return Response::Error("the job has ended".to_owned());
        };
        let metrics = self.job.metrics();
        Response::Status(Box::new(JobStatus {
            pid: std::process::id(),
            workers: self.job.config().total_workers(),
            records_in: metrics.sum(Role::Source, |o| o.records_in.get()),
            records_out: metrics.sum(Role::Sink, |o| o.records_in.get()),
            checkpoints,
            restarts: self.restarts.clone(),
        }))
    }

    /// Ends the job with a last checkpoint; without one, if there cannot be one.
    pub(crate) fn leave(&self) {
        match self.ask(None, Then::Suspend) {
            Ok(checkpoint) => tracing::info!(checkpoint, "stopped by a signal"),
            // It ends by itself.
            Err(_) if self.job.is_released() || self.job.must_stop() => {}
            Err(why) => {
                self.job.fail(Error::state(format!("stopped without a last checkpoint: {why}")));
            }
        }
    }
}
