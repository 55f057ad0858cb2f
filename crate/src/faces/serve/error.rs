//! Errors as OpenAI's API writes them.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::fault::{Blame, Fault};

/// What a client is told instead of an answer.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// "invalid_request_error", ...
    pub(super) kind: &'static str,
    pub(super) message: String,
    /// The field that is wrong.
    pub(super) param: Option<&'static str>,
    /// A word for programs.
    pub(super) code: Option<&'static str>,
    /// Seconds after which it is worth asking again.
    pub(super) retry_after: Option<u32>,
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), param: None, code: None, retry_after: None }
    }
    /// The request is wrong.
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }
    /// A field of the request is wrong.
    pub(super) fn field(param: &'static str, message: impl Into<String>) -> Self {
        Self { param: Some(param), ..Self::wrong(message) }
    }
    /// This server, or this model, cannot do it.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self { code: Some("not_supported"), ..Self::new(StatusCode::NOT_IMPLEMENTED, "not_supported_error", message) }
    }
    /// It can be asked again later.
    pub(super) fn busy(message: impl Into<String>, seconds: u32) -> Self {
        let new = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        Self { code: Some("overloaded"), retry_after: Some(seconds), ..new }
    }
    /// The server is about to end.
    pub(super) fn stopping() -> Self {
        Self { code: Some("stopping"), ..Self::busy("the server is about to end", 5) }
    }
    /// It took too long.
    pub(super) fn late(message: impl Into<String>) -> Self {
        Self { code: Some("timeout"), ..Self::new(StatusCode::GATEWAY_TIMEOUT, "server_error", message) }
    }
    /// A thread of the server has ended.
    pub(super) fn lost() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "the model's thread has ended; see the server's log",
        )
    }
    #[must_use]
    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
    /// As JSON.
    pub(super) fn json(&self) -> Value {
        json!({ "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code } })
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault.blame {
            Blame::Caller => Self::wrong(fault.what),
            Blame::Limit => Self::wrong(fault.what).code("limit"),
            Blame::Unsupported => Self::unsupported(fault.what),
            // Names of files on this machine are for the log alone.
            Blame::File | Blame::Source | Blame::Device | Blame::Bug => {
                tracing::error!(%fault, "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", fault.what)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.json())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
