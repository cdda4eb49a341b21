//! What takes time: checkpoints and savepoints on demand, the end of a job, other slots.
//!
//! ```text
//! POST ..  --> {"request-id": T}      GET ../T --> {"status": {"id": "IN_PROGRESS"}}
//!                                                  {"status": {"id": "COMPLETED"}, "operation": {..}}
//! ```

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use highwater::control::How;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Failure, Known, Shared};
use crate::coordinator::event::{Event, Wish};
use crate::coordinator::job::Outcome;
use crate::error::Result;
use crate::id::{JobId, TriggerId};

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new()
        .routes(routes!(savepoint))
        .routes(routes!(savepoint_outcome))
        .routes(routes!(checkpoint))
        .routes(routes!(checkpoint_outcome))
        .routes(routes!(stop))
        .routes(routes!(rescale))
        .routes(routes!(rescale_outcome))
        .routes(routes!(requirements, require))
}

/// The name under which the outcome of a request is found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Triggered {
    /// The name.
    pub request_id: TriggerId,
}

/// What became of a request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Asynchronous {
    /// Whether it is done.
    pub status: Stage,
    /// What it came to, when it is done.
    pub operation: Option<Operation>,
}

/// Whether a request is done.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Stage {
    /// `IN_PROGRESS` or `COMPLETED`.
    pub id: String,
}

/// What a request came to.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Operation {
    /// Where the savepoint is.
    pub location: Option<String>,
    /// The number of the checkpoint.
    pub checkpoint_id: Option<u64>,
    /// Why it failed.
    pub failure_cause: Option<Cause>,
}

/// Why a request failed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cause {
    /// What failed.
    pub class: String,
    /// Why, in one sentence.
    pub stack_trace: String,
}

async fn trigger(
    known: &Known,
    job: JobId,
    wish: Wish,
) -> Result<(StatusCode, Json<Triggered>), Failure> {
    let trigger = TriggerId::random()?;
    known.handle.ask(Event::Wish { job, trigger, wish }).await?;
    Ok((StatusCode::ACCEPTED, Json(Triggered { request_id: trigger })))
}

fn outcome(known: &Known, id: JobId, trigger: TriggerId) -> Answer<Asynchronous> {
    let found = known.handle.job(id, |job| {
        job.operations.get(&trigger).map(|found| (found.wish.name(), found.outcome.clone()))
    })?;
    let missing = || Failure::missing(format!("there is no request {trigger} of job {id}"));
    let (name, outcome) = found.ok_or_else(missing)?;
    let operation = match outcome {
        Outcome::InProgress => None,
        Outcome::Completed { checkpoint, url } => {
            Some(Operation { location: url, checkpoint_id: checkpoint, failure_cause: None })
        }
        Outcome::Failed { why } => {
            let cause = Cause { class: name.to_owned(), stack_trace: why };
            Some(Operation { failure_cause: Some(cause), ..Operation::default() })
        }
    };
    let id = if operation.is_some() { "COMPLETED" } else { "IN_PROGRESS" };
    Ok(Json(Asynchronous { status: Stage { id: id.to_owned() }, operation }))
}

/// Where a savepoint is put.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct SavepointRequest {
    /// A folder in which the savepoint gets a folder of its own.
    #[serde(rename = "target-directory", alias = "targetDirectory")]
    target_directory: Option<String>,
    /// The savepoint's own folder, instead.
    location: Option<String>,
    /// Whether the job ends with it.
    #[serde(rename = "cancel-job", alias = "cancelJob")]
    cancel_job: bool,
}

/// Returns where a savepoint is put.
fn place(job: JobId, folder: Option<String>, location: Option<String>) -> Result<Option<String>> {
    if location.is_some() {
        return Ok(location);
    }
    let Some(folder) = folder else { return Ok(None) };
    let (job, own) = (job.to_string(), crate::id::random()?);
    Ok(Some(format!("{}/savepoint-{}-{own:016x}", folder.trim_end_matches('/'), &job[..6])))
}

/// Takes a savepoint.
#[utoipa::path(post, path = "/jobs/{jobid}/savepoints", params(("jobid" = JobId, Path)),
    request_body = SavepointRequest, responses((status = 202, body = Triggered)))]
async fn savepoint(
    State(known): Shared,
    Path(id): Path<JobId>,
    Json(wanted): Json<SavepointRequest>,
) -> Result<(StatusCode, Json<Triggered>), Failure> {
    let url = place(id, wanted.target_directory, wanted.location)?;
    let url = url.ok_or_else(|| Failure::bad("target-directory is needed"))?;
    let wish = match wanted.cancel_job {
        true => Wish::Stop { how: How::Suspend, url: Some(url) },
        false => Wish::Savepoint { url },
    };
    trigger(&known, id, wish).await
}

/// Shows what became of a savepoint or a stop.
#[utoipa::path(get, path = "/jobs/{jobid}/savepoints/{triggerid}",
    params(("jobid" = JobId, Path), ("triggerid" = TriggerId, Path)),
    responses((status = 200, body = Asynchronous)))]
