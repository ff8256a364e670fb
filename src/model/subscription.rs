//! What can be asked of a venue: streams, candle units, and one market of one stream.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike as _, Months, NaiveDate, NaiveTime};

use super::market::Market;
use super::time::{DAY_US, Timestamp};

/// The length of one candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandleUnit {
    /// One second.
    S1,
    /// One minute.
    M1,
    /// Three minutes.
    M3,
    /// Five minutes.
    M5,
    /// Ten minutes.
    M10,
    /// Fifteen minutes.
    M15,
    /// Thirty minutes.
    M30,
    /// Sixty minutes.
    M60,
    /// Four hours.
    M240,
    /// One UTC day.
    D1,
    /// One week.
    W1,
    /// One month.
    Mo1,
    /// One year.
    Y1,
}

impl CandleUnit {
    /// Every unit, shortest first.
    pub const ALL: [Self; 13] = [
        Self::S1,
        Self::M1,
        Self::M3,
        Self::M5,
        Self::M10,
        Self::M15,
        Self::M30,
        Self::M60,
        Self::M240,
        Self::D1,
        Self::W1,
        Self::Mo1,
        Self::Y1,
    ];

    /// The unit's word in stream names: `1s`, `240m`, `1mo`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.stream_name().split_at(7).1
    }

    /// The longest such a candle can last: exact up to a week, 31 days for a month and 366 for a
    /// year.
    #[must_use]
    pub const fn longest(self) -> Duration {
        Duration::from_secs(match self {
            Self::S1 => 1,
            Self::M1 => 60,
            Self::M3 => 180,
            Self::M5 => 300,
            Self::M10 => 600,
            Self::M15 => 900,
            Self::M30 => 1_800,
            Self::M60 => 3_600,
            Self::M240 => 14_400,
            Self::D1 => 86_400,
            Self::W1 => 7 * 86_400,
            Self::Mo1 => 31 * 86_400,
            Self::Y1 => 366 * 86_400,
        })
    }

    /// When a candle that opens at `open` is over.
    #[must_use]
    pub fn end(self, open: Timestamp) -> Timestamp {
        let months = match self {
            Self::Mo1 => 1,
            Self::Y1 => 12,
            Self::S1
            | Self::M1
            | Self::M3
            | Self::M5
            | Self::M10
            | Self::M15
            | Self::M30
            | Self::M60
            | Self::M240
            | Self::D1
            | Self::W1 => return open.after(self.longest()),
        };
        let end = open.datetime().checked_add_months(Months::new(months));
        end.map_or_else(|| open.after(self.longest()), Timestamp::from)
    }

    /// Start of the candle that `at` lies in. Days start at midnight UTC, weeks on Monday.
    #[must_use]
    pub fn opening(self, at: Timestamp) -> Timestamp {
        let micros = at.micros();
        let length = i64::try_from(self.longest().as_micros()).unwrap_or(DAY_US);
        let first = |day: Option<NaiveDate>| {
            day.map_or(at.day(), |day| day.and_time(NaiveTime::MIN).and_utc().into())
        };
        match self {
            Self::S1
            | Self::M1
            | Self::M3
            | Self::M5
            | Self::M10
            | Self::M15
            | Self::M30
            | Self::M60
            | Self::M240
            | Self::D1 => Timestamp::from_micros(micros - micros.rem_euclid(length)),
            // The epoch was a Thursday.
            Self::W1 => Timestamp::from_micros(micros - (micros + 3 * DAY_US).rem_euclid(length)),
            Self::Mo1 => first(at.date().with_day(1)),
            Self::Y1 => first(at.date().with_ordinal(1)),
        }
    }

    /// Start of the first candle that does not start before `at`.
    #[must_use]
    pub fn opening_from(self, at: Timestamp) -> Timestamp {
        let open = self.opening(at);
        // The longest such candle ends in the next one at the latest.
        if open == at { at } else { self.opening(self.end(open)) }
    }

    const fn stream_name(self) -> &'static str {
        match self {
            Self::S1 => "candle.1s",
            Self::M1 => "candle.1m",
            Self::M3 => "candle.3m",
            Self::M5 => "candle.5m",
            Self::M10 => "candle.10m",
            Self::M15 => "candle.15m",
            Self::M30 => "candle.30m",
            Self::M60 => "candle.60m",
            Self::M240 => "candle.240m",
            Self::D1 => "candle.1d",
            Self::W1 => "candle.1w",
            Self::Mo1 => "candle.1mo",
            Self::Y1 => "candle.1y",
        }
    }
}

