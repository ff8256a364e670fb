//! `views`: the data folder as DuckDB views.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::config::Config;
use super::{Failure, Outcome, output};

/// A view, the folders it reads, and what it selects.
const VIEWS: &[(&str, &str, &str)] = &[
    ("trades", "trade", "*"),
    ("books", "orderbook", "*"),
    (
        "best_quotes",
        "orderbook",
        "venue, market, ts_event, ts_recv, frame, best_bid_price, best_bid_size, best_ask_price, \
         best_ask_size, best_ask_price - best_bid_price AS spread, \
         (best_ask_price + best_bid_price) / 2 AS mid, date",
    ),
    ("tickers", "ticker", "*"),
    ("candles", "candle.*", "replace(stream, 'candle.', '') AS unit, * EXCLUDE (stream)"),
    ("instruments", "instrument", "*"),
    ("unread", "unread", "*"),
];

/// Bars of any width, made from trades: `FROM bars('5m')`.
const BARS: &str = "\
CREATE OR REPLACE MACRO bars(width) AS TABLE
  SELECT venue, market, time_bucket(CAST(width AS INTERVAL), ts_event) AS ts_open,
    first(price ORDER BY ts_event, frame) AS open, max(price) AS high, min(price) AS low,
    last(price ORDER BY ts_event, frame) AS close, sum(size) AS volume,
    sum(price * size) AS turnover, count(*) AS trades
  FROM trades GROUP BY venue, market, time_bucket(CAST(width AS INTERVAL), ts_event);
";

pub(super) fn run(config: &Config) -> Result<Outcome, Failure> {
    let data = fs::canonicalize(&config.data).with_context(|| {
        format!("there is no data folder {}; --data names one", config.data.display())
    })?;
    let held = streams(&data)?;
    if held.is_empty() {
        output::talk(&format!("{} holds no files yet", data.display()));
    }
    output::data(statements(&data, &held).trim_end())?;
    Ok(Outcome::Done)
}

/// The names of the streams that have a folder.
fn streams(data: &Path) -> Result<Vec<String>, anyhow::Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(data).with_context(|| format!("cannot read {}", data.display()))? {
        let name = entry?.file_name();
        names
            .extend(name.to_str().and_then(|name| name.strip_prefix("stream=")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn statements(data: &Path, held: &[String]) -> String {
    let folder = data.display().to_string().replace('\'', "''");
    let is_held = |stream: &str| {
        held.iter().any(|name| match stream.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == stream,
        })
    };
    let views = VIEWS.iter().filter(|(_, stream, _)| is_held(stream));
    let statements = views.map(|(view, stream, columns)| {
        format!(
            "CREATE OR REPLACE VIEW {view} AS SELECT {columns}\n  \
             FROM read_parquet('{folder}/stream={stream}/venue=*/date=*/*.parquet',\n    \
             hive_partitioning = true, union_by_name = true,\n    \
             hive_types = {{'stream': VARCHAR, 'venue': VARCHAR, 'date': DATE}});\n"
        )
    });
    let bars = if is_held("trade") { BARS } else { "" };
    "-- Paste into DuckDB. Times are UTC: SET TimeZone = 'UTC';\n".to_owned()
        + &statements.collect::<String>()
        + bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_held_has_a_view() {
        let held = ["trade", "candle.1s"].map(str::to_owned);
        let text = statements(Path::new("/it's"), &held);
        assert_eq!(text.matches("CREATE OR REPLACE VIEW").count(), 2);
        assert!(text.contains("VIEW trades AS SELECT *"));
        assert!(text.contains("VIEW candles AS"));
        assert!(text.contains("MACRO bars(width)"));
        assert!(!statements(Path::new("/d"), &["candle.1s".to_owned()]).contains("bars"));
        assert!(text.contains("'/it''s/stream=trade/venue=*/date=*/*.parquet'"));
    }
}
