//! What a session needs of an open websocket, whatever library speaks the protocol.
//!
//! Invariants: polling may stop at any point, and no message is lost; pings of the other side are
//! answered unasked; no message is larger than [`super::connect::MESSAGE_LIMIT`], packed or not; a
//! body keeps no memory of the library busy.
//!
//! Each library has a file of its own, which alone names its types and says what its errors mean.
//! Both open in the same way, by the same handshake; they differ in who reads what follows.

pub(super) mod tungstenite;
#[cfg(feature = "deflate")]
pub(super) mod yawc;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use rustls::ClientConfig;

use super::session::Why;

/// An open websocket. It is polled, because a future on the heap for each message costs more than
/// reading the message.
pub(super) trait Transport: fmt::Debug + Send {
    /// What came next, or how it ended.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Why>>;

    /// Waits until it takes a frame.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>>;

    /// Takes a frame, once it is ready for one.
    fn start_send(&mut self, frame: Outgoing) -> Result<(), Why>;

    /// Waits until all frames have left, our answers to the other side's among them.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>>;

    /// Waits until a close frame has left, ours or our answer.
    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>>;
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// A whole message, text or binary.
    Data(Bytes),
    /// A ping or a pong.
    Proof,
    /// A close frame. No data comes after it.
    Close {
        /// The code, where there is one.
        code: Option<u16>,
        /// The other side's explanation.
        reason: String,
    },
}

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// A text message.
    Text(String),
    /// A ping without a body.
    Ping,
    /// A close frame that says that all is well.
    Close,
}

/// Sends one frame.
pub(super) async fn put(socket: &mut dyn Transport, frame: Outgoing) -> Result<(), Why> {
    poll_fn(|context| socket.poll_ready(context)).await?;
    socket.start_send(frame)?;
    poll_fn(|context| socket.poll_flush(context)).await
}

/// Whom to open a websocket with, over a wire that is there.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) url: &'a str,
    /// Only the library with compression of its own checks this name.
    #[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "the other library has it"))]
    pub(super) host: String,
    /// Whether it goes over TLS.
    pub(super) secure: bool,
    pub(super) request: tungstenite::Request,
    pub(super) tls: &'a Arc<ClientConfig>,
}
