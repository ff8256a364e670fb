//! How much usually comes: rates seen, for whoever wants to know what a recording will take before
//! there is one. None of it is promised, and a busy day brings several times as much.
//!
//! Sources: a probe of all 855 markets of Korea on 2026-09-23, at a calm noon (nemanull,
//! arbitrage-observatory, profile of the websocket): 785 to 795 order book frames a second of 2,736
//! bytes; of the busiest market, KRW-BTC, 5 to 10 books a second, and in 30 to 40 s 20 to 93 trades
//! and 39 to 93 tickers. No count of the trades of all markets is published: the ratio of the
//! busiest one is taken for all, a fifth of a trade and a quarter of a ticker for each book. A
//! candle is told once a second at most, where there was a trade in that second. Bytes of a row are
//! those of our files at rest (zstd 3): 54 for a whole book of 30 levels and 9 for its best
//! levels, 29 for a trade, and the columns that every stream has.
//!
//! Means over all markets: one busy market alone takes more, a quiet one next to nothing.

use crate::model::subscription::Stream;
use crate::venue::Typical;

const DAY_S: u64 = 86_400;
/// Books of one market in a day.
const BOOKS: u64 = 790 * DAY_S / 855;
/// Trades of one market in a day.
const TRADES: u64 = BOOKS / 5;
/// Seconds of a day in which there is a trade, where they come at random: 1 - e^(-trades a second).
const BUSY_SECONDS: u64 = DAY_S * 169 / 1_000;

pub(super) fn typical(stream: Stream) -> Option<Typical> {
    let of = |frames, frame_bytes, row_bytes| {
        Some(Typical { frames, rows: frames, frame_bytes, row_bytes })
    };
    match stream {
        Stream::Orderbook => of(BOOKS, 2_736, 70),
        Stream::Trade => of(TRADES, 318, 36),
        Stream::Ticker => of(BOOKS / 4, 800, 90),
        Stream::Candle(unit) => {
            // The forming candle comes again and again; one row is left of it.
            let windows = DAY_S.checked_div(unit.longest().as_secs()).unwrap_or(0);
            let rows = windows.min(BUSY_SECONDS);
            Some(Typical { frames: BUSY_SECONDS, rows, frame_bytes: 420, row_bytes: 60 })
        }
        Stream::Instrument | Stream::Unread => None,
    }
}
