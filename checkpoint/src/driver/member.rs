//! The half of the loop that every process has: its operators, its sinks, its sources.
//!
//! ```text
//! cuts --store--> Acked        Order --> sources, sinks --> Committed        the job --look--> Started,
//!                                                                                              Drained
//! ```

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use highwater_core::error::Result;
use highwater_core::failpoint::reach;
use highwater_core::job::Job;

use super::steps::commit;
use crate::background::Offload;
use crate::messages::{Instance, Order, Report};
use crate::process::{Process, Taken};
use crate::storage::Storage;

/// Work that takes long; what is to be reported of it.
pub(super) type Work = LocalBoxFuture<'static, Option<Report>>;

/// One process of a job.
pub(super) struct Member {
    job: Arc<Job>,
    process: Arc<Process>,
    storage: Storage,
    offload: Arc<dyn Offload>,
    /// Whether stored state may be left behind.
    lenient: bool,
    started: bool,
    drained: bool,
}

impl Member {
    /// - `lenient`: whether stored state of operators that the job does not have is left behind.
    pub(super) fn new(
        job: &Arc<Job>,
        process: Arc<Process>,
        storage: Storage,
        offload: Arc<dyn Offload>,
        lenient: bool,
    ) -> Self {
        let job = Arc::clone(job);
        Member { job, process, storage, offload, lenient, started: false, drained: false }
    }

    /// Looks at the job: whether it has started, or has nothing left to do.
    pub(super) fn look(&mut self) -> Option<Report> {
        if !self.started && self.job.is_built() {
            self.started = true;
            if let Err(error) = self.process.all_made(self.lenient) {
                self.job.fail(error);
                return None;
            }
            let instances = self.job.metrics().operators();
            let instances = instances
                .iter()
                .map(|operator| Instance { uid: operator.uid.clone(), worker: operator.worker });
            return Some(Report::Started { instances: instances.collect() });
        }
        if !self.drained && self.job.is_drained() {
            self.drained = true;
            return Some(Report::Drained);
        }
        None
    }

    /// Stores what an operator has frozen.
    pub(super) fn store(&self, cut: Taken) -> Work {
        let (process, storage) = (Arc::clone(&self.process), self.storage.clone());
        let (offload, job) = (Arc::clone(&self.offload), Arc::clone(&self.job));
        let work = async move { process.store(cut, &storage, &*offload).await.map(Report::Acked) };
        work.map(move |done| reported(done, &job)).boxed_local()
    }

    /// Does what the coordinator asks of every process.
    pub(super) fn obey(&self, order: Order) -> Option<Work> {
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
                let work = async move {
                    commit(waiting, &*offload, &storage).await?;
                    Ok(Report::Committed { checkpoint })
                };
                return Some(work.map(move |done| reported(done, &job)).boxed_local());
            }
            Order::Drain => self.job.drain(),
            Order::Release => self.job.release(),
            Order::Halt => self.job.halt(),
        }
        None
    }

    /// Throws away what will never be visible.
    pub(super) fn abandon(&self) {
        self.process.abandon().into_iter().for_each(|mut committable| committable.abort());
    }
}

fn reported(done: Result<Report>, job: &Job) -> Option<Report> {
    done.map_err(|error| job.fail(error)).ok()
}
