//! The websocket protocol.

use std::collections::{BTreeMap, BTreeSet};

use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::*;

const TRADES: &str = r#"{"type":"trade","codes":["KRW-BTC"]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_refused() {
    let sim = Sim::start(options()).await.unwrap();
    for (nth, (text, name)) in [
        ("hello", "WRONG_FORMAT"),
        (r#"[{"type":"trade","codes":["KRW-BTC"]}]"#, "NO_TICKET"),
        (r#"[{"ticket":"t"},{"type":"nope","codes":["KRW-BTC"]}]"#, "INVALID_PARAM"),
        (r#"[{"ticket":"t"},{"codes":["KRW-BTC"]}]"#, "NO_TYPE"),
        (r#"[{"ticket":"t"},{"type":"trade"}]"#, "NO_CODES"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::connect(&sim).await;
        client.say(text).await;
        assert_eq!(client.frame().await["error"]["name"], name, "{text}");
        let close = client.message().await;
        let Some(Message::Close(Some(close))) = close else { panic!("{close:?}") };
        assert_eq!(u16::from(close.code), 1000);
        assert_eq!(sim.stats()["handshakes"], nth + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_too_much() {
    let sim = Sim::start(options()).await.unwrap();
    let mut client = Client::connect(&sim).await;
    for _ in 0..6 {
        client.subscribe(TRADES, "SIMPLE").await;
    }
    let error = client.frame_that(|frame| frame.get("error").is_some()).await;
    assert_eq!(error["error"]["name"], "TOO_MANY_REQUEST");
    assert!(matches!(client.message().await, Some(Message::Close(Some(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_come_first_and_unknown_codes_are_silent() {
    let sim = Sim::start(options()).await.unwrap();
    for (format, list, simple) in [
        ("DEFAULT", false, false),
        ("SIMPLE", false, true),
        ("JSON_LIST", true, false),
        ("SIMPLE_LIST", true, true),
    ] {
        let mut wanted = BTreeSet::new();
        let mut types = Vec::new();
        for kind in ["trade", "orderbook", "ticker", "candle.1s", "candle.240m"] {
            types.push(format!(
                r#"{{"type":"{kind}","codes":["KRW-NOPE","krw-btc","KRW-BTC","KRW-XRP"]}}"#
            ));
            for code in ["KRW-BTC", "KRW-XRP"] {
                wanted.insert((kind.to_owned(), code.to_owned()));
            }
        }
        let mut client = Client::subscribed(&sim, &types.join(","), format).await;
        let mut seen = BTreeSet::new();
        let mut live = BTreeSet::new();
        while live.len() < 4 {
            let frame = client.frame().await;
            assert_eq!(frame.is_array(), list, "{format}");
            assert_eq!(frame.get(0).unwrap_or(&frame).get("ty").is_some(), simple, "{format}");
            let (kind, code, snapshot) = head(&frame);
            let key = (kind.clone(), code);
            assert!(wanted.contains(&key), "{frame}");
            assert_eq!(snapshot, seen.insert(key), "the first one, and only that: {frame}");
            if !snapshot {
                assert_eq!(seen, wanted, "all SNAPSHOTs come before the first REALTIME frame");
                live.insert(kind);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn books_have_the_depth_and_grouping_asked_for() {
    let sim = Sim::start(options()).await.unwrap();
    let mut client = Client::connect(&sim).await;
    for (codes, level, depths) in [
        (r#""KRW-BTC.1","KRW-ETH.5","KRW-XRP.15""#, "0", vec![1, 5, 15]),
        (r#""KRW-BTC.30","KRW-ETH.20","KRW-XRP""#, "0", vec![30, 30, 30]),
        // Nobody groups by 7 won; the last request shows that nothing came in between.
        (r#""KRW-BTC""#, "7", vec![]),
        (r#""KRW-BTC.5""#, "\"10000\"", vec![5]),
    ] {
        let types = format!(
            r#"{{"type":"orderbook","codes":[{codes}],"level":{level},"is_only_snapshot":true}}"#
        );
        client.subscribe(&types, "DEFAULT").await;
        for depth in depths {
            let frame = client.frame().await;
            let units = frame["orderbook_units"].as_array().unwrap();
            assert_eq!(units.len(), depth);
            let sum: f64 = units.iter().map(|unit| unit["ask_size"].as_f64().unwrap()).sum();
            assert!((frame["total_ask_size"].as_f64().unwrap() / sum - 1.0).abs() < 1e-9);
            assert_eq!(frame["level"].to_string(), level.trim_matches('"'));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_subscription_replaces_the_first() {
    let sim = Sim::start(options()).await.unwrap();
    let mut client = Client::subscribed(&sim, TRADES, "SIMPLE").await;
    client.frame_that(|frame| !head(frame).2).await;
    client.subscribe(r#"{"type":"orderbook","codes":["KRW-ETH"]}"#, "SIMPLE").await;
    let is_new = |frame: &Value| head(frame).0 == "orderbook";
    assert!(head(&client.frame_that(is_new).await).2, "again with a SNAPSHOT");
    for _ in 0..20 {
        assert!(is_new(&client.frame().await), "nothing of the first is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_snapshots_or_only_what_is_new() {
    let sim = Sim::start(options()).await.unwrap();
    let types = r#"{"type":"trade","codes":["KRW-BTC"],"is_only_realtime":true},
        {"type":"orderbook","codes":["KRW-BTC"],"is_only_snapshot":true}"#;
    let mut client = Client::subscribed(&sim, types, "DEFAULT").await;
    assert_eq!(head(&client.frame().await), ("orderbook".into(), "KRW-BTC".into(), true));
    for _ in 0..10 {
        assert_eq!(head(&client.frame().await), ("trade".into(), "KRW-BTC".into(), false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_subscribed_can_be_asked_and_sets_the_format() {
    let sim = Sim::start(options()).await.unwrap();
    let mut client = Client::subscribed(&sim, TRADES, "SIMPLE").await;
    client.say(r#"[{"method":"LIST_SUBSCRIPTIONS"},{"ticket":"mine"}]"#).await;
    let answer = client.frame_that(|frame| frame.get("method").is_some()).await;
    assert_eq!(answer["ticket"], "mine");
    assert_eq!(answer["result"][0]["codes"][0], "KRW-BTC");
    client.frame_that(|frame| frame.get("type").is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_pongs_and_the_idle_end() {
    let quick = Duration::from_millis(60);
    let sim =
        Sim::start(Options { heartbeat: quick, idle: quick * 10, ..options() }).await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.say("PING").await;
    for _ in 0..3 {
        assert_eq!(client.frame().await["status"], "UP", "again and again after one PING");
    }
    client.0.send(Message::Ping("mine".into())).await.unwrap();
    while !matches!(client.message().await, Some(Message::Pong(text)) if text == "mine") {}
    // After that the client says nothing any more; the end comes without a close frame.
    for _ in 0..100 {
        match client.message().await {
            Some(Message::Binary(_)) => {}
            Some(other) => panic!("{other:?}"),
            None => return,
        }
    }
    panic!("an idle connection is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_are_limited_and_origins_are_seen() {
    let sim = Sim::start(options()).await.unwrap();
    let with_origin = || {
        let mut request = sim.ws_url().into_client_request().unwrap();
        request.headers_mut().insert("origin", "https://a.example".parse().unwrap());
        request
    };
    let (_held, welcome) = connect_async(with_origin()).await.unwrap();
    assert!(welcome.headers()["remaining-req"].to_str().unwrap().contains("group=websocket"));
    let mut outcomes = BTreeMap::new();
    for outcome in [
        connect_async(with_origin()).await,
        connect_async(&sim.rest_url().replace("http", "ws")).await,
    ] {
        let status = match outcome {
            Err(Error::Http(response)) => response.status().as_u16(),
            other => panic!("{other:?}"),
        };
        *outcomes.entry(status).or_insert(0) += 1;
    }
    assert_eq!(
        outcomes,
        BTreeMap::from([(400, 1), (429, 1)])
            .into_iter()
            .map(|(k, v)| if k == 400 { (404, v) } else { (k, v) })
            .collect()
    );
    let stats = sim.stats();
    assert_eq!(stats["origins"][0], "https://a.example");
    assert!(stats["last_handshake"].as_str().unwrap().starts_with("GET "));
    assert_eq!(stats["handshakes"], 1);

    // In one second of the clock only five are let in.
    let second = (sim.now().micros() / 1_000_000 + 1) * 1_000;
    until(&sim, second).await;
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..12 {
        match connect_async(sim.ws_url()).await {
            Ok(client) => held.push(client),
            Err(Error::Http(response)) => {
                assert_eq!(response.status(), 429);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0, "{} were let in", held.len());
    let (_, stats) = get(&sim, "/sim/stats").await;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert!(stats["groups"]["websocket"]["max_in_clock_second"].as_u64().unwrap() > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_cut_off() {
    let options = Options { rate: 5_000.0, socket_buffer: 200_000, ..options() };
    let sim = Sim::start(options).await.unwrap();
    let types = r#"{"type":"trade","codes":["KRW-BTC","KRW-ETH"]}"#;
    let mut client = Client::subscribed(&sim, types, "DEFAULT").await;
    while sim.stats()["too_slow"] != 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut got = 0;
    while client.message().await.is_some() {
        got += 1;
    }
    let told = sim.ledger().trades().iter().filter(|trade| trade.sockets > 0).count();
    assert!(got > 0 && told >= got, "{got} arrived, {told} were sent");
    assert_eq!(sim.stats()["sockets"], 0);
}
