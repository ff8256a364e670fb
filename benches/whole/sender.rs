//! The venue's side: hands out one list of markets, takes websockets, and sends messages that are
//! ready as fast as they are taken, or at a rate. It spends little itself: the other side is
//! measured on the same machine.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, BufReader, ErrorKind, Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use veritape::net::clock::{Clock as _, SystemClock};

use crate::frames::Pool;

/// Messages that go out in one write: about as many bytes as a busy venue's packets bring at once.
const CHUNK: u64 = 32;
/// Messages in a millisecond of the venue's own time, when they go as fast as they are taken.
const PER_MILLI: u64 = 200;
/// How long the other side may take nothing at all.
const STUCK: Duration = Duration::from_mins(1);

/// Where it listens.
#[derive(Debug)]
pub(crate) struct Venue {
    listener: TcpListener,
    /// Address of the websocket.
    pub(crate) ws: SocketAddr,
    /// Address of the REST server.
    pub(crate) rest: SocketAddr,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// As fast as they are taken.
    Taken,
    /// So many a second.
    PerSecond(u32),
}

impl Venue {
    /// A venue that lists `markets`.
    pub(crate) fn open(markets: &BTreeSet<String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let rest = TcpListener::bind("127.0.0.1:0")?;
        let listed = markets
            .iter()
            .map(|code| json!({ "market": code, "korean_name": code, "english_name": code }));
        let list = serde_json::Value::Array(listed.collect()).to_string();
        let (ws, address) = (listener.local_addr()?, rest.local_addr()?);
        thread::spawn(move || {
            for asked in rest.incoming().map_while(Result::ok) {
                // One that leaves before it has its answer asks again.
                drop(answer(asked, &list));
            }
        });
        Ok(Self { listener, ws, rest: address })
    }

    /// Waits for so many websockets that have asked for something.
    pub(crate) fn accept(&self, lines: usize) -> Result<Vec<TcpStream>, Box<dyn Error>> {
        let (clock, mut sockets) = (SystemClock::new(), Vec::new());
        while sockets.len() < lines {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if clock.monotonic() > STUCK {
                        return Err("nobody came to be sent messages".into());
                    }
                    thread::sleep(Duration::from_millis(5));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            socket.set_nonblocking(false)?;
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(STUCK))?;
            let mut reader = BufReader::new(socket.try_clone()?);
            let mut writer = socket.try_clone()?;
            let key = header(&mut reader, "sec-websocket-key")?.ok_or("no websocket")?;
            let accept = derive_accept_key(key.as_bytes());
            write!(
                writer,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            )?;
            skip_frame(&mut reader)?;
            thread::spawn(move || listen(reader, &writer));
            sockets.push(socket);
        }
        Ok(sockets)
    }
}

/// Sends `count` messages over each of `sockets`, all of them the same, and says when each of them
/// went: microseconds since 1970.
pub(crate) fn send(
    sockets: &mut [TcpStream],
    pool: &Pool,
    count: u64,
    pace: Pace,
) -> Result<Vec<i64>, Box<dyn Error>> {
    let clock = SystemClock::new();
    let (begun, first) = (clock.monotonic(), u64::try_from(clock.now().micros())? / 1_000);
    let mut sent = Vec::with_capacity(usize::try_from(count)?);
    let (mut packet, mut body) = (Vec::new(), Vec::new());
    let (mut nth, mut turn) = (0, pool.templates.iter().cycle());
    while nth < count {
        let due = match pace {
            Pace::Taken => nth + CHUNK,
            Pace::PerSecond(rate) => {
                let elapsed = clock.monotonic().saturating_sub(begun);
                let due = elapsed.as_micros() * u128::from(rate) / 1_000_000;
                u64::try_from(due)?
            }
        };
        packet.clear();
        while nth < due.min(count) {
            let template = turn.next().ok_or("no messages")?;
            let millis = match pace {
                Pace::Taken => first + nth / PER_MILLI,
                Pace::PerSecond(rate) => first + nth * 1_000 / u64::from(rate),
            };
            body.clear();
            template.write(&mut body, nth, millis);
            put_frame(&mut packet, &body)?;
            sent.push(clock.now().micros());
            nth += 1;
        }
        for socket in sockets.iter_mut() {
            socket.write_all(&packet)?;
        }
        if matches!(pace, Pace::PerSecond(_)) {
            thread::sleep(Duration::from_micros(500));
        }
    }
    Ok(sent)
}

/// One whole text message, as a server sends it.
fn put_frame(out: &mut Vec<u8>, body: &[u8]) -> Result<(), Box<dyn Error>> {
    out.push(0x81);
    if let Ok(short @ 0..=125) = u8::try_from(body.len()) {
        out.push(short);
    } else {
        out.push(126);
        out.extend_from_slice(&u16::try_from(body.len())?.to_be_bytes());
    }
    out.extend_from_slice(body);
    Ok(())
}

/// The value of a header of a request; its head is read to the end.
fn header(reader: &mut impl io::BufRead, name: &str) -> io::Result<Option<String>> {
    let mut found = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(found);
        }
        if let Some((key, value)) = line.split_once(':')
            && key.eq_ignore_ascii_case(name)
        {
            found = Some(value.trim().to_owned());
        }
    }
}

/// Answers one request, whatever it asks for.
fn answer(asked: TcpStream, list: &str) -> io::Result<()> {
    let mut reader = BufReader::new(asked);
    header(&mut reader, "host")?;
    let mut asked = reader.into_inner();
    write!(
        asked,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{list}",
        list.len()
    )
}

/// Reads what the other side says, which matters to nobody, until it takes its leave.
fn listen(mut reader: impl Read, writer: &TcpStream) {
    const CLOSE: u8 = 8;
    while skip_frame(&mut reader).is_ok_and(|opcode| opcode != CLOSE) {}
    // An end is as good as an answer; where the other side has gone already, so much the better.
    drop(writer.shutdown(Shutdown::Both));
}

/// Reads one masked frame and says what it is.
fn skip_frame(reader: &mut impl Read) -> io::Result<u8> {
    const MASK_BYTES: u64 = 4;
    let [first, second] = array(reader)?;
    let length = match second & 0x7f {
        126 => u64::from(u16::from_be_bytes(array(reader)?)),
        127 => u64::from_be_bytes(array(reader)?),
        short => u64::from(short),
    };
    let body = length + MASK_BYTES;
    if io::copy(&mut reader.take(body), &mut io::sink())? < body {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(first & 0x0f)
}

fn array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
