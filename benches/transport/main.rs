//! What it costs to have messages compressed: `cargo bench --features deflate --bench transport`.
//!
//! A server on a thread of its own writes frames that are ready over loopback; the messages come to
//! a session on this thread, by either library, packed or not. Prints bytes on the wire and
//! microseconds of this thread's processor for a message, medians of some rounds in which all take
//! their turn, and for each the share of the session that reads plain messages.
//!
//! How well messages pack with the earlier ones in mind hangs on how many markets share the
//! connection: the packer looks back over 32 KiB. Books and the mix are those of the simulated venue;
//! real captures beside the package are read where they are there. `VERITAPE_BENCH_CASE=packed` has
//! one case only, for callgrind.

#[path = "../frames/mod.rs"]
mod frames;
#[path = "../whole/spent.rs"]
#[expect(dead_code, reason = "the other bench measures whole processes too")]
mod spent;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use futures::StreamExt as _;
use serde_json::Value;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use veritape::net::clock::SystemClock;
use veritape::net::connect::Connector;
use veritape::net::session::Incoming;
use veritape::net::tls;
use veritape::net::wire::Internet;
use veritape::venue::Opening;

use self::frames::Pool;
use self::spent::thread_cpu;

const ROUNDS: usize = 7;
/// Messages of a round.
const MESSAGES: u64 = 20_000;
/// Templates that a pool has.
const POOL: usize = 5_000;
/// When the first message is from.
const FIRST_MILLI: u64 = 1_700_000_000_000;
/// Messages a millisecond of the venue's own time.
const PER_MILLI: u64 = 5;

/// Who reads, and what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// The default library, without a session.
    Library,
    /// A session by the default library.
    Plain,
    /// A session by the other, whose offer is not taken.
    Refused,
    /// Each message packed with the earlier in mind.
    Packed,
    /// Each packed alone.
    PackedAlone,
}

impl Case {
    const ALL: [Self; 5] =
        [Self::Library, Self::Plain, Self::Refused, Self::Packed, Self::PackedAlone];

    const fn name(self) -> &'static str {
        match self {
            Self::Library => "tungstenite alone",
            Self::Plain => "session, tungstenite",
            Self::Refused => "session, yawc, plain",
            Self::Packed => "session, yawc, packed",
            Self::PackedAlone => "session, yawc, packed alone",
        }
    }

    const fn answer(self) -> &'static str {
        match self {
            Self::Library | Self::Plain | Self::Refused => "",
            Self::Packed => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            Self::PackedAlone => {
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
            }
        }
    }

    /// The bytes that bring `messages`.
    fn wire(self, messages: &[Vec<u8>]) -> Result<Vec<u8>, Box<dyn Error>> {
        const PLAIN: u8 = 0x82;
        const PACKED: u8 = 0xc2;
        const TAIL: usize = 4;
        let (mut wire, mut packed) = (Vec::new(), Vec::new());
        let mut deflate = Compress::new(Compression::default(), false);
        for message in messages {
            if self.answer().is_empty() {
                put_frame(&mut wire, PLAIN, message)?;
                continue;
            }
            packed.clear();
            packed.reserve(message.len() + 1_024);
            deflate.compress_vec(message, &mut packed, FlushCompress::Sync)?;
            packed.truncate(packed.len() - TAIL);
            put_frame(&mut wire, PACKED, &packed)?;
            if self == Self::PackedAlone {
                deflate.reset();
            }
        }
        Ok(wire)
    }
}

fn put_frame(wire: &mut Vec<u8>, first: u8, body: &[u8]) -> Result<(), Box<dyn Error>> {
    wire.push(first);
    if let Ok(short @ 0..=125) = u8::try_from(body.len()) {
        wire.push(short);
    } else {
        wire.push(126);
        wire.extend_from_slice(&u16::try_from(body.len())?.to_be_bytes());
    }
    wire.extend_from_slice(body);
    Ok(())
}

