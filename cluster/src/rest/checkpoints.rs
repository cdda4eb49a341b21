//! The checkpoints of a job: how they are taken, and what became of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use highwater::control::JobStatus;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Failure, Known, Shared};
use crate::coordinator::job::Job;
use crate::id::JobId;

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new().routes(routes!(statistics)).routes(routes!(config)).routes(routes!(detail))
}

/// What became of the checkpoints of a job.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Checkpoints {
    counts: Counts,
    summary: Summary,
    latest: Latest,
    /// Those that are known, newest first.
    history: Vec<Checkpoint>,
}

/// How many checkpoints there were in this attempt.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Counts {
    restored: u64,
    total: u64,
    in_progress: u64,
    completed: u64,
    failed: u64,
}

/// The least, the most and the average of those that are known.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Summary {
    state_size: Spread,
    end_to_end_duration: Spread,
}

/// The least, the most and the average of some numbers.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Spread {
    min: u64,
    max: u64,
    avg: u64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = u64> + Clone) -> Self {
        let (count, sum) = numbers.clone().fold((0, 0_u64), |(n, sum), x| (n + 1, sum + x));
        let (min, max) = (numbers.clone().min(), numbers.max());
        let avg = sum.checked_div(count).unwrap_or_default();
        Spread { min: min.unwrap_or_default(), max: max.unwrap_or_default(), avg }
    }
}

/// The newest of each kind.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Latest {
    completed: Option<Checkpoint>,
    failed: Option<Checkpoint>,
    savepoint: Option<Savepoint>,
}

/// A savepoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Savepoint {
    id: u64,
    external_path: String,
}

/// A checkpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Checkpoint {
    id: u64,
    /// `COMPLETED` or `FAILED`.
    status: &'static str,
    is_savepoint: bool,
    /// When it was triggered, in ms since 1970.
    trigger_timestamp: i64,
    /// When its last effect was visible, in ms since 1970.
    latest_ack_timestamp: i64,
    /// What a restore reads, in bytes.
    state_size: u64,
    /// From the trigger until all its effects were visible, in ms.
    end_to_end_duration: u64,
    /// Where it is, if it is a savepoint.
    external_path: Option<String>,
    /// Why it failed.
    failure_message: Option<String>,
}

fn checkpoints(job: &Job) -> Checkpoints {
    let savepoints = &job.record.savepoints;
    let savepoint = savepoints.last().map(|savepoint| Savepoint {
        id: savepoint.checkpoint,
        external_path: savepoint.url.clone(),
    });
    let Some(JobStatus { checkpoints: status, .. }) = &job.status else {
        let latest = Latest { savepoint, ..Latest::default() };
        return Checkpoints { latest, ..Checkpoints::default() };
    };
    let of = &status.checkpoints;
    let completed = of.newest.iter().map(|done| {
        let url = savepoints.iter().find(|savepoint| savepoint.checkpoint == done.checkpoint);
        let url = url.map(|savepoint| savepoint.url.clone());
        Checkpoint {
            id: done.checkpoint,
            status: "COMPLETED",
            is_savepoint: url.is_some(),
            trigger_timestamp: done.triggered_ms,
            latest_ack_timestamp: done.triggered_ms.saturating_add_unsigned(done.duration_ms),
            state_size: done.bytes,
            end_to_end_duration: done.duration_ms,
            external_path: url,
            failure_message: None,
        }
    });
    let failed = of.failures.iter().map(|failed| Checkpoint {
        id: failed.checkpoint,
        status: "FAILED",
        is_savepoint: false,
        trigger_timestamp: failed.failed_ms,
        latest_ack_timestamp: failed.failed_ms,
        state_size: 0,
        end_to_end_duration: 0,
        external_path: None,
        failure_message: Some(failed.why.clone()),
    });
    let latest =
        Latest { completed: completed.clone().next(), failed: failed.clone().next(), savepoint };
    let mut history: Vec<_> = completed.chain(failed).collect();
    history.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.id));
    let in_progress = status.in_progress as u64;
    let total = of.completed + of.failed + in_progress;
    Checkpoints {
        counts: Counts {
            restored: u64::from(job.record.attempt > 1),
            total,
            in_progress,
            completed: of.completed,
            failed: of.failed,
        },
        summary: Summary {
            state_size: Spread::of(of.newest.iter().map(|done| done.bytes)),
            end_to_end_duration: Spread::of(of.newest.iter().map(|done| done.duration_ms)),
        },
        latest,
        history,
    }
}

/// Shows what became of the checkpoints of a job.
#[utoipa::path(get, path = "/jobs/{jobid}/checkpoints", params(("jobid" = JobId, Path)),
    responses((status = 200, body = Checkpoints)))]
async fn statistics(State(known): Shared, Path(id): Path<JobId>) -> Answer<Checkpoints> {
    Ok(Json(known.handle.job(id, checkpoints)?))
}

/// Shows one of the last checkpoints of a job.
#[utoipa::path(get, path = "/jobs/{jobid}/checkpoints/details/{checkpointid}",
    params(("jobid" = JobId, Path), ("checkpointid" = u64, Path)),
    responses((status = 200, body = Checkpoint)))]
async fn detail(
    State(known): Shared,
    Path((id, number)): Path<(JobId, u64)>,
) -> Answer<Checkpoint> {
    let all = known.handle.job(id, checkpoints)?;
    let found = all.history.into_iter().find(|checkpoint| checkpoint.id == number);
    let missing = || Failure::missing(format!("checkpoint {number} is not among the last ones"));
    found.map(Json).ok_or_else(missing)
}

/// How checkpoints are taken.
#[derive(Debug, Serialize, ToSchema)]
struct CheckpointConfig {
    /// Always `exactly_once`.
    mode: &'static str,
    /// In ms.
    interval: u64,
    /// In ms.
    timeout: u64,
    /// In ms.
    min_pause: u64,
    max_concurrent: usize,
    tolerable_failed_checkpoints: u32,
    retained_checkpoints: usize,
    /// Where they are.
    checkpoint_storage: String,
}

/// Shows how the checkpoints of a job are taken.
#[utoipa::path(get, path = "/jobs/{jobid}/checkpoints/config", params(("jobid" = JobId, Path)),
    responses((status = 200, body = CheckpointConfig)))]
async fn config(State(known): Shared, Path(id): Path<JobId>) -> Answer<CheckpointConfig> {
    let said = known.handle.job(id, |job| {
        job.record.described.as_ref().and_then(|described| described.checkpoints.clone())
    })?;
    let none = || Failure::missing(format!("job {id} takes no checkpoints, or none yet"));
    let said = said.ok_or_else(none)?;
    Ok(Json(CheckpointConfig {
        mode: "exactly_once",
        interval: said.interval_ms,
        timeout: said.timeout_ms,
        min_pause: said.min_pause_ms,
        max_concurrent: said.max_concurrent,
        tolerable_failed_checkpoints: said.tolerable_failures,
        retained_checkpoints: said.retained,
        checkpoint_storage: said.url,
    }))
}
