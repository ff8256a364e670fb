//! Requests: GET only, each within the budget of its group, each answer whole or an error.
//!
//! Invariants: no `Origin` header; a body longer than [`BODY_LIMIT`] is never held; what the host
//! says of its rates reaches the budget before the answer reaches the caller.

mod post;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, Url};
use rustls::ClientConfig;

pub use self::post::Hook;
use super::budget::{Answer, Budget, Urgency, Use};
use super::clock::Clock;
use super::{connect, tls};
use crate::model::time::Timestamp;
use crate::venue::Request;

/// How we name ourselves.
pub const USER_AGENT: &str = concat!("veritape/", env!("CARGO_PKG_VERSION"));
/// The longest body that is read: as with a message of a websocket, less than the journal takes.
pub const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take, to the last byte.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How much of an answer an error quotes, in characters.
const QUOTE: usize = 200;

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// When its last byte was read. Clock: ours.
    pub ts_recv: Timestamp,
    /// The HTTP status: one of 200 to 299.
    pub status: u16,
    /// The body, unpacked.
    pub body: Bytes,
    /// Requests left of the group in the current second, where the host says so.
    pub remaining: Option<u32>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be made.
    #[error("requests cannot be set up: {0}")]
    Setup(String),
    /// The URL cannot be one.
    #[error("{url:?} is no URL: {reason}; it must look like https://host/path")]
    BadUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host's name is not known.
    #[error("no address for the host of {url}: {detail}; check the name and the network")]
    Dns {
        /// The URL.
        url: String,
        /// What the resolver says.
        detail: String,
    },
    /// Nothing answered.
    #[error("cannot reach {url}: {detail}; is it running, and is the port right?")]
    Unreachable {
        /// The URL.
        url: String,
        /// What the system says.
        detail: String,
    },
    /// TLS could not be agreed on.
    #[error("TLS with {url} failed: {detail}; {hint}")]
    Tls {
        /// The URL.
        url: String,
        /// What was wrong.
        detail: String,
        /// What to do.
        hint: &'static str,
    },
    /// It took too long.
    #[error("{url} did not answer in time; try again later")]
    Timeout {
        /// The URL.
        url: String,
    },
    /// The connection broke in the middle of the answer, or the answer was not HTTP.
    #[error("the answer of {url} broke off: {detail}")]
    Broken {
        /// The URL.
        url: String,
        /// What was wrong.
        detail: String,
    },
    /// The answer is longer than we read.
    #[error("the answer of {url} is longer than {limit} bytes; it cannot be what was asked for")]
    TooLong {
        /// The URL.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The host answered, and not with what was asked for.
    #[error("{url} answered {status}: {start:?}")]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How the answer starts.
        start: String,
        /// How long to wait, where the host said so.
        retry_after: Option<Duration>,
    },
}

/// Makes requests.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    direct: Client,
    budget: Arc<Budget>,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// A client that keeps to `budget`.
    ///
    /// # Errors
    ///
    /// When the TLS configuration is not one that the library takes.
    pub fn new(
        tls: &Arc<ClientConfig>,
        budget: Arc<Budget>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpError> {
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(ClientConfig::clone(tls))
                .user_agent(USER_AGENT)
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(WHOLE_TIMEOUT)
                .redirect(reqwest::redirect::Policy::limited(3))
        };
        let setup = |error: reqwest::Error| HttpError::Setup(chain(&error));
        let client = builder().build().map_err(setup)?;
        let direct = builder().no_proxy().build().map_err(setup)?;
        Ok(Self { client, direct, budget, clock })
    }

    /// Makes one request, when the budget has room for it.
    ///
    /// # Errors
    ///
    /// Says what failed and what to do. Any status outside 200 to 299 is an error.
    pub async fn get(&self, request: &Request) -> Result<Page, HttpError> {
        self.turn(request, Urgency::Now).await?;
        self.get_now(request).await
    }

    /// Waits until the budget has room for a request, which [`Http::get_now`] then makes.
    ///
    /// # Errors
    ///
    /// When its URL cannot be one.
    pub async fn turn(&self, request: &Request, urgency: Urgency) -> Result<(), HttpError> {
        let (_, host) = parse(&request.url)?;
        self.budget.wait(&host, Use::Request(request.group), urgency).await;
        Ok(())
    }

    /// Makes one request, whose turn has come.
    ///
    /// # Errors
    ///
    /// As [`Http::get`].
    pub async fn get_now(&self, request: &Request) -> Result<Page, HttpError> {
        let (url, host) = parse(&request.url)?;
        let group = Use::Request(request.group);
        let failed = |error: reqwest::Error| HttpError::from_reqwest(&request.url, &error);
        let response = self.client_for(&host).get(url).send().await.map_err(failed)?;

        let status = response.status();
        let told = connect::retry_after(response.headers());
        let remaining = remaining(response.headers());
        let answered = |answer| self.budget.answered(&host, group, answer);
        match status.as_u16() {
            429 => answered(Answer::TooMany { told }),
            418 => {}
            _ => answered(Answer::Served { remaining }),
        }
        let body = read(response, &request.url).await;
        if status.as_u16() == 418 {
            // For how long may stand in the body alone.
            let start = body.as_deref().map(start_of).unwrap_or_default();
            answered(Answer::Blocked { told: told.or_else(|| length_in(&start)) });
        }
        if !status.is_success() {
            return Err(HttpError::Status {
                url: request.url.clone(),
                status: status.as_u16(),
                start: body.as_deref().map(start_of).unwrap_or_default(),
                retry_after: told,
            });
        }
        let body = body?;
        Ok(Page { ts_recv: self.clock.now(), status: status.as_u16(), body, remaining })
    }

    /// A proxy of the environment is for the world outside, not for this machine.
    fn client_for(&self, host: &str) -> &Client {
        if is_loopback(host) { &self.direct } else { &self.client }
    }
}

