//! The cluster as a whole: `/overview`, `/config`, and its end.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Known, Shared};
use crate::coordinator::event::Event;
use crate::record::JobState;

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new().routes(routes!(overview)).routes(routes!(config)).routes(routes!(close))
}

/// The cluster in a few numbers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Overview {
    /// Agents that are there.
    pub taskmanagers: usize,
    /// Their slots.
    pub slots_total: usize,
    /// Those of them that no process has.
    pub slots_available: usize,
    /// Jobs that have not ended.
    pub jobs_running: usize,
    /// Jobs that have come to their end.
    pub jobs_finished: usize,
    /// Jobs that were canceled.
    pub jobs_cancelled: usize,
    /// Jobs that have failed.
    pub jobs_failed: usize,
    /// Which coordinator this is: each one that takes over has the next number.
    pub coordinator: u64,
    /// The version of the coordinator.
    pub highwater_version: String,
}

/// Shows the cluster in a few numbers.
#[utoipa::path(get, path = "/overview", responses((status = 200, body = Overview)))]
async fn overview(State(known): Shared) -> Answer<Overview> {
    Ok(Json(known.handle.look(|coordinator| {
        let count = |is: fn(JobState) -> bool| {
            coordinator.jobs().filter(|job| is(job.record.state)).count()
        };
        Overview {
            taskmanagers: coordinator.agents().count(),
            slots_total: coordinator.slots(),
            slots_available: coordinator.free_slots().values().sum(),
            jobs_running: count(|state| !state.is_terminal()),
            jobs_finished: count(|state| state == JobState::Finished),
            jobs_cancelled: count(|state| state == JobState::Canceled),
            jobs_failed: count(|state| state == JobState::Failed),
            coordinator: coordinator.number(),
            highwater_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    })))
}

/// What a page needs to know.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct Config {
    /// How often a page asks again, in ms.
    refresh_interval: u64,
    /// The time zone of the times that are shown.
    timezone_name: &'static str,
    /// Its distance from UTC, in ms.
    timezone_offset: i64,
    /// The version of the coordinator.
    highwater_version: &'static str,
    /// What may be done through a page.
    features: Features,
}

/// What may be done through a page.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct Features {
    /// Programs can be sent and run.
    web_submit: bool,
    /// Jobs can be canceled.
    web_cancel: bool,
    /// Jobs can be rescaled.
    web_rescale: bool,
}

/// Shows what a page needs to know.
#[utoipa::path(get, path = "/config", responses((status = 200, body = Config)))]
async fn config() -> Answer<Config> {
    Ok(Json(Config {
        refresh_interval: 3000,
        timezone_name: "UTC",
        timezone_offset: 0,
        highwater_version: env!("CARGO_PKG_VERSION"),
        features: Features { web_submit: true, web_cancel: true, web_rescale: true },
    }))
}

/// Nothing more to say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {}

/// Ends the cluster: jobs that take checkpoints take a last one, and go on with the next cluster that
/// is started with the same state.
#[utoipa::path(delete, path = "/cluster", responses((status = 200, body = Done)))]
async fn close(State(known): Shared) -> Answer<Done> {
    known.handle.ask(Event::Close).await?;
    Ok(Json(Done {}))
}
