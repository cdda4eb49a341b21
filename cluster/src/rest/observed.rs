//! What jobs do right now: their operators, and what holds them back.
//!
//! ```text
//! Views --the last report of each process--> JobView --> /view, /why
//!                                                   '--> vertices.rs, metrics.rs
//! ```

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use highwater::observe::{Blame, JobView, ProcessReport, Vertex};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Failure, Known, Shared};
use crate::id::JobId;

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new().routes(routes!(view)).routes(routes!(why))
}

/// Returns what is known of a job. A report that this version does not understand is left out.
pub(super) fn view_of(known: &Known, id: JobId) -> JobView {
    let reports = known.views.of(id).processes.into_iter().filter_map(|(index, observed)| {
        match ProcessReport::deserialize(&*observed.report) {
            Ok(report) => Some((index, report)),
            Err(cause) => {
                tracing::warn!(job = %id, process = index, %cause, "a report is not understood");
                None
            }
        }
    });
    let reports: Vec<_> = reports.collect();
    JobView::of(reports.iter().map(|(index, report)| (*index, report)))
}

/// Returns an operator of a job by its uid or name.
pub(super) fn vertex<'v>(view: &'v JobView, id: JobId, uid: &str) -> Result<&'v Vertex, Failure> {
    let missing = || Failure::missing(format!("job {id} has no operator {uid:?}"));
    view.vertex(uid).ok_or_else(missing)
}

/// Shows what the operators of a job do: all that its page shows of them.
#[utoipa::path(get, path = "/jobs/{jobid}/view", params(("jobid" = JobId, Path)),
    responses((status = 200, body = serde_json::Value)))]
async fn view(State(known): Shared, Path(id): Path<JobId>) -> Answer<JobView> {
    Ok(Json(view_of(&known, id)))
}

/// Which operator is asked for.
#[derive(Debug, Deserialize, IntoParams)]
struct Asked {
    /// The uid or the name of an operator; without it the job as a whole.
    vertex: Option<String>,
}

/// Says what holds back the watermark of an operator, and the barrier of a checkpoint under way.
#[utoipa::path(get, path = "/jobs/{jobid}/why", params(("jobid" = JobId, Path), Asked),
    responses((status = 200, body = serde_json::Value)))]
async fn why(
    State(known): Shared,
    Path(id): Path<JobId>,
    Query(asked): Query<Asked>,
) -> Answer<Vec<Blame>> {
    let view = view_of(&known, id);
    if let Some(uid) = &asked.vertex {
        vertex(&view, id, uid)?;
    }
    Ok(Json(view.why(asked.vertex.as_deref())))
}
