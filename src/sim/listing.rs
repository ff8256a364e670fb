//! Which markets the simulated venue lists: codes, names, price steps, and how busy each is.

use super::decimal::ONE;
use super::dice::{Dice, below, mix_text};

/// What is fixed about a market, whatever the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    /// The code, such as `KRW-BTC`.
    pub(super) code: String,
    /// Its Korean name.
    pub(super) korean: String,
    /// Its English name.
    pub(super) english: String,
    /// The price step. Unit: 10^-8 of the quote currency.
    pub(super) tick: i64,
    /// The price around which it walks. Unit: price steps.
    pub(super) base: i64,
    /// The largest usual trade. Unit: 10^-8 of the base currency.
    pub(super) lot: i64,
}

/// Base currency, names, and the price in won.
const KNOWN: [(&str, &str, &str, f64); 20] = [
    ("BTC", "비트코인", "Bitcoin", 131_250_000.0),
    ("ETH", "이더리움", "Ethereum", 4_415_000.0),
    ("XRP", "엑스알피(리플)", "XRP", 3_187.0),
    ("SOL", "솔라나", "Solana", 204_300.0),
    ("DOGE", "도지코인", "Dogecoin", 241.0),
    ("ADA", "에이다", "Ada", 743.0),
    ("TRX", "트론", "TRON", 418.0),
    ("LINK", "체인링크", "Chainlink", 20_150.0),
    ("AVAX", "아발란체", "Avalanche", 22_480.0),
    ("SUI", "수이", "Sui", 2_411.0),
    ("XLM", "스텔라루멘", "Lumen", 386.0),
    ("HBAR", "헤데라", "Hedera", 219.0),
    ("BCH", "비트코인캐시", "Bitcoin Cash", 782_000.0),
    ("DOT", "폴카닷", "Polkadot", 3_614.0),
    ("SHIB", "시바이누", "Shiba Inu", 0.0134),
    ("ETC", "이더리움클래식", "Ethereum Classic", 21_640.0),
    ("NEAR", "니어프로토콜", "NEAR Protocol", 2_934.0),
    ("APT", "앱토스", "Aptos", 4_163.0),
    ("ATOM", "코스모스", "Cosmos", 4_020.0),
    ("USDT", "테더", "Tether", 1_468.0),
];

/// Prices of markets that have no name of their own. Unit: the quote currency.
const KRW_PRICES: [f64; 9] = [0.0423, 0.734, 3.41, 27.5, 164.0, 812.0, 2_450.0, 9_120.0, 33_150.0];
const BTC_PRICES: [f64; 6] =
    [0.000_000_18, 0.000_000_45, 0.000_001_60, 0.000_012, 0.000_33, 0.001_45];
const USDT_PRICES: [f64; 6] = [0.000_009_12, 0.018_4, 0.271, 2.18, 141.3, 3_012.0];

/// Above this many markets the venue lists BTC and USDT markets as well.
const QUOTES_ABOVE: usize = 100;

/// The first `count` markets of the venue, the busiest first. Of 855, as of the real venue in 2026,
/// 289 are quoted in KRW, 328 in BTC and 238 in USDT.
pub(super) fn listings(count: usize) -> Vec<Listing> {
    let (krw, btc) =
        if count > QUOTES_ABOVE { (count * 289 / 855, count * 328 / 855) } else { (count, 0) };
    (0..count)
        .map(|place| {
            let (quote, nth) = if place < krw {
                ("KRW", place)
            } else if place < krw + btc {
                // A coin is not quoted in itself: BTC markets begin at ETH.
                ("BTC", place - krw + 1)
            } else {
                ("USDT", place - krw - btc)
            };
            let base = KNOWN
                .get(nth)
                .filter(|known| known.0 != quote)
                .map_or_else(|| format!("SIM{:03}", nth + 1), |known| known.0.to_owned());
            listing(&format!("{quote}-{base}"))
        })
        .collect()
}

