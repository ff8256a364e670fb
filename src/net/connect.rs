//! From a URL to an open websocket: address, TCP, TLS, handshake, first messages.
//!
//! The handshake carries no `Origin` header: venues hold those who send one, as browsers do, to a
//! far lower rate.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::SinkExt as _;
use rustls::ClientConfig;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request as Handshake;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{Connector as TlsConnector, MaybeTlsStream, WebSocketStream};

use super::clock::Clock;
use super::session::Session;
use super::wire::{Dial, Dialled, Steady};
use super::{http, tls};
use crate::venue::Opening;

/// How long opening may take, from the name to the last message sent.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest message that is read.
pub const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<Steady>>;

/// Opens websockets.
#[derive(Debug, Clone)]
pub struct Connector {
    dial: Arc<dyn Dial>,
    tls: Arc<ClientConfig>,
    clock: Arc<dyn Clock>,
}

impl Connector {
    /// One that reaches hosts by `dial`.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, tls: Arc<ClientConfig>, clock: Arc<dyn Clock>) -> Self {
        Self { dial, tls, clock }
    }

    /// The TLS configuration that its websockets have.
    #[must_use]
    pub const fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// Opens one websocket and sends its first messages, within [`OPEN_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// Says at which step it failed, and what to do.
    pub async fn open(&self, opening: &Opening) -> Result<Session, ConnectError> {
        tokio::time::timeout(OPEN_TIMEOUT, self.open_now(opening)).await.unwrap_or_else(|_| {
            Err(ConnectError::Timeout { url: opening.url.clone(), after: OPEN_TIMEOUT })
        })
    }

    /// The addresses that `host` is said to have now: another answer need not name the same.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.dial.resolve(host).await
    }

    async fn open_now(&self, opening: &Opening) -> Result<Session, ConnectError> {
        let target = Target::parse(&opening.url)?;
        let Dialled { wire, peer } = self.dial.dial(&target.host, target.port).await?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let (mut socket, _response) = tokio_tungstenite::client_async_tls_with_config(
            target.handshake,
            Steady::new(wire),
            Some(config),
            Some(TlsConnector::Rustls(Arc::clone(&self.tls))),
        )
        .await
        .map_err(|error| ConnectError::from_handshake(&opening.url, target.secure, error))?;
        let opened_at = self.clock.now();
        for message in &opening.messages {
            let message = Message::text(message.clone());
            socket.send(message).await.map_err(|error| {
                ConnectError::from_handshake(&opening.url, target.secure, error)
            })?;
        }
        Ok(Session::new(socket, peer, Arc::clone(&self.clock), opening.ping_every, opened_at))
    }
}

/// The host that a websocket URL names.
///
/// # Errors
///
/// When it is no websocket URL.
pub fn host_of(url: &str) -> Result<String, ConnectError> {
    Target::parse(url).map(|target| target.host)
}

/// Why no websocket could be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be one of a websocket.
    #[error("{url:?} is no websocket URL: {reason}; it must look like wss://host/path")]
    BadUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host's name is not known.
    #[error("no address for {host}: {source}; check the name and the network of this machine")]
    Dns {
        /// The host.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// Nothing answered.
    #[error("cannot reach {host}:{port}: {source}; is it running, and is the port right?")]
    Unreachable {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the system says of the last address tried.
        source: io::Error,
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
    /// Too many connections (429).
    #[error("{url} takes no more connections for now (429)")]
    TooMany {
        /// The URL.
        url: String,
        /// How long to wait, where the host said so.
        told: Option<Duration>,
    },
    /// This machine is blocked for a time (418).
    #[error("{url} has blocked this machine for a time (418)")]
    Blocked {
        /// The URL.
        url: String,
        /// For how long, where the host said so.
        told: Option<Duration>,
    },
    /// The host answered and did not open a websocket.
    #[error("{url} answered {status} instead of a websocket: {start:?}; is the path right?")]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How its answer starts.
        start: String,
    },
    /// The answer was none of HTTP's, or the connection broke in the middle.
    #[error("the handshake with {url} failed: {detail}")]
    Handshake {
        /// The URL.
        url: String,
        /// What was wrong.
        detail: String,
    },
    /// It took too long.
    #[error("{url} did not open within {after:?}")]
    Timeout {
        /// The URL.
        url: String,
        /// How long we waited.
        after: Duration,
    },
}

impl ConnectError {
    fn from_handshake(url: &str, secure: bool, error: WsError) -> Self {
        let url = url.to_owned();
        if let Some((detail, hint)) = tls::explain(&error) {
            return Self::Tls { url, detail, hint };
        }
        if let WsError::Http(response) = error {
            let told = retry_after(response.headers());
            let status = response.status().as_u16();
            let body = response.body().as_deref().unwrap_or_default();
            return match status {
                429 => Self::TooMany { url, told },
                418 => Self::Blocked { url, told },
                _ => Self::Status { url, status, start: http::start_of(body) },
            };
        }
        let detail = error.to_string();
        if secure && matches!(error, WsError::Io(_)) {
            let hint = "the connection broke; something between may not let TLS through";
            return Self::Tls { url, detail, hint };
        }
        Self::Handshake { url, detail }
    }
}

/// The time that a `Retry-After` header tells, where it tells seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

struct Target {
    host: String,
    port: u16,
    secure: bool,
    handshake: Handshake,
}

impl Target {
    fn parse(url: &str) -> Result<Self, ConnectError> {
        let bad = |reason: &str| ConnectError::BadUrl { url: url.into(), reason: reason.into() };
        let mut handshake = url.into_client_request().map_err(|error| bad(&error.to_string()))?;
        let (secure, usual_port) = match handshake.uri().scheme_str() {
            Some("wss") => (true, 443),
            Some("ws") => (false, 80),
            Some(_) | None => return Err(bad("the scheme must be ws or wss")),
        };
        let host = handshake.uri().host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        let port = handshake.uri().port_u16().unwrap_or(usual_port);
        let agent = HeaderValue::from_static(http::USER_AGENT);
        handshake.headers_mut().insert(header::USER_AGENT, agent);
        Ok(Self { host, port, secure, handshake })
    }
}

#[cfg(test)]
mod tests;
