//! Hours that were made up: what is planted is found, and where.

use proptest::prelude::*;

use super::*;
use crate::model::time::{HOUR_US, SECOND_US};

/// The hour of every test begins here.
const START: i64 = 486_000 * HOUR_US;

fn at(second: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "a small number of the test's own")]
    Timestamp::from_micros(START + (second * 1e6) as i64)
}

fn span(from: f64, to: f64) -> Span {
    Span::new(at(from), at(to)).unwrap()
}

/// An hour as it was recorded: rows that can be tampered with.
#[derive(Debug, Clone)]
struct Script {
    fills: Vec<Fill>,
    bars: Vec<Bar>,
    readings: Vec<Reading>,
    judged: Spans,
    /// Where candles are judged; nowhere where none are recorded.
    told: Spans,
    unit: CandleUnit,
    counted: Option<u64>,
    lost: bool,
    repaired: bool,
}

impl Script {
    /// Trades at these (seconds, price, size), and the candles and tickers that the venue makes of
    /// them: its sums are exact in decimals.
    fn of(unit: CandleUnit, trades: &[(f64, u32, u32)]) -> Self {
        let mut script = Self {
            fills: Vec::new(),
            bars: Vec::new(),
            readings: Vec::new(),
            judged: [span(0.0, 3_600.0)].into_iter().collect(),
            told: [span(0.0, 3_600.0)].into_iter().collect(),
            unit,
            counted: None,
            lost: false,
            repaired: false,
        };
        let length = i64::try_from(unit.longest().as_micros()).unwrap();
        let mut sums: Vec<(i64, u64, u64, Bar)> = Vec::new();
        let mut day = 0_u64;
        for (second, price, size) in trades {
            let (when, price, size) = (at(*second), u64::from(*price), u64::from(*size));
            let (cost, decimal) = (price * size, decimal(size));
            let whole = f64::from(u32::try_from(price).unwrap());
            script.fills.push(Fill { at: when, price: whole, size: decimal });
            let start = when.micros() - when.micros().rem_euclid(length);
            if sums.last().is_none_or(|last| last.0 != start) {
                let bar = Bar {
                    ts_open: Timestamp::from_micros(start),
                    open: whole,
                    high: whole,
                    low: whole,
                    close: whole,
                    volume: 0.0,
                    turnover: 0.0,
                };
                sums.push((start, 0, 0, bar));
            }
            let (_, volume, turnover, bar) = sums.last_mut().unwrap();
            (*volume, *turnover) = (*volume + size, *turnover + cost);
            (bar.high, bar.low, bar.close) = (bar.high.max(whole), bar.low.min(whole), whole);
            day += size;
            script.readings.push(Reading { traded: when, volume: self::decimal(day) });
        }
        script.bars = sums
            .into_iter()
            .map(|(_, volume, turnover, bar)| Bar {
                volume: decimal(volume),
                turnover: decimal(turnover),
                ..bar
            })
            .collect();
        script
    }

    fn verdict(&self) -> (Verdict, Vec<(CandleUnit, Verdict)>) {
        let count = |rows: usize| u64::try_from(rows).unwrap();
        let (lost, repaired) = (self.lost, self.repaired);
        prove(&Hour {
            trades: Held {
                rows: &self.fills,
                counted: self.counted.unwrap_or(count(self.fills.len())),
                judged: self.judged.clone(),
                lost,
                repaired,
            },
            bars: vec![(
                self.unit,
                Held {
                    rows: &self.bars,
                    counted: count(self.bars.len()),
                    judged: self.told.clone(),
                    lost: false,
                    repaired: false,
                },
            )],
            readings: &self.readings,
        })
    }

    #[track_caller]
    fn check(&self, condition: Condition, places: &[&str]) {
        let (verdict, _) = self.verdict();
        let told: Vec<String> = verdict
            .numbers
            .disagreements
            .iter()
            .map(|one| format!("{} {}: {}", one.at, one.with, one.what))
            .collect();
        assert_eq!(verdict.condition, condition, "{verdict:#?}");
        assert_eq!(told.len(), places.len(), "{told:#?}");
        for (told, place) in told.iter().zip(places) {
            assert!(told.contains(place), "{place:?} is not in {told:?}");
        }
    }
}

fn same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

/// The double nearest to `number` × 10⁻⁸.
fn decimal(number: u64) -> f64 {
    format!("{}.{:08}", number / 100_000_000, number % 100_000_000).parse().unwrap()
}

