//! A network of two, in memory: it follows paused time to the microsecond, which sockets do not.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Bytes, Message};

pub(crate) use self::way::{Packer, Way, frame};
use super::clock::{Clock, TokioClock};
use super::connect::Connector;
use super::tls;
use super::wire::{Dial, DialResult, Dialled, Wire};
use crate::model::time::Timestamp;

mod way;

/// What a test's clock shows at its start.
pub(crate) const EPOCH: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A clock that follows tokio's time.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock::starting_at(EPOCH))
}

/// A connector, and the place where its wires end.
pub(crate) fn network(clock: &Arc<dyn Clock>) -> (Connector, Server) {
    let (wires, dialled) = mpsc::channel(64);
    let tls = tls::client_config(None).unwrap();
    let names = Names::default();
    let dial = Arc::new(Memory { wires, names: names.clone() });
    (
        Connector::new(dial, tls, Arc::clone(clock)),
        Server { dialled: Arc::new(Mutex::new(dialled)), names },
    )
}

#[derive(Debug)]
struct Memory {
    wires: mpsc::Sender<(Instant, DuplexStream)>,
    names: Names,
}

/// What lookups of any name come to.
#[derive(Debug, Clone, Default)]
pub(crate) enum Lookup {
    /// The name has no address, and wires lead to none.
    #[default]
    Nowhere,
    /// Addresses. Wires lead to the first.
    To(Vec<IpAddr>),
    /// It fails.
    Fails,
    /// There is never an answer.
    Hangs,
}

/// The names of the network: what a lookup comes to, and how often that was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<std::sync::Mutex<(Lookup, u32)>>);

impl Names {
    /// From now on lookups come to this.
    pub(crate) fn set(&self, lookup: Lookup) {
        self.0.lock().unwrap().0 = lookup;
    }

    /// How often there was a lookup.
    pub(crate) fn asked(&self) -> u32 {
        self.0.lock().unwrap().1
    }

    fn ask(&self) -> Lookup {
        let mut names = self.0.lock().unwrap();
        names.1 += 1;
        names.0.clone()
    }

    fn first(&self) -> Option<IpAddr> {
        match &self.0.lock().unwrap().0 {
            Lookup::To(addresses) => addresses.first().copied(),
            Lookup::Nowhere | Lookup::Fails | Lookup::Hangs => None,
        }
    }
}

impl Dial for Memory {
    fn dial<'a>(&'a self, _host: &'a str, _port: u16) -> BoxFuture<'a, DialResult> {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            match self.wires.send((Instant::now(), theirs)).await {
                Ok(()) => Ok(Dialled { wire: Box::new(ours), peer: self.names.first() }),
                // The test has ended.
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn resolve<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            match self.names.ask() {
                Lookup::Nowhere => Ok(Vec::new()),
                Lookup::To(addresses) => Ok(addresses),
                Lookup::Fails => Err(io::ErrorKind::NotFound.into()),
                Lookup::Hangs => std::future::pending().await,
            }
        })
    }
}

/// The venue's end of the network.
#[derive(Clone)]
pub(crate) struct Server {
    dialled: Arc<Mutex<mpsc::Receiver<(Instant, DuplexStream)>>>,
    pub(crate) names: Names,
}

impl Server {
    /// The next connection, before its handshake, and when it was dialled.
    pub(crate) async fn dialled(&self) -> (Instant, DuplexStream) {
        self.dialled.lock().await.recv().await.unwrap()
    }

    /// The next connection, open.
    pub(crate) async fn accept(&self) -> Peer {
        self.accept_as(Way::Plain).await
    }

    /// The next connection, open, of a side that answers as `way` says.
    pub(crate) async fn accept_as(&self, way: Way) -> Peer {
        let (_, mut wire) = self.dialled().await;
        shake_hands(&mut wire, way.answer()).await;
        Peer(WebSocketStream::from_raw_socket(wire, Role::Server, None).await)
    }

    /// Answers the next connection with these bytes instead of a websocket; says when it came.
    pub(crate) async fn answer(&self, bytes: &str) -> Instant {
        let (at, mut wire) = self.dialled().await;
        read_head(&mut wire).await;
        wire.write_all(bytes.as_bytes()).await.unwrap();
        at
    }
}

/// Reads a request up to the empty line, or all of what is none: TLS, for example.
pub(crate) async fn read_head(wire: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match wire.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers a websocket handshake, with `more` header lines; says what was asked.
pub(crate) async fn shake_hands(wire: &mut impl Wire, more: &str) -> String {
    let head = read_head(wire).await;
    wire.write_all(welcome(&head, more).as_bytes()).await.unwrap();
    head
}

/// The answer to a request for a websocket.
pub(crate) fn welcome(head: &str, more: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let key =
        key.or_else(|| head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")));
    let accept = derive_accept_key(key.unwrap().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// The venue's end of one websocket.
pub(crate) struct Peer(pub(crate) WebSocketStream<DuplexStream>);

impl Peer {
    /// Sends these bytes, whatever they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        if self.0.get_mut().write_all(bytes).await.is_err() {
            // The other side has read enough.
        }
    }

    /// Sends a binary message, as venues do; the other side may be gone.
    pub(crate) async fn send(&mut self, body: &str) {
        let message = Message::Binary(Bytes::copy_from_slice(body.as_bytes()));
        if self.0.send(message).await.is_err() {
            // The other side is gone, which is what some tests are about.
        }
    }

    /// The next text message.
    pub(crate) async fn text(&mut self) -> Option<String> {
        while let Some(Ok(message)) = self.0.next().await {
            if let Message::Text(text) = message {
                return Some(text.to_string());
            }
        }
        None
    }

    /// Answers pings for so long, or until the other side is gone.
    pub(crate) async fn attend(&mut self, time: Duration) {
        let gone = async { while let Some(Ok(_)) = self.0.next().await {} };
        if tokio::time::timeout(time, gone).await.is_ok() {
            // Gone early: what is left of the time passes all the same.
        }
    }

    /// Sends a close frame.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
        if self.0.close(Some(frame)).await.is_err() {
            // The other side is gone.
        }
    }
}
