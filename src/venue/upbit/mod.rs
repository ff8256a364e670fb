//! Upbit: one venue in four countries, which differ by host and by fields that are absent.
//!
//! What is known of it, and how sure it is, stands in the README beside this file.

mod decode;
mod levels;
mod plain;
mod read;
pub mod rest;
mod route;
mod subscribe;
mod typical;
mod value;
mod wire;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::model::frame::Frame;
use crate::model::record::Record;
use crate::model::subscription::{CandleUnit, Stream, Subscription};
use crate::venue::{
    BadSubscription, Control, DecodeError, Endpoints, History, Limits, Offer, Opening, PastAsk,
    PastPage, Request, Sniff, Typical, Venue,
};

/// Upbit in one country.
#[derive(Debug)]
pub struct Upbit {
    name: &'static str,
    endpoints: Endpoints,
}

/// Upbit in Korea.
pub static KOREA: Upbit = Upbit {
    name: "upbit",
    endpoints: Endpoints { ws: "wss://api.upbit.com/websocket/v1", rest: "https://api.upbit.com" },
};

/// Upbit in Singapore.
pub static SINGAPORE: Upbit = Upbit {
    name: "upbit-sg",
    endpoints: Endpoints {
        ws: "wss://sg-api.upbit.com/websocket/v1",
        rest: "https://sg-api.upbit.com",
    },
};

/// Upbit in Indonesia.
pub static INDONESIA: Upbit = Upbit {
    name: "upbit-id",
    endpoints: Endpoints {
        ws: "wss://id-api.upbit.com/websocket/v1",
        rest: "https://id-api.upbit.com",
    },
};

/// Upbit in Thailand.
pub static THAILAND: Upbit = Upbit {
    name: "upbit-th",
    endpoints: Endpoints {
        ws: "wss://th-api.upbit.com/websocket/v1",
        rest: "https://th-api.upbit.com",
    },
};

/// One stream with whether it is live, and its history.
const fn offer(stream: Stream, live: bool, history: Option<History>) -> Offer {
    Offer { stream, live, history }
}

/// One candle stream with its history.
const fn candle(unit: CandleUnit, live: bool, history: History) -> Offer {
    offer(Stream::Candle(unit), live, Some(history))
}

static OFFERS: [Offer; 16] = [
    offer(Stream::Trade, true, Some(History::UtcDays(rest::TRADE_DAYS))),
    offer(Stream::Orderbook, true, None),
    offer(Stream::Ticker, true, None),
    candle(CandleUnit::S1, true, History::Days(90)),
    candle(CandleUnit::M1, true, History::Whole),
    candle(CandleUnit::M3, true, History::Whole),
    candle(CandleUnit::M5, true, History::Whole),
    candle(CandleUnit::M10, true, History::Whole),
    candle(CandleUnit::M15, true, History::Whole),
    candle(CandleUnit::M30, true, History::Whole),
    candle(CandleUnit::M60, true, History::Whole),
    candle(CandleUnit::M240, true, History::Whole),
    candle(CandleUnit::D1, false, History::Whole),
    candle(CandleUnit::W1, false, History::Whole),
    candle(CandleUnit::Mo1, false, History::Whole),
    candle(CandleUnit::Y1, false, History::Whole),
];

impl Venue for Upbit {
    fn name(&self) -> &'static str {
        self.name
    }

    fn endpoints(&self) -> Endpoints {
        self.endpoints
    }

    fn offers(&self) -> &'static [Offer] {
        &OFFERS
    }

    fn limits(&self) -> Limits {
        Limits {
            // The venue allows 5; the rest is for whoever else shares the address.
            connects_per_second: 2,
            // 855 codes in one message were all served (seen 2026-09-23).
            subscriptions_per_connection: None,
            // The heartbeat that `PING` starts comes every 10 s.
            bytes_silence: Duration::from_secs(25),
            // All snapshots were there 354 ms after the request (seen 2026-09-23).
            first_frame: Duration::from_secs(10),
            block: Duration::from_mins(1),
            requests_per_second: 10,
        }
    }

    fn typical(&self, stream: Stream) -> Option<Typical> {
        typical::typical(stream)
    }

    fn subscription(&self, stream: Stream, code: &str) -> Result<Subscription, BadSubscription> {
        subscribe::subscription(self.name, &OFFERS, stream, code)
    }

    fn open(&self, url: &str, ticket: &str, subscriptions: &[Subscription]) -> Opening {
        Opening {
            url: url.to_owned(),
            messages: vec![subscribe::message(ticket, subscriptions), "PING".to_owned()],
            // An idle connection is cut after 60 s.
            ping_every: Duration::from_secs(12),
        }
    }

    fn listing(&self, base: &str) -> Request {
        rest::listing(base)
    }

    fn past(&self, base: &str, ask: &PastAsk<'_>) -> Option<PastPage> {
        match ask.stream {
            Stream::Trade => rest::trade_page(base, ask),
            Stream::Candle(unit) => rest::candle_page(base, unit, ask),
            Stream::Orderbook | Stream::Ticker | Stream::Instrument | Stream::Unread => None,
        }
    }

    fn denies_market(&self, status: u16, body: &str) -> bool {
        // A path that leads nowhere is a 404 as well, in other words.
        status == 404
            && matches!(
                route::route(body.as_bytes()),
                route::Route::Control(Control::Refusal { message, .. }) if message == "Code not found"
            )
    }

    fn control(&self, body: &[u8]) -> Option<Control> {
        // Data begins with its type, as good as always: this is all that most messages cost.
        if route::leading_type(body).is_some() {
            return None;
        }
        match route::route(body) {
            route::Route::Control(control) => Some(control),
            route::Route::Data(_) | route::Route::List | route::Route::Unknown(_) => None,
        }
    }

    fn sniff(&self, body: &[u8]) -> Option<Sniff> {
        decode::sniff(body)
    }

    fn decode(&self, frame: &Frame, out: &mut Vec<Record>) -> Result<(), DecodeError> {
        decode::decode(frame, out)
    }
}
