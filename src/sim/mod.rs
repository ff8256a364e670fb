//! A local venue that speaks Upbit's protocol: for the demo, the tests and the benches.
//!
//! Invariants:
//! - There is one ledger of trades, and it is a pure function of seed and time (`market`).
//!   Websocket frames, tickers, candles and every REST page derive from it, so a test can compare
//!   what was recorded with it.
//! - Before the start the market has a past (`Options::history_days`), sparse but just as
//!   consistent. At the start instant both join: prices, ids and candles run on.
//! - What was sent to whom is noted in the [`Ledger`]; a socket that cannot keep up is cut off
//!   (reset), never thinned out.
//! - Randomness is seeded; time is the only input that is not.
//!
//! It differs from the real venue in this: sums over 24 hours roll in steps of ten minutes; the
//! extremes of 52 weeks are those that the price can reach; books are a function of time and not
//! of orders; every client counts as one address; permessage-deflate and TLS are not offered.
//!
//! With `Options::capture` it plays recorded frames instead: each subscription gets, from the
//! beginning, the frames of its types and codes, then silence. REST then lists the capture's
//! markets and has nothing else.

mod book;
mod calls;
mod candle;
mod capture;
mod day;
mod decimal;
mod dice;
mod ending;
mod faults;
mod floor;
mod garbage;
mod handshake;
mod history;
mod ledger;
mod limits;
mod listing;
mod live;
mod market;
mod rates;
mod render;
mod request;
mod rest;
mod shared;
mod socket;
#[cfg(test)]
mod tests;
mod ticker;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::DropGuard;

use crate::model::time::Timestamp;
use calls::Calls;
use capture::Capture;
pub use decimal::Decimal;
pub use faults::{Fault, Faults, What};
use floor::Floor;
use history::History;
pub use ledger::{Ledger, LedgerCandle, LedgerTrade};
use market::{DAY, Market, seed_of};
use shared::{Shared, Source, millis};
use socket::Socket;

/// How often the market is looked at.
const TICK: Duration = Duration::from_millis(5);
/// How long [`Sim::stop`] waits for connections to end.
const STOP: Duration = Duration::from_secs(5);
/// The most markets there can be.
const MOST_MARKETS: usize = 10_000;

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where the websocket listens. Port 0 takes any two free ports; else REST has the next port.
    pub listen: SocketAddr,
    /// A capture to play instead of simulated markets.
    pub capture: Option<PathBuf>,
    /// How many times faster than it was recorded a capture is played; as fast as it is taken
    /// where none is given.
    pub speed: Option<f64>,
    /// How many markets there are.
    pub markets: usize,
    /// Data frames a second, about, over all markets and all subscribed streams.
    pub rate: f64,
    /// What the markets follow from.
    pub seed: u64,
    /// How it misbehaves.
    pub faults: Option<Faults>,
    /// Where the ledger is written, one JSON object per line.
    pub ledger_file: Option<PathBuf>,
    /// Where requests are written, one JSON object per line: when they came, their group, their
    /// address and the status of the answer.
    pub calls_file: Option<PathBuf>,
    /// REST requests in a second of each group.
    pub rest_rate: u32,
    /// The venue's time at the start; from then on it goes with time.
    pub start: Timestamp,
    /// How many days before the start the markets were listed.
    pub history_days: u32,
    /// Trades in a minute of the busiest market before the start.
    pub history_rate: f64,
    /// How long a client may be silent before its connection is closed.
    pub idle: Duration,
    /// How often `{"status":"UP"}` is sent to who asked for it.
    pub heartbeat: Duration,
    /// How many trades the ledger keeps in memory.
    pub ledger_limit: usize,
    /// How many bytes may wait for one client before it counts as too slow.
    pub socket_buffer: usize,
}

