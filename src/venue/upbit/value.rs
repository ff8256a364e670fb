//! One value of a message, read whatever is written there.
//!
//! Invariants: reading a value never fails, so that one odd value cannot hide the rest of its
//! message; a number is the double nearest to the decimal written, in every spelling that JSON
//! has and inside a string; an integer never goes through a double that could not hold it.

use std::fmt;
use std::marker::PhantomData;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smol_str::SmolStr;

use super::plain::{Number, Plain, ReadPlain};
use crate::model::market::{Change, Market, Side};
use crate::model::subscription::{CandleUnit, Stream};
use crate::model::time::{SECOND_US, Timestamp};

/// A named value of a message.
#[derive(Debug)]
pub(super) struct Field<T> {
    /// Its long name in the venue's documents.
    pub(super) name: &'static str,
    /// What was written there.
    pub(super) value: Value<T>,
}

impl<T> Field<T> {
    /// Takes the value out.
    pub(super) fn take(&mut self) -> Self {
        Self { name: self.name, value: std::mem::replace(&mut self.value, Value::Absent) }
    }
}

/// What was written in a place that should hold a `T`.
#[derive(Debug, Default)]
pub(super) enum Value<T> {
    /// Nothing, `null` or an empty string.
    #[default]
    Absent,
    /// A `T`.
    Is(T),
    /// Something that is no `T`.
    Odd,
}

/// What a value can be read as. Each method says what a JSON value of one kind means; none where
/// it means nothing.
pub(super) trait Read: Sized {
    /// What is expected, for whoever reads that something else was there.
    const WHAT: &'static str;

    /// From a number written without a fraction or exponent that fits.
    fn int(_: i64) -> Option<Self> {
        None
    }

    /// From any other number.
    fn float(_: f64) -> Option<Self> {
        None
    }

    /// From a string that is not empty.
    fn text(_: &str) -> Option<Self> {
        None
    }

    /// From `true` or `false`.
    fn bool(_: bool) -> Option<Self> {
        None
    }

    /// From an array, all of which must be taken.
    fn seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// From a plain array; none where it is not plain.
    fn list(_: &mut Plain<'_>) -> Option<Self> {
        None
    }

    /// From an object, all of which must be taken.
    fn map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, T: Read> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor(PhantomData))
    }
}

impl<T: Read> ReadPlain for Value<T> {
    fn read_plain(plain: &mut Plain<'_>) -> Option<Self> {
        Some(match plain.next()? {
            b'"' => Self::text(plain.string()?),
            b'-' | b'0'..=b'9' => Self::number(plain.number()?),
            b'[' => Self::Is(T::list(plain)?),
            b'n' => plain.pass(b"null").map(|()| Self::Absent)?,
            b't' => plain.pass(b"true").map(|()| T::bool(true).into())?,
            b'f' => plain.pass(b"false").map(|()| T::bool(false).into())?,
            _ => return None,
        })
    }
}

impl<T: Read> Value<T> {
    fn text(text: &str) -> Self {
        if text.is_empty() { Self::Absent } else { T::text(text).into() }
    }

