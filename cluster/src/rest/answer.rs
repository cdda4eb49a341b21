//! What a handler returns: JSON, or errors as Flink writes them.

use axum::Json;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;

/// The longest sentence about a request, in bytes.
const SENTENCE_BYTES_MAX: usize = 64 << 10;

/// What a handler returns.
pub type Answer<T> = Result<Json<T>, Failure>;

/// Why a request has no other answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status of the response.
    pub status: StatusCode,
    /// One sentence.
    pub why: String,
}

/// Errors as Flink writes them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Errors {
    /// One sentence each.
    pub errors: Vec<String>,
}

impl Failure {
    /// Returns a failure with this status.
    pub fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Failure { status, why: why.into() }
    }

    /// What was asked for does not exist.
    pub fn missing(why: impl Into<String>) -> Self {
        Failure::new(StatusCode::NOT_FOUND, why)
    }

    /// What was asked for makes no sense.
    pub fn bad(why: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, why)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Id { .. } | Error::Slots { .. } => StatusCode::BAD_REQUEST,
            Error::NoJob { .. } | Error::NoProgram { .. } | Error::NoLog { .. } => {
                StatusCode::NOT_FOUND
            }
            Error::KnownJob { .. } | Error::Ended { .. } | Error::NotRunning { .. } => {
                StatusCode::CONFLICT
            }
            Error::Closing => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure::new(status, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(Errors { errors: vec![self.why] })).into_response()
    }
}

/// Writes what was wrong with a request as all other errors are written.
pub(super) async fn as_json(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !(status.is_client_error() || status.is_server_error()) || is_json {
        return response;
    }
    let why = axum::body::to_bytes(response.into_body(), SENTENCE_BYTES_MAX).await;
    let why = why.ok().map(|why| String::from_utf8_lossy(&why).into_owned());
    let why = why.filter(|why| !why.is_empty()).unwrap_or_else(|| status.to_string());
    Failure::new(status, why).into_response()
}

/// Answers where there is no such path.
pub(super) async fn no_path(uri: Uri) -> Failure {
    Failure::missing(format!("there is nothing at {}", uri.path()))
}

/// Answers where there is the path, but not for this method.
pub(super) async fn no_method(method: Method, uri: Uri) -> Failure {
    let why = format!("{} does not take {method}", uri.path());
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, why)
}
