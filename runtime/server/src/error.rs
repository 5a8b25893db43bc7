//! Errors as clients see them: RFC 9457 with a stable code. Causes go to the log, not to the client.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use tidewire_api::ProblemDetails;
use tidewire_engine::{DeployError, SendError};
use tidewire_log::LogError;
use tidewire_model::append::AppendError;
use tidewire_model::flow::DocumentError;
use tidewire_node_api::handles::HandleError;

use crate::auth::AuthError;
use crate::auth::principal::Denied;
use crate::secrets::SecretsError;

/// An error on its way to a client.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    /// What happened and how to mend it.
    pub detail: String,
    /// What is particular to this error.
    pub more: Box<Map<String, Value>>,
    /// Seconds after which to try again.
    pub retry_after: Option<u64>,
}

pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        ApiError { status, code, detail: detail.into(), more: Box::default(), retry_after: None }
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// The machine failed; the cause goes to the log.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "request failed");
        let detail = "the server could not do this; its log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ProblemDetails {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            message: self.detail.clone(),
            detail: self.detail,
            more: *self.more,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidewire\""));
        }
        response
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthenticated => ApiError::new(
                StatusCode::UNAUTHORIZED,
                "not_signed_in",
                "sign in first, or send a token as Authorization: Bearer",
            ),
            Denied::Forbidden(permission) => ApiError::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                format!("your role or token does not allow you to {permission}; ask an administrator"),
            ),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let text = error.to_string();
        match error {
            AuthError::TooMany { seconds } => ApiError {
                retry_after: Some(seconds),
                ..ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", text)
            },
            AuthError::Refused { code, .. } => {
                let status = match code {
                    "invalid_grant" | "setup_token_invalid" => StatusCode::FORBIDDEN,
                    "user_not_found" | "token_not_found" => StatusCode::NOT_FOUND,
                    "user_exists" | "last_admin" | "setup_done" => StatusCode::CONFLICT,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                ApiError::new(status, code, text)
            }
            AuthError::File(error) => ApiError::internal(error),
        }
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        let (status, code) = match &error {
            AppendError::Conflict { .. } => (StatusCode::CONFLICT, "version_conflict"),
            AppendError::DuplicateId { .. } | AppendError::PartlyStored { .. } => {
                (StatusCode::CONFLICT, "duplicate_id")
            }
            AppendError::TooLarge { .. } | AppendError::TooMany { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "append_too_large")
            }
            AppendError::Schema { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "schema_mismatch"),
            AppendError::Storage { .. } => (StatusCode::SERVICE_UNAVAILABLE, "data_not_stored"),
            AppendError::DiskFull | AppendError::NoRoom { .. } => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            AppendError::ReadOnly { .. } => (StatusCode::SERVICE_UNAVAILABLE, "log_read_only"),
            AppendError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            _ => (StatusCode::BAD_REQUEST, "invalid_event"),
        };
        let api = ApiError::new(status, code, error.to_string());
        match error {
            AppendError::Conflict { actual, .. } => api.with("version", actual),
            AppendError::Schema { schema, problems } => {
                let list: Vec<&str> = problems.split("; ").collect();
                api.with("schema", schema.as_str()).with("problems", list)
            }
            _ => api,
        }
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Retention(reason) => ApiError::new(StatusCode::CONFLICT, "retention_refused", reason),
            LogError::Closed => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping"),
            other => ApiError::internal(other.full_text()),
        }
    }
}

impl From<HandleError> for ApiError {
    fn from(error: HandleError) -> Self {
        let status = if error.retryable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
        ApiError::new(status, "read_model", error.text)
    }
}

impl From<DeployError> for ApiError {
    fn from(error: DeployError) -> Self {
        let text = error.to_string();
        match error {
            DeployError::Stale { current, diff } => {
                let diff = serde_json::to_value(&*diff).unwrap_or(Value::Null);
                ApiError::new(StatusCode::CONFLICT, "version_mismatch", text).with("rev", current).with("diff", diff)
            }
            DeployError::Log(_) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "log_refused", text),
            DeployError::Closing => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", text),
        }
    }
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        ApiError::bad_request("invalid_flow", error.to_string())
    }
}

impl From<SendError> for ApiError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Unknown | SendError::Disabled => ApiError::not_found(error.to_string()),
            SendError::Closed => ApiError::new(StatusCode::CONFLICT, "node_removed", error.to_string()),
        }
    }
}

impl From<SecretsError> for ApiError {
    fn from(error: SecretsError) -> Self {
        ApiError::internal(error)
    }
}