    #[inline]
    pub(super) fn number(number: Number) -> Self {
        match number {
            Number::Natural(value) => Self::natural(value),
            Number::Negative(value) => T::int(value).into(),
            Number::Double(value) => T::float(value).into(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
    fn natural(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| T::float(value as f64), T::int).into()
    }
}

struct ValueVisitor<T>(PhantomData<T>);

impl<'de, T: Read> Visitor<'de> for ValueVisitor<T> {
    type Value = Value<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::bool(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(T::int(value).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::natural(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(T::float(value).into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        T::seq(seq).map(Into::into)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::map(map).map(Into::into)
    }
}

/// A value that was there: a `T`, or none that is one.
impl<T> From<Option<T>> for Value<T> {
    fn from(read: Option<T>) -> Self {
        read.map_or(Self::Odd, Self::Is)
    }
}

impl Read for f64 {
    const WHAT: &'static str = "a number";

    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
    fn int(value: i64) -> Option<Self> {
        Some(value as Self)
    }

    fn float(value: f64) -> Option<Self> {
        Some(value)
    }

    fn text(text: &str) -> Option<Self> {
        // Rust also reads `inf`, `nan` and `infinity`, which are no numbers here.
        let digits = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        let number = text.bytes().all(digits).then(|| text.parse().ok()).flatten();
        number.filter(|value: &Self| value.is_finite())
    }
}

/// Doubles below this hold every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Read for i64 {
    const WHAT: &'static str = "an integer of 64 bits, written exactly";

    fn int(value: i64) -> Option<Self> {
        Some(value)
    }

    #[expect(clippy::cast_possible_truncation, reason = "integral and below 2^53")]
    fn float(value: f64) -> Option<Self> {
        (value.fract() == 0.0 && value.abs() < EXACT).then_some(value as Self)
    }

    fn text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Read for bool {
    const WHAT: &'static str = "true or false";

    fn bool(value: bool) -> Option<Self> {
        Some(value)
    }

    fn text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Read for SmolStr {
    const WHAT: &'static str = "a text";

    fn text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

/// The longest market code that is taken for one. The longest known has 11 bytes.
const LONGEST_CODE: usize = 64;

impl Read for Market {
    const WHAT: &'static str = "a market code";

    fn text(text: &str) -> Option<Self> {
        let plain = text.len() <= LONGEST_CODE && text.bytes().all(|byte| byte.is_ascii_graphic());
        plain.then(|| Self::new(text))
    }
}

impl Read for Side {
    const WHAT: &'static str = "ASK or BID";

    fn text(text: &str) -> Option<Self> {
        match text {
            // The taker's side: ASK is a sale.
            "ASK" => Some(Self::Sell),
            "BID" => Some(Self::Buy),
            _ => None,
        }
    }
}

impl Read for Change {
    const WHAT: &'static str = "RISE, EVEN or FALL";

    fn text(text: &str) -> Option<Self> {
        match text {
            "RISE" => Some(Self::Rise),
            "EVEN" => Some(Self::Even),
            "FALL" => Some(Self::Fall),
            _ => None,
        }
    }
}

/// Whether a message tells the state at subscription.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot(pub(super) bool);

impl Read for Snapshot {
    const WHAT: &'static str = "SNAPSHOT or REALTIME";

    fn text(text: &str) -> Option<Self> {
        match text {
            "SNAPSHOT" => Some(Self(true)),
            "REALTIME" => Some(Self(false)),
            _ => None,
        }
    }
}

/// The word of a websocket message's type.
impl Read for Stream {
    const WHAT: &'static str = "a known type of message";

    fn text(text: &str) -> Option<Self> {
        Some(match text {
            "trade" => Self::Trade,
            "orderbook" => Self::Orderbook,
            "ticker" => Self::Ticker,
            _ => Self::Candle(match text.strip_prefix("candle.")? {
                "1s" => CandleUnit::S1,
                "1m" => CandleUnit::M1,
                "3m" => CandleUnit::M3,
                "5m" => CandleUnit::M5,
                "10m" => CandleUnit::M10,
                "15m" => CandleUnit::M15,
                "30m" => CandleUnit::M30,
                "60m" => CandleUnit::M60,
                "240m" => CandleUnit::M240,
                _ => return None,
            }),
        })
    }
}

/// Times outside these are misread, not early or late: 2010 and 2100, in microseconds.
const EARLIEST_US: i64 = 1_262_304_000 * SECOND_US;
const LATEST_US: i64 = 4_102_444_800 * SECOND_US;
/// From here on a time is in microseconds; the venue sent such for a while in August 2023.
const MICROSECONDS: i64 = 1_000_000_000_000_000;

fn plausible(at: Timestamp) -> Option<Timestamp> {
    (EARLIEST_US..LATEST_US).contains(&at.micros()).then_some(at)
}

impl Read for Timestamp {
    const WHAT: &'static str = "a time between 2010 and 2100 in milliseconds";

    fn int(value: i64) -> Option<Self> {
        plausible(if value > MICROSECONDS {
            Self::from_micros(value)
        } else {
            Self::from_millis(value)
        })
    }

    fn float(value: f64) -> Option<Self> {
        i64::float(value).and_then(Self::int)
    }

    fn text(text: &str) -> Option<Self> {
        i64::text(text).and_then(Self::int)
    }
}

/// A UTC time that is written as a date, with or without a time of day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written(pub(super) Timestamp);

impl Read for Written {
    const WHAT: &'static str = "a UTC time between 2010 and 2100, as 2026-01-31T12:34:56";

    fn text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('Z').unwrap_or(text);
        let at = text
            .parse::<NaiveDateTime>()
            .or_else(|_| text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN)))
            .ok()?;
        plausible(at.and_utc().into()).map(Self)
    }
}

/// Something other than `null` and the empty string: what exactly is read from the bytes.
#[derive(Debug)]
pub(super) struct Something;

impl Read for Something {
    const WHAT: &'static str = "anything";

    fn int(_: i64) -> Option<Self> {
        Some(Self)
    }

    fn float(_: f64) -> Option<Self> {
        Some(Self)
    }

    fn text(_: &str) -> Option<Self> {
        Some(Self)
    }

    fn bool(_: bool) -> Option<Self> {
        Some(Self)
    }

    fn seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Self))
    }

    fn map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(Self))
    }
}
