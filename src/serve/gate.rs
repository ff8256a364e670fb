//! Who may ask, and what every answer carries.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::reload;
use super::routes::{Shared, refusal};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Bytes that the body of a request may have. Nothing here takes one.
const BODY_BYTES: u64 = 16 * 1024;
/// A line about wrong tokens at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The page itself holds no data: it has to be had in order to ask for the token.
const OPEN: [&str; 1] = ["/"];

/// What a request has to show.
pub(super) struct Gate {
    /// The hash of it: comparing hashes takes the same time wherever they differ.
    token: Option<blake3::Hash>,
    wrong: AtomicU64,
    told: AtomicU64,
}

impl Gate {
    pub(super) fn new(token: Option<&str>) -> Self {
        let token = token.map(|token| blake3::hash(token.as_bytes()));
        Self { token, wrong: AtomicU64::new(0), told: AtomicU64::new(0) }
    }

    /// Whether a token is asked for.
    pub(super) const fn asks(&self) -> bool {
        self.token.is_some()
    }

    /// How many tokens were wrong.
    pub(super) fn wrong(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed)
    }

    /// Why a request is not let in, if so.
    fn refuses(&self, path: &str, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let Some(token) = self.token else {
            if path == reload::PATH {
                return Some((
                    StatusCode::FORBIDDEN,
                    "only whoever shows the token may reload, and none is set: set http_token, or send SIGHUP",
                ));
            }
            // A page of another site that gives its own name our address must not read from us.
            return (!is_local(headers)).then_some((
                StatusCode::MISDIRECTED_REQUEST,
                "ask by the address or by localhost: without a token no other name is answered",
            ));
        };
        if OPEN.contains(&path) {
            return None;
        }
        let Some(shown) = bearer(headers) else {
            return Some((StatusCode::UNAUTHORIZED, "show the token: Authorization: Bearer …"));
        };
        if blake3::hash(shown) == token {
            return None;
        }
        self.wrong.fetch_add(1, Ordering::Relaxed);
        Some((StatusCode::UNAUTHORIZED, "this is not the token"))
    }

    /// A line about wrong tokens now and then, with their count; never with what was shown.
    fn tell(&self, now: Duration) {
        let seconds = now.as_secs().max(1);
        let told = self.told.load(Ordering::Relaxed);
        if told == 0 || seconds.saturating_sub(told) >= LINE_EVERY.as_secs() {
            self.told.store(seconds, Ordering::Relaxed);
            tracing::warn!("requests with a wrong token so far: {}", self.wrong());
        }
    }
}

/// Every request passes here, and every answer.
pub(super) async fn pass(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let answered = tokio::time::timeout(ANSWER_WITHIN, answer(&shared, request, next)).await;
    let mut response = answered.unwrap_or_else(|_| {
        refusal(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long; ask again later")
    });
    shared.counts.answered(response.status());
    let own = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in own {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let policy = header::CONTENT_SECURITY_POLICY;
    if !response.headers().contains_key(&policy) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        response.headers_mut().insert(policy, nothing);
    }
    response
}

async fn answer(shared: &Shared, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let wrong = shared.gate.wrong();
    if let Some((status, why)) = shared.gate.refuses(request.uri().path(), headers) {
        if shared.gate.wrong() != wrong {
            shared.gate.tell(shared.sources.clock.monotonic());
        }
        let mut response = refusal(status, why);
        if status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        }
        return response;
    }
    let (method, reload) = (request.method(), request.uri().path() == reload::PATH);
    if reload && method != Method::POST {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "there is only POST here");
    }
    if !reload && method != Method::GET && method != Method::HEAD {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "there is only GET here");
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.is_some_and(|length| length.parse().is_ok_and(|length: u64| length > BODY_BYTES)) {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "nothing here takes a body").into_response();
    }
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Whether the request is for an address or for this very machine, not for some name.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(header::HeaderName, &str)| {
            (name.clone(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_the_token_opens() {
        let gate = Gate::new(Some("0123456789abcdef"));
        let table = [
            ("/", None, true),
            ("/metrics", None, false),
            ("/metrics", Some("Bearer 0123456789abcdef"), true),
            ("/metrics", Some("bearer  0123456789abcdef "), true),
            ("/metrics", Some("Bearer 0123456789abcdeF"), false),
            ("/metrics", Some("Bearer 0123456789abcde"), false),
            ("/metrics", Some("Bearer 0123456789abcdef0"), false),
            ("/metrics", Some("Bearer "), false),
            ("/metrics", Some("Basic 0123456789abcdef"), false),
            ("/metrics", Some("Bear"), false),
            ("//", None, false),
        ];
        for (path, shown, passes) in table {
            let shown: Vec<_> =
                shown.into_iter().map(|shown| (header::AUTHORIZATION, shown)).collect();
            let refused = gate.refuses(path, &headers(&shown));
            assert_eq!(refused.is_none(), passes, "{path} {shown:?}: {refused:?}");
        }
        assert_eq!(gate.wrong(), 4);
    }

    #[test]
    fn without_a_token_only_addresses_are_answered() {
        let gate = Gate::new(None);
        let table = [
            ("127.0.0.1:9187", true),
            ("localhost", true),
            ("LOCALHOST:80", true),
            ("[::1]:9187", true),
            ("192.168.1.4", true),
            ("evil.example", false),
            ("evil.example:9187", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:9187", false),
            ("", false),
        ];
        for (host, passes) in table {
            let refused = gate.refuses("/", &headers(&[(header::HOST, host)]));
            assert_eq!(refused.is_none(), passes, "{host}");
        }
        assert!(gate.refuses("/", &HeaderMap::new()).is_some());
    }
}
