//! The venue's side of the websocket handshake, read and written as bytes so that a test can see
//! exactly what a client sent.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::faults::What;
use super::limits::{HANDSHAKE_RATE, Verdict};
use super::shared::{Shared, TOO_MANY, blocked};

/// Where the websocket is.
pub(super) const PATH: &str = "/websocket/v1";
/// The longest request head.
const LONGEST: usize = 16 * 1024;
/// How long a client may take for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest message of a client: a subscription to every market several times over.
const LARGEST: usize = 1 << 20;

/// The websocket of a client whose handshake was accepted, and its number.
pub(super) async fn accept(
    shared: &Shared,
    mut stream: TcpStream,
) -> Option<(u64, WebSocketStream<TcpStream>)> {
    let (head, rest) = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.ok()??;
    let answer = judge(shared, &head);
    let (text, number) = match answer {
        Ok((text, number)) => (text, Some(number)),
        Err(refusal) => (refusal, None),
    };
    stream.write_all(text.as_bytes()).await.ok()?;
    let Some(number) = number else {
        stream.shutdown().await.ok()?;
        return None;
    };
    stream.set_nodelay(true).ok()?;
    let config =
        WebSocketConfig::default().max_message_size(Some(LARGEST)).read_buffer_size(16 * 1024);
    let socket =
        WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await;
    Some((number, socket))
}

/// The bytes up to the empty line, and those after it.
async fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > LONGEST || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// The answer, and the connection's number if it is a welcome.
fn judge(shared: &Shared, head: &str) -> Result<(String, u64), String> {
    let header = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    let now = shared.now();
    let trouble = shared.trouble(&[What::Handshake429, What::Handshake418]);
    let mut gate = shared.gate.lock().unwrap_or_else(PoisonError::into_inner);
    head.clone_into(&mut gate.last_handshake);
    let verdict = gate.judge("websocket", HANDSHAKE_RATE, header("Origin"), now);
    let left = match (verdict, trouble) {
        (Verdict::Blocked(seconds), _) => {
            return Err(refusal("418 I'm a teapot", &blocked(seconds)));
        }
        (_, Some(What::Handshake418)) => return Err(refusal("418 I'm a teapot", &blocked(10))),
        (Verdict::Wait, _) | (_, Some(_)) => {
            return Err(refusal("429 Too Many Requests", TOO_MANY));
        }
        (Verdict::Go(left), None) => left,
    };
    let mut request = head.split_whitespace();
    let (method, target) = (request.next(), request.next().unwrap_or_default());
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    if path != PATH {
        return Err(refusal("404 Not Found", super::shared::NO_ROUTE));
    }
    let upgrade = header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let Some(key) = header("Sec-WebSocket-Key").filter(|_| upgrade && method == Some("GET")) else {
        return Err(refusal("400 Bad Request", ""));
    };
    gate.handshakes += 1;
    let welcome = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nremaining-req: group=websocket; min=300; sec={left}\r\n\
         limit-by-ip: Yes\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    Ok((welcome, gate.handshakes))
}

fn refusal(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}
