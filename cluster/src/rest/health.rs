//! Whether somebody is there, for probes: the one path that needs no token, and says nothing else.

use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Known;

/// The path.
pub(super) const PATH: &str = "/health";

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new().routes(routes!(health))
}

/// That somebody is there.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Says that the coordinator is there.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)), security(()))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}
