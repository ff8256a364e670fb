//! The bytes below TLS and websockets: how a wire is had, where it leads, and how it ends.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connect::ConnectError;

/// How long one of several addresses of a host may take.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(4);

/// Bytes in both directions.
pub trait Wire: fmt::Debug + AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: fmt::Debug + AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Gives a wire to a host: the internet, or a test's own.
pub trait Dial: fmt::Debug + Send + Sync {
    /// A wire to `port` of `host`.
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, DialResult>;

    /// The addresses that `host` is said to have now.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// A wire, or why there is none.
pub type DialResult = Result<Dialled, ConnectError>;

/// A wire to a host.
#[derive(Debug)]
pub struct Dialled {
    /// The wire.
    pub wire: Box<dyn Wire>,
    /// Which of the host's addresses it leads to; none where it leads through no network.
    pub peer: Option<IpAddr>,
}

/// TCP. The name is asked for anew each time, because venues move.
#[derive(Debug, Clone, Copy)]
pub struct Internet;

impl Dial for Internet {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, DialResult> {
        Box::pin(async move {
            let name = |source| ConnectError::Dns { host: host.to_owned(), source };
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in tokio::net::lookup_host((host, port)).await.map_err(name)? {
                match tokio::time::timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
                    Ok(Ok(stream)) => {
                        // Pings and subscriptions are small, and must not wait for company.
                        if let Err(source) = stream.set_nodelay(true) {
                            tracing::debug!(%source, "TCP_NODELAY was refused");
                        }
                        return Ok(Dialled { wire: Box::new(stream), peer: Some(address.ip()) });
                    }
                    Ok(Err(source)) => last = source,
                    Err(_) => last = io::ErrorKind::TimedOut.into(),
                }
            }
            Err(ConnectError::Unreachable { host: host.to_owned(), port, source: last })
        })
    }

    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            // The port is passed through, and means nothing here.
            let addresses = tokio::net::lookup_host((host, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// A wire that is over only when all that came over it was read.
///
/// A ping to a venue that has hung up fails, while what it sent before waits to be read. So a write
/// that fails is passed over, and its error told where reading comes to the end.
#[derive(Debug)]
pub(super) struct Steady {
    wire: Box<dyn Wire>,
    broken: Option<io::Error>,
}

impl Steady {
    pub(super) fn new(wire: Box<dyn Wire>) -> Self {
        Self { wire, broken: None }
    }

    /// What a write comes to; `as_if` stands for one that is passed over.
    fn written<T>(&mut self, written: io::Result<T>, as_if: T) -> Poll<io::Result<T>> {
        Poll::Ready(Ok(written.unwrap_or_else(|error| {
            self.broken.get_or_insert(error);
            as_if
        })))
    }
}

impl AsyncRead for Steady {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.wire).poll_read(context, into))?;
        let ended = into.filled().len() == before && into.remaining() > 0;
        Poll::Ready(match self.broken.take_if(|_| ended) {
            Some(error) => Err(error),
            None => Ok(()),
        })
    }
}

impl AsyncWrite for Steady {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut self.wire).poll_write(context, bytes));
        self.written(written, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.wire).poll_flush(context));
        self.written(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
