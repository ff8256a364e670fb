//! Messages to records: which field goes where, and what a row cannot do without.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::decode::Reader;
use super::route::elements;
use super::value::{Value, Written};
use super::wire::{self, Cautions, Message};
use crate::model::record::{Body, Candle, Instrument, Orderbook, Ticker, Trade};
use crate::model::subscription::{CandleUnit, Stream};

/// A message that becomes a record.
pub(super) trait ToBody: Message {
    /// The record's body; none where it lacks what a row cannot do without, which `reader` was
    /// then told. `index` is its place in an array of messages.
    fn body(self, reader: &mut Reader<'_>, index: usize) -> Option<Body>;
}

impl ToBody for wire::Trade {
    fn body(self, reader: &mut Reader<'_>, _: usize) -> Option<Body> {
        let (ts_event, ts_sent) = if reader.rest() {
            (reader.need(self.timestamp)?, None)
        } else {
            (reader.need(self.ts_event)?, reader.need(self.timestamp))
        };
        Some(Body::Trade(Trade {
            ts_event,
            ts_sent,
            id: reader.need(self.id)?,
            price: reader.need(self.price)?,
            size: reader.need(self.size)?,
            side: reader.need(self.side)?,
            prev_close: reader.want(self.prev_close),
            change: reader.want(self.change),
            change_price: reader.want(self.change_price),
            best_ask_price: reader.want(self.best_ask_price),
            best_ask_size: reader.want(self.best_ask_size),
            best_bid_price: reader.want(self.best_bid_price),
            best_bid_size: reader.want(self.best_bid_size),
        }))
    }
}

impl ToBody for wire::Orderbook {
    fn body(self, reader: &mut Reader<'_>, _: usize) -> Option<Body> {
        let ts_event = reader.need(self.timestamp)?;
        let levels = reader.need(self.levels)?;
        Some(Body::Orderbook(Box::new(Orderbook {
            ts_event,
            total_ask_size: reader.want(self.total_ask_size),
            total_bid_size: reader.want(self.total_bid_size),
            grouping: reader.want(self.level),
            best_ask_price: levels.ask_price.first(),
            best_ask_size: levels.ask_size.first(),
            best_bid_price: levels.bid_price.first(),
            best_bid_size: levels.bid_size.first(),
            ask_price: levels.ask_price,
            ask_size: levels.ask_size,
            bid_price: levels.bid_price,
            bid_size: levels.bid_size,
        })))
    }
}

impl ToBody for wire::Ticker {
    fn body(self, reader: &mut Reader<'_>, index: usize) -> Option<Body> {
        let ts_event = reader.need(self.timestamp)?;
        let delisting_date = match reader.want(self.delisting_date) {
            Some(_) => delisting_date(reader, index),
            None => None,
        };
        Some(Body::Ticker(Box::new(Ticker {
            ts_event,
            ts_trade: reader.want(self.ts_trade),
            open: reader.want(self.open),
            high: reader.want(self.high),
            low: reader.want(self.low),
            price: reader.want(self.price),
            size: reader.want(self.size),
            side: reader.want(self.side),
            prev_close: reader.want(self.prev_close),
            change: reader.want(self.change),
            change_price: reader.want(self.change_price),
            signed_change_price: reader.want(self.signed_change_price),
            change_rate: reader.want(self.change_rate),
            signed_change_rate: reader.want(self.signed_change_rate),
            acc_volume: reader.want(self.acc_volume),
            acc_volume_24h: reader.want(self.acc_volume_24h),
            acc_turnover: reader.want(self.acc_turnover),
            acc_turnover_24h: reader.want(self.acc_turnover_24h),
            acc_ask_volume: reader.want(self.acc_ask_volume),
            acc_bid_volume: reader.want(self.acc_bid_volume),
            high_52w: reader.want(self.high_52w),
            high_52w_date: reader.want(self.high_52w_date),
            low_52w: reader.want(self.low_52w),
            low_52w_date: reader.want(self.low_52w_date),
            market_state: reader.want(self.market_state),
            is_trading_suspended: reader.want(self.is_trading_suspended),
            market_warning: reader.want(self.market_warning),
            delisting_date,
        })))
    }
}

/// The text of the delisting date, exactly as it stands in the message at `index`. Rare enough to
/// read the message a second time.
fn delisting_date(reader: &mut Reader<'_>, index: usize) -> Option<SmolStr> {
    let list = elements(reader.body);
    let message = match &list {
        Some(elements) => elements.get(index).map(|element| element.get().as_bytes()),
        None => Some(reader.body),
    };
    let text = message.and_then(|message| {
        // The last one counts where a key comes twice, as everywhere.
        let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(message).ok()?;
        let value = fields.get("delisting_date").or_else(|| fields.get("dd"))?;
        Some(value.get().into())
    });
    if text.is_none() {
        reader.tell("delisting_date", "cannot be found again");
    }
    text
}

impl ToBody for wire::Candle {
    fn body(self, reader: &mut Reader<'_>, _: usize) -> Option<Body> {
        if let Value::Is(unit) = self.unit.value
            && minutes(reader.stream).is_some_and(|minutes| minutes != unit)
        {
            reader.tell(self.unit.name, "is not that of the page that was asked for");
            return None;
        }
        let Written(ts_open) = reader.need(self.ts_open)?;
        Some(Body::Candle(Candle {
            ts_open,
            open: reader.need(self.open)?,
            high: reader.need(self.high)?,
            low: reader.need(self.low)?,
            close: reader.need(self.close)?,
            volume: reader.need(self.volume)?,
            turnover: reader.need(self.turnover)?,
            ts_last: reader.want(self.timestamp),
            prev_close: reader.want(self.prev_close),
            change_price: reader.want(self.change_price),
            change_rate: reader.want(self.change_rate),
            first_day: reader.want(self.first_day).map(|Written(day)| day),
        }))
    }
}

/// The minutes of one candle of `stream`, where its unit is minutes.
fn minutes(stream: Stream) -> Option<i64> {
    let Stream::Candle(unit) = stream else { return None };
    match unit {
        CandleUnit::M1 => Some(1),
        CandleUnit::M3 => Some(3),
        CandleUnit::M5 => Some(5),
        CandleUnit::M10 => Some(10),
        CandleUnit::M15 => Some(15),
        CandleUnit::M30 => Some(30),
        CandleUnit::M60 => Some(60),
        CandleUnit::M240 => Some(240),
        CandleUnit::S1 | CandleUnit::D1 | CandleUnit::W1 | CandleUnit::Mo1 | CandleUnit::Y1 => None,
    }
}

impl ToBody for wire::Listed {
    fn body(self, reader: &mut Reader<'_>, _: usize) -> Option<Body> {
        let name_local = reader.want(self.korean_name);
        let name_english = reader.want(self.english_name);
        // Korea tells an event with flags, the other countries one word.
        let event = reader.want(self.market_event);
        let word = reader.want(self.market_warning).map(|word| word != "NONE");
        let (warning, caution) = match event {
            Some(event) => (reader.want(event.warning), reader.want(event.caution)),
            None => (None, None),
        };
        Some(Body::Instrument(Box::new(Instrument {
            ts_seen: reader.frame.ts_recv,
            listed: true,
            name_local,
            name_english,
            warning: warning.or(word),
            caution: caution.map(|Cautions(names)| names.join(",").into()),
        })))
    }
}
