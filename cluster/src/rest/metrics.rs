//! Metrics: by name as in Flink, and all of them for Prometheus. `docs/metrics.md` describes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use highwater::observe::{JOB_METRICS, Metric, TASK_METRICS, prometheus};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::observed::{vertex, view_of};
use super::{Answer, Failure, Known, Shared};
use crate::id::JobId;

/// The text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4";

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new()
        .routes(routes!(of_job))
        .routes(routes!(of_vertex))
        .routes(routes!(of_subtasks))
        .routes(routes!(of_all))
}

/// Which metrics are asked for.
#[derive(Debug, Deserialize, IntoParams)]
struct Asked {
    /// Names with commas between them; without it the names of all are listed.
    get: Option<String>,
}

impl Asked {
    /// Returns those that are asked for, `None` for their names alone.
    fn names(&self) -> Option<BTreeSet<&str>> {
        self.get.as_ref().map(|names| names.split(',').map(str::trim).collect())
    }
}

/// A metric of a job, or of an operator on one worker.
#[derive(Debug, Serialize, ToSchema)]
struct Value {
    /// Its name; of a vertex with the worker before it, as in `0.numRecordsIn`.
    id: String,
    /// Its value, if it was asked for by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// A number as it is shown: whole numbers without a fraction.
fn shown(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

fn values<T>(asked: &Asked, prefix: &str, metrics: &[Metric<T>], of: &T) -> Vec<Value> {
    let names = asked.names();
    let mut values = Vec::new();
    for metric in metrics {
        let id = format!("{prefix}{}", metric.name);
        match &names {
            None => values.push(Value { id, value: None }),
            Some(names) if names.contains(id.as_str()) => {
                let value = (metric.of)(of).map(shown);
                values.extend(value.map(|value| Value { id, value: Some(value) }));
            }
            Some(_) => {}
        }
    }
    values
}

/// Shows metrics of a job, or lists their names.
#[utoipa::path(get, path = "/jobs/{jobid}/metrics", params(("jobid" = JobId, Path), Asked),
    responses((status = 200, body = Vec<Value>)))]
async fn of_job(
    State(known): Shared,
    Path(id): Path<JobId>,
    Query(asked): Query<Asked>,
) -> Answer<Vec<Value>> {
    Ok(Json(values(&asked, "", JOB_METRICS, &view_of(&known, id))))
}

/// Shows metrics of the subtasks of an operator, each as `WORKER.NAME`, or lists their names.
#[utoipa::path(get, path = "/jobs/{jobid}/vertices/{vertexid}/metrics",
    params(("jobid" = JobId, Path), ("vertexid" = String, Path), Asked),
    responses((status = 200, body = Vec<Value>)))]
async fn of_vertex(
    State(known): Shared,
    Path((id, uid)): Path<(JobId, String)>,
    Query(asked): Query<Asked>,
) -> Answer<Vec<Value>> {
    let view = view_of(&known, id);
    let subtasks = vertex(&view, id, &uid)?.subtasks.iter();
    let values = subtasks.flat_map(|subtask| {
        let prefix = format!("{}.", subtask.task.worker);
        values(&asked, &prefix, TASK_METRICS, &subtask.task)
    });
    Ok(Json(values.collect()))
}

/// A metric over all subtasks of an operator.
#[derive(Debug, Serialize, ToSchema)]
struct Aggregated {
    /// Its name.
    id: String,
    min: f64,
    max: f64,
    avg: f64,
    sum: f64,
}

/// Shows metrics over all subtasks of an operator; without `get` all of them.
#[utoipa::path(get, path = "/jobs/{jobid}/vertices/{vertexid}/subtasks/metrics",
    params(("jobid" = JobId, Path), ("vertexid" = String, Path), Asked),
    responses((status = 200, body = Vec<Aggregated>)))]
async fn of_subtasks(
    State(known): Shared,
    Path((id, uid)): Path<(JobId, String)>,
    Query(asked): Query<Asked>,
) -> Answer<Vec<Aggregated>> {
    let view = view_of(&known, id);
    let (vertex, names) = (vertex(&view, id, &uid)?, asked.names());
    let asked = TASK_METRICS
        .iter()
        .filter(|metric| names.as_ref().is_none_or(|names| names.contains(metric.name)));
    let aggregated = asked.filter_map(|metric| {
        let values = vertex.subtasks.iter().filter_map(|subtask| (metric.of)(&subtask.task));
        let values: Vec<f64> = values.collect();
        let sum: f64 = values.iter().sum();
        (!values.is_empty()).then(|| Aggregated {
            id: metric.name.to_owned(),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            avg: sum / values.len() as f64,
            sum,
        })
    });
    Ok(Json(aggregated.collect()))
}

/// Shows the metrics of all jobs in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String)))]
async fn of_all(State(known): Shared) -> Result<impl IntoResponse, Failure> {
    let views = known.views.jobs().into_iter().map(|id| (id.to_string(), view_of(&known, id)));
    let views: Vec<_> = views.collect();
    let text = prometheus(views.iter().map(|(id, view)| (id.as_str(), view)));
    let text = text.map_err(|cause| {
        Failure::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, cause.to_string())
    })?;
    Ok(([(CONTENT_TYPE, PROMETHEUS)], text))
}
