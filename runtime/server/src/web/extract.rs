//! What handlers take from requests.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path as AxumPath, Query as AxumQuery, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::app::{App, Core};
use crate::auth::{Origin, Principal};
use crate::error::{ApiError, ApiResult};
use crate::web::guard::Caller;

/// How long a request waits for a server that is still starting.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Whether a media type is among those that the client says it takes.
pub fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|part| part.trim().starts_with(kind))
}

/// The running parts: log, engine, read models. Requests that need them wait while the server starts.
pub struct Running(pub Arc<Core>);

impl Deref for Running {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

impl FromRequestParts<App> for Running {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, ApiError> {
        app.core_within(START_PATIENCE).await.map(Running).ok_or_else(|| ApiError {
            retry_after: Some(2),
            ..ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "starting",
                format!("the server is still starting ({}); try again in a moment", app.starting().join(", ")),
            )
        })
    }
}

impl FromRequestParts<App> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>().and_then(|caller| caller.principal.clone());
        caller.ok_or_else(|| crate::auth::principal::Denied::Unauthenticated.into())
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Ok(parts.extensions.get::<Caller>().cloned().unwrap_or_default())
    }
}

impl FromRequestParts<App> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let unknown = || Origin { address: "unknown".to_owned(), agent: String::new() };
        Ok(parts.extensions.get::<Origin>().cloned().unwrap_or_else(unknown))
    }
}

/// A JSON body, sent as JSON.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let bytes = body(request, app).await?;
        serde_json::from_slice(&bytes).map(Json).map_err(|error| bad_json(&error))
    }
}

/// A JSON body, or none at all.
pub struct OptionalJson(pub Option<serde_json::Value>);

impl FromRequest<App> for OptionalJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let is_json = require_json(request.headers());
        let bytes = body(request, app).await?;
        if bytes.is_empty() {
            return Ok(OptionalJson(None));
        }
        is_json?;
        serde_json::from_slice(&bytes).map(|json| OptionalJson(Some(json))).map_err(|error| bad_json(&error))
    }
}

/// Query parameters.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        AxumQuery::<T>::try_from_uri(&parts.uri)
            .map(|AxumQuery(query)| Query(query))
            .map_err(|error| ApiError::bad_request("invalid_query", format!("{error}; see /api/docs")))
    }
}

/// What stands in the path in place of `{names}`.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        AxumPath::<T>::from_request_parts(parts, app)
            .await
            .map(|AxumPath(path)| Path(path))
            .map_err(|error| ApiError::bad_request("invalid_path", format!("{}; see /api/docs", error.body_text())))
    }
}

/// The whole body.
///
/// # Errors
/// When it is too large or breaks off.
pub async fn body(request: Request, app: &App) -> ApiResult<Bytes> {
    Bytes::from_request(request, app).await.map_err(|error| {
        let text = "the body is too large for this route; send less at a time";
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(error.status(), "body_too_large", text),
            status => ApiError::new(status, "invalid_body", "the body could not be read; send it again"),
        }
    })
}

/// # Errors
/// When the body does not say that it is JSON.
pub fn require_json(headers: &HeaderMap) -> ApiResult<()> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let text = "send JSON, with Content-Type: application/json";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", text))
}

/// The error for a body that does not parse.
pub fn bad_json(error: &serde_json::Error) -> ApiError {
    let code = if error.is_data() { "invalid_body" } else { "invalid_json" };
    ApiError::bad_request(code, format!("the body is not what this route takes: {error}"))
}