async fn savepoint_outcome(
    State(known): Shared,
    Path((id, trigger)): Path<(JobId, TriggerId)>,
) -> Answer<Asynchronous> {
    outcome(&known, id, trigger)
}

/// Takes a checkpoint now.
#[utoipa::path(post, path = "/jobs/{jobid}/checkpoints", params(("jobid" = JobId, Path)),
    responses((status = 202, body = Triggered)))]
async fn checkpoint(
    State(known): Shared,
    Path(id): Path<JobId>,
) -> Result<(StatusCode, Json<Triggered>), Failure> {
    trigger(&known, id, Wish::Checkpoint).await
}

/// Shows what became of a checkpoint that was asked for.
#[utoipa::path(get, path = "/jobs/{jobid}/checkpoints/{triggerid}",
    params(("jobid" = JobId, Path), ("triggerid" = TriggerId, Path)),
    responses((status = 200, body = Asynchronous)))]
async fn checkpoint_outcome(
    State(known): Shared,
    Path((id, trigger)): Path<(JobId, TriggerId)>,
) -> Answer<Asynchronous> {
    outcome(&known, id, trigger)
}

/// How a job is stopped.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct StopRequest {
    /// Whether the sources end first, so that windows fire and nothing is left to go on with.
    drain: bool,
    /// A folder in which a savepoint gets a folder of its own; without it the job ends with a
    /// checkpoint.
    #[serde(rename = "targetDirectory", alias = "target-directory")]
    target_directory: Option<String>,
    /// The savepoint's own folder, instead.
    location: Option<String>,
}

/// Ends a job with a last checkpoint or a savepoint.
#[utoipa::path(post, path = "/jobs/{jobid}/stop", params(("jobid" = JobId, Path)),
    request_body = StopRequest, responses((status = 202, body = Triggered)))]
async fn stop(
    State(known): Shared,
    Path(id): Path<JobId>,
    Json(wanted): Json<StopRequest>,
) -> Result<(StatusCode, Json<Triggered>), Failure> {
    let how = if wanted.drain { How::Drain } else { How::Suspend };
    let url = place(id, wanted.target_directory, wanted.location)?;
    trigger(&known, id, Wish::Stop { how, url }).await
}

/// To what a job is rescaled.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
struct Rescale {
    /// How many processes it has then, each in a slot.
    parallelism: usize,
    /// How many workers each of them has; as before if it is not said.
    workers: Option<usize>,
}

impl Rescale {
    fn wish(&self) -> Result<Wish, Failure> {
        if self.workers == Some(0) {
            return Err(Failure::bad("workers=0: expected 1 or more"));
        }
        Ok(Wish::Rescale { parallelism: self.parallelism, workers: self.workers })
    }
}

/// Lets a job go on with other slots, from a checkpoint that it takes for that.
#[utoipa::path(patch, path = "/jobs/{jobid}/rescaling", params(("jobid" = JobId, Path), Rescale),
    responses((status = 202, body = Triggered)))]
async fn rescale(
    State(known): Shared,
    Path(id): Path<JobId>,
    Query(wanted): Query<Rescale>,
) -> Result<(StatusCode, Json<Triggered>), Failure> {
    trigger(&known, id, wanted.wish()?).await
}

/// Shows what became of a rescaling.
#[utoipa::path(get, path = "/jobs/{jobid}/rescaling/{triggerid}",
    params(("jobid" = JobId, Path), ("triggerid" = TriggerId, Path)),
    responses((status = 200, body = Asynchronous)))]
async fn rescale_outcome(
    State(known): Shared,
    Path((id, trigger)): Path<(JobId, TriggerId)>,
) -> Answer<Asynchronous> {
    outcome(&known, id, trigger)
}

/// What a job needs.
#[derive(Debug, Serialize, ToSchema)]
struct Requirements {
    /// How many processes it has, each in a slot.
    parallelism: usize,
    /// How many workers each of them has, if that is known.
    workers: Option<usize>,
}

/// Shows what slots a job needs. Unlike Flink's, they are of the job, not of each vertex.
#[utoipa::path(get, path = "/jobs/{jobid}/resource-requirements", params(("jobid" = JobId, Path)),
    responses((status = 200, body = Requirements)))]
async fn requirements(State(known): Shared, Path(id): Path<JobId>) -> Answer<Requirements> {
    Ok(Json(known.handle.job(id, |job| Requirements {
        parallelism: job.record.spec.parallelism,
        workers: super::jobs::workers(job),
    })?))
}

/// Lets a job go on with other slots.
#[utoipa::path(put, path = "/jobs/{jobid}/resource-requirements", params(("jobid" = JobId, Path)),
    request_body = Rescale, responses((status = 202, body = Triggered)))]
async fn require(
    State(known): Shared,
    Path(id): Path<JobId>,
    Json(wanted): Json<Rescale>,
) -> Result<(StatusCode, Json<Triggered>), Failure> {
    trigger(&known, id, wanted.wish()?).await
}
