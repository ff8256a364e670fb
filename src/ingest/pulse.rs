//! How the data of one stream comes: its rhythm, and how long it was on its way.
//!
//! Lag is the time from the venue's clock to ours, of live messages only: what answers our asking
//! may be old, and a page of the past always is. It is counted in buckets of fixed bounds, so that
//! the counts of hours and of runs can be added; the greatest of each bucket is kept as well.

use std::collections::BTreeMap;
use std::time::Duration;

use super::watch::Rhythm;
use crate::model::market::Source;
use crate::model::record::{Body, Row};
use crate::model::time::Timestamp;
use crate::store::catalog::LagRows;

/// The upper bounds of the buckets, inclusive. Unit: microseconds. One more bucket has no bound.
pub const BOUNDS_US: [u64; 27] = [
    500, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 70_000,
    100_000, 150_000, 200_000, 300_000, 500_000, 700_000, 1_000_000, 1_500_000, 2_000_000,
    3_000_000, 5_000_000, 10_000_000, 15_000_000, 30_000_000, 60_000_000,
];
/// For so long at least the recent lag reaches back, and for twice as long at most.
const RECENT: Duration = Duration::from_mins(1);
/// Hours that wait for the catalog at most; an hour more and the eldest is let go.
const HOURS: usize = 48;

/// Counts of lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    buckets: [Bucket; BOUNDS_US.len() + 1],
    sum_us: u64,
}

/// One bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// How many there were.
    pub count: u64,
    /// The greatest of them. Unit: microseconds.
    pub max_us: u64,
}

impl Lag {
    /// Counts one.
    pub fn add(&mut self, lag: Duration) {
        let us = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(bucket) = self.buckets.get_mut(at) {
            bucket.count += 1;
            bucket.max_us = bucket.max_us.max(us);
        }
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// Counts all of `other` as well.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, other) in self.buckets.iter_mut().zip(&other.buckets) {
            bucket.count += other.count;
            bucket.max_us = bucket.max_us.max(other.max_us);
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }

    /// What the catalog kept of them. It does not keep their sum.
    #[must_use]
    pub fn of(kept: &[LagRows]) -> Self {
        let mut lag = Self::default();
        for one in kept {
            let at =
                BOUNDS_US.partition_point(|bound| one.upto_us.is_none_or(|upto| *bound < upto));
            if let Some(bucket) = lag.buckets.get_mut(at) {
                bucket.count += one.records;
                bucket.max_us = bucket.max_us.max(one.max_us);
            }
        }
        lag
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// All of them together. Unit: microseconds.
    #[must_use]
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The greatest; none where there were none.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        let seen = self.buckets.iter().filter(|bucket| bucket.count > 0);
        seen.map(|bucket| Duration::from_micros(bucket.max_us)).max()
    }

    /// The buckets with their upper bounds; the last has none.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, Bucket)> {
        let bounds = BOUNDS_US.into_iter().map(Some).chain([None]);
        bounds.zip(self.buckets)
    }

    /// What `percent` of them were not above, taking those of one bucket as spread evenly; none
    /// where there were none.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<Duration> {
        let rank = (self.count() * u64::from(percent)).div_ceil(100).max(1);
        let (mut below, mut lower) = (0, 0);
        for (bound, bucket) in self.buckets() {
            if bucket.count > 0 && below + bucket.count >= rank {
                let upper = bound.map_or(bucket.max_us, |bound| bound.min(bucket.max_us));
                let width = u128::from(upper.saturating_sub(lower));
                let part = width * u128::from(rank - below) / u128::from(bucket.count);
                let part = u64::try_from(part).unwrap_or(u64::MAX);
                return Some(Duration::from_micros(lower.min(upper).saturating_add(part)));
            }
            below += bucket.count;
            lower = bound.unwrap_or(lower);
        }
        None
    }
}

/// How the data of one stream comes.
#[derive(Debug, Clone, Default)]
pub struct Pulse {
    /// Its rate, by the times of arrival.
    pub rhythm: Rhythm,
    /// The lag since the start.
    pub lag: Lag,
    /// The last silence that its rate does not explain: when it ended, and how long it was.
    pub silence: Option<(Timestamp, Duration)>,
    /// The last live message. Clock: ours.
    pub last_live: Option<Timestamp>,
    recent: [Lag; 2],
    turned: Timestamp,
    hours: BTreeMap<Timestamp, Lag>,
}

impl Pulse {
    /// A record came.
    pub fn take(&mut self, row: &Row) {
        if row.head.source != Source::Ws {
            return;
        }
        let at = row.head.ts_recv;
        if let Some(silence) = self.broken(at) {
            self.silence = Some((at, silence));
        }
        self.rhythm.data(since_epoch(at), row.head.snapshot);
        if !row.head.snapshot {
            self.last_live = self.last_live.max(Some(at));
        }
        let Some(sent) = sent(row).filter(|_| !row.head.snapshot) else { return };
        let lag = at.since(sent);
        self.turn(at);
        self.lag.add(lag);
        let [now, _] = &mut self.recent;
        now.add(lag);
        self.hours.entry(at.hour()).or_default().add(lag);
        if self.hours.len() > HOURS {
            self.hours.pop_first();
        }
    }

