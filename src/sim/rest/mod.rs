//! The venue's REST server: limits first, then faults, then the answer.

mod answers;
mod query;

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::net::TcpListener;

use super::faults::What;
use super::limits::Verdict;
use super::shared::{NO_ROUTE, Shared, TOO_MANY, blocked};
use answers::Endpoint;

/// The faults that hit requests.
const TROUBLES: [What; 6] = [
    What::Rest429,
    What::Rest500,
    What::RestHtml,
    What::RestTruncated,
    What::RestSlow,
    What::RestTimeout,
];
/// How long a request is left without an answer.
const NEVER: Duration = Duration::from_mins(2);
/// A slow body: so many pieces, each so long after the one before.
const PIECES: usize = 20;
const PIECE_EVERY: Duration = Duration::from_millis(250);
const JSON: &str = "application/json;charset=UTF-8";
const TEXT: &str = "text/plain;charset=UTF-8";
const HTML: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
                    <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
const MAINTENANCE: &str =
    r#"{"error":{"name":500,"message":"Internal server error. Please try again later."}}"#;

/// Answers requests until the simulator ends.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let end = shared.end.clone();
    let router = Router::new().fallback(handle).with_state(shared);
    let served = axum::serve(listener, router).with_graceful_shutdown(end.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the simulator's REST server ended");
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let uri = request.uri().clone();
    if uri.path() == "/sim/stats" {
        return answer(StatusCode::OK, JSON, shared.stats().to_string());
    }
    let Some(endpoint) = Endpoint::of(uri.path()) else {
        return answer(StatusCode::NOT_FOUND, JSON, NO_ROUTE.to_owned());
    };
    let now = shared.now();
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let origin = origin.map(str::to_owned);
    let response = respond(&shared, endpoint, &uri, origin.as_deref(), now).await;
    shared.calls.note(now, endpoint.group(), &uri, response.status().as_u16());
    response
}

/// The answer to a request for what there is.
async fn respond(
    shared: &Arc<Shared>,
    endpoint: Endpoint,
    uri: &Uri,
    origin: Option<&str>,
    now: i64,
) -> Response {
    let verdict = {
        let mut gate = shared.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.judge(endpoint.group(), shared.options.rest_rate, origin, now)
    };
    let left = match verdict {
        Verdict::Go(left) => left,
        Verdict::Wait => return limited(endpoint, origin.is_some(), 0, too_many()),
        Verdict::Blocked(seconds) => {
            return answer(StatusCode::IM_A_TEAPOT, JSON, blocked(seconds));
        }
    };
    let trouble = shared.trouble(&TROUBLES);
    let early = match trouble {
        Some(What::Rest429) => Some(too_many()),
        Some(What::Rest500) => {
            Some(answer(StatusCode::INTERNAL_SERVER_ERROR, JSON, MAINTENANCE.to_owned()))
        }
        Some(What::RestHtml) => Some(answer(StatusCode::BAD_GATEWAY, "text/html", HTML.to_owned())),
        Some(What::RestTimeout) => {
            tokio::time::timeout(NEVER, shared.end.cancelled()).await.ok();
            Some(answer(StatusCode::GATEWAY_TIMEOUT, TEXT, String::new()))
        }
        _ => None,
    };
    if let Some(early) = early {
        return limited(endpoint, origin.is_some(), left, early);
    }
    let asked = {
        let (shared, uri) = (Arc::clone(shared), uri.clone());
        // Making pages of the past takes a while in debug builds.
        tokio::task::spawn_blocking(move || answers::body(&shared, endpoint, &uri, now)).await
    };
    let response = match asked {
        Ok(Ok(body)) => match trouble {
            Some(What::RestTruncated) => truncated(body),
            Some(What::RestSlow) => slow(body),
            _ => answer(StatusCode::OK, JSON, body),
        },
        Ok(Err(fail)) => {
            let (status, message) = fail.parts();
            let code = status.as_u16();
            let body = format!(r#"{{"error":{{"name":{code},"message":"{message}"}}}}"#);
            answer(status, JSON, body)
        }
        Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, JSON, MAINTENANCE.to_owned()),
    };
    limited(endpoint, origin.is_some(), left, response)
}

fn too_many() -> Response {
    answer(StatusCode::TOO_MANY_REQUESTS, TEXT, TOO_MANY.to_owned())
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], body.into()).into_response()
}

/// Adds what the venue says of its limits.
fn limited(endpoint: Endpoint, origin: bool, left: u32, mut response: Response) -> Response {
    let (group, minute) = if origin { ("origin", 6) } else { (endpoint.group(), 600) };
    let text = format!("group={group}; min={minute}; sec={left}");
    let headers: &mut HeaderMap = response.headers_mut();
    if let Ok(value) = text.parse() {
        headers.insert("remaining-req", value);
    }
    headers.insert("limit-by-ip", axum::http::HeaderValue::from_static("Yes"));
    response
}

/// The first half of a body, then the end of the connection.
fn truncated(body: Vec<u8>) -> Response {
    let length = body.len();
    let mut half = Bytes::from(body);
    half.truncate(length / 2);
    let pieces = stream::unfold(Some(half), |half| async move {
        if let Some(half) = half {
            return Some((Ok(half), None));
        }
        // What was handed over before must have left by then, or nothing arrives at all.
        tokio::time::sleep(PIECE_EVERY).await;
        Some((Err(io::Error::other("the simulator was told to truncate this")), None))
    });
    with_length(length, Body::from_stream(pieces))
}

/// A body in small pieces.
fn slow(body: Vec<u8>) -> Response {
    let length = body.len();
    let piece = length / PIECES + 1;
    let pieces = stream::unfold(Bytes::from(body), move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(PIECE_EVERY).await;
        let next = left.split_to(piece.min(left.len()));
        Some((Ok::<_, Infallible>(next), left))
    });
    with_length(length, Body::from_stream(pieces))
}

fn with_length(length: usize, body: Body) -> Response {
    let mut response = answer(StatusCode::OK, JSON, body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}