/// A kind of record; each has its own folder of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Executions.
    Trade,
    /// Whole order books.
    Orderbook,
    /// Daily statistics and last price.
    Ticker,
    /// Open, high, low, close of one unit of time.
    Candle(CandleUnit),
    /// Listings and their changes.
    Instrument,
    /// Frames that no decoder understood.
    Unread,
}

impl Stream {
    /// Every stream.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Trade, Self::Orderbook, Self::Ticker]
            .into_iter()
            .chain(CandleUnit::ALL.into_iter().map(Self::Candle))
            .chain([Self::Instrument, Self::Unread])
    }

    /// The stream's name, on the command line, in paths and in the catalog.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Orderbook => "orderbook",
            Self::Ticker => "ticker",
            Self::Candle(unit) => unit.stream_name(),
            Self::Instrument => "instrument",
            Self::Unread => "unread",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no stream {0:?}")]
pub struct UnknownStream(pub String);

impl FromStr for Stream {
    type Err = UnknownStream;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::all()
            .find(|stream| stream.name() == name)
            .ok_or_else(|| UnknownStream(name.to_owned()))
    }
}

/// One market of one stream, as a connection carries it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscription {
    /// What kind of record.
    pub stream: Stream,
    /// Of which market.
    pub market: Market,
    /// How many order book levels to ask for; the venue's own default where none is given, and
    /// for every other stream.
    pub depth: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for stream in Stream::all() {
            assert_eq!(stream.name().parse(), Ok(stream));
        }
        assert_eq!("candle.2m".parse::<Stream>(), Err(UnknownStream("candle.2m".into())));
        assert_eq!(CandleUnit::M240.as_str(), "240m");
        assert_eq!(CandleUnit::Mo1.as_str(), "1mo");
    }

    #[test]
    fn candles_open_where_the_calendar_says() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let inside = at("2024-11-21T12:34:56.789Z");
        for (unit, open, next) in [
            (CandleUnit::S1, "2024-11-21T12:34:56Z", "2024-11-21T12:34:57Z"),
            (CandleUnit::M3, "2024-11-21T12:33:00Z", "2024-11-21T12:36:00Z"),
            (CandleUnit::M240, "2024-11-21T12:00:00Z", "2024-11-21T16:00:00Z"),
            (CandleUnit::D1, "2024-11-21T00:00:00Z", "2024-11-22T00:00:00Z"),
            (CandleUnit::W1, "2024-11-18T00:00:00Z", "2024-11-25T00:00:00Z"),
            (CandleUnit::Mo1, "2024-11-01T00:00:00Z", "2024-12-01T00:00:00Z"),
            (CandleUnit::Y1, "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ] {
            assert_eq!(unit.opening(inside), at(open), "{}", unit.as_str());
            assert_eq!(unit.opening_from(inside), at(next), "{}", unit.as_str());
            assert_eq!(unit.opening_from(at(open)), at(open), "{}", unit.as_str());
        }
        let after_a_short_month = at("2023-02-01T00:00:00.000001Z");
        assert_eq!(CandleUnit::Mo1.opening_from(after_a_short_month), at("2023-03-01T00:00:00Z"));
        let after_a_short_year = at("2023-01-01T00:00:00.000001Z");
        assert_eq!(CandleUnit::Y1.opening_from(after_a_short_year), at("2024-01-01T00:00:00Z"));
    }
}
