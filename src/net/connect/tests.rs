use futures::SinkExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::net::clock::SystemClock;
use crate::net::session::{Incoming, Why};
use crate::net::testing::{self, Way};
use crate::net::tls;
use crate::net::wire::Internet;

fn opening(url: String, messages: &[&str]) -> Opening {
    Opening {
        url,
        messages: messages.iter().map(|&message| message.to_owned()).collect(),
        ping_every: Duration::from_millis(20),
    }
}

fn internet() -> Connector {
    let tls = tls::client_config(None).unwrap();
    Connector::new(Arc::new(Internet), tls, Arc::new(SystemClock::new()))
}

/// A server that reads one request and answers with `bytes`; its port.
async fn answering(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut wire, _) = listener.accept().await.unwrap();
        wire.write_all(bytes).await.unwrap();
        wire.flush().await.unwrap();
        // Lets the client read before the connection goes.
        testing::read_head(&mut wire).await;
    });
    port
}

#[tokio::test]
async fn the_handshake_has_no_origin_and_messages_follow_in_order() {
    for way in Way::ALL {
        check_handshake(way).await;
    }
}

async fn check_handshake(way: Way) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/websocket/v1?a=b", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut wire, _) = listener.accept().await.unwrap();
        let head = testing::shake_hands(&mut wire, way.answer()).await;
        let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
        let mut socket = WebSocketStream::from_raw_socket(wire, role, None).await;
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let message = futures::StreamExt::next(&mut socket).await.unwrap().unwrap();
            let ping = matches!(message, Message::Ping(_));
            seen.push(if ping {
                "(ping)".into()
            } else {
                message.into_text().unwrap().to_string()
            });
        }
        socket.send(Message::text("as text")).await.unwrap();
        socket.send(Message::binary("as binary")).await.unwrap();
        socket.close(None).await.unwrap();
        (head, seen)
    });
    let mut session = way.of(internet()).open(&opening(url, &["one", "two"])).await.unwrap();
    let mut bodies = Vec::new();
    let why = loop {
        match session.next().await {
            Incoming::Data { ts_recv, body } => {
                assert!(ts_recv >= session.opened_at());
                bodies.push(body);
            }
            Incoming::Proof { .. } => {}
            Incoming::Closed { why, .. } => break why,
        }
    };
    assert_eq!(bodies, ["as text", "as binary"]);
    assert_eq!(why, Why::Close { code: None, reason: String::new() });
    let (head, seen) = server.await.unwrap();
    assert_eq!(seen, ["one", "two", "(ping)", "(ping)"]);
    let head = head.to_lowercase();
    assert!(head.starts_with("get /websocket/v1?a=b http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nuser-agent: veritape/"), "{head}");
    assert!(!head.contains("origin"), "{head}");
    let offer = "\r\nsec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n";
    assert_eq!(head.contains(offer), way != Way::Plain, "{way:?}: {head}");
}

/// A server may speak as soon as it has welcomed: the same packet can bring both.
#[tokio::test]
async fn what_comes_with_the_welcome_is_not_lost() {
    for way in Way::ALL {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut wire, _) = listener.accept().await.unwrap();
            let head = testing::read_head(&mut wire).await;
            let mut bytes = testing::welcome(&head, way.answer()).into_bytes();
            let mut packer = testing::Packer::new(way);
            for body in ["one\r\n\r\n", "two"] {
                bytes.extend(packer.whole(2, body.as_bytes()));
            }
            wire.write_all(&bytes).await.unwrap();
            wire
        });
        let mut session = way.of(internet()).open(&opening(url, &[])).await.unwrap();
        let _wire = server.await.unwrap();
        for expected in ["one\r\n\r\n", "two"] {
            let next = tokio::time::timeout(OPEN_TIMEOUT, session.next()).await;
            let Ok(Incoming::Data { body, .. }) = next else { panic!("{way:?}: {next:?}") };
            assert_eq!(body, expected, "{way:?}");
        }
    }
}

#[cfg(feature = "deflate")]
#[tokio::test(start_paused = true)]
async fn an_extension_that_was_not_offered_ends_the_handshake() {
    let (connector, server) = testing::network(&testing::clock());
    let connector = connector.with_deflate().unwrap();
    let opening = opening("ws://venue/".into(), &[]);
    let wants = async {
        let (_, mut wire) = server.dialled().await;
        let more = "Sec-WebSocket-Extensions: permessage-deflate; level=9\r\n";
        testing::shake_hands(&mut wire, more).await;
        wire
    };
    let (refused, _wire) = tokio::join!(connector.open(&opening), wants);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("it wants an extension that was not offered"), "{error}");
}

#[cfg(not(feature = "deflate"))]
#[test]
fn a_build_without_deflate_says_what_to_do() {
    let error = internet().with_deflate().unwrap_err().to_string();
    assert!(error.contains("cargo build --release --features deflate"), "{error}");
}

#[tokio::test]
async fn every_failure_says_what_and_what_to_do() {
    for way in Way::ALL {
        check_failures(way).await;
    }
}

async fn check_failures(way: Way) {
    // Bound, and not listening: nobody answers there, and nobody else is given the port meanwhile.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = silent.local_addr().unwrap().port();
    let not_found = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope").await;
    let many =
        answering(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    let many = many.await;
    let blocked = answering(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n").await;
    let no_http = answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let no_tls = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    for (url, words) in [
        ("http://127.0.0.1/".to_owned(), "the scheme must be ws or wss"),
        ("ws://".to_owned(), "is no websocket URL"),
        ("nonsense".to_owned(), "is no websocket URL"),
        ("ws://no-such-host.invalid/".to_owned(), "check the name"),
        (format!("ws://127.0.0.1:{closed}/"), "is it running"),
        (format!("ws://127.0.0.1:{not_found}/"), "answered 404 instead of a websocket: \"nope\""),
        (format!("ws://127.0.0.1:{many}/"), "no more connections for now (429)"),
        (format!("ws://127.0.0.1:{blocked}/"), "blocked this machine for a time (418)"),
        (format!("ws://127.0.0.1:{no_http}/"), "the handshake with"),
        (format!("wss://127.0.0.1:{no_tls}/"), "does not speak TLS there"),
    ] {
        let error = way.of(internet()).open(&opening(url.clone(), &[])).await.unwrap_err();
        assert!(error.to_string().contains(words), "{way:?} {url}: {error}");
        if let ConnectError::TooMany { told, .. } = error {
            assert_eq!(told, Some(Duration::from_secs(7)));
        }
    }
}

#[tokio::test]
async fn a_name_has_addresses_or_there_is_no_answer() {
    let addresses = internet().resolve("localhost").await.unwrap();
    assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    assert!(internet().resolve("no-such-host.invalid").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_says_nothing_is_given_up_in_time() {
    let clock = testing::clock();
    let (connector, server) = testing::network(&clock);
    let opening = opening("ws://venue/".into(), &[]);
    let (error, _wire) = tokio::join!(connector.open(&opening), server.dialled());
    assert!(matches!(error, Err(ConnectError::Timeout { .. })), "{error:?}");
    assert_eq!(clock.monotonic(), OPEN_TIMEOUT);
}
