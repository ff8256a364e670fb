//! From a URL to an open websocket: address, TCP, TLS, handshake, first messages.
//!
//! The handshake carries no `Origin` header: venues hold those who send one, as browsers do, to a
//! far lower rate.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, header};

use super::clock::Clock;
use super::http;
use super::session::Session;
#[cfg(feature = "deflate")]
use super::transport::yawc::Offer;
use super::transport::{Call, Outgoing, Transport, put, tungstenite};
use super::wire::{Dial, Dialled, Steady};
use crate::venue::Opening;

/// How long opening may take, from the name to the last message sent.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest message that is read; of a compressed one, what it holds.
pub const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// Opens websockets.
#[derive(Debug, Clone)]
pub struct Connector {
    dial: Arc<dyn Dial>,
    tls: Arc<ClientConfig>,
    clock: Arc<dyn Clock>,
    #[cfg(feature = "deflate")]
    offer: Option<Offer>,
}

impl Connector {
    /// One that reaches hosts by `dial`.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, tls: Arc<ClientConfig>, clock: Arc<dyn Clock>) -> Self {
        Self {
            dial,
            tls,
            clock,
            #[cfg(feature = "deflate")]
            offer: None,
        }
    }

    /// The same, which asks the other side to compress its messages. One that does not goes on
    /// without, and the log says so once.
    ///
    /// # Errors
    ///
    /// When this build cannot unpack them.
    pub fn with_deflate(self) -> Result<Self, NoDeflate> {
        deflate_is_built()?;
        Ok(Self {
            #[cfg(feature = "deflate")]
            offer: Some(Offer::default()),
            ..self
        })
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
        let Target { host, secure, request, .. } = target;
        let call = Call { url: &opening.url, host, secure, request, tls: &self.tls };
        let mut socket = self.shake_hands(call, Steady::new(wire)).await?;
        let opened_at = self.clock.now();
        for message in &opening.messages {
            let sent = put(socket.as_mut(), Outgoing::Text(message.clone())).await;
            sent.map_err(|why| ConnectError::Handshake {
                url: opening.url.clone(),
                detail: why.to_string(),
            })?;
        }
        Ok(Session::new(socket, peer, Arc::clone(&self.clock), opening.ping_every, opened_at))
    }

    async fn shake_hands(
        &self,
        call: Call<'_>,
        wire: Steady,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        #[cfg(feature = "deflate")]
        if let Some(offer) = &self.offer {
            return offer.open(call, wire).await;
        }
        tungstenite::open(call, wire).await
    }
}

/// Whether this build can unpack what the other side compressed.
///
/// # Errors
///
/// When it cannot; says what to do.
pub const fn deflate_is_built() -> Result<(), NoDeflate> {
    if cfg!(feature = "deflate") { Ok(()) } else { Err(NoDeflate) }
}

/// This build cannot unpack compressed messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this build has no deflate; make one by: cargo build --release --features deflate")]
pub struct NoDeflate;

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

/// The time that a `Retry-After` header tells, where it tells seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

struct Target {
    host: String,
    port: u16,
    secure: bool,
    request: tungstenite::Request,
}

impl Target {
    fn parse(url: &str) -> Result<Self, ConnectError> {
        let bad = |reason: &str| ConnectError::BadUrl { url: url.into(), reason: reason.into() };
        let mut request = tungstenite::request(url).map_err(|reason| bad(&reason))?;
        let (secure, usual_port) = match request.uri().scheme_str() {
            Some("wss") => (true, 443),
            Some("ws") => (false, 80),
            Some(_) | None => return Err(bad("the scheme must be ws or wss")),
        };
        let host = request.uri().host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        let port = request.uri().port_u16().unwrap_or(usual_port);
        let agent = HeaderValue::from_static(http::USER_AGENT);
        request.headers_mut().insert(header::USER_AGENT, agent);
        Ok(Self { host, port, secure, request })
    }
}

#[cfg(test)]
mod tests;
