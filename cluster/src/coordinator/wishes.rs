//! What users want of a running job that takes time: checkpoints, savepoints, its end, other slots.
//!
//! ```text
//! wish --> question to process 0 --> answer --> outcome, found under the name of the trigger
//!                                      '-- rescale: the job ends with this checkpoint, and starts anew
//! ```

use highwater::control::{How, Request, Response};
use highwater::supervisor::protocol::Order;

use super::attempt::pass;
use super::event::{At, Command, Wish};
use super::job::{Job, Outcome, Rescaling};
use super::{Coordinator, enter};
use crate::error::{Error, Result};
use crate::frame::Key;
use crate::id::{JobId, TriggerId};
use crate::record::{JobState, Savepoint};

/// The number of questions that agents ask by themselves, to see that a process answers.
pub const PING: u64 = 0;

impl Coordinator {
    pub(super) fn wish(
        &mut self,
        at: At,
        id: JobId,
        trigger: TriggerId,
        wish: Wish,
        out: &mut Vec<Command>,
    ) -> Result<()> {
        let slots = self.slots();
        let ask = self.next_ask;
        let job = self.jobs.get_mut(&id).ok_or(Error::NoJob { id })?;
        let state = job.record.state;
        if state.is_terminal() {
            return Err(Error::Ended { id, state });
        }
        if state != JobState::Running || job.rescaling.is_some() {
            return Err(Error::NotRunning { id, state });
        }
        if let Wish::Rescale { parallelism, .. } = wish
            && (parallelism == 0 || parallelism > slots)
        {
            return Err(Error::Slots { wanted: parallelism, slots });
        }
        let request = match &wish {
            Wish::Checkpoint => Request::Checkpoint,
            Wish::Savepoint { url } => Request::Savepoint { url: url.clone() },
            Wish::Stop { how, url } => Request::Stop { how: *how, url: url.clone() },
            Wish::Rescale { .. } => Request::Stop { how: How::Suspend, url: None },
        };
        if let Wish::Rescale { parallelism, workers } = wish {
            job.rescaling = Some(Rescaling { trigger, parallelism, workers, checkpoint: None });
        }
        job.begin(trigger, wish, at);
        job.asks.insert(ask, trigger);
        self.next_ask += 1;
        pass(job, 0, Order::Ask { id: ask, request }, out);
        Ok(())
    }

    /// Takes note of what a process has answered.
    pub(super) fn answered(
        &mut self,
        at: At,
        key: Key,
        ask: u64,
        response: Response,
        out: &mut Vec<Command>,
    ) {
        let Some(job) = self.jobs.get_mut(&key.job) else { return };
        match (ask, response) {
            (PING, Response::Status(status)) if key.index == 0 => job.status = Some(*status),
            (PING, _) => {}
            (ask, response) => {
                if let Some(trigger) = job.asks.remove(&ask) {
                    answer(job, trigger, response, out);
                }
                if job.rescaling.as_ref().is_some_and(|to| to.checkpoint.is_some()) {
                    enter(job, JobState::Restarting, at, out);
                }
            }
        }
    }
}

/// Takes note of what became of a wish.
fn answer(job: &mut Job, trigger: TriggerId, response: Response, out: &mut Vec<Command>) {
    let Some(operation) = job.operations.get(&trigger) else { return };
    let url = match &operation.wish {
        Wish::Savepoint { url } => Some(url.clone()),
        Wish::Stop { url, .. } => url.clone(),
        Wish::Checkpoint | Wish::Rescale { .. } => None,
    };
    let rescales = job.rescaling.as_mut().filter(|to| to.trigger == trigger);
    match (response, rescales) {
        // It is complete when the job runs again.
        (Response::Checkpoint(checkpoint), Some(to)) => to.checkpoint = Some(checkpoint),
        (Response::Checkpoint(checkpoint), None) => {
            if let Some(url) = &url {
                let savepoint = Savepoint { trigger, url: url.clone(), checkpoint };
                job.record.savepoints.push(savepoint);
                out.push(Command::Save(Box::new(job.record.clone())));
            }
            job.conclude(trigger, Outcome::Completed { checkpoint: Some(checkpoint), url });
        }
        (other, rescales) => {
            let why = match other {
                Response::Error(why) => why,
                other => format!("unexpected answer {other:?}"),
            };
            if rescales.is_some() {
                job.rescaling = None;
            }
            job.conclude(trigger, Outcome::Failed { why });
        }
    }
}

/// Lets a job end with a last checkpoint, if it takes any.
pub(super) fn suspend(job: &Job, ask: u64, out: &mut Vec<Command>) {
    let request = Request::Stop { how: How::Suspend, url: None };
    pass(job, 0, Order::Ask { id: ask, request }, out);
}
