//! Real frames, read from `../shared/captures/upbit` beside the package; where that is absent,
//! each test says so and passes.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};

use super::{decode, folder, json as record_json};
use crate::model::record::Body;
use crate::model::subscription::{CandleUnit, Stream};
use crate::venue::upbit::KOREA;
use crate::venue::{Control, Venue};

/// The text of a capture; none, with a note, where the captures are absent.
pub(super) fn capture(name: &str) -> Option<String> {
    let path: PathBuf = folder("../shared/captures/upbit").join(name);
    let text = fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {} is absent", path.display());
    }
    text
}

/// One key of every line of a capture, with the line.
pub(super) fn lines(name: &str, key: &str) -> Vec<(Json, String)> {
    let text = capture(name).unwrap_or_default();
    text.lines()
        .map(|line| {
            let line: Json = serde_json::from_str(line).unwrap();
            let body = line[key].as_str().unwrap().to_owned();
            (line, body)
        })
        .collect()
}

/// The body called `name` of the capture of 2026-07-30.
fn live(name: &str) -> Option<String> {
    let all = lines("live-2026-07-30.jsonl", "body");
    let found = all.into_iter().find(|(line, _)| line["name"] == name);
    found.map(|(_, body)| body)
}

/// What a frame of the SIMPLE format says, read by `serde_json` and nothing of this venue's.
fn expected(text: &str) -> Json {
    let frame: Json = serde_json::from_str(text).unwrap();
    let number = |value: &Json| json!(value.as_f64().unwrap());
    let time = |value: &Json| {
        let at = chrono::DateTime::from_timestamp_millis(value.as_i64().unwrap()).unwrap();
        json!(at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    };
    let mut line = Map::new();
    let mut put = |key: &str, value: Json| line.insert(key.to_owned(), value);
    put("stream", frame["ty"].clone());
    put("market", frame["cd"].clone());
    put("snapshot", json!(frame["st"] == "SNAPSHOT"));
    if frame["ty"] == "trade" {
        put("ts_event", time(&frame["ttms"]));
        put("ts_sent", time(&frame["tms"]));
        put("id", frame["sid"].clone());
        put("side", json!(if frame["ab"] == "BID" { "buy" } else { "sell" }));
        put("change", json!(frame["c"].as_str().unwrap().to_lowercase()));
        for (column, key) in
            [("price", "tp"), ("size", "tv"), ("prev_close", "pcp"), ("change_price", "cp")]
        {
            put(column, number(&frame[key]));
        }
    } else {
        put("ts_event", time(&frame["tms"]));
        put("total_ask_size", number(&frame["tas"]));
        put("total_bid_size", number(&frame["tbs"]));
        let units = frame["obu"].as_array().unwrap();
        for (column, price, key) in [
            ("ask_price", "ap", "ap"),
            ("ask_size", "ap", "as"),
            ("bid_price", "bp", "bp"),
            ("bid_size", "bp", "bs"),
        ] {
            let levels = units.iter().filter(|unit| unit[price].as_f64() != Some(0.0));
            let list: Vec<Json> = levels.map(|unit| number(&unit[key])).collect();
            put(&format!("best_{column}"), list[0].clone());
            put(column, json!(list));
        }
    }
    Json::Object(line)
}

#[test]
fn every_captured_frame_equals_another_reading_of_it() {
    let frames = lines("ws-simple-2021-04-17.jsonl", "frame");
    let (mut trades, mut books) = (0, 0);
    for (_, body) in &frames {
        let (records, result) = decode(body.as_bytes(), None);
        assert_eq!(result, Ok(()), "{body}");
        let [record] = records.as_slice() else { panic!("{records:?}") };
        match &record.body {
            Body::Trade(_) => trades += 1,
            Body::Orderbook(_) => books += 1,
            Body::Ticker(_) | Body::Candle(_) | Body::Instrument(_) | Body::Unread(_) => {
                panic!("{record:?}");
            }
        }
        let (found, expected) = (record_json(record), expected(body));
        // Compared key by key: the order of columns is not that of this test.
        for (key, value) in found.as_object().unwrap() {
            assert_eq!(Some(value), expected.get(key), "{key} of {body}");
        }
        assert_eq!(found.as_object().unwrap().len(), expected.as_object().unwrap().len());
        let sniff = KOREA.sniff(body.as_bytes()).unwrap();
        assert_eq!((sniff.stream, &sniff.market), (record.stream, &record.market));
        assert_eq!(KOREA.control(body.as_bytes()), None);
    }
    if !frames.is_empty() {
        assert_eq!((trades, books), (304, 145));
    }
}

#[test]
fn two_trades_alike_in_all_but_the_id_stay_two() {
    let Some(body) = live("live_colliding_ticks") else { return };
    let (records, result) = decode(body.as_bytes(), Some(Stream::Trade));
    assert_eq!(result, Ok(()));
    let [first, second] = records.as_slice() else { panic!("{records:?}") };
    let ids = [first, second].map(|record| record_json(record)["id"].clone());
    assert_eq!(ids, [json!(17_853_950_411_240_001_i64), json!(17_853_950_411_240_000_i64)]);
    let alike = |record: &Json| {
        let mut fields = record.as_object().unwrap().clone();
        fields.remove("id");
        fields
    };
    assert_eq!(alike(&record_json(first)), alike(&record_json(second)));
}

#[test]
fn rest_and_websocket_tell_the_same_trade() {
    let rest = live("live_tick_of_one_trade");
    let Some((rest, ws)) = rest.zip(live("live_stream_frame_of_one_trade")) else { return };
    let (rest, rest_result) = decode(rest.as_bytes(), Some(Stream::Trade));
    let (ws, ws_result) = decode(ws.as_bytes(), None);
    assert_eq!((rest_result, ws_result), (Ok(()), Ok(())));
    let (rest, ws) = (record_json(&rest[0]), record_json(&ws[0]));
    for key in ["market", "id", "price", "size", "side", "ts_event", "prev_close"] {
        assert_eq!(rest[key], ws[key], "{key}");
    }
    // What REST does not say is null; its change has a sign.
    assert_eq!((&rest["ts_sent"], &rest["change"]), (&Json::Null, &Json::Null));
    assert_eq!((&rest["change_price"], &ws["change_price"]), (&json!(-63000.0), &json!(63000.0)));
}

#[test]
fn every_other_body_of_that_day_reads_without_an_error() {
    let candle = Stream::Candle(CandleUnit::M1);
    for (line, body) in lines("live-2026-07-30.jsonl", "body") {
        let (rest, rows) = match line["name"].as_str().unwrap() {
            "market_list" => (Some(Stream::Instrument), 4),
            "trades" | "live_colliding_ticks" => (Some(Stream::Trade), 2),
            "live_tick_of_one_trade" => (Some(Stream::Trade), 1),
            "ticker" => (Some(Stream::Ticker), 1),
            // Noted without their type, as a list.
            "live_stream_frames" => (Some(candle), 2),
            _ => (None, 1),
        };
        let (records, result) = decode(body.as_bytes(), rest);
        assert_eq!((records.len(), result), (rows, Ok(())), "{body}");
    }
}

#[test]
fn probed_frames_are_books_a_heartbeat_and_refusals() {
    let Some(text) = capture("ws-probe-2026-09-23.jsonl") else { return };
    let (mut books, mut heartbeats, mut refusals) = (0, 0, Vec::new());
    for line in text.lines() {
        match KOREA.control(line.as_bytes()) {
            Some(Control::Heartbeat) => heartbeats += 1,
            Some(Control::Refusal { name, .. }) => refusals.push(name),
            None => {
                let (records, result) = decode(line.as_bytes(), None);
                assert_eq!((records.len(), result), (1, Ok(())), "{line}");
                books += 1;
            }
        }
    }
    assert_eq!((books, heartbeats), (3, 1));
    assert_eq!(refusals, ["NO_TICKET", "INVALID_PARAM", "WRONG_FORMAT"]);
}

#[test]
fn pages_of_candles_and_of_markets() {
    let candle = Stream::Candle(CandleUnit::M1);
    let mut rows = 0;
    for name in ["rest-candles-1m-2020-02-20a.json", "rest-candles-1m-2020-02-20b.json"] {
        let Some(body) = capture(name) else { return };
        let (records, result) = decode(body.as_bytes(), Some(candle));
        assert_eq!(result, Ok(()));
        let raw: Vec<Json> = serde_json::from_str(&body).unwrap();
        assert_eq!(records.len(), raw.len());
        rows += raw.len();
        for (record, raw) in records.iter().zip(raw) {
            let found = record_json(record);
            let open = format!("{}Z", raw["candle_date_time_utc"].as_str().unwrap());
            assert_eq!(found["ts_open"], json!(open));
            for (column, key) in [
                ("open", "opening_price"),
                ("high", "high_price"),
                ("low", "low_price"),
                ("close", "trade_price"),
                ("volume", "candle_acc_trade_volume"),
                ("turnover", "candle_acc_trade_price"),
            ] {
                assert_eq!(found[column].as_f64(), raw[key].as_f64(), "{key}");
            }
        }
    }
    assert_eq!(rows, 240);
    let Some(body) = capture("rest-market-all-2021-04-17.json") else { return };
    let (records, result) = decode(body.as_bytes(), Some(Stream::Instrument));
    assert_eq!((records.len(), result), (294, Ok(())));
    for record in &records {
        let code = record.market.as_str();
        let asked = KOREA.subscription(Stream::Trade, &code.to_lowercase()).unwrap();
        assert_eq!(asked.market, record.market);
    }
}

#[test]
fn rest_errors_are_told_in_the_venues_words() {
    for line in capture("rest_errors_2026-09-23.tsv").unwrap_or_default().lines() {
        let body = line.split('\t').nth(2).unwrap();
        let (records, result) = decode(body.as_bytes(), Some(Stream::Orderbook));
        let error: Json = serde_json::from_str(body).unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(records.is_empty());
        assert!(result.unwrap_err().reason.ends_with(message), "{line}");
    }
}
