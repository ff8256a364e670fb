//! Frames that are not market data: the answer to `LIST_SUBSCRIPTIONS`, and what no client should
//! have to read.

use bytes::Bytes;
use serde_json::{Value, json};

use super::dice::Dice;
use super::request::{Kind, Plan};

/// The answer to `LIST_SUBSCRIPTIONS`.
pub(super) fn subscriptions(plan: &Plan, ticket: &str) -> String {
    let simple = plan.format.simple;
    let name = |long: &str, short: &str| if simple { short } else { long }.to_owned();
    let results: Vec<Value> = plan
        .wants
        .iter()
        .map(|want| {
            let codes: Vec<&str> = want.codes.iter().map(|(code, _)| code.as_str()).collect();
            let mut result = serde_json::Map::new();
            result.insert(name("type", "ty"), json!(want.kind.name()));
            result.insert(name("codes", "cds"), json!(codes));
            if want.kind == Kind::Book {
                result.insert(name("level", "lv"), json!(want.level));
            }
            Value::Object(result)
        })
        .collect();
    let mut answer = serde_json::Map::new();
    answer.insert(name("method", "mthd"), json!("LIST_SUBSCRIPTIONS"));
    answer.insert(name("result", "rslt"), json!(results));
    answer.insert(name("ticket", "tckt"), json!(ticket));
    let answer = Value::Object(answer);
    if plan.format.list { json!([answer]) } else { answer }.to_string()
}

/// The `nth` frame of garbage: random bytes, cut JSON, wrong types, and the like in turn.
pub(super) fn garbage(nth: u32, dice: &mut Dice) -> Bytes {
    const TEXTS: [&str; 11] = [
        r#"{"ty":"trade","cd":"KRW-BTC","tms":1618678262712,"td":"2021-04-17","ttm":"16:5"#,
        r#"{"ty":"trade","cd":5,"tp":"dear","tv":null,"sid":1.5,"st":"REALTIME"}"#,
        r#"{"ty":"orderbook","cd":"KRW-BTC","tms":1618678262712,"obu":{"ap":1},"st":"REALTIME"}"#,
        r#"{"ty":"trade","cd":"KRW-BTC","ttms":1e999,"tp":1e999,"tv":-1,"sid":-9223372036854775809}"#,
        r#"{"ty":"rumour","cd":"KRW-BTC","st":"REALTIME"}"#,
        r#"{"type":"candle.1s","code":"KRW-BTC","candle_date_time_utc":"yesterday"}"#,
        "[]",
        "null",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "{\"ty\":\"trade\",\"cd\":\"KRW-\u{0}BTC\\ud800\"}",
        "",
    ];
    let random = usize::try_from(nth).unwrap_or(0) % (TEXTS.len() + 1);
    if let Some(text) = random.checked_sub(1).and_then(|place| TEXTS.get(place)) {
        return Bytes::from_static(text.as_bytes());
    }
    let length = 1 + dice.below(512);
    (0..length).map(|_| dice.draw().to_le_bytes().first().copied().unwrap_or(0)).collect()
}
