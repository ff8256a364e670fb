//! The REST server.

use super::*;

const CANDLES: &str = "/v1/candles/minutes/1?market=KRW-BTC";

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_refusals() {
    let sim = Sim::start(Options { markets: 120, ..options() }).await.unwrap();
    let missing = "Missing request parameter error. Check the required parameters!";
    let mismatch = "Type mismatch error. Check the parameters type!";
    let invalid = "Invalid parameter. Check the given value!";
    let unknown = "Code not found";
    // Path, status, and what the body holds; for 200 the number of rows.
    for (path, status, body) in [
        ("/v1/nope", 404, "no Route matched with those values"),
        ("/v1/market/all", 200, "120"),
        ("/v1/market/all?is_details=true", 200, "120"),
        (CANDLES, 200, "1"),
        ("/v1/candles/minutes/1?market=krw-btc&count=500", 200, "200"),
        ("/v1/candles/minutes/2?market=KRW-BTC", 404, "no Route"),
        ("/v1/candles/minutes/1", 400, missing),
        ("/v1/candles/minutes/1?market=KRW-NOPE", 404, unknown),
        ("/v1/candles/minutes/1?market=KRW-BTC&count=abc", 400, mismatch),
        ("/v1/candles/days?market=KRW-BTC&to=2026-11-21T09:00:00+09:00", 400, invalid),
        ("/v1/candles/days?market=KRW-BTC&to=2026-11-21T09:00:00%2B09:00&count=9", 200, "9"),
        ("/v1/candles/days?market=KRW-BTC&to=1999-01-01T00:00:00Z&count=9", 200, "0"),
        ("/v1/candles/weeks?market=KRW-BTC&count=3", 200, "3"),
        ("/v1/candles/years?market=KRW-BTC&count=30", 200, "2"),
        ("/v1/trades/ticks?market=KRW-BTC&count=900", 200, "500"),
        ("/v1/trades/ticks?market=KRW-BTC&days_ago=8", 400, invalid),
        ("/v1/trades/ticks?market=KRW-BTC&to=99:99:99", 400, invalid),
        ("/v1/ticker?markets=KRW-BTC,KRW-ETH", 200, "2"),
        ("/v1/ticker?markets=KRW-BTC,KRW-NOPE", 404, unknown),
        ("/v1/ticker/all?quote_currencies=USDT", 200, "34"),
        ("/v1/orderbook?markets=KRW-BTC,krw-eth", 200, "2"),
        ("/v1/orderbook?markets=KRW-BTC,KRW-NOPE", 404, unknown),
        ("/v1/orderbook", 400, missing),
        ("/v1/orderbook?markets=KRW-BTC&count=abc", 400, mismatch),
        ("/v1/orderbook?markets=BTC-ETH&level=10000", 200, "0"),
        ("/v1/orderbook/instruments?markets=KRW-BTC", 200, "1"),
    ] {
        let (got, text) = patient_get(&sim, path).await;
        assert_eq!(got, status, "{path}: {text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        if let Some(rows) = value.as_array() {
            assert_eq!(rows.len().to_string(), body, "{path}");
        } else {
            assert!(text.contains(body), "{path}: {text}");
            let name = if body.starts_with("no Route") {
                "\"not_found\"".into()
            } else {
                status.to_string()
            };
            assert_eq!(value["error"]["name"].to_string(), name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_a_second_and_then_plain_text() {
    let sim = Sim::start(options()).await.unwrap();
    let second = (sim.now().micros() / 1_000_000 + 1) * 1_000;
    until(&sim, second).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{CANDLES}", sim.rest_url());
    let asks = (0..60).map(|_| client.get(&url).send());
    let mut answers = Vec::new();
    for answer in futures::future::join_all(asks).await {
        let answer = answer.unwrap();
        let left =
            answer.headers().get("remaining-req").map(|left| left.to_str().unwrap().to_owned());
        answers.push((answer.status().as_u16(), left, answer.text().await.unwrap()));
    }
    let of = |status| answers.iter().filter(move |answer| answer.0 == status).collect::<Vec<_>>();
    assert!(of(200).len() >= 10 && of(200).len() < 60);
    assert!(of(200).iter().any(|one| one.1.as_deref() == Some("group=candles; min=600; sec=0")));
    assert!(of(429).iter().all(|one| one.2 == "Too many API requests."));
    assert!(of(418).iter().all(|one| one.2.contains("Blocked for 10 seconds")));
    assert_eq!(of(429).len().min(30), if of(418).is_empty() { of(429).len() } else { 30 });
    let most = &sim.stats()["groups"]["candles"]["max_in_any_second"];
    assert!(most.as_u64().unwrap() > 10);
}

/// Follows pages as a client does, and waits where the venue says so.
async fn pages(sim: &Sim, path: impl Fn(Option<&Value>) -> String) -> Vec<Value> {
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let (_, body) = patient_get(sim, &path(rows.last())).await;
        let page: Vec<Value> = serde_json::from_str(&body).unwrap();
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_over_rest_is_the_ledgers() {
    let sim = Sim::start(Options { history_days: 1, ..options() }).await.unwrap();
    let start = sim.shared.options.start.micros() / 1_000;
    let top = start + 1_500;
    until(&sim, top + 1).await;
    let to = candle::datetime(start - 250 + 1_000).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let rows = pages(&sim, |last| {
        let to = last.map_or_else(
            || to.clone(),
            |row| format!("{}Z", row["candle_date_time_utc"].as_str().unwrap()),
        );
        format!("/v1/candles/seconds?market=KRW-ETH&count=200&to={to}")
    })
    .await;
    let wanted = sim.ledger().history_candles("KRW-ETH", CandleUnit::S1, 0, start + 750);
    assert!(wanted.len() > 800, "{}", wanted.len());
    assert_eq!(rows.len(), wanted.len());
    for (row, candle) in rows.iter().rev().zip(&wanted) {
        assert_eq!(row["trade_price"].as_f64(), Some(candle.close.to_f64()));
        assert_eq!(row["candle_acc_trade_price"].as_f64(), Some(candle.turnover.to_f64()));
        assert_eq!(row["timestamp"], candle.ts_last_ms);
    }
    let day = start - start.rem_euclid(86_400_000);
    for (days_ago, from, to) in [(1, day - 86_400_000, day), (0, day, top)] {
        let cursor = to.min(top) * 10_000;
        let rows = pages(&sim, |last| {
            let cursor = last.map_or(cursor, |row| row["sequential_id"].as_i64().unwrap());
            format!("/v1/trades/ticks?market=KRW-BTC&count=500&days_ago={days_ago}&cursor={cursor}")
        })
        .await;
        let wanted = sim.ledger().history("KRW-BTC", from, to);
        let ids: Vec<i64> =
            rows.iter().rev().map(|row| row["sequential_id"].as_i64().unwrap()).collect();
        assert_eq!(ids, wanted.iter().map(|trade| trade.id).collect::<Vec<_>>());
        assert!(ids.len() > 500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_and_websocket_say_the_same() {
    let sim = Sim::start(options()).await.unwrap();
    let types =
        r#"{"type":"orderbook","codes":["KRW-AVAX"]},{"type":"ticker","codes":["KRW-AVAX"]}"#;
    let mut client = Client::subscribed(&sim, types, "DEFAULT").await;
    let rest = &get_rows(&sim, "/v1/orderbook?markets=KRW-AVAX").await[0];
    let rest_ticker = &get_rows(&sim, "/v1/ticker?markets=KRW-AVAX").await[0];
    let mut missing = 2;
    while missing > 0 {
        let frame = client.frame().await;
        if frame["type"] == "orderbook" && frame["timestamp"] == rest["timestamp"] {
            let pair = |book: &Value, side: &str| -> Vec<(Option<f64>, Option<f64>)> {
                let units = book["orderbook_units"].as_array().unwrap();
                let of = |unit: &Value, what: &str| unit[format!("{side}_{what}")].as_f64();
                units.iter().map(|unit| (of(unit, "price"), of(unit, "size"))).collect()
            };
            assert_eq!(pair(&frame, "ask"), pair(rest, "ask"));
            assert_eq!(pair(&frame, "bid"), pair(rest, "bid"));
            missing -= 1;
        }
        if frame["type"] == "ticker" && frame["trade_timestamp"] == rest_ticker["trade_timestamp"] {
            for name in ["opening_price", "high_price", "acc_trade_price", "signed_change_rate"] {
                assert_eq!(frame[name].as_f64(), rest_ticker[name].as_f64(), "{name}");
            }
            missing -= 1;
        }
    }
}
