//! Misbehaviour on demand.

use super::*;

const TYPES: &str = r#"{"type":"trade","codes":["KRW-BTC","KRW-ETH"]}"#;

async fn start(faults: &str) -> Sim {
    let faults = Some(Faults::parse(faults).unwrap());
    Sim::start(Options { faults, rate: 600.0, ..options() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_end_as_they_are_told_to() {
    for (what, ending) in [
        ("drop", "close 1001"),
        ("drop_without_close", "end"),
        ("reset", "end"),
        ("error", "close 1000"),
    ] {
        let sim = start(&format!("[[fault]]\nafter='400ms'\nwhat='{what}'\nonly=2")).await;
        let mut first = Client::subscribed(&sim, TYPES, "SIMPLE").await;
        let mut second = Client::subscribed(&sim, TYPES, "SIMPLE").await;
        let mut errors = 0;
        let end = loop {
            match second.message().await {
                Some(Message::Binary(bytes)) => {
                    errors += u32::from(bytes.starts_with(b"{\"error\""));
                }
                Some(Message::Close(Some(close))) => break format!("close {}", close.code),
                None => break "end".to_owned(),
                Some(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(end, ending, "{what}");
        assert_eq!(errors, u32::from(what == "error"));
        first.frame().await;
        assert_eq!(sim.stats()["handshakes"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_connection_still_answers_and_loses_what_happens() {
    let sim = start("[[fault]]\nafter='300ms'\nwhat='stall'\nfor='1s'").await;
    let mut client = Client::subscribed(&sim, TYPES, "SIMPLE").await;
    let start = sim.shared.options.start.micros() / 1_000;
    let (mut before, mut gap) = (0, 0);
    while gap < 800 {
        let frame = client.frame_that(|frame| !head(frame).2).await;
        let ts = frame["tms"].as_i64().unwrap();
        gap = if before == 0 { 0 } else { ts - before };
        before = ts;
        assert!(ts < start + 10_000, "no second without data");
    }
    let lost = sim.ledger().trades().into_iter().filter(|trade| {
        let codes = ["KRW-BTC", "KRW-ETH"];
        trade.sockets == 0 && codes.contains(&trade.market.as_str()) && trade.ts_ms > start + 400
    });
    assert!(lost.count() > 20, "trades of the stall were sent to nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_mean_nothing_and_frames_that_come_twice() {
    let sim = start(
        "[[fault]]\nafter='200ms'\nwhat='garbage'\ncount=24\n\
         [[fault]]\nafter='400ms'\nwhat='duplicates'\nfor='10s'",
    )
    .await;
    let mut client = Client::subscribed(&sim, TYPES, "SIMPLE").await;
    let (mut garbage, mut twice, mut before) = (0, 0, bytes::Bytes::new());
    while twice < 50 {
        let Some(Message::Binary(bytes)) = client.message().await else { panic!("the end") };
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        let good = value.is_some_and(|value| value["tp"].is_f64() && value["cd"].is_string());
        garbage += u32::from(!good);
        twice += u32::from(good && bytes == before);
        before = bytes;
    }
    assert_eq!(garbage, 24);
    // Told twice over one socket is told to one socket.
    assert!(sim.ledger().trades().iter().all(|trade| trade.sockets <= 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_frozen_connections() {
    let sim = start(
        "[[fault]]\nafter='300ms'\nwhat='slow'\nfor='600ms'\n\
         [[fault]]\nafter='1500ms'\nwhat='freeze'\nfor='500ms'",
    )
    .await;
    let mut client = Client::subscribed(&sim, TYPES, "SIMPLE").await;
    let start = sim.shared.options.start.micros() / 1_000;
    let (mut worst, mut before, mut gap) = (0, 0, 0);
    while gap < 400 {
        let frame = client.frame_that(|frame| !head(frame).2).await;
        let ts = frame["tms"].as_i64().unwrap();
        worst = worst.max(sim.now().micros() / 1_000 - ts);
        gap = if before > start + 1_200 { ts - before } else { 0 };
        before = ts;
        assert!(ts < start + 10_000, "no half a second without anything");
    }
    assert!(worst > 200, "frames came {worst} ms late at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn markets_come_go_and_are_not_served() {
    let sim = start(
        "[[fault]]\nafter='0s'\nwhat='unserved'\nfor='1h'\nmarkets=['KRW-ETH']\n\
         [[fault]]\nafter='700ms'\nwhat='list'\nmarkets=['KRW-NEW']\n\
         [[fault]]\nafter='1400ms'\nwhat='delist'\nmarkets=['KRW-XRP']",
    )
    .await;
    let start = sim.shared.options.start.micros() / 1_000;
    let codes = async || -> Vec<String> {
        let rows = get_rows(&sim, "/v1/market/all").await;
        rows.iter().map(|row| row["market"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes().await.len(), 10);
    let types = r#"{"type":"orderbook","codes":["KRW-ETH","KRW-NEW","KRW-BTC","KRW-XRP"]}"#;
    let mut client = Client::subscribed(&sim, types, "DEFAULT").await;
    let mut last_xrp = 0;
    loop {
        let frame = client.frame().await;
        let (_, code, _) = head(&frame);
        assert!(code == "KRW-BTC" || code == "KRW-XRP", "{code}");
        let ts = frame["timestamp"].as_i64().unwrap();
        if code == "KRW-XRP" {
            last_xrp = ts;
        } else if ts > start + 2_000 {
            break;
        }
    }
    assert!(last_xrp > start && last_xrp < start + 1_400);
    let codes = codes().await;
    assert!(codes.contains(&"KRW-NEW".to_owned()) && !codes.contains(&"KRW-XRP".to_owned()));
    assert_eq!(get(&sim, "/v1/ticker?markets=KRW-XRP").await.0, 404);
    client.subscribe(r#"{"type":"trade","codes":["KRW-NEW"]}"#, "DEFAULT").await;
    let trade = client.frame_that(|frame| frame["type"] == "trade").await;
    assert!(trade["trade_timestamp"].as_i64().unwrap() >= start + 700);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_handshakes_are_hit() {
    let path = "/v1/candles/minutes/1?market=KRW-BTC&count=200";
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (what, status, body) in [
        ("rest_429", 429, "Too many API requests."),
        ("rest_500", 500, "\"name\":500"),
        ("rest_html", 502, "<html>"),
        ("rest_418", 418, "Blocked for"),
        ("rest_truncated", 200, ""),
        ("rest_slow", 200, "KRW-BTC"),
    ] {
        let sim = start(&format!("[[fault]]\nafter='0s'\nwhat='{what}'")).await;
        let url = format!("{}{path}", sim.rest_url());
        // The fault happens in a task of its own: ask until it does.
        let (got, text) = loop {
            let response = client.get(&url).send().await.unwrap();
            let got = response.status().as_u16();
            let text = response.text().await.map_err(|error| error.to_string());
            if got != 200 || text.is_err() || what == "rest_slow" {
                break (got, text);
            }
        };
        assert_eq!(got, status, "{what}");
        match text {
            Ok(text) => assert!(text.contains(body) && what != "rest_truncated", "{what}: {text}"),
            Err(_) => assert_eq!(what, "rest_truncated"),
        }
        if !matches!(what, "rest_418" | "rest_slow") {
            assert_eq!(get(&sim, path).await.0, 200, "{what} hits once");
        }
    }
    let sim = start("[[fault]]\nafter='0s'\nwhat='rest_timeout'").await;
    let url = format!("{}{path}", sim.rest_url());
    let waits = async { while client.get(&url).send().await.is_ok() {} };
    let patience = Duration::from_millis(700);
    assert!(tokio::time::timeout(patience, waits).await.is_err(), "no answer comes");

    for (what, status) in [("handshake_429", 429), ("handshake_418", 418)] {
        let sim = start(&format!("[[fault]]\nafter='0s'\nwhat='{what}'\ncount=1")).await;
        let refused = loop {
            match connect_async(sim.ws_url()).await {
                Err(Error::Http(response)) => break response.status().as_u16(),
                other => drop(other),
            }
        };
        assert_eq!(refused, status);
    }
}
