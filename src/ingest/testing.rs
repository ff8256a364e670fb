//! A venue of few words, and events as lines of text.
//!
//! Its messages: `trade A-B 7` is data, `snapshot A-B` a snapshot of trades, `HB` a heartbeat,
//! `NO NAME words` a refusal, `PANIC` makes it panic. Its list of markets is their codes with
//! spaces between.

use std::time::Duration;

use smol_str::SmolStr;

use crate::model::event::Event;
use crate::model::frame::Frame;
use crate::model::market::{Market, Source};
use crate::model::record::{Body, Instrument, Record};
use crate::model::subscription::{Stream, Subscription};
use crate::venue::{
    BadSubscription, Control, DecodeError, Endpoints, Limits, Offer, Opening, PastAsk, PastPage,
    Request, Sniff, Typical, Venue,
};

/// The venue as most tests want it.
pub(crate) static TOY: Toy = Toy { per_connection: None };
/// The same with room for two subscriptions on a connection.
pub(crate) static NARROW: Toy = Toy { per_connection: Some(2) };

pub(crate) struct Toy {
    per_connection: Option<usize>,
}

static OFFERS: [Offer; 4] = [
    Offer { stream: Stream::Trade, live: true, history: None },
    Offer { stream: Stream::Orderbook, live: true, history: None },
    Offer { stream: Stream::Ticker, live: true, history: None },
    Offer { stream: Stream::Instrument, live: false, history: None },
];

impl Venue for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { ws: "ws://toy/ws", rest: "http://toy" }
    }

    fn offers(&self) -> &'static [Offer] {
        &OFFERS
    }

    fn limits(&self) -> Limits {
        Limits {
            connects_per_second: 2,
            subscriptions_per_connection: self.per_connection,
            bytes_silence: Duration::from_secs(25),
            first_frame: Duration::from_secs(10),
            block: Duration::from_mins(1),
            requests_per_second: 10,
        }
    }

    fn typical(&self, _stream: Stream) -> Option<Typical> {
        None
    }

    fn subscription(&self, stream: Stream, code: &str) -> Result<Subscription, BadSubscription> {
        let code = code.to_uppercase();
        let (market, depth) = match code.split_once('.') {
            Some((market, depth)) => (market, depth.parse().ok()),
            None => (code.as_str(), None),
        };
        if !market.contains('-') {
            let reason = "it has no dash".to_owned();
            return Err(BadSubscription::Code { venue: "toy", code, reason });
        }
        let depth = depth.filter(|_| stream == Stream::Orderbook);
        Ok(Subscription { stream, market: Market::new(market), depth })
    }

    fn open(&self, url: &str, _ticket: &str, subscriptions: &[Subscription]) -> Opening {
        let names: Vec<String> =
            subscriptions.iter().map(|one| format!("{} {}", one.stream, one.market)).collect();
        Opening {
            url: url.to_owned(),
            messages: vec![names.join(", ")],
            ping_every: Duration::from_secs(10),
        }
    }

    fn past(&self, _base: &str, _ask: &PastAsk<'_>) -> Option<PastPage> {
        None
    }

    fn denies_market(&self, _status: u16, _body: &str) -> bool {
        false
    }

    fn listing(&self, base: &str) -> Request {
        Request { url: format!("{base}/markets"), group: "market" }
    }

    fn control(&self, body: &[u8]) -> Option<Control> {
        let text = std::str::from_utf8(body).ok()?;
        assert_ne!(text, "PANIC");
        let mut words = text.splitn(3, ' ');
        match words.next()? {
            "HB" => Some(Control::Heartbeat),
            "NO" => Some(Control::Refusal {
                name: words.next()?.to_owned(),
                message: words.next()?.to_owned(),
            }),
            _ => None,
        }
    }

    fn sniff(&self, body: &[u8]) -> Option<Sniff> {
        let text = std::str::from_utf8(body).ok()?;
        let mut words = text.split(' ');
        let word = words.next()?;
        let snapshot = word == "snapshot";
        let stream = if snapshot { Stream::Trade } else { word.parse().ok()? };
        Some(Sniff { stream, market: Market::new(words.next()?), snapshot })
    }

    fn decode(&self, frame: &Frame, out: &mut Vec<Record>) -> Result<(), DecodeError> {
        let bad = |reason| DecodeError { reason, stream: None, market: None };
        if frame.origin.source != Source::Rest {
            return Err(bad(SmolStr::new_static("only lists are read here")));
        }
        let text = std::str::from_utf8(&frame.body).map_err(|_| bad("no text".into()))?;
        for code in text.split_whitespace() {
            if !code.contains('-') {
                return Err(bad("no codes".into()));
            }
            out.push(Record {
                stream: Stream::Instrument,
                market: Market::new(code),
                snapshot: false,
                body: Body::Instrument(Box::new(Instrument {
                    ts_seen: frame.ts_recv,
                    listed: true,
                    name_local: None,
                    name_english: None,
                    warning: None,
                    caution: None,
                })),
            });
        }
        Ok(())
    }
}

/// Subscriptions from text: `trade A-B, ticker A-B`.
pub(crate) fn subscriptions(text: &str) -> Vec<Subscription> {
    text.split(", ")
        .filter(|one| !one.is_empty())
        .map(|one| {
            let (stream, code) = one.split_once(' ').unwrap();
            TOY.subscription(stream.parse().unwrap(), code).unwrap()
        })
        .collect()
}

/// One event as a line.
pub(crate) fn line(event: &Event) -> String {
    match event {
        Event::Frame(frame) => {
            format!("{} {}", frame.origin.session, String::from_utf8_lossy(&frame.body))
        }
        Event::SessionOpened(opened) => format!(
            "{} opened {}",
            opened.session,
            opened
                .subscriptions
                .iter()
                .map(|one| format!("{} {}", one.stream, one.market))
                .collect::<Vec<_>>()
                .join(", ")
        )
        .trim_end()
        .to_owned(),
        Event::Served { session, stream, market, .. } => {
            format!("{session} served {stream} {market}")
        }
        Event::Unserved { session, stream, market, .. } => {
            format!("{session} unserved {stream} {market}")
        }
        Event::Alive { session, .. } => format!("{session} alive"),
        Event::SessionClosed(closed) => {
            let cause = closed.cause.map_or("on purpose", |cause| cause.as_str());
            format!("{} closed {cause}", closed.session)
        }
        Event::Wanted(wanted) => format!("wants {}", wanted.subscriptions.len()),
        Event::Job(job) => format!("{} {}", job.id, job.state),
        Event::Tick(_) => "tick".to_owned(),
        Event::ClockStepped(step) => format!("the clock stepped by {} s", step.by_us / 1_000_000),
    }
}
