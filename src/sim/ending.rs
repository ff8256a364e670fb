//! How a connection ends: so that what was written arrives, except where it shall not.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// How long a client may take to answer the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// How a connection ends.
pub(super) enum End {
    /// Without a close frame.
    Silent,
    /// Without anything.
    Reset,
    /// With a close frame.
    Close(CloseCode),
    /// The client has ended it.
    Gone,
}

/// Ends a connection so that what was written arrives, except where it shall not.
pub(super) async fn farewell(mut ws: WebSocketStream<TcpStream>, end: End) {
    let ended = match end {
        End::Reset => {
            if let Err(error) = ws.get_ref().set_zero_linger() {
                tracing::debug!(%error, "the connection cannot be reset");
            }
            return;
        }
        End::Silent => ws.get_mut().shutdown().await.map_err(Error::from),
        End::Close(code) => ws.close(Some(CloseFrame { code, reason: "".into() })).await,
        End::Gone => ws.flush().await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "the connection was gone already");
        return;
    }
    // A socket that is closed with unread bytes in it is reset, and what was sent may be lost.
    let unread = async { while ws.next().await.is_some_and(|message| message.is_ok()) {} };
    if timeout(FAREWELL, unread).await.is_err() {
        tracing::debug!("the client did not answer the end of the connection");
    }
}
