//! The messages of the venue, field by field: each with the long name of its documents first, then
//! the other names it goes by (the SIMPLE format's, REST's).
//!
//! Unknown keys are passed over; of a key that comes twice, the last counts.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use smol_str::SmolStr;

use super::levels::Levels;
use super::plain::{Plain, ReadPlain};
use super::value::{Field, Read, Snapshot, Something, Value, Written};
use crate::model::market::{Change, Market, Side};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// Declares a message: the struct, the names of its fields, and how it is read from an object.
macro_rules! wire {
    (
        $(#[doc = $doc:literal])+
        $name:ident { $( $field:ident: $ty:ty = $($key:literal)|+, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(super) struct $name { $( pub(super) $field: Field<$ty>, )+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: Field { name: wire!(@first $($key)+), value: Value::Absent }, )+ }
            }
        }

        impl ReadPlain for $name {
            fn read_plain(plain: &mut Plain<'_>) -> Option<Self> {
                let mut this = Self::default();
                plain.object(|plain, key| {
                    match key {
                        $( $($key)|+ => this.$field.value = Value::read_plain(plain)?, )+
                        _ => plain.skip()?,
                    }
                    Some(())
                })?;
                Some(this)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut this = $name::default();
                        while let Some(key) = map.next_key()? {
                            match key {
                                $( $($key)|+ => this.$field.value = map.next_value()?, )+
                                _ => { map.next_value::<IgnoredAny>()?; }
                            }
                        }
                        Ok(this)
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }
    };
    (@first $first:literal $($other:literal)*) => { $first };
}

/// Declares a message that says of itself what it is, of which market, and whether it is the state
/// at subscription. REST says the market only.
macro_rules! message {
    ($(#[doc = $doc:literal])+ $name:ident { $($fields:tt)* }) => {
        wire! {
            $(#[doc = $doc])+
            $name {
                kind: Stream = "type" | "ty",
                market: Market = "code" | "cd" | "market" | "mk",
                stream_type: Snapshot = "stream_type" | "st",
                $($fields)*
            }
        }

        impl Read for $name {
            const WHAT: &'static str = "an object";

            fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
                Self::deserialize(MapAccessDeserializer::new(map)).map(Some)
            }
        }

        impl Message for $name {
            fn head(&mut self) -> Head {
                Head {
                    kind: self.kind.take(),
                    market: self.market.take(),
                    stream_type: self.stream_type.take(),
                }
            }
        }
    };
}

/// A message on its own.
pub(super) trait Message: Read + ReadPlain + DeserializeOwned {
    /// Takes out what it says of itself.
    fn head(&mut self) -> Head;
}

message! {
    /// What every websocket message says of itself.
    Head {}
}

message! {
    /// One trade. By websocket `trade_timestamp` is its time and `timestamp` that of sending; by
    /// REST `timestamp` is its time.
    Trade {
        timestamp: Timestamp = "timestamp" | "tms",
        ts_event: Timestamp = "trade_timestamp" | "ttms",
        id: i64 = "sequential_id" | "sid",
        price: f64 = "trade_price" | "tp",
        size: f64 = "trade_volume" | "tv",
        side: Side = "ask_bid" | "ab",
        prev_close: f64 = "prev_closing_price" | "pcp",
        change: Change = "change" | "c",
        change_price: f64 = "change_price" | "cp",
        best_ask_price: f64 = "best_ask_price" | "bap",
        best_ask_size: f64 = "best_ask_size" | "bas",
        best_bid_price: f64 = "best_bid_price" | "bbp",
        best_bid_size: f64 = "best_bid_size" | "bbs",
    }
}

message! {
    /// One order book.
    Orderbook {
        timestamp: Timestamp = "timestamp" | "tms",
        total_ask_size: f64 = "total_ask_size" | "tas",
        total_bid_size: f64 = "total_bid_size" | "tbs",
        level: f64 = "level" | "lv",
        levels: Levels = "orderbook_units" | "obu",
    }
}

wire! {
    /// One ask and one bid of the same depth. See [`Levels`].
    Unit {
        ask_price: f64 = "ask_price" | "ap",
        ask_size: f64 = "ask_size" | "as",
        bid_price: f64 = "bid_price" | "bp",
        bid_size: f64 = "bid_size" | "bs",
    }
}

message! {
    /// One ticker.
    Ticker {
        timestamp: Timestamp = "timestamp" | "tms",
        ts_trade: Timestamp = "trade_timestamp" | "ttms",
        open: f64 = "opening_price" | "op",
        high: f64 = "high_price" | "hp",
        low: f64 = "low_price" | "lp",
        price: f64 = "trade_price" | "tp",
        size: f64 = "trade_volume" | "tv",
        side: Side = "ask_bid" | "ab",
        prev_close: f64 = "prev_closing_price" | "pcp",
        change: Change = "change" | "c",
        change_price: f64 = "change_price" | "cp",
        signed_change_price: f64 = "signed_change_price" | "scp",
        change_rate: f64 = "change_rate" | "cr",
        signed_change_rate: f64 = "signed_change_rate" | "scr",
        acc_volume: f64 = "acc_trade_volume" | "atv",
        acc_volume_24h: f64 = "acc_trade_volume_24h" | "atv24h",
        acc_turnover: f64 = "acc_trade_price" | "atp",
        acc_turnover_24h: f64 = "acc_trade_price_24h" | "atp24h",
        acc_ask_volume: f64 = "acc_ask_volume" | "aav",
        acc_bid_volume: f64 = "acc_bid_volume" | "abv",
        high_52w: f64 = "highest_52_week_price" | "h52wp",
        high_52w_date: SmolStr = "highest_52_week_date" | "h52wdt",
        low_52w: f64 = "lowest_52_week_price" | "l52wp",
        low_52w_date: SmolStr = "lowest_52_week_date" | "l52wdt",
        market_state: SmolStr = "market_state" | "ms",
        is_trading_suspended: bool = "is_trading_suspended" | "its",
        market_warning: SmolStr = "market_warning" | "mw",
        delisting_date: Something = "delisting_date" | "dd",
    }
}

message! {
    /// One candle. The documents of 2025 swap the labels of volume and turnover; their values, and
    /// the venue's own client, do not.
    Candle {
        timestamp: Timestamp = "timestamp" | "tms",
        ts_open: Written = "candle_date_time_utc" | "cdttmu",
        open: f64 = "opening_price" | "op",
        high: f64 = "high_price" | "hp",
        low: f64 = "low_price" | "lp",
        close: f64 = "trade_price" | "tp",
        volume: f64 = "candle_acc_trade_volume" | "catv",
        turnover: f64 = "candle_acc_trade_price" | "catp",
        unit: i64 = "unit",
        prev_close: f64 = "prev_closing_price",
        change_price: f64 = "change_price",
        change_rate: f64 = "change_rate",
        first_day: Written = "first_day_of_period",
    }
}

message! {
    /// One entry of the list of markets.
    Listed {
        korean_name: SmolStr = "korean_name",
        english_name: SmolStr = "english_name",
        market_event: MarketEvent = "market_event",
        market_warning: SmolStr = "market_warning",
    }
}

wire! {
    /// What the venue warns of, in Korea.
    MarketEvent {
        warning: bool = "warning",
        caution: Cautions = "caution",
    }
}

impl Read for Unit {
    const WHAT: &'static str = "a level";

    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

impl Read for MarketEvent {
    const WHAT: &'static str = "an object with a warning and cautions";

    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

/// The names of the flags that are set, in the order of the alphabet.
#[derive(Debug)]
pub(super) struct Cautions(pub(super) Vec<SmolStr>);

impl Read for Cautions {
    const WHAT: &'static str = "an object of flags";

    fn map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut names: Vec<SmolStr> = Vec::new();
        let mut good = true;
        while let Some((name, flag)) = map.next_entry::<String, Value<bool>>()? {
            match flag {
                Value::Is(true) => names.push(name.into()),
                Value::Is(false) | Value::Absent => {}
                Value::Odd => good = false,
            }
        }
        names.sort_unstable();
        Ok(good.then_some(Self(names)))
    }
}

/// What a body can be: one message, or an array of any length.
#[derive(Debug)]
pub(super) enum OneOrMany<T> {
    /// An object.
    One(T),
    /// An array; what is no object in it is odd.
    Many(Vec<Value<T>>),
}

impl<'de, T: Message> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Message> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(OneOrMany::Many(all))
    }
}