/// Messages of one kind.
struct Load {
    name: &'static str,
    messages: Vec<Vec<u8>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let only = std::env::var("VERITAPE_BENCH_CASE").ok();
    let cases: Vec<_> = Case::ALL
        .into_iter()
        .filter(|case| {
            only.as_ref().is_none_or(|only| format!("{case:?}").eq_ignore_ascii_case(only))
        })
        .collect();
    let rounds = if only.is_some() { 1 } else { ROUNDS };
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| messages | bytes | read by | bytes on the wire | of plain | CPU µs | of plain |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for load in loads(&runtime)? {
        let wires: Vec<_> = cases
            .iter()
            .map(|case| case.wire(&load.messages).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let mut spent = vec![Vec::new(); cases.len()];
        for _ in 0..rounds {
            for ((case, wire), spent) in cases.iter().zip(&wires).zip(&mut spent) {
                spent.push(run(&runtime, *case, wire, &load.messages)?);
            }
        }
        let count = f64::from(u32::try_from(load.messages.len())?);
        let mean = |bytes: usize| Ok::<_, Box<dyn Error>>(f64::from(u32::try_from(bytes)?) / count);
        let body = mean(load.messages.iter().map(Vec::len).sum())?;
        let figures: Vec<(Case, f64, f64)> = cases
            .iter()
            .zip(&wires)
            .zip(&mut spent)
            .map(|((case, wire), spent)| {
                Ok((*case, mean(wire.len())?, median(spent).as_secs_f64() * 1e6 / count))
            })
            .collect::<Result<_, Box<dyn Error>>>()?;
        let plain = figures.iter().find(|(case, ..)| *case == Case::Plain).or(figures.first());
        let (_, plain_bytes, plain_cpu) = *plain.ok_or("no such case")?;
        for (case, bytes, cpu) in figures {
            writeln!(
                out,
                "| {} | {body:.0} | {} | {bytes:.0} | {:.3} | {cpu:.2} | {:.2} |",
                load.name,
                case.name(),
                bytes / plain_bytes,
                cpu / plain_cpu,
            )?;
        }
    }
    Ok(())
}

fn median(spent: &mut [Duration]) -> Duration {
    spent.sort_unstable();
    spent.get(spent.len() / 2).copied().unwrap_or_default()
}

/// Books of 30 levels, trades, the mix of all, and real messages where they are there.
fn loads(runtime: &tokio::runtime::Runtime) -> Result<Vec<Load>, Box<dyn Error>> {
    let mut loads = Vec::new();
    let books = runtime.block_on(Pool::simulated(&["orderbook"], "DEFAULT", POOL))?;
    loads.push(Load { name: "books of 500 markets", messages: written(&books, MESSAGES) });
    let few = of_few(&books);
    loads.push(Load { name: "books of 5 markets", messages: written(&few, MESSAGES) });
    for (name, streams) in
        [("trades", &["trade"][..]), ("the mix", &["trade", "orderbook", "ticker"])]
    {
        let pool = runtime.block_on(Pool::simulated(streams, "DEFAULT", POOL))?;
        loads.push(Load { name, messages: written(&pool, MESSAGES) });
    }
    if let Some(messages) = real()? {
        loads.push(Load { name: "a real capture of 2021, again and again", messages });
    }
    Ok(loads)
}

/// The messages of the first markets: so few that the packer's window holds the last of each.
fn of_few(pool: &Pool) -> Pool {
    const FEW: usize = 5;
    const WINDOW_BYTES: usize = 32 << 10;
    let code = |template: &frames::Template| {
        let mut body = Vec::new();
        template.write(&mut body, 0, FIRST_MILLI);
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        message.get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut codes: Vec<String> = pool.templates.iter().map(code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.truncate(FEW);
    let ours = |template: &&frames::Template| codes.contains(&code(template));
    let templates: Vec<_> = pool.templates.iter().filter(ours).cloned().collect();
    let longest = templates.iter().map(frames::Template::len).max().unwrap_or_default();
    assert!(longest * FEW < WINDOW_BYTES, "messages of {longest} bytes do not fit the window");
    Pool { templates }
}

/// So many messages, no two alike.
fn written(pool: &Pool, count: u64) -> Vec<Vec<u8>> {
    let write = |(nth, template): (u64, &frames::Template)| {
        let mut body = Vec::with_capacity(template.len());
        template.write(&mut body, nth, FIRST_MILLI + nth / PER_MILLI);
        body
    };
    (0..count).zip(pool.templates.iter().cycle()).map(write).collect()
}

/// The messages of a real recording.
fn real() -> Result<Option<Vec<Vec<u8>>>, Box<dyn Error>> {
    let path = "../shared/captures/upbit/ws-simple-2021-04-17.jsonl";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
    let mut messages = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line)?;
        let frame = line.get("frame").and_then(Value::as_str).ok_or("a line without a frame")?;
        messages.push(frame.as_bytes().to_vec());
    }
    // They are seven times the packer's window: what came a round ago helps nobody to pack.
    Ok(Some(messages.iter().cycle().take(usize::try_from(MESSAGES)?).cloned().collect()))
}

/// Time of this thread's processor to read all messages.
fn run(
    runtime: &tokio::runtime::Runtime,
    case: Case,
    wire: &Arc<Vec<u8>>,
    messages: &[Vec<u8>],
) -> Result<Duration, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    let bytes = Arc::clone(wire);
    let serving = thread::spawn(move || serve(&listener, case, &bytes));
    let spent = runtime.block_on(async {
        if case == Case::Library {
            let (mut socket, _) = tokio_tungstenite::connect_async(&url).await?;
            let begun = thread_cpu();
            for expected in messages {
                let message = socket.next().await.ok_or("it ended early")??;
                check(&message.into_data(), expected)?;
            }
            return Ok::<_, Box<dyn Error>>(thread_cpu().saturating_sub(begun));
        }
        let tls = tls::client_config(None)?;
        let plain = Connector::new(Arc::new(Internet), tls, Arc::new(SystemClock::new()));
        let connector = if case == Case::Plain { plain } else { plain.with_deflate()? };
        let opening = Opening { url, messages: Vec::new(), ping_every: Duration::from_hours(1) };
        let mut session = connector.open(&opening).await?;
        let begun = thread_cpu();
        for expected in messages {
            match session.next().await {
                Incoming::Data { body, .. } => check(&body, expected)?,
                Incoming::Proof { .. } => return Err("nobody pings here".into()),
                Incoming::Closed { why, .. } => return Err(format!("{case:?}: {why}").into()),
            }
        }
        Ok(thread_cpu().saturating_sub(begun))
    })?;
    serving.join().map_err(|_| "the server failed")??;
    Ok(spent)
}

/// Lengths are cheap to compare, and enough here: what messages hold is for the tests.
fn check(body: &[u8], expected: &[u8]) -> Result<(), Box<dyn Error>> {
    if body.len() == expected.len() { Ok(()) } else { Err("another message came".into()) }
}

/// Welcomes one client, and sends it all.
fn serve(listener: &TcpListener, case: Case, wire: &[u8]) -> io::Result<()> {
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let key = key(&mut socket)?;
    write!(
        socket,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{}\r\n",
        derive_accept_key(key.as_bytes()),
        case.answer(),
    )?;
    // The client may have what it wanted, and leave.
    drop(socket.write_all(wire));
    Ok(())
}

/// Reads a request, and the key in it.
fn key(socket: &mut TcpStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().filter_map(|line| line.split_once(": "));
    let mut keys = line.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    Ok(keys.next().map(|(_, key)| key.to_owned()).unwrap_or_default())
}
