//! Playing captures.

use super::*;

async fn start(path: &std::path::Path) -> Sim {
    Sim::start(Options { capture: Some(path.to_owned()), ..options() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_is_played_verbatim_and_from_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let frames = [
        r#"{"ty":"trade","cd":"KRW-A","tp":1.0,"st":"SNAPSHOT"}"#,
        r#"{"status":"UP"}"#,
        r#"{"type":"orderbook","code":"KRW-A",  "x":1}"#,
        r#"[{"ty":"trade","cd":"KRW-B","tp":7.9276E-4}]"#,
        r#"{"ty":"trade","cd":"KRW-A","tp":1.16539E8}"#,
    ];
    let lines: Vec<String> = (0..)
        .zip(frames)
        .map(|(nth, frame)| serde_json::json!({"ts_recv": nth, "frame": frame}).to_string())
        .collect();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let sim = start(file.path()).await;
    let codes: Vec<Value> = get_rows(&sim, "/v1/market/all").await;
    let codes: Vec<&str> = codes.iter().map(|row| row["market"].as_str().unwrap()).collect();
    assert_eq!(codes, ["KRW-A", "KRW-B"]);
    assert_eq!(get(&sim, "/v1/trades/ticks?market=KRW-A").await, (200, "[]".to_owned()));
    assert_eq!(get(&sim, "/v1/trades/ticks?market=KRW-C").await.0, 404);
    let mut client = Client::connect(&sim).await;
    for (types, wanted) in [
        (r#"{"type":"trade","codes":["KRW-A"]}"#, vec![frames[0], frames[4]]),
        (r#"{"type":"trade","codes":["KRW-A","KRW-B"]}"#, vec![frames[0], frames[3], frames[4]]),
        (r#"{"type":"orderbook","codes":["KRW-A.5"]}"#, vec![frames[2]]),
    ] {
        client.subscribe(types, "SIMPLE").await;
        for text in wanted {
            let Some(Message::Binary(bytes)) = client.message().await else { panic!("no frame") };
            assert_eq!(std::str::from_utf8(&bytes).unwrap(), text);
        }
    }
    for text in ["", "{}", "{\"ts_recv\":1,\"frame\":\"{}\"}"] {
        std::fs::write(file.path(), text).unwrap();
        let options = Options { capture: Some(file.path().to_owned()), ..options() };
        Sim::start(options).await.unwrap_err();
    }
}

/// Reads real frames from outside the package; passes without them.
#[tokio::test(flavor = "multi_thread")]
async fn the_capture_of_2021_is_played_whole() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/captures/upbit/ws-simple-2021-04-17.jsonl");
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return;
    }
    let sim = start(&path).await;
    let codes: Vec<String> = get_rows(&sim, "/v1/market/all")
        .await
        .iter()
        .map(|row| row["market"].to_string())
        .collect();
    let codes = codes.join(",");
    let types =
        format!(r#"{{"type":"trade","codes":[{codes}]}},{{"type":"orderbook","codes":[{codes}]}}"#);
    let mut client = Client::subscribed(&sim, &types, "SIMPLE").await;
    let (mut trades, mut books) = (0, 0);
    while trades + books < 449 {
        match head(&client.frame().await).0.as_str() {
            "trade" => trades += 1,
            "orderbook" => books += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((trades, books), (304, 145));
}
