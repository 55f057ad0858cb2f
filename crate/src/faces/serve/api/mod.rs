//! Routes: each turns a request into jobs, and what comes of them into an answer.

mod chat;
mod completions;
mod generate;
mod messages;
mod options;
mod texts;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower_http::cors::{Any, CorsLayer};

use super::{
    Server,
    error::{ApiError, ApiResult},
    guard,
    model::{Model, Turn},
};

/// Every path that is served.
pub(super) const ROUTES: [&str; 11] = [
    "/health",
    "/metrics",
    "/v1/models",
    "/v1/models/{model}",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/tokenize",
    "/detokenize",
    "/apply-template",
];

type Shared = State<Arc<Server>>;

/// All routes over a server.
pub(super) fn router(server: &Arc<Server>) -> Router {
    let router = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/models", get(models))
        .route("/v1/models/{model}", get(model))
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/completions", post(completions::complete))
        .route("/v1/embeddings", post(texts::embeddings))
        .route("/v1/rerank", post(texts::rerank))
        .route("/tokenize", post(texts::tokenize))
        .route("/detokenize", post(texts::detokenize))
        .route("/apply-template", post(texts::apply_template))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(server), guard::pass));
    let router = match cors(&server.settings.cors_origins) {
        // Outside the guard: a browser asks for leave without a key.
        Some(layer) => router.layer(layer),
        None => router,
    };
    router.with_state(Arc::clone(server))
}

fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new().allow_methods(Any).allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE]);
    if origins.iter().any(|origin| origin == "*") {
        return Some(layer.allow_origin(Any));
    }
    let known: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    Some(layer.allow_origin(known))
}

async fn unknown(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(100).collect();
    let what = format!("nothing is served at {} {path}", request.method());
    ApiError { code: Some("unknown_url"), ..ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", what) }
}

async fn wrong_method(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(100).collect();
    let what = format!("{path} does not take {}", request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", what)
}

async fn health(State(server): Shared) -> Response {
    if server.is_stopping() {
        return ApiError::stopping().into_response();
    }
    if !server.models.iter().all(|model| model.is_alive()) {
        return ApiError::lost().into_response();
    }
    Json(json!({ "status": "ok" })).into_response()
}

async fn metrics(State(server): Shared) -> Response {
    let text = server.metrics.text(server.models.iter().map(Arc::as_ref));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn told(model: &Model) -> Value {
    json!({
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "glassbox",
        "max_model_len": model.context,
    })
}

async fn models(State(server): Shared) -> Json<Value> {
    let all: Vec<Value> = server.models.iter().map(|model| told(model)).collect();
    Json(json!({ "object": "list", "data": all }))
}

async fn model(
    State(server): Shared,
    axum::extract::Path(name): axum::extract::Path<String>,
) -> ApiResult<Json<Value>> {
    find(&server, Some(&name)).map(|model| Json(told(model)))
}

/// The model of a name; without one the only model.
fn find<'a>(server: &'a Server, name: Option<&str>) -> ApiResult<&'a Arc<Model>> {
    let found = match (name, server.models.as_slice()) {
        (None, [only]) => Some(only),
        (name, all) => all.iter().find(|model| Some(model.name.as_str()) == name),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = server.models.iter().map(|model| model.name.as_str()).collect();
        let name: String = name.unwrap_or_default().chars().take(100).collect();
        let what = format!("no model is named {name:?}; there are {}", names.join(", "));
        let error = ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", what).code("model_not_found");
        ApiError { param: Some("model"), ..error }
    })
}

/// A request's body as JSON, within the limits of size and time; and whose turn it is.
async fn body<T: DeserializeOwned>(server: &Server, request: Request) -> ApiResult<(T, Turn)> {
    if server.is_stopping() {
        return Err(ApiError::stopping());
    }
    let (head, body) = request.into_parts();
    let turn = head.extensions.get::<Turn>().copied().ok_or_else(ApiError::lost)?;
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // Pages of strangers can send other kinds without asking for leave.
    if !text(header::CONTENT_TYPE).is_some_and(is_json) {
        let what = "the body must be JSON: Content-Type: application/json";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", what));
    }
    let most = server.settings.max_body;
    let too_large = |found: String| {
        let what = format!("the request has {found} bytes; at most {most} are taken");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", what).code("request_too_large")
    };
    let stated = text(header::CONTENT_LENGTH).and_then(|n| n.parse::<u64>().ok());
    if let Some(stated) = stated.filter(|n| *n > most as u64) {
        return Err(too_large(stated.to_string()));
    }
    let seconds = server.settings.read_time;
    let bytes = tokio::time::timeout(seconds, to_bytes(body, most)).await.map_err(|_| {
        let what = format!("the request's body did not come within {} seconds", seconds.as_secs());
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", what)
    })?;
    let bytes = bytes.map_err(|e| match stated {
        None => too_large("more".into()),
        Some(_) => ApiError::wrong(format!("the request's body cannot be read: {e}")),
    })?;
    let parsed = serde_json::from_slice(&bytes).map_err(|e| ApiError::wrong(format!("the request's body: {e}")))?;
    Ok((parsed, turn))
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// An identifier of an answer.
fn identifier(prefix: &str) -> String {
    format!("{prefix}-{:016x}{:08x}", unforeseen(), unforeseen() as u32)
}

/// A number that no one foresees well enough to matter, for seeds and identifiers.
fn unforeseen() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What this server calls itself in answers.
const FINGERPRINT: &str = concat!("glassbox-", env!("CARGO_PKG_VERSION"));