impl Options {
    /// Ten markets, 200 frames a second, on any free port of loopback, starting at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            capture: None,
            speed: None,
            markets: 10,
            rate: 200.0,
            seed: 1,
            faults: None,
            ledger_file: None,
            calls_file: None,
            rest_rate: limits::REST_RATE,
            start,
            history_days: 400,
            history_rate: 2.5,
            idle: Duration::from_mins(1),
            heartbeat: Duration::from_secs(10),
            ledger_limit: 1_000_000,
            socket_buffer: 64 << 20,
        }
    }
}

/// Why a simulator cannot start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// An address is not to be had.
    #[error("cannot listen on {listen}: {error}; choose another address, or port 0 for any")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The options make no sense.
    #[error("{0}")]
    Options(String),
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A faults file is not understood.
    #[error("faults file {}: {reason}", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of a capture is not understood.
    #[error("capture {}, line {line}: {error}; each line is {{\"ts_recv\": seconds, \"frame\": \"text\"}}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1 on.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A capture holds no frame that could be subscribed.
    #[error("capture {} holds no frame with a type and a code", path.display())]
    CaptureEmpty {
        /// The file.
        path: PathBuf,
    },
    /// A capture is too large to be held in memory.
    #[error("capture {} has {bytes} bytes; at most 1 GiB can be played, cut it", path.display())]
    CaptureTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

/// A running simulator. It ends when this is dropped; [`Sim::stop`] also waits for the end.
#[derive(Debug)]
pub struct Sim {
    ws: SocketAddr,
    rest: SocketAddr,
    shared: Arc<Shared>,
    _end: DropGuard,
}

impl Sim {
    /// Starts a simulator. It runs on the tokio runtime that this is called in.
    pub async fn start(options: Options) -> Result<Self, SimError> {
        check(&options)?;
        let (ws, rest) = listen(options.listen).await?;
        let addresses = (address(&ws, options.listen)?, address(&rest, options.listen)?);
        let shared = Arc::new(prepare(options)?);
        let tasks = shared.tasks.clone();
        if shared.source.floor().is_some() {
            tasks.spawn(pump(Arc::clone(&shared)));
        }
        tasks.spawn(accept(Arc::clone(&shared), ws));
        tasks.spawn(rest::serve(Arc::clone(&shared), rest));
        if let Some(faults) = shared.options.faults.clone() {
            let (end, misbehave) = (shared.end.clone(), Arc::clone(&shared).misbehave(faults));
            tasks.spawn(async move { end.run_until_cancelled(misbehave).await });
        }
        tasks.close();
        let end = shared.end.clone().drop_guard();
        Ok(Self { ws: addresses.0, rest: addresses.1, shared, _end: end })
    }

    /// The websocket's address, with its path.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}{}", self.ws, handshake::PATH)
    }

    /// The REST server's address, without a path.
    #[must_use]
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.rest)
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// What `GET /sim/stats` answers: counters of handshakes and of each group of requests.
    #[must_use]
    pub fn stats(&self) -> serde_json::Value {
        self.shared.stats()
    }

    /// The venue's time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.shared.now())
    }

    /// Ends all connections and the ledger's file.
    pub async fn stop(self) -> Result<(), SimError> {
        self.shared.end.cancel();
        if tokio::time::timeout(STOP, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("a connection of the simulator did not end");
        }
        let path = self.shared.options.ledger_file.clone().unwrap_or_default();
        self.shared.ledger.lock().finish().map_err(|error| SimError::File { path, error })
    }
}

fn check(options: &Options) -> Result<(), SimError> {
    let wrong = |text: String| Err(SimError::Options(text));
    if options.capture.is_none() && !(1..=MOST_MARKETS).contains(&options.markets) {
        return wrong(format!("{} markets; give 1 to {MOST_MARKETS}", options.markets));
    }
    if !options.rate.is_finite() || options.rate <= 0.0 || options.rate > 1e6 {
        return wrong(format!("a rate of {}; give more than 0, at most 1000000", options.rate));
    }
    if options.speed.is_some_and(|speed| !speed.is_finite() || speed <= 0.0) {
        return wrong("a speed must be a number above 0".to_owned());
    }
    Ok(())
}

