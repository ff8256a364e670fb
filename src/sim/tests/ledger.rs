//! What clients got against the ledger.

use std::collections::BTreeMap;

use super::*;

const ALL: &str = r#""KRW-BTC","KRW-ETH","KRW-XRP","KRW-SOL","KRW-DOGE","KRW-ADA","KRW-TRX","KRW-LINK","KRW-AVAX","KRW-SUI""#;

/// Reads until the connection ends.
async fn all(client: &mut Client) -> Vec<Value> {
    let mut frames = Vec::new();
    while let Some(frame) = client.try_frame().await {
        frames.push(frame);
    }
    frames
}

fn number(frame: &Value, long: &str, short: &str) -> f64 {
    field(frame, long, short).as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_sockets_got_is_what_the_ledger_says() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut options = options();
    options.rate = 1_000.0;
    options.ledger_file = Some(file.path().to_owned());
    options.faults = Some(Faults::parse("[[fault]]\nafter='2500ms'\nwhat='drop'").unwrap());
    let sim = Sim::start(options).await.unwrap();
    let types = format!(
        r#"{{"type":"trade","codes":[{ALL}]}},{{"type":"candle.1s","codes":[{ALL}]}},
           {{"type":"candle.1m","codes":[{ALL}]}}"#
    );
    let mut simple = Client::subscribed(&sim, &types, "SIMPLE").await;
    let mut long = Client::subscribed(&sim, &types, "DEFAULT").await;
    let (simple, long) = tokio::join!(all(&mut simple), all(&mut long));
    until(&sim, sim.shared.options.start.micros() / 1_000 + 3_000).await;
    let ledger = sim.ledger().clone();
    let trades: BTreeMap<_, _> = ledger
        .trades()
        .into_iter()
        .map(|trade| ((trade.market.clone(), trade.id), trade))
        .collect();
    let mut got: BTreeMap<(String, i64), u32> = BTreeMap::new();
    for frame in simple.iter().chain(&long).filter(|frame| head(frame).0 == "trade") {
        let key = (head(frame).1, field(frame, "sequential_id", "sid").as_i64().unwrap());
        let trade = &trades[&key];
        // The double that is read from any spelling is the ledger's.
        assert_eq!(number(frame, "trade_price", "tp").to_bits(), trade.price.to_f64().to_bits());
        assert_eq!(number(frame, "trade_volume", "tv").to_bits(), trade.size.to_f64().to_bits());
        assert_eq!(field(frame, "trade_timestamp", "ttms"), trade.ts_ms);
        let bought = field(frame, "ask_bid", "ab") == "BID";
        assert_eq!(bought, trade.side == crate::model::market::Side::Buy);
        *got.entry(key).or_default() += 1;
    }
    assert!(got.len() > 500, "{} trades", got.len());
    let told = trades.iter().filter(|(_, trade)| trade.sockets > 0);
    assert_eq!(got, told.map(|(key, trade)| (key.clone(), trade.sockets)).collect());
    assert!(trades.values().any(|trade| trade.sockets == 0), "some after all were gone");

    candles_agree(&ledger, &simple, "candle.1s", CandleUnit::S1);
    candles_agree(&ledger, &long, "candle.1m", CandleUnit::M1);

    sim.stop().await.unwrap();
    let mut lines = BTreeMap::new();
    for line in std::fs::read_to_string(file.path()).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = (line["market"].as_str().unwrap().to_owned(), line["id"].as_i64().unwrap());
        lines.insert(key, line["sockets"].as_u64().unwrap());
    }
    for (key, trade) in &trades {
        assert_eq!(lines[key], u64::from(trade.sockets), "{key:?}");
    }
}

/// The last push of every unit equals the ledger's candle, where the unit was over by then.
fn candles_agree(ledger: &Ledger, frames: &[Value], kind: &str, unit: CandleUnit) {
    let mut pushed: BTreeMap<(String, String), &Value> = BTreeMap::new();
    let mut last_push = 0;
    for frame in frames.iter().filter(|frame| head(frame).0 == kind) {
        let open = field(frame, "candle_date_time_utc", "cdttmu").as_str().unwrap().to_owned();
        last_push = last_push.max(field(frame, "timestamp", "tms").as_i64().unwrap());
        if !head(frame).2 {
            pushed.insert((head(frame).1, open), frame);
        }
    }
    let second = last_push - last_push.rem_euclid(1_000) + 1_000;
    let mut compared = 0;
    for market in ["KRW-BTC", "KRW-XRP"] {
        let from = if unit == CandleUnit::S1 { second - 1_000 } else { second - 120_000 };
        for candle in ledger.history_candles(market, unit, from, second) {
            let open = candle::datetime(candle.ts_open_ms).format("%Y-%m-%dT%H:%M:%S");
            let key = (market.to_owned(), open.to_string());
            let Some(frame) = pushed.get(&key) else { continue };
            for (long, short, wanted) in [
                ("opening_price", "op", candle.open),
                ("high_price", "hp", candle.high),
                ("low_price", "lp", candle.low),
                ("trade_price", "tp", candle.close),
                ("candle_acc_trade_volume", "catv", candle.volume),
                ("candle_acc_trade_price", "catp", candle.turnover),
            ] {
                let read = number(frame, long, short);
                assert_eq!(read.to_bits(), wanted.to_f64().to_bits(), "{key:?} {long}");
            }
            assert_eq!(field(frame, "timestamp", "tms"), candle.ts_last_ms);
            compared += 1;
        }
    }
    assert!(compared > 0, "{kind}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_is_about_what_was_asked_for() {
    let mut options = options();
    (options.markets, options.rate) = (50, 2_000.0);
    let sim = Sim::start(options).await.unwrap();
    let codes: Vec<String> = get_rows(&sim, "/v1/market/all")
        .await
        .iter()
        .map(|row| row["market"].to_string())
        .collect();
    let codes = codes.join(",");
    let types: Vec<String> = ["trade", "orderbook", "ticker", "candle.1s"]
        .iter()
        .map(|kind| format!(r#"{{"type":"{kind}","codes":[{codes}]}}"#))
        .collect();
    let mut client = Client::subscribed(&sim, &types.join(","), "SIMPLE").await;
    // Counted in the venue's time, so that a slow machine changes nothing.
    let (mut frames, mut from, mut to) = (0_u32, 0, 0);
    while to < from + 3_000 {
        let frame = client.frame().await;
        if !head(&frame).2 && head(&frame).0 != "candle.1s" {
            to = field(&frame, "timestamp", "tms").as_i64().unwrap();
            from = if from == 0 { to } else { from };
        }
        frames += u32::from(!head(&frame).2);
    }
    assert!((4_500..7_500).contains(&frames), "{frames} frames in three seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_is_the_same_market() {
    let trades = async |seed: u64| {
        let sim = Sim::start(Options { seed, ..options() }).await.unwrap();
        let start = sim.shared.options.start.micros() / 1_000;
        sim.ledger().history("KRW-BTC", start - 3_600_000, start + 60_000)
    };
    assert_eq!(trades(5).await, trades(5).await);
    assert_ne!(trades(5).await, trades(6).await);
}
