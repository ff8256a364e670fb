//! Websockets by tungstenite, and the handshake of all websockets. It has no compression.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{Sink, Stream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use super::{Call, Message, Outgoing, Transport};
use crate::model::slab::Slab;
use crate::net::connect::{ConnectError, MESSAGE_LIMIT, retry_after};
use crate::net::session::Why;
use crate::net::wire::Steady;
use crate::net::{http, tls};

/// Bytes that are read at once at the most. The library clears what it reads into each time, all of
/// it, whatever comes.
const READ_BYTES: usize = 16 << 10;
/// Memory for messages: as many pieces as a queue that is full of them.
const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 1_024;

/// A request for a websocket.
pub(in crate::net) type Request = tungstenite::handshake::client::Request;

/// The request for the websocket at `url`, with all the headers that the protocol wants; or what is
/// wrong with the URL.
pub(in crate::net) fn request(url: &str) -> Result<Request, String> {
    url.into_client_request().map_err(|error| error.to_string())
}

/// Shakes hands over `wire`, in TLS where the URL says so.
pub(in crate::net) async fn open(
    call: Call<'_>,
    wire: Steady,
) -> Result<Box<dyn Transport>, ConnectError> {
    let connector = Connector::Rustls(Arc::clone(call.tls));
    let (socket, _response) = tokio_tungstenite::client_async_tls_with_config(
        call.request,
        wire,
        Some(config()),
        Some(connector),
    )
    .await
    .map_err(|error| refused(call.url, call.secure, error))?;
    Ok(Box::new(Tungstenite { socket, bodies: Slab::new(PIECE_BYTES, PIECES) }))
}

/// The limits of a websocket.
pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MESSAGE_LIMIT))
        .max_frame_size(Some(MESSAGE_LIMIT))
}

/// What an error of the handshake means.
pub(super) fn refused(url: &str, secure: bool, error: Error) -> ConnectError {
    let url = url.to_owned();
    if let Some((detail, hint)) = tls::explain(&error) {
        return ConnectError::Tls { url, detail, hint };
    }
    if let Error::Http(response) = error {
        let told = retry_after(response.headers());
        let status = response.status().as_u16();
        let body = response.body().as_deref().unwrap_or_default();
        return match status {
            429 => ConnectError::TooMany { url, told },
            418 => ConnectError::Blocked { url, told },
            _ => ConnectError::Status { url, status, start: http::start_of(body) },
        };
    }
    let detail = error.to_string();
    if secure && matches!(error, Error::Io(_)) {
        let hint = "the connection broke; something between may not let TLS through";
        return ConnectError::Tls { url, detail, hint };
    }
    ConnectError::Handshake { url, detail }
}

/// A websocket. What it hands out is copied: the library reads into memory of its own, and while
/// anybody holds a message of it, it takes other memory for what comes next.
#[derive(Debug)]
struct Tungstenite {
    socket: WebSocketStream<MaybeTlsStream<Steady>>,
    bodies: Slab,
}

impl Transport for Tungstenite {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Why>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(message)) => match incoming(message, &mut self.bodies) {
                    Some(message) => Ok(message),
                    None => continue,
                },
                Some(Err(error)) => Err(why(error)),
                None => Err(Why::Dropped),
            });
        }
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>> {
        Pin::new(&mut self.socket).poll_ready(context).map_err(why)
    }

    fn start_send(&mut self, frame: Outgoing) -> Result<(), Why> {
        let message = match frame {
            Outgoing::Text(text) => tungstenite::Message::text(text),
            Outgoing::Ping => tungstenite::Message::Ping(Bytes::new()),
            Outgoing::Close => {
                let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                tungstenite::Message::Close(Some(frame))
            }
        };
        Pin::new(&mut self.socket).start_send(message).map_err(why)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(why)
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>> {
        Pin::new(&mut self.socket).poll_close(context).map_err(why)
    }
}

/// None for what has no meaning to us.
fn incoming(message: tungstenite::Message, bodies: &mut Slab) -> Option<Message> {
    use tungstenite::Message as Theirs;
    Some(match message {
        Theirs::Text(text) => Message::Data(bodies.keep(text.as_bytes())),
        Theirs::Binary(body) => Message::Data(bodies.keep(&body)),
        Theirs::Ping(_) | Theirs::Pong(_) => Message::Proof,
        Theirs::Close(frame) => {
            let (code, reason) = frame.map_or((None, String::new()), |frame| {
                (Some(frame.code.into()), frame.reason.to_string())
            });
            Message::Close { code, reason }
        }
        // Raw frames are handed out to writers only.
        Theirs::Frame(_) => return None,
    })
}

fn why(error: Error) -> Why {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Why::Dropped,
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Why::too_long(),
        Error::Io(error) => Why::Broken(error.to_string()),
        Error::Tls(error) => Why::Broken(error.to_string()),
        Error::Capacity(CapacityError::TooManyHeaders)
        | Error::Protocol(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => Why::Protocol(error.to_string()),
    }
}
