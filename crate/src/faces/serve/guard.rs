//! What every request passes: the host it asks for, its key, and the count of its answer.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::{Choice, ConstantTimeEq};

use super::{Server, error::ApiError, model::Turn};

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Lets a request through or refuses it, and counts and logs its answer.
pub(super) async fn pass(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let asked = Instant::now();
    let route = route(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let response = match admit(&server, &request) {
        Ok(key) => {
            let mut hasher = DefaultHasher::new();
            // With keys each is a client; without, each address.
            match key {
                Some(key) => key.hash(&mut hasher),
                None => peer.map(|p| p.ip()).hash(&mut hasher),
            }
            let turn = Turn { client: hasher.finish(), asked, deadline: asked + server.settings.request_time };
            request.extensions_mut().insert(turn);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    let (status, seconds) = (response.status().as_u16(), asked.elapsed().as_secs_f64());
    server.metrics.answered(route, status, seconds);
    let path: String = path.chars().take(100).collect();
    match peer {
        Some(peer) => tracing::info!(%method, path, status, seconds, %peer, "answered"),
        None => tracing::info!(%method, path, status, seconds, "answered"),
    }
    response
}

/// Routes are few; what is asked beyond them is counted as one.
fn route(request: &Request) -> &'static str {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    super::api::ROUTES.iter().find(|route| **route == path).copied().unwrap_or("other")
}

/// Which key was given, where keys are asked for.
fn admit(server: &Server, request: &Request) -> Result<Option<usize>, ApiError> {
    let settings = &server.settings;
    if settings.is_local() && settings.api_keys.is_empty() {
        check_host(request, &settings.host_names)?;
    }
    if settings.api_keys.is_empty() || request.uri().path() == "/health" {
        return Ok(None);
    }
    let given = key(request.headers()).unwrap_or_default();
    // All keys are compared, each in a time that does not depend on where it differs.
    let mut found = None;
    for (i, key) in settings.api_keys.iter().enumerate() {
        let same: Choice = key.as_bytes().ct_eq(given.as_bytes());
        if bool::from(same) {
            found = Some(i);
        }
    }
    if found.is_none() {
        let what = if given.is_empty() {
            "an API key is needed: Authorization: Bearer KEY"
        } else {
            "the API key is not known"
        };
        let error = ApiError::new(StatusCode::UNAUTHORIZED, "authentication_error", what);
        return Err(error.code("invalid_api_key"));
    }
    Ok(found)
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or_else(|| text("x-api-key"))
}

/// A page of a stranger's name that leads to this machine may not ask: names other than localhost must be told to the server.
fn check_host(request: &Request, names: &[String]) -> Result<(), ApiError> {
    let given =
        request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| request.uri().host());
    let Some(given) = given else { return Ok(()) };
    let name = match given.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => given.rsplit_once(':').map_or(given, |(name, _)| name),
    };
    let is_known = name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is_known {
        return Ok(());
    }
    let what = "this server answers to localhost and to addresses; --host-name NAME adds a name";
    Err(ApiError::new(StatusCode::FORBIDDEN, "permission_error", what).code("unknown_host"))
}