/// The market that has this code.
pub(super) fn listing(code: &str) -> Listing {
    let (quote, base) = code.split_once('-').unwrap_or(("KRW", code));
    let known = KNOWN.iter().find(|known| known.0 == base);
    let hash = mix_text(code);
    let price = match (quote, known) {
        ("KRW", Some(known)) => known.3,
        ("BTC", _) => pick(&BTC_PRICES, hash),
        ("USDT", Some(known)) => known.3 / 1_468.0,
        ("USDT", None) => pick(&USDT_PRICES, hash),
        (_, _) => pick(&KRW_PRICES, hash),
    };
    let tick = tick_of(quote, price);
    // What one usual trade turns over, at most. Unit: the quote currency.
    let turnover = match quote {
        "BTC" => 0.02,
        "USDT" => 900.0,
        _ => 1_500_000.0,
    };
    Listing {
        code: code.to_owned(),
        korean: known.map_or_else(|| format!("모의{base}"), |known| known.1.to_owned()),
        english: known.map_or_else(|| format!("Simulated {base}"), |known| known.2.to_owned()),
        tick,
        base: (to_fixed(price) / tick).max(2),
        lot: to_fixed(turnover / price).clamp(10_000, 100_000 * ONE),
    }
}

/// How busy each of `count` markets is against the first one, which is 1. The last tenth is nearly
/// silent.
pub(super) fn weights(count: usize) -> Vec<f64> {
    let silent_from = count - count / 10;
    (0..count)
        .map(|place| {
            let rank = f64::from(u32::try_from(place).unwrap_or(u32::MAX)) + 1.0;
            let busy = 1.0 / rank;
            if place >= silent_from { busy * 0.02 } else { busy }
        })
        .collect()
}

/// Whether the venue warns of this market, and its five cautions.
pub(super) fn warnings(code: &str) -> (bool, [bool; 5]) {
    let mut dice = Dice::of(&[mix_text(code), 0xCA07]);
    (dice.chance(1, 40), [(); 5].map(|()| dice.chance(1, 30)))
}

fn pick(prices: &[f64], hash: u64) -> f64 {
    let place = usize::try_from(below(hash, 1 << 16)).unwrap_or(0) % prices.len().max(1);
    prices.get(place).copied().unwrap_or(1.0)
}

fn tick_of(quote: &str, price: f64) -> i64 {
    let bands: &[(f64, f64)] = match quote {
        "BTC" => &[(0.0, 0.000_000_01)],
        "USDT" => &[
            (10_000.0, 1.0),
            (1_000.0, 0.1),
            (10.0, 0.01),
            (1.0, 0.001),
            (0.1, 0.000_1),
            (0.01, 0.000_01),
            (0.0, 0.000_000_01),
        ],
        _ => &[
            (1_000_000.0, 1_000.0),
            (500_000.0, 500.0),
            (100_000.0, 100.0),
            (50_000.0, 50.0),
            (10_000.0, 10.0),
            (5_000.0, 5.0),
            (100.0, 1.0),
            (10.0, 0.1),
            (1.0, 0.01),
            (0.1, 0.001),
            (0.0, 0.000_1),
        ],
    };
    let tick = bands.iter().find(|band| price >= band.0).map_or(1.0, |band| band.1);
    to_fixed(tick).max(1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "prices of the tables above are far within both ranges, and any rounding of them is \
              as good a price"
)]
fn to_fixed(number: f64) -> i64 {
    (number * ONE as f64).round() as i64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn markets_are_those_of_the_venue_in_number_and_in_kind() {
        let all = listings(855);
        let of = |quote: &str| all.iter().filter(|one| one.code.starts_with(quote)).count();
        assert_eq!((of("KRW-"), of("BTC-"), of("USDT-")), (289, 328, 238));
        let codes: BTreeSet<_> = all.iter().map(|one| &one.code).collect();
        assert_eq!(codes.len(), all.len(), "every code once");
        assert!(!codes.contains(&"BTC-BTC".to_owned()) && !codes.contains(&"USDT-USDT".to_owned()));
        assert!(all.iter().all(|one| one.tick > 0 && one.base >= 2 && one.lot > 0));
        assert!(all.iter().any(|one| one.base < 30), "some books cannot have 30 bids");
        assert_eq!(listings(3).last().unwrap().code, "KRW-XRP");
        assert_eq!(listings(21).last().unwrap().code, "KRW-SIM021");
    }
}
