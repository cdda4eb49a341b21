//! The operators of a job, which Flink calls vertices, and their subtasks.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use highwater::observe::{Level, Subtask, Vertex};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::observed::{vertex, view_of};
use super::{Answer, Known, Shared};
use crate::id::JobId;

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new()
        .routes(routes!(detail))
        .routes(routes!(watermarks))
        .routes(routes!(back_pressure))
}

/// An operator of a job.
#[derive(Debug, Serialize, ToSchema)]
struct VertexDetail {
    /// Its uid.
    id: String,
    /// Its name.
    name: String,
    /// Its subtasks: one on each worker.
    parallelism: usize,
    /// When the newest report of it was made, in ms since 1970.
    now: i64,
    /// The subtasks.
    subtasks: Vec<SubtaskDetail>,
}

/// An operator on a worker.
#[derive(Debug, Serialize, ToSchema)]
struct SubtaskDetail {
    /// The worker.
    subtask: usize,
    /// `RUNNING` or `FINISHED`.
    status: &'static str,
    /// The process of the worker.
    process: usize,
    /// Counters since the attempt began.
    metrics: IoMetrics,
}

/// What went through an operator on a worker.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct IoMetrics {
    read_records: u64,
    write_records: u64,
    /// Where bytes are counted.
    write_bytes: Option<u64>,
    accumulated_backpressured_time: u64,
    accumulated_busy_time: f64,
}

fn status(subtask: &Subtask) -> &'static str {
    if subtask.task.epoch.is_none() { "FINISHED" } else { "RUNNING" }
}

fn subtask(of: &Subtask) -> SubtaskDetail {
    let task = &of.task;
    SubtaskDetail {
        subtask: task.worker,
        status: status(of),
        process: of.process,
        metrics: IoMetrics {
            read_records: task.records_in,
            write_records: task.records_out,
            write_bytes: task.bytes_out,
            accumulated_backpressured_time: task.back_pressured_ms,
            accumulated_busy_time: task.busy_ms as f64,
        },
    }
}

/// Shows an operator with its subtasks.
#[utoipa::path(get, path = "/jobs/{jobid}/vertices/{vertexid}",
    params(("jobid" = JobId, Path), ("vertexid" = String, Path)),
    responses((status = 200, body = VertexDetail)))]
async fn detail(
    State(known): Shared,
    Path((id, uid)): Path<(JobId, String)>,
) -> Answer<VertexDetail> {
    let view = view_of(&known, id);
    let vertex = vertex(&view, id, &uid)?;
    Ok(Json(VertexDetail {
        id: vertex.uid.clone(),
        name: vertex.name.clone(),
        parallelism: vertex.subtasks.len(),
        now: view.at_ms,
        subtasks: vertex.subtasks.iter().map(subtask).collect(),
    }))
}

/// A number under its name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Named {
    /// The name.
    pub(super) id: String,
    /// The number.
    pub(super) value: String,
}

/// Shows the input watermark of every subtask.
#[utoipa::path(get, path = "/jobs/{jobid}/vertices/{vertexid}/watermarks",
    params(("jobid" = JobId, Path), ("vertexid" = String, Path)),
    responses((status = 200, body = Vec<Named>)))]
async fn watermarks(
    State(known): Shared,
    Path((id, uid)): Path<(JobId, String)>,
) -> Answer<Vec<Named>> {
    let view = view_of(&known, id);
    let subtasks = &vertex(&view, id, &uid)?.subtasks;
    let named = |subtask: &Subtask| Named {
        id: format!("{}.currentInputWatermark", subtask.task.worker),
        value: subtask.task.watermark.to_string(),
    };
    Ok(Json(subtasks.iter().map(named).collect()))
}

/// How much of its time an operator waits for credit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct BackPressure {
    /// Always `ok`: it is known without sampling.
    status: &'static str,
    /// `ok`, `low` or `high`: that of the worst subtask.
    backpressure_level: &'static str,
    /// When it was seen, in ms since 1970.
    end_timestamp: i64,
    /// The subtasks.
    subtasks: Vec<SubtaskPressure>,
}

/// How much of its time an operator on a worker waits for credit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct SubtaskPressure {
    subtask: usize,
    backpressure_level: &'static str,
    /// The share of its time without credit, from 0 to 1.
    ratio: f64,
    idle_ratio: f64,
    busy_ratio: f64,
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Low => "low",
        Level::High => "high",
    }
}

fn pressure(vertex: &Vertex, at_ms: i64) -> BackPressure {
    let subtasks = vertex.subtasks.iter().map(|subtask| SubtaskPressure {
        subtask: subtask.task.worker,
        backpressure_level: level(subtask.level),
        ratio: subtask.task.rates.back_pressured_ms / 1000.0,
        idle_ratio: subtask.task.rates.idle_ms / 1000.0,
        busy_ratio: subtask.task.rates.busy_ms / 1000.0,
    });
    BackPressure {
        status: "ok",
        backpressure_level: level(vertex.level),
        end_timestamp: at_ms,
        subtasks: subtasks.collect(),
    }
}

/// Shows how much of their time the subtasks of an operator wait for credit.
#[utoipa::path(get, path = "/jobs/{jobid}/vertices/{vertexid}/backpressure",
    params(("jobid" = JobId, Path), ("vertexid" = String, Path)),
    responses((status = 200, body = BackPressure)))]
async fn back_pressure(
    State(known): Shared,
    Path((id, uid)): Path<(JobId, String)>,
) -> Answer<BackPressure> {
    let view = view_of(&known, id);
    Ok(Json(pressure(vertex(&view, id, &uid)?, view.at_ms)))
}
