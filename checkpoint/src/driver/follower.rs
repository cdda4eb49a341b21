//! The checkpoints of a job in all of its processes but the first.
//!
//! ```text
//! process 0: fence, choose what to go on from --Opening--> the others read the same
//!            Coordinator --Order--> every process: Member --Report--> process 0
//! ```
//!
//! A follower reads and writes the storage of the job itself; only the log, manifests and garbage
//! are the business of process 0. What it has prepared and not made visible is left where it is when
//! it ends: whether it is committed only the log says, and the next attempt reads that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_channel::mpsc;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, select_biased};
use highwater_core::config::Config;
use highwater_core::cut::Snapshots;
use highwater_core::error::{Error, Result};
use highwater_core::job::Job;
use highwater_core::peers::{Peers, Topic};
use serde::{Deserialize, Serialize};

use super::TICK;
use super::member::{Member, Work};
use crate::background::Offload;
use crate::checkpoints::adopt;
use crate::messages::{Order, Report};
use crate::options::CheckpointOptions;
use crate::process::{Process, Taken};
use crate::restore::{Restored, Whence};
use crate::storage::Storage;

/// What a job begins with, as process 0 has found it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// Which start of the job this is.
    pub(crate) attempt: u64,
    /// The epoch that it begins in.
    pub(crate) first: u64,
    /// What it goes on from.
    pub(crate) whence: Whence,
}

/// What process 0 tells the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// How the job begins; the first that is told.
    Opening(Opening),
    /// What the coordinator asks of every process.
    Order(Order),
}

/// Tells all other processes something.
pub(crate) fn tell_all(peers: &dyn Peers, told: &Told) -> Result<()> {
    // JSON, as what it holds leaves out what is not there.
    let message = serde_json::to_vec(told).map_err(Error::state)?;
    highwater_core::peers::tell_all(peers, Topic::Checkpoints, &message);
    Ok(())
}

/// The checkpoints of a job, in a process that follows process 0.
pub(crate) struct Follower {
    storage: Storage,
    process: Arc<Process>,
    peers: Arc<dyn Peers>,
    taken: mpsc::UnboundedReceiver<Taken>,
    told: mpsc::UnboundedReceiver<Result<Told>>,
}

impl Follower {
    /// Waits for process 0 to say how the job begins, and reads what it goes on from.
    ///
    /// - `config`: of the job; `snapshots` and, when it goes on, `max_parallelism` are set.
    ///
    /// # Errors
    /// When another process fails meanwhile, or what the job goes on from cannot be read here.
    pub(crate) async fn open(
        options: &CheckpointOptions,
        storage: Storage,
        config: &mut Config,
        peers: Arc<dyn Peers>,
    ) -> Result<Self> {
        let (sender, mut told) = mpsc::unbounded();
        let lost = sender.clone();
        peers.on_loss(Box::new(move |error| drop(lost.unbounded_send(Err(error)))));
        peers.listen(
            Topic::Checkpoints,
            Box::new(move |from, message| {
                // Nobody listens any more only when the job is over.
                let _ = sender.unbounded_send(match serde_json::from_slice(message) {
                    Ok(told) => Ok(told),
                    Err(error) => Err(Error::state(format!("process {from} told: {error}"))),
                });
            }),
        );
        let opening = match told.next().await.transpose()? {
            Some(Told::Opening(opening)) => opening,
            _ => return Err(Error::state("process 0 did not say how the job begins")),
        };
        let restored = Restored::fetch(&opening, &storage).await?;
        adopt(&restored, config)?;
        let (sender, taken) = mpsc::unbounded();
        let process = Arc::new(Process::new(opening.attempt, restored, sender));
        config.snapshots = Some(Arc::clone(&process) as Arc<dyn Snapshots>);
        tracing::debug!(url = options.url, attempt = opening.attempt, "follows process 0");
        Ok(Follower { storage, process, peers, taken, told })
    }

    /// Returns which start of the job this is, from 1.
    pub(crate) fn attempt(&self) -> u64 {
        self.process.attempt()
    }

    /// Runs until the workers have ended.
    pub(crate) async fn run(
        mut self,
        job: Arc<Job>,
        offload: Arc<dyn Offload>,
        ended: Arc<AtomicBool>,
    ) {
        // Whether all stored state was asked for is looked at by process 0.
        let lenient = true;
        let storage = self.storage.clone();
        let mut member = Member::new(&job, Arc::clone(&self.process), storage, offload, lenient);
        let mut works: FuturesUnordered<Work> = FuturesUnordered::new();
        while !ended.load(Ordering::SeqCst) {
            let mut tick = self.storage.pace().sleep(TICK).fuse();
            let report = select_biased! {
                cut = self.taken.next() => {
                    works.extend(cut.map(|cut| member.store(cut)));
                    None
                }
                told = self.told.next() => {
                    works.extend(self.obey(told, &member, &job));
                    None
                }
                report = works.select_next_some() => report,
                () = tick => member.look(),
            };
            report.into_iter().for_each(|report| self.report(&report, &job));
        }
        if job.is_released() {
            while let Some(report) = works.next().await {
                report.into_iter().for_each(|report| self.report(&report, &job));
            }
        }
    }

    fn obey(&self, told: Option<Result<Told>>, member: &Member, job: &Job) -> Option<Work> {
        match told? {
            Ok(Told::Order(order)) => member.obey(order),
            Ok(Told::Opening(_)) => None,
            Err(error) => {
                job.fail(error);
                None
            }
        }
    }

    fn report(&self, report: &Report, job: &Job) {
        match serde_json::to_vec(report) {
            Ok(message) => self.peers.send(0, Topic::Checkpoints, message),
            Err(error) => job.fail(Error::state(error)),
        }
    }
}