async fn listen(listen: SocketAddr) -> Result<(TcpListener, TcpListener), SimError> {
    let bind = async |listen: SocketAddr| {
        TcpListener::bind(listen).await.map_err(|error| SimError::Listen { listen, error })
    };
    let ws = bind(listen).await?;
    let mut beside = listen;
    if listen.port() != 0 {
        beside.set_port(listen.port().wrapping_add(1));
    }
    Ok((ws, bind(beside).await?))
}

fn address(listener: &TcpListener, listen: SocketAddr) -> Result<SocketAddr, SimError> {
    listener.local_addr().map_err(|error| SimError::Listen { listen, error })
}

fn prepare(options: Options) -> Result<Shared, SimError> {
    let start = options.start.micros() / 1_000;
    let file = calls::create(options.ledger_file.as_ref())?;
    let calls = Calls::new(calls::create(options.calls_file.as_ref())?);
    if let Some(path) = &options.capture {
        let ledger = Ledger::new(Arc::default(), start, 1, file);
        let source = Source::Capture(Arc::new(Capture::read(path)?));
        return Ok(Shared::new(options, source, ledger, calls));
    }
    let (markets, weights) = markets(&options, start);
    let markets = Arc::new(markets);
    let ledger = Ledger::new(Arc::clone(&markets), start, options.ledger_limit, file);
    let floor = Floor::new(&markets, &weights, options.rate, start, ledger.clone());
    let source = Source::Floor(Box::new(Mutex::new(floor)), History::new(markets));
    Ok(Shared::new(options, source, ledger, calls))
}

/// All markets that are listed at some time, and how busy each is.
fn markets(options: &Options, start: i64) -> (Vec<Market>, Vec<f64>) {
    let nothing = Faults::default();
    let faults = options.faults.as_ref().unwrap_or(&nothing);
    let mut listings = listing::listings(options.markets);
    let known = listings.len();
    for (code, _) in faults.markets(What::List) {
        if !listings.iter().any(|listing| listing.code == *code) {
            listings.push(listing::listing(code));
        }
    }
    let mut weights = listing::weights(known);
    // A market that is listed later is as busy as one in the middle.
    weights.resize(listings.len(), 1.0 / f64::from(u32::try_from(known / 2 + 1).unwrap_or(1)));
    let rates = rates::trades(options.rate, &weights);
    let listed = start - i64::from(options.history_days) * DAY;
    let at = |what: What, code: &str| {
        let found = faults.markets(what).find(|(listed, _)| *listed == code);
        found.map(|(_, after)| start + millis(after))
    };
    let markets =
        listings.into_iter().zip(&weights).zip(rates).map(|((listing, weight), rate)| Market {
            seed: seed_of(options.seed, &listing.code),
            live_rate: rates::millionths(rate),
            past_rate: rates::millionths(options.history_rate * weight),
            start,
            listed: at(What::List, &listing.code).unwrap_or(listed),
            delisted: at(What::Delist, &listing.code),
            listing,
        });
    (markets.collect(), weights)
}

/// Lets time go on.
async fn pump(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shared.end.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = shared.now();
        if let Some(mut floor) = shared.source.floor() {
            floor.pump(now);
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    while let Some(accepted) = shared.end.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely; the next one may have better luck.
            tokio::time::sleep(TICK).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        shared.tasks.clone().spawn(async move {
            let end = shared.end.clone();
            let accepted = end.run_until_cancelled(handshake::accept(&shared, stream)).await;
            if let Some(Some((number, ws))) = accepted {
                Socket::new(shared, number, ws).run().await;
            }
        });
    }
}

impl Shared {
    fn stats(&self) -> serde_json::Value {
        let mut report = self.gate.lock().unwrap_or_else(PoisonError::into_inner).report();
        if let Some(report) = report.as_object_mut() {
            report.insert("sockets".to_owned(), self.open_sockets().into());
            if let Some(floor) = self.source.floor() {
                report.insert("frames".to_owned(), floor.frames.into());
                report.insert("too_slow".to_owned(), floor.too_slow.into());
            }
        }
        report
    }
}