/// Trades of an hour: several in one instant, seconds without any, sizes of all kinds.
fn trades() -> Vec<(f64, u32, u32)> {
    vec![
        (3.1, 100, 10_000_000),
        (3.1, 101, 20_000_000),
        (3.9, 99, 30_000_001),
        (4.0, 100, 7),
        (700.5, 120, 123_456_789),
        (700.6, 121, 1),
        (3_599.9, 90, 5_000),
    ]
}

#[test]
fn an_hour_as_it_was_is_complete() {
    let mut script = Script::of(CandleUnit::S1, &trades());
    script.check(Condition::Complete, &[]);
    let (verdict, bars) = script.verdict();
    assert_eq!(verdict.evidence, [Stream::Candle(CandleUnit::S1)]);
    assert_eq!((verdict.numbers.units, verdict.numbers.judged_s), (3_600, 3_600.0));
    assert_eq!(bars[0].1.condition, Condition::Complete);
    script.repaired = true;
    script.check(Condition::Repaired, &[]);
    // Which of the trades of one instant was first, nobody can tell.
    script.fills.swap(0, 1);
    script.check(Condition::Repaired, &[]);
    script.lost = true;
    script.check(Condition::Degraded, &[]);
    // A market in which nothing happened, by both.
    Script::of(CandleUnit::S1, &[]).check(Condition::Complete, &[]);
}

#[test]
fn what_is_planted_is_found_and_placed() {
    type Tamper = fn(&mut Script);
    let cases: &[(Tamper, &[&str])] = &[
        (
            |one| one.fills.retain(|fill| !same(fill.size, 0.2)),
            &[":03Z candle.1s: volume 0.60000001 told, 0.4000000"],
        ),
        (|one| one.fills.insert(4, one.fills[4]), &[":11:40Z candle.1s: volume 1.2345679 told"]),
        (|one| one.fills[5].size = 2e-8, &[":11:40Z candle.1s: volume"]),
        (|one| one.fills[6].price = 91.0, &["59:59Z candle.1s: turnover 0.0045 told, 0.00455"]),
        (
            |one| one.fills.retain(|fill| !same(fill.size, 7e-8)),
            &[":04Z candle.1s: a candle with volume 0.00000007, and no"],
        ),
        (
            |one| one.bars.retain(|bar| !same(bar.volume, 7e-8)),
            &[":04Z candle.1s: 1 trades of size 0.00000007 together, and no"],
        ),
        (|one| one.bars.insert(1, one.bars[1]), &[":04Z candle.1s: 2 candles"]),
        (
            |one| one.bars[0].open = 99.0,
            &["no trade at 2025-06-11T00:00:03.100Z has the price 99 of open"],
        ),
        (|one| one.bars[0].close = 100.0, &["has the price 100 of close"]),
        (|one| one.bars[2].high = 122.0, &["high 122 told, 121 in 2 trades"]),
        (|one| one.bars[2].low = 119.0, &["low 119 told, 120 in 2 trades"]),
        (|one| one.bars[2].volume = f64::NAN, &["volume NaN told"]),
    ];
    for (tamper, places) in cases {
        let mut script = Script::of(CandleUnit::S1, &trades());
        tamper(&mut script);
        script.check(Condition::Degraded, places);
        // The candles are in doubt as well.
        assert_eq!(script.verdict().1[0].1.condition, Condition::Degraded);
    }
}

#[test]
fn an_hour_of_which_nothing_is_there_is_missing() {
    let mut script = Script::of(CandleUnit::S1, &trades());
    script.fills.clear();
    script.check(Condition::Missing, &["03Z candle.1s: a candle", ":04Z", ":11:40Z", "59:59Z"]);
    // Neither are its candles, and the files do not have what the catalog counts.
    script.bars.clear();
    script.check(Condition::Complete, &[]);
    script.counted = Some(7);
    script.check(Condition::Missing, &[]);
    script.counted = Some(0);
    (script.judged, script.lost) = (Spans::new(), true);
    script.check(Condition::Missing, &[]);
}

#[test]
fn rows_that_cannot_be_read_are_counted() {
    let mut script = Script::of(CandleUnit::S1, &trades());
    script.counted = Some(8);
    script.check(Condition::Degraded, &[]);
    let (verdict, bars) = script.verdict();
    assert_eq!(verdict.numbers.read, 7);
    // The candles are not to blame, and have nothing to be compared with.
    assert_eq!(bars[0].1.condition, Condition::Unproven);
}

#[test]
fn a_trade_on_the_border_may_count_for_either_second() {
    let mut script = Script::of(CandleUnit::S1, &trades());
    // The venue counted it for the second before, by a clock of its own.
    script.fills[2].at = at(4.0);
    let (verdict, _) = script.verdict();
    assert_eq!((verdict.condition, verdict.numbers.shifted), (Condition::Complete, 2));
    // Moved to where nobody expects it, it is told.
    script.fills[2].at = at(6.0);
    script.fills.sort_by_key(|fill| fill.at);
    script.check(Condition::Degraded, &[":03Z", ":06Z"]);
}