/// Whether `host` is this machine.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl HttpError {
    fn from_reqwest(url: &str, error: &reqwest::Error) -> Self {
        let url = url.to_owned();
        if let Some((detail, hint)) = tls::explain(error) {
            return Self::Tls { url, detail, hint };
        }
        if error.is_timeout() {
            return Self::Timeout { url };
        }
        let detail = chain(error);
        if !error.is_connect() {
            return Self::Broken { url, detail };
        }
        // The resolver's error has no type of its own to be known by.
        if detail.contains("dns error") {
            return Self::Dns { url, detail };
        }
        Self::Unreachable { url, detail }
    }
}

/// The start of a body, as an error quotes it.
pub(super) fn start_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().chars().take(QUOTE).collect()
}

/// The host that a URL of HTTP names.
///
/// # Errors
///
/// When it is no such URL.
pub fn host_of(url: &str) -> Result<String, HttpError> {
    parse(url).map(|(_, host)| host)
}

/// The URL, and its host without the brackets of an IPv6 address.
fn parse(url: &str) -> Result<(Url, String), HttpError> {
    let bad = |reason: String| HttpError::BadUrl { url: url.to_owned(), reason };
    let parsed = Url::parse(url).map_err(|error| bad(error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(bad("the scheme must be http or https".to_owned()));
    }
    let host = parsed.host_str().ok_or_else(|| bad("it names no host".to_owned()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((parsed, host))
}

async fn read(mut response: Response, url: &str) -> Result<Bytes, HttpError> {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= BODY_LIMIT => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                return Err(HttpError::TooLong { url: url.to_owned(), limit: BODY_LIMIT });
            }
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(HttpError::from_reqwest(url, &error)),
        }
    }
}

/// `Remaining-Req: group=market; min=600; sec=9`: what is left of the current second. The rest of
/// the header is documented as without meaning.
fn remaining(headers: &HeaderMap) -> Option<u32> {
    let text = headers.get("remaining-req")?.to_str().ok()?;
    text.split(';').find_map(|part| part.trim().strip_prefix("sec=")?.trim().parse().ok())
}

/// The first length of time that a sentence names: `Blocked for 30 seconds`.
fn length_in(text: &str) -> Option<Duration> {
    let units = [("s", 1), ("초", 1), ("m", 60), ("분", 60), ("h", 3_600), ("시간", 3_600)];
    let digit = |c: char| c.is_ascii_digit();
    let mut rest = text;
    while let Some(begin) = rest.find(digit) {
        let number = rest.get(begin..)?;
        let end = number.find(|c| !digit(c)).unwrap_or(number.len());
        let (digits, behind) = number.split_at(end);
        let word = behind.trim_start();
        let unit = units.iter().find(|(unit, _)| word.starts_with(unit));
        if let (Some((_, seconds)), Ok(count)) = (unit, digits.parse::<u64>()) {
            return Some(Duration::from_secs(count.saturating_mul(*seconds)));
        }
        rest = behind;
    }
    None
}

/// An error with all that lies below it, in words.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
