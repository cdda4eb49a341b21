//! The page: files of this package, served as they are. It asks the paths of this server for all it
//! shows, with the token that was typed into it.
//!
//! **Invariants**: the page loads nothing from elsewhere and runs no script but its own
//! (`POLICY`); it holds no secret, so that it needs no token itself.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::answer::Failure;

/// Where the files of the page are.
const FILES: &str = "/page/";
/// Where the page itself is.
const ROOT: &str = "/";

/// What the browser lets the page do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
    data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file by its name, with its type.
macro_rules! file {
    ($name:literal, $kind:expr) => {
        ($name, $kind, include_str!(concat!("../page/", $name)))
    };
}

const INDEX: (&str, &str, &str) = file!("index.html", HTML);

const PAGE: &[(&str, &str, &str)] = &[
    file!("colours.css", CSS),
    file!("style.css", CSS),
    file!("parts.css", CSS),
    file!("graph.css", CSS),
    file!("icon.svg", SVG),
    file!("main.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("overview.js", SCRIPT),
    file!("job.js", SCRIPT),
    file!("graph.js", SCRIPT),
    file!("vertex.js", SCRIPT),
    file!("checkpoints.js", SCRIPT),
    file!("agents.js", SCRIPT),
    file!("actions.js", SCRIPT),
];

/// Whether a path is one of the page.
pub(super) fn holds(path: &str) -> bool {
    path == ROOT || path.starts_with(FILES)
}

/// Returns the paths of the page.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(ROOT, get(index)).route("/page/{name}", get(file))
}

async fn index() -> Response {
    serve(INDEX.1, INDEX.2)
}

async fn file(Path(name): Path<String>) -> Response {
    match PAGE.iter().find(|(of, ..)| *of == name) {
        Some((_, kind, text)) => serve(kind, text),
        None => Failure::missing(format!("the page has no file {name}")).into_response(),
    }
}

fn serve(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
