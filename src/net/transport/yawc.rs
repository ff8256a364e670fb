//! Websockets by yawc, which unpacks what the other side compressed (permessage-deflate, RFC 7692).
//!
//! The handshake is that of every websocket, with an offer in it. Where the other side does not
//! take the offer, the library reads plain messages. What goes out is never compressed, which the
//! extension leaves to the sender: it is little, and spares the memory.
//!
//! Where it is less strict than the other library: a frame that a server masks, which it must not,
//! is handed over as it came, still masked; and control frames may be longer than 125 bytes.

mod agreed;
mod head;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures::Sink;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Error as HandshakeError;
use tokio_tungstenite::tungstenite::error::TlsError;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use yawc::close::CloseCode;
use yawc::{Frame, OpCode, Options, Role, WebSocket, WebSocketError};

use self::head::{Ended, Head};
use super::tungstenite::{config, refused};
use super::{Call, Message, Outgoing, Transport};
use crate::net::connect::{ConnectError, MESSAGE_LIMIT};
use crate::net::session::Why;
use crate::net::wire::Steady;

/// What browsers offer, and so what servers are used to.
const OFFER: &str = "permessage-deflate; client_max_window_bits";
/// Bytes that are read at once where so many are there.
const READ_BUFFER: usize = 128 * 1024;

/// An offer to take compressed messages. Clones share what was said in the log.
#[derive(Debug, Clone, Default)]
pub(in crate::net) struct Offer {
    said: Arc<AtomicBool>,
}

impl Offer {
    /// Shakes hands over `wire`, in TLS where the URL says so, and makes the offer.
    pub(in crate::net) async fn open(
        &self,
        mut call: Call<'_>,
        wire: Steady,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        let refused = |error| refused(call.url, call.secure, error);
        let wire = if call.secure {
            let name = ServerName::try_from(call.host)
                .map_err(|_| refused(HandshakeError::Tls(TlsError::InvalidDnsName)))?;
            let connected = TlsConnector::from(Arc::clone(call.tls)).connect(name, wire).await;
            MaybeTlsStream::Rustls(connected.map_err(|error| refused(error.into()))?)
        } else {
            MaybeTlsStream::Plain(wire)
        };
        let offer = HeaderValue::from_static(OFFER);
        call.request.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, offer);
        let shaking = tokio_tungstenite::client_async_with_config(
            call.request,
            Head::new(wire),
            Some(config()),
        );
        let (socket, response) = shaking.await.map_err(refused)?;
        let failed = |detail| ConnectError::Handshake { url: call.url.to_owned(), detail };
        let agreed = agreed::read(response.headers()).map_err(failed)?;
        self.say(call.url, agreed.as_deref());
        let wire = socket.into_inner().pass().map_err(failed)?;
        // Both limits are of the unpacked bytes too, and exclusive.
        let options = Options::default()
            .with_limits(MESSAGE_LIMIT + 1, MESSAGE_LIMIT + 1)
            .with_read_buffer_capacity(READ_BUFFER)
            .with_compression_threshold(usize::MAX)
            .with_utf8();
        let extensions = agreed.as_deref();
        let socket =
            WebSocket::from_stream_with_extensions(wire, Role::Client, extensions, options)
                .map_err(|error| failed(error.to_string()))?;
        Ok(Box::new(Yawc { socket, close: CloseSteps::Open }))
    }

    /// Says what became of the offer: aloud once, and at each connection for those who look closer.
    fn say(&self, url: &str, agreed: Option<&str>) {
        let first = !self.said.swap(true, Ordering::Relaxed);
        match agreed {
            Some(agreed) if first => tracing::info!("{url} compresses its messages ({agreed})"),
            Some(agreed) => tracing::debug!("{url} compresses its messages ({agreed})"),
            None if first => {
                tracing::warn!("{url} does not compress its messages: they come as they are");
            }
            None => tracing::debug!("{url} does not compress its messages"),
        }
    }
}

struct Yawc {
    socket: WebSocket<Head<MaybeTlsStream<Steady>>>,
    close: CloseSteps,
}

/// How far the end of a websocket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloseSteps {
    /// No close frame went or came.
    Open,
    /// Ours went.
    Asked,
    /// One came, or something that ends it; the library has its answer ready.
    Answering,
    /// Ours was answered: nothing more goes or comes.
    Over,
}

impl fmt::Debug for Yawc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yawc").field("close", &self.close).finish_non_exhaustive()
    }
}

impl Transport for Yawc {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Why>> {
        if self.close == CloseSteps::Over {
            return Poll::Ready(Err(Why::Dropped));
        }
        let frame = match ready!(self.socket.poll_next_frame(context)) {
            Ok(frame) => frame,
            Err(error) => {
                self.closed();
                return Poll::Ready(Err(why(&error)));
            }
        };
        Poll::Ready(Ok(match frame.opcode() {
            // The library joins what continues a message.
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                Message::Data(frame.into_payload())
            }
            OpCode::Ping | OpCode::Pong => Message::Proof,
            OpCode::Close => {
                self.closed();
                let reason = frame.close_reason().ok().flatten().unwrap_or_default().to_owned();
                Message::Close { code: frame.close_code().map(Into::into), reason }
            }
        }))
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>> {
        Pin::new(&mut self.socket).poll_ready(context).map_err(|error| why(&error))
    }

    fn start_send(&mut self, frame: Outgoing) -> Result<(), Why> {
        let frame = match frame {
            Outgoing::Text(text) => Frame::text(text),
            Outgoing::Ping => Frame::ping(Vec::new()),
            Outgoing::Close => {
                self.close = CloseSteps::Asked;
                Frame::close(CloseCode::Normal, "")
            }
        };
        Pin::new(&mut self.socket).start_send(frame).map_err(|error| why(&error))
    }

    /// The library's own answers leave when it makes itself ready for a frame.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>> {
        ready!(self.poll_ready(context))?;
        Pin::new(&mut self.socket).poll_flush(context).map_err(|error| why(&error))
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Why>> {
        match self.close {
            CloseSteps::Open => {
                ready!(self.poll_ready(context))?;
                self.start_send(Outgoing::Close)?;
            }
            CloseSteps::Asked | CloseSteps::Answering => {}
            CloseSteps::Over => return Poll::Ready(Ok(())),
        }
        self.poll_flush(context)
    }
}

impl Yawc {
    /// Takes note that the other side ended it. The library answers each close frame, also one that
    /// is an answer; that answer must not leave.
    fn closed(&mut self) {
        self.close = match self.close {
            CloseSteps::Open | CloseSteps::Answering => CloseSteps::Answering,
            CloseSteps::Asked | CloseSteps::Over => CloseSteps::Over,
        };
    }
}

fn why(error: &WebSocketError) -> Why {
    if error.is_closed() {
        return Why::Dropped;
    }
    if matches!(error, WebSocketError::FrameTooLarge) {
        return Why::too_long();
    }
    match error.as_io_error() {
        Some(error) if is_end(error) => Why::Dropped,
        // The unpacker's: one of the system has a number.
        Some(error) if error.kind() == io::ErrorKind::InvalidInput && is_made_here(error) => {
            Why::Protocol(error.to_string())
        }
        Some(error) => Why::Broken(error.to_string()),
        None => Why::Protocol(error.to_string()),
    }
}

fn is_end(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn StdError + Send + Sync>::is::<Ended>)
}

fn is_made_here(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}