#[test]
fn only_what_was_to_be_recorded_is_judged() {
    let mut script = Script::of(CandleUnit::S1, &trades());
    script.judged = [span(600.0, 1_000.5)].into_iter().collect();
    script.fills.retain(|fill| fill.at > at(600.0));
    script.check(Condition::Complete, &[]);
    script.fills.remove(0);
    script.check(Condition::Degraded, &[":11:40Z"]);
    // Candles of half of it: the rest has tickers to speak for it, or nothing.
    let mut script = Script::of(CandleUnit::S1, &trades());
    script.told = [span(0.0, 1_800.0)].into_iter().collect();
    script.check(Condition::Unproven, &[]);
    script.readings.clear();
    script.check(Condition::Unproven, &[]);
    script.judged = Spans::new();
    script.check(Condition::Unproven, &[]);
    // Streams of one connection begin a little apart.
    let mut script = Script::of(CandleUnit::S1, &trades());
    script.told = [span(1.5, 3_600.0)].into_iter().collect();
    script.check(Condition::Complete, &[]);
}

#[test]
fn longer_candles_prove_as_well() {
    for unit in [CandleUnit::M1, CandleUnit::M3, CandleUnit::M60] {
        let mut script = Script::of(unit, &trades());
        script.check(Condition::Complete, &[]);
        script.fills.remove(5);
        let word = format!("{}: volume", Stream::Candle(unit));
        script.check(Condition::Degraded, &[&word]);
    }
}

#[test]
fn tickers_speak_where_candles_lack() {
    let steady: Vec<(f64, u32, u32)> =
        (0..360).map(|step| (f64::from(step) * 10.0 + 0.5, 100, 1_000 + step)).collect();
    let mut script = Script::of(CandleUnit::S1, &steady);
    (script.bars, script.told) = (Vec::new(), Spans::new());
    script.check(Condition::Complete, &[]);
    assert_eq!(script.verdict().0.evidence, [Stream::Ticker]);
    // A sample of tickers is as good, whichever of the trades of one instant each has seen.
    let mut sampled = script.clone();
    sampled.readings = script.readings.iter().copied().step_by(5).collect();
    let twin = sampled.fills[0];
    sampled.fills.insert(0, twin);
    sampled.check(Condition::Complete, &[]);
    assert_eq!(sampled.verdict().0.numbers.read, 361);

    let mut removed = script.clone();
    removed.fills.remove(200);
    removed.check(Condition::Degraded, &["ticker: tickers count"]);
    let mut doubled = script.clone();
    doubled.fills.insert(200, doubled.fills[200]);
    doubled.check(Condition::Degraded, &["ticker: tickers count"]);
    // A count that goes back, and tickers that begin late, prove nothing and say nothing.
    let mut back = removed.clone();
    back.readings[100].volume = 0.0;
    back.check(Condition::Unproven, &[]);
    let mut late = removed;
    late.readings.drain(..20);
    late.check(Condition::Unproven, &[]);
}

proptest! {
    /// Whatever was traded: what the venue made of it agrees, and one trade less, one more or
    /// another size does not.
    #[test]
    fn every_hour_is_proven_and_every_change_is_found(
        mut trades in prop::collection::vec((0_u32..3_600_000, 1_u32..2_000_000_000, 1_u32..4_000_000_000), 1..60),
        pick: prop::sample::Index, how in 0..3,
    ) {
        trades.sort_by_key(|(at, ..)| *at);
        let trades: Vec<_> =
            trades.iter().map(|(at, price, size)| (f64::from(*at) / 1e3, *price, *size)).collect();
        let mut script = Script::of(CandleUnit::S1, &trades);
        prop_assert_eq!(script.verdict().0.condition, Condition::Complete);
        let place = pick.index(script.fills.len());
        let fill = script.fills[place];
        match how {
            0 => {
                script.fills.remove(place);
            }
            1 => script.fills.insert(place, fill),
            _ => script.fills[place].size += 1e-8,
        }
        let (verdict, _) = script.verdict();
        prop_assert!(verdict.condition.is_bad(), "{:?}", verdict);
        let second = Timestamp::from_micros(fill.at.micros() - fill.at.micros().rem_euclid(SECOND_US));
        let told = &verdict.numbers.disagreements;
        prop_assert!(told.iter().any(|one| one.at == second), "{:?} {:?}", fill, told);
    }
}
