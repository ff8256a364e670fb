//! Bars of trades, and the units of time that hold them.

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Utc};

use super::decimal::{Decimal, PLACES};
use super::market::{DAY, SECOND, Trade, turnover};
use crate::model::subscription::CandleUnit;

/// The length of a candle; its name in this layer.
pub(super) type Unit = CandleUnit;

/// The units that come over the websocket.
pub(super) const LIVE_UNITS: [Unit; 9] = [
    Unit::S1,
    Unit::M1,
    Unit::M3,
    Unit::M5,
    Unit::M10,
    Unit::M15,
    Unit::M30,
    Unit::M60,
    Unit::M240,
];

/// The trades of one unit of time, summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    /// Start of the unit. Unit: milliseconds since the epoch.
    pub(super) open_ts: i64,
    pub(super) open: i64,
    pub(super) high: i64,
    pub(super) low: i64,
    pub(super) close: i64,
    /// Sum of sizes. Unit: 10^-8.
    pub(super) volume_sum: i128,
    /// Sum of price × size. Unit: 10^-16.
    pub(super) turnover_sum: i128,
    /// The time of the last trade.
    pub(super) last_ts: i64,
}

impl Bar {
    /// The bar of a unit in which only this trade happened.
    pub(super) fn of(unit: Unit, trade: &Trade) -> Self {
        Self {
            open_ts: open(unit, trade.ts),
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume_sum: i128::from(trade.size),
            turnover_sum: trade.turnover(),
            last_ts: trade.ts,
        }
    }

    /// This bar with a later one of the same or of a shorter unit in it.
    pub(super) fn join(self, later: &Self) -> Self {
        Self {
            open_ts: self.open_ts,
            open: self.open,
            high: self.high.max(later.high),
            low: self.low.min(later.low),
            close: later.close,
            volume_sum: self.volume_sum + later.volume_sum,
            turnover_sum: self.turnover_sum + later.turnover_sum,
            last_ts: later.last_ts,
        }
    }

    /// Adds a trade to the last bar, or a bar for it.
    pub(super) fn add(bars: &mut Vec<Self>, unit: Unit, trade: &Trade) {
        let one = Self::of(unit, trade);
        match bars.last_mut() {
            Some(last) if last.open_ts == one.open_ts => *last = last.join(&one),
            Some(_) | None => bars.push(one),
        }
    }

    /// The sum of sizes.
    pub(super) const fn volume(&self) -> Decimal {
        Decimal::new(self.volume_sum, PLACES)
    }

    /// The sum of price × size.
    pub(super) const fn turnover(&self) -> Decimal {
        turnover(self.turnover_sum)
    }
}

/// The start of the unit that `ts` lies in.
pub(super) fn open(unit: Unit, ts: i64) -> i64 {
    let length = i64::try_from(unit.longest().as_millis()).unwrap_or(DAY);
    match unit {
        Unit::S1
        | Unit::M1
        | Unit::M3
        | Unit::M5
        | Unit::M10
        | Unit::M15
        | Unit::M30
        | Unit::M60
        | Unit::M240
        | Unit::D1 => ts - ts.rem_euclid(length),
        // Weeks begin on Monday; the epoch was a Thursday.
        Unit::W1 => ts - (ts + 3 * DAY).rem_euclid(length),
        Unit::Mo1 => first_of(date(ts).with_day(1)).unwrap_or(ts),
        Unit::Y1 => first_of(date(ts).with_ordinal(1)).unwrap_or(ts),
    }
}

/// The start of the unit `count` units before the one that `ts` lies in.
pub(super) fn before(unit: Unit, ts: i64, count: u32) -> i64 {
    let start = open(unit, ts);
    let length = i64::try_from(unit.longest().as_millis()).unwrap_or(DAY);
    let months = match unit {
        Unit::Mo1 => count,
        Unit::Y1 => count.saturating_mul(12),
        Unit::S1
        | Unit::M1
        | Unit::M3
        | Unit::M5
        | Unit::M10
        | Unit::M15
        | Unit::M30
        | Unit::M60
        | Unit::M240
        | Unit::D1
        | Unit::W1 => return start - length * i64::from(count),
    };
    first_of(date(start).checked_sub_months(Months::new(months))).unwrap_or(0)
}

/// The end of the unit that starts at `start`.
pub(super) fn end(unit: Unit, start: i64) -> i64 {
    let longest = i64::try_from(unit.longest().as_millis()).unwrap_or(DAY);
    // A month and a year end where the next one starts, which is at most so much later.
    open(unit, start + longest).max(start + 1)
}

/// What one bar of `unit` is built of where that is cheaper than from trades.
pub(super) const fn from_days(unit: Unit) -> bool {
    matches!(unit, Unit::D1 | Unit::W1 | Unit::Mo1 | Unit::Y1)
}

/// The instant as chrono has it.
pub(super) fn datetime(ts: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ts).unwrap_or(DateTime::UNIX_EPOCH)
}

/// The UTC day.
pub(super) fn date(ts: i64) -> NaiveDate {
    datetime(ts).date_naive()
}

/// The instant in Korea, as if it were UTC.
pub(super) fn korea(ts: i64) -> DateTime<Utc> {
    datetime(ts) + TimeDelta::hours(9)
}

fn first_of(day: Option<NaiveDate>) -> Option<i64> {
    Some(day?.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

/// The full second after `ts`.
pub(super) const fn next_second(ts: i64) -> i64 {
    ts - ts.rem_euclid(SECOND) + SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
    }

    #[test]
    fn units_start_where_the_calendar_says() {
        let ts = at("2026-11-21T12:34:56.789Z");
        for (unit, start, earlier) in [
            (Unit::S1, "2026-11-21T12:34:56Z", "2026-11-21T12:34:54Z"),
            (Unit::M3, "2026-11-21T12:33:00Z", "2026-11-21T12:27:00Z"),
            (Unit::M240, "2026-11-21T12:00:00Z", "2026-11-21T04:00:00Z"),
            (Unit::D1, "2026-11-21T00:00:00Z", "2026-11-19T00:00:00Z"),
            (Unit::W1, "2026-11-16T00:00:00Z", "2026-11-02T00:00:00Z"),
            (Unit::Mo1, "2026-11-01T00:00:00Z", "2026-09-01T00:00:00Z"),
            (Unit::Y1, "2026-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ] {
            assert_eq!(open(unit, ts), at(start), "{}", unit.as_str());
            assert_eq!(before(unit, ts, 2), at(earlier), "{}", unit.as_str());
        }
    }
}
