//! A wire whose first bytes are the head of an HTTP answer.
//!
//! Whoever reads the head reads on into what came with it, and keeps that: messages would be lost
//! between the library that shakes hands and the one that follows. So as long as the head is read,
//! what comes behind it is held back here; a refusal has no such border, and passes whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How the answer starts that opens a websocket.
const WELCOME: &[u8] = b"HTTP/1.1 101";
/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

/// The wire ended.
#[derive(Debug, thiserror::Error)]
#[error("the connection ended")]
pub(super) struct Ended;

#[derive(Debug)]
pub(super) struct Head<S> {
    wire: S,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The head, as far as it was read.
    Reading(Vec<u8>),
    /// The head was read; this came behind it.
    Held(BytesMut),
    /// All passes; this first.
    Passing(BytesMut),
}

impl<S> Head<S> {
    pub(super) const fn new(wire: S) -> Self {
        Self { wire, state: State::Reading(Vec::new()) }
    }

    /// Lets pass what follows the head, where that was a welcome. The end becomes an error then, so
    /// that it can be told from all others: [`Ended`].
    pub(super) fn pass(self) -> Result<Self, String> {
        match self.state {
            State::Held(rest) => Ok(Self { state: State::Passing(rest), ..self }),
            State::Reading(_) | State::Passing(_) => {
                Err("its answer has no end that HTTP knows".to_owned())
            }
        }
    }
}

/// Where the head ends that starts with a welcome.
fn end_of(head: &[u8]) -> Option<usize> {
    if !head.starts_with(WELCOME) {
        return None;
    }
    head.windows(END.len()).position(|bytes| bytes == END).map(|at| at + END.len())
}

impl<S: AsyncRead + Unpin> AsyncRead for Head<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { wire, state } = self.get_mut();
        let before = into.filled().len();
        match state {
            State::Reading(head) => {
                ready!(Pin::new(wire).poll_read(context, into))?;
                let (known, new) = (head.len(), into.filled().get(before..).unwrap_or_default());
                head.extend_from_slice(new);
                if let Some(end) = end_of(head) {
                    into.set_filled(before + end.saturating_sub(known));
                    let rest = head.get(end..).unwrap_or_default();
                    *state = State::Held(BytesMut::from(rest));
                }
            }
            State::Held(_) => {}
            State::Passing(rest) if rest.is_empty() => {
                ready!(Pin::new(wire).poll_read(context, into))?;
                if into.filled().len() == before && into.remaining() > 0 {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, Ended)));
                }
            }
            State::Passing(rest) => {
                let now = rest.len().min(into.remaining());
                into.put_slice(rest.get(..now).unwrap_or_default());
                rest.advance(now);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Head<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Reads all that comes while the head is read, in pieces of `piece` bytes; then what is left.
    async fn check(text: &str, piece: usize, head: &str, rest: Result<&str, &str>) {
        let (mut far, near) = tokio::io::duplex(piece);
        let bytes = text.as_bytes().to_vec();
        tokio::spawn(async move { far.write_all(&bytes).await });
        let mut wire = Head::new(near);
        let (mut read, mut buffer) = (Vec::new(), [0; 64]);
        loop {
            let count = wire.read(&mut buffer).await.unwrap();
            read.extend_from_slice(&buffer[..count]);
            if count == 0 || matches!(wire.state, State::Held(_)) {
                break;
            }
        }
        assert_eq!(String::from_utf8(read).unwrap(), head, "{text:?} by {piece}");
        let left = match wire.pass() {
            Ok(mut wire) => {
                let mut left = Vec::new();
                let end = loop {
                    match wire.read(&mut buffer).await {
                        Ok(count) => left.extend_from_slice(&buffer[..count]),
                        Err(error) => break error,
                    }
                };
                assert!(super::super::is_end(&end), "{end:?}");
                Ok(String::from_utf8(left).unwrap())
            }
            Err(error) => Err(error),
        };
        assert_eq!(left.as_deref().map_err(String::as_str), rest, "{text:?} by {piece}");
    }

    #[tokio::test]
    async fn what_comes_with_the_head_is_held_back() {
        let head = "HTTP/1.1 101 Switching Protocols\r\na: b\r\n\r\n";
        for piece in [1, 2, 3, 7, 64, 1_000] {
            check(head, piece, head, Ok("")).await;
            check(&format!("{head}and\r\n\r\nmore"), piece, head, Ok("and\r\n\r\nmore")).await;
            let refusal = "HTTP/1.1 404 Not Found\r\n\r\nnope";
            check(refusal, piece, refusal, Err("its answer has no end that HTTP knows")).await;
        }
    }
}
