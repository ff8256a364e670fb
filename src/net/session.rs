//! One open websocket.
//!
//! Invariants: whatever the other side sends becomes one [`Incoming`], never a panic; text and
//! binary are alike; a message is stamped with our clock the moment it is read (and unpacked, where
//! the other side compresses), before anything looks at it; [`Session::next`] may be dropped at any
//! point without losing a message; pings go out on time however much comes in; a close frame is
//! answered before the connection goes. Which library speaks the protocol is for `net::transport`.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::{Instant, Sleep};

use super::clock::Clock;
use super::connect::MESSAGE_LIMIT;
use super::transport::{Message, Outgoing, Transport, put};
use crate::model::time::Timestamp;

/// How long the other side may take to answer our close.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a close frame may take to leave where nobody waits for the answer. It leaves at once,
/// unless the connection takes no bytes: then a second is little to those who lost it.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// The shortest time between two pings, whatever is asked for.
const PING_FLOOR: Duration = Duration::from_millis(10);

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A message, text or binary.
    Data {
        /// When it was read. Clock: ours.
        ts_recv: Timestamp,
        /// Its bytes.
        body: Bytes,
    },
    /// A sign of life that is no message: a ping or a pong.
    Proof {
        /// When it was read. Clock: ours.
        at: Timestamp,
    },
    /// The connection is over; nothing comes after this.
    Closed {
        /// When we learned of it. Clock: ours.
        at: Timestamp,
        /// How it ended.
        why: Why,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The other side closed it, with a code where it gave one.
    Close {
        /// The code.
        code: Option<u16>,
        /// The other side's explanation.
        reason: String,
    },
    /// It ended without a close frame.
    Dropped,
    /// The way there broke.
    Broken(String),
    /// The other side does not keep to the websocket protocol, or sends messages beyond the limit.
    Protocol(String),
}

impl Why {
    /// A message beyond [`MESSAGE_LIMIT`].
    pub(super) fn too_long() -> Self {
        Self::Protocol(format!("a message is longer than {} MiB", MESSAGE_LIMIT >> 20))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close { code: Some(code), reason } if reason.is_empty() => {
                write!(f, "the venue closed it with code {code}")
            }
            Self::Close { code: Some(code), reason } => {
                write!(f, "the venue closed it with code {code}: {reason}")
            }
            Self::Close { code: None, .. } => f.write_str("the venue closed it"),
            Self::Dropped => f.write_str("it ended without a close frame"),
            Self::Broken(detail) => write!(f, "the connection broke: {detail}"),
            Self::Protocol(detail) => write!(f, "the venue broke the websocket protocol: {detail}"),
        }
    }
}

/// An open websocket. Made by [`super::connect::Connector::open`].
#[derive(Debug)]
pub struct Session {
    socket: Box<dyn Transport>,
    peer: Option<IpAddr>,
    clock: Arc<dyn Clock>,
    ping_every: Duration,
    /// When the next ping goes. One timer for all of them: to set one anew for each message costs
    /// more than to read it.
    ping_at: Pin<Box<Sleep>>,
    opened_at: Timestamp,
}

impl Session {
    pub(super) fn new(
        socket: Box<dyn Transport>,
        peer: Option<IpAddr>,
        clock: Arc<dyn Clock>,
        ping_every: Duration,
        opened_at: Timestamp,
    ) -> Self {
        let ping_at = Box::pin(tokio::time::sleep(Duration::ZERO));
        let mut session = Self { socket, peer, clock, ping_every, ping_at, opened_at };
        session.plan_ping();
        session
    }

    /// Which of the host's addresses it goes to; none where it goes through no network.
    #[must_use]
    pub const fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// When the handshake was done. Clock: ours.
    #[must_use]
    pub const fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// Waits for what comes next; sends pings meanwhile.
    pub async fn next(&mut self) -> Incoming {
        loop {
            tokio::select! {
                // The timer first: a venue that never pauses must not keep it from its turn.
                biased;
                () = &mut self.ping_at => {
                    if let Err(why) = self.ping().await {
                        return Incoming::Closed { at: self.clock.now(), why };
                    }
                }
                message = poll_fn(|context| self.socket.poll_next(context)) => {
                    let at = self.clock.now();
                    return match message {
                        Ok(Message::Data(body)) => Incoming::Data { ts_recv: at, body },
                        Ok(Message::Proof) => Incoming::Proof { at },
                        Ok(Message::Close { code, reason }) => {
                            self.answer_close();
                            Incoming::Closed { at, why: Why::Close { code, reason } }
                        }
                        Err(why) => Incoming::Closed { at, why },
                    };
                }
            }
        }
    }

    /// Sends pings and reads nothing, for as long as there is no room for what would come. Whether
    /// the connection is over is for [`Session::next`] to say.
    pub async fn only_ping(&mut self) -> Infallible {
        loop {
            self.ping_at.as_mut().await;
            if let Err(why) = self.ping().await {
                tracing::debug!(%why, "a ping was not sent");
            }
        }
    }

    /// Sends a text message, for venues that want an answer.
    ///
    /// # Errors
    ///
    /// When the connection is over; says how it ended.
    pub async fn send(&mut self, text: String) -> Result<(), Why> {
        put(self.socket.as_mut(), Outgoing::Text(text)).await
    }

    /// Closes it, and waits for the other side to agree, at most [`CLOSE_TIMEOUT`]. What still
    /// comes in that time is not read as data.
    pub async fn close(mut self) {
        let ended = async {
            if let Err(why) = put(self.socket.as_mut(), Outgoing::Close).await {
                return why;
            }
            loop {
                if let Err(why) = poll_fn(|context| self.socket.poll_next(context)).await {
                    return why;
                }
            }
        };
        match tokio::time::timeout(CLOSE_TIMEOUT, ended).await {
            Ok(Why::Dropped) => {}
            Ok(why) => tracing::debug!(%why, "the connection ended while it was closed"),
            Err(_) => tracing::debug!("the venue did not answer our close in time"),
        }
    }

    /// Leaves once our close frame, or our answer to the other side's, has gone out; waits for
    /// nothing else, and for that at most [`LEAVE_TIMEOUT`].
    pub async fn leave(mut self) {
        let left = poll_fn(|context| self.socket.poll_close(context));
        match tokio::time::timeout(LEAVE_TIMEOUT, left).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::debug!(%why, "the connection ended before it was closed"),
            Err(_) => tracing::debug!("the connection takes no more bytes"),
        }
    }

    async fn ping(&mut self) -> Result<(), Why> {
        self.plan_ping();
        put(self.socket.as_mut(), Outgoing::Ping).await
    }

    /// Lets our answer to a close frame go, if it goes at once; else [`Session::leave`] waits for
    /// it. Venues may take a connection that ends without it for one that broke.
    fn answer_close(&mut self) {
        let flushed = poll_fn(|context| self.socket.poll_flush(context)).now_or_never();
        if let Some(Err(why)) = flushed {
            tracing::debug!(%why, "the venue's close was not answered");
        }
    }

    /// A tenth of jitter, so that many sessions do not ping in step.
    fn plan_ping(&mut self) {
        let every = self.ping_every.max(PING_FLOOR);
        let at = Instant::now() + every.mul_f64(0.9 + 0.1 * rand::random::<f64>());
        self.ping_at.as_mut().reset(at);
    }
}

#[cfg(test)]
mod tests;
