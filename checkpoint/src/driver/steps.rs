//! The steps of a checkpoint that take long: manifest, log, results.

use std::sync::PoisonError;
use std::time::Duration;

use highwater_core::error::{Error, Result};
use highwater_core::failpoint::reach;
use highwater_core::job::Job;
use highwater_core::sink::Committable;
use highwater_core::time::Epoch;

use super::Shared;
use crate::background::Offload;
use crate::coordinator::Event;
use crate::error::CommitError;
use crate::manifest::Manifest;
use crate::storage::{ObjectRef, Storage};

/// How often a commit is tried, and the pause after the first time.
const COMMIT_TRIES: u32 = 5;
const COMMIT_PAUSE: Duration = Duration::from_millis(50);

/// Writes the manifest of a checkpoint.
pub(super) async fn write(storage: &Storage, manifest: &Manifest) -> Result<ObjectRef> {
    reach("manifest-before")?;
    let written = manifest.write(storage).await?;
    reach("manifest-after").map(|()| written)
}

/// Puts a checkpoint into the log. When nobody can know whether it is there, the job ends: the next
/// attempt reads it in the log.
pub(super) async fn log(
    shared: &Shared,
    job: &Job,
    checkpoint: Epoch,
    manifest: &ObjectRef,
) -> Option<Event> {
    if let Err(error) = reach("log-before") {
        return Some(Event::Logged(Err(error.sentence())));
    }
    let mut attempt = shared.attempt.lock().await;
    let logged = attempt.commit(checkpoint.0, manifest).await;
    if logged.is_ok() {
        let retained = attempt.completed().to_vec();
        *shared.retained.lock().unwrap_or_else(PoisonError::into_inner) = retained;
    }
    drop(attempt);
    if let Err(error) = reach("log-after") {
        job.fail(error);
        return None;
    }
    match logged {
        Ok(completed) => Some(Event::Logged(Ok(completed))),
        Err(error @ CommitError::Declined { .. }) => {
            Some(Event::Logged(Err(Error::state(error).sentence())))
        }
        Err(error) => {
            job.fail(Error::state(error));
            None
        }
    }
}

/// Makes results visible, one after the other, each tried several times.
pub(super) async fn commit(
    mut waiting: Vec<Box<dyn Committable>>,
    offload: &dyn Offload,
    storage: &Storage,
) -> Result<()> {
    let mut tries = 1;
    loop {
        let (rest, failed) = offload
            .run(move || {
                let mut failed = None;
                waiting.retain_mut(|committable| {
                    if failed.is_none() {
                        let committed = reach("commit-before").and_then(|()| committable.commit());
                        failed = committed.and_then(|()| reach("commit-after")).err();
                    }
                    failed.is_some()
                });
                (waiting, failed)
            })
            .await?;
        waiting = rest;
        match failed {
            None => return Ok(()),
            Some(error) if tries == COMMIT_TRIES => return Err(error),
            Some(error) => tracing::warn!(error = %error.sentence(), "a commit failed, again"),
        }
        storage.pace().sleep(COMMIT_PAUSE * (1 << tries)).await;
        tries += 1;
    }
}
