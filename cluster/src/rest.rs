//! The coordinator's answers over HTTP, with Flink's paths and field names where Flink has them.
//!
//! ```text
//! request --> token --> length --> path: one file a family, below rest/ --> JSON
//!               | wrong    | too long     '- an error: {"errors": ["one sentence"]}
//!               401        413
//! ```
//!
//! A family of paths is a file with a function `routes`, which [`router`] merges. The document at
//! `/openapi.json` is made from the same declarations, so that none can be forgotten.
//!
//! **Invariants**
//! - *Closed*: a server that others than this machine can reach has a token ([`Access::new`]), and
//!   nothing but `/health` and the files of the page is answered without it (`rest/token.rs`).
//! - *Bounded*: a body is read up to a length (`BODY_BYTES_MAX`, or what its path allows).
//!
//! **Sources**: Flink's REST API, <https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/rest_api/>.

mod answer;
mod token;

mod health;
mod cluster;
mod jobs;
mod checkpoints;
mod operations;
mod taskmanagers;
mod programs;
mod observed;
mod vertices;
mod metrics;
mod page;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::{Json, Router, middleware};
use highwater::core::clock::SystemClock;
use tokio::net::TcpListener;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

pub use answer::{Answer, Failure};
pub use cluster::Overview;
pub use jobs::{JobDetail, JobOverview, JobsOverview, ProcessDetail};
pub use operations::{Asynchronous, Cause, Operation, Stage, Triggered};
pub use programs::{RunRequest, Submitted, Uploaded};
pub use taskmanagers::{Hardware, LogPiece, TaskManager, TaskManagers};
pub use token::{Access, Token};

use crate::error::{Error, Result};
use crate::programs::Programs;
use crate::serve::Handle;
use crate::view::Views;

/// The longest body of a request, in bytes, where a path allows no more.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What the answers are made of.
#[derive(Debug)]
pub struct Known {
    /// What the processes of jobs last said.
    pub views: Arc<Views>,
    /// The coordinator.
    pub handle: Handle,
    /// The programs of users.
    pub programs: Programs,
    /// Where jobs keep their checkpoints that do not say it.
    pub checkpoints: Option<String>,
    /// The time.
    pub clock: SystemClock,
}

/// How handlers get at it.
pub type Shared = State<Arc<Known>>;

/// Returns all paths, and the document that describes them.
fn described() -> (Router<Arc<Known>>, OpenApi) {
    let info = InfoBuilder::new().title("highwater").version(env!("CARGO_PKG_VERSION")).build();
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let mut components = Components::new();
    components.add_security_scheme("token", bearer);
    let nobody: [&str; 0] = [];
    let document = OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new("token", nobody)]))
        .build();
    OpenApiRouter::with_openapi(document)
        .merge(health::routes())
        .merge(cluster::routes())
        .merge(jobs::routes())
        .merge(checkpoints::routes())
        .merge(operations::routes())
        .merge(taskmanagers::routes())
        .merge(programs::routes())
        .merge(observed::routes())
        .merge(vertices::routes())
        .merge(metrics::routes())
        .split_for_parts()
}

/// Returns the document that describes all paths.
#[must_use]
pub fn document() -> OpenApi {
    described().1
}

/// Returns the paths with their answers.
pub fn router(known: Arc<Known>, access: Access) -> Router {
    let (paths, document) = described();
    let document = Arc::new(document);
    paths
        .route(
            "/openapi.json",
            axum::routing::get(async move || Json(Arc::unwrap_or_clone(document))),
        )
        .merge(page::routes())
        .fallback(answer::no_path)
        .method_not_allowed_fallback(answer::no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::map_response(answer::as_json))
        .layer(middleware::from_fn_with_state(Arc::new(access), token::admit))
        .with_state(known)
}

/// Begins to listen.
///
/// # Errors
/// When the address is taken or cannot be had.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|cause| Error::io("listen at", address, cause))
}

/// Answers until `ended`.
///
/// # Errors
/// When the system does not let it.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    ended: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let served = axum::serve(listener, router).with_graceful_shutdown(ended).await;
    served.map_err(|cause| Error::io("answer", "HTTP requests", cause))
}