    /// How long no data is too long; none where too little is known.
    #[must_use]
    pub fn threshold(&self) -> Option<Duration> {
        self.rhythm.threshold()
    }

    /// The silence at `now`, where it is longer than the rate explains.
    #[must_use]
    pub fn broken(&self, now: Timestamp) -> Option<Duration> {
        self.rhythm.broken(since_epoch(now))
    }

    /// The lag of the last one to two minutes.
    #[must_use]
    pub fn recent(&self, now: Timestamp) -> Lag {
        let mut pulse = [self.recent[0], self.recent[1]];
        turned(&mut pulse, self.turned, now);
        let [mut lag, before] = pulse;
        lag.merge(&before);
        lag
    }

    /// The lag by hour, since this was last asked.
    pub fn drain_hours(&mut self) -> BTreeMap<Timestamp, Lag> {
        std::mem::take(&mut self.hours)
    }

    fn turn(&mut self, now: Timestamp) {
        self.turned = turned(&mut self.recent, self.turned, now);
    }
}

/// Lets go of what is no longer recent, and says since when the first page is written.
fn turned(pages: &mut [Lag; 2], since: Timestamp, now: Timestamp) -> Timestamp {
    let age = now.since(since);
    if age < RECENT {
        return since;
    }
    let [first, second] = pages;
    *second = if age < RECENT * 2 { *first } else { Lag::default() };
    *first = Lag::default();
    now
}

/// When the venue sent it, as far as it says; none where its time means something else.
fn sent(row: &Row) -> Option<Timestamp> {
    match &row.body {
        Body::Trade(trade) => trade.ts_sent,
        Body::Orderbook(book) => Some(book.ts_event),
        Body::Ticker(ticker) => Some(ticker.ts_event),
        // A candle says when the last trade of it was, which may be long ago.
        Body::Candle(_) | Body::Instrument(_) | Body::Unread(_) => None,
    }
}

fn since_epoch(at: Timestamp) -> Duration {
    at.since(Timestamp::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(all: &[(u64, u64)]) -> Lag {
        let mut lag = Lag::default();
        for &(times, us) in all {
            (0..times).for_each(|_| lag.add(Duration::from_micros(us)));
        }
        lag
    }

    #[test]
    fn percentiles_are_within_their_bucket() {
        type Case<'a> = (&'a [(u64, u64)], Option<[u64; 3]>);
        let table: [Case; 6] = [
            (&[], None),
            (&[(1, 40_000)], Some([40_000, 40_000, 40_000])),
            (&[(100, 500)], Some([250, 495, 500])),
            (&[(99, 900), (1, 2_500_000)], Some([702, 900, 2_500_000])),
            (&[(50, 400), (50, 90_000_000)], Some([400, 89_400_000, 90_000_000])),
            (&[(1, 0)], Some([0, 0, 0])),
        ];
        for (all, expected) in table {
            let lag = lag(all);
            let told = [lag.percentile(50), lag.percentile(99), lag.max()];
            let expected = expected.map(|us| us.map(Duration::from_micros));
            assert_eq!(told.map(Option::unwrap_or_default), expected.unwrap_or_default());
            assert_eq!(told.iter().all(Option::is_some), expected.is_some(), "{all:?}");
        }
    }

    #[test]
    fn sums_are_the_sums_of_the_parts() {
        let (first, second) = (lag(&[(3, 100), (2, 70_001)]), lag(&[(4, 100), (1, 99_000_000)]));
        let mut both = first;
        both.merge(&second);
        assert_eq!(both, lag(&[(7, 100), (2, 70_001), (1, 99_000_000)]));
        assert_eq!((both.count(), both.sum_us()), (10, 700 + 140_002 + 99_000_000));
    }

    #[test]
    fn what_is_kept_reads_back() {
        let all = lag(&[(3, 500), (2, 501), (4, 70_001), (1, 60_000_000), (1, 60_000_001)]);
        let kept: Vec<LagRows> = all
            .buckets()
            .filter(|(_, bucket)| bucket.count > 0)
            .map(|(upto_us, Bucket { count, max_us })| LagRows { upto_us, records: count, max_us })
            .collect();
        assert_eq!(Lag::of(&kept).buckets, all.buckets);
        assert_eq!(Lag::of(&[]), Lag::default());
    }

    #[test]
    fn what_is_recent_is_forgotten() {
        let at = |second: i64| Timestamp::from_millis(second * 1_000);
        let mut pulse = Pulse::default();
        for second in [1_000, 1_030, 1_070] {
            pulse.turn(at(second));
            pulse.recent[0].add(Duration::from_millis(u64::try_from(second).unwrap()));
        }
        for (now, count) in [(1_070, 3), (1_129, 3), (1_130, 1), (1_189, 1), (1_190, 0)] {
            assert_eq!(pulse.recent(at(now)).count(), count, "{now}");
        }
    }
}
