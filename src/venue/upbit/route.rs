//! Which kind of message some bytes are, before they are read as one.
//!
//! A data message almost always begins with its type, which is found by looking at its first
//! bytes. Everything else is read in full by a slower way that does not care for the order of
//! keys. The fast way never answers what the slow way would not.

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::value::Read;
use crate::model::subscription::Stream;
use crate::venue::Control;

/// What some bytes of a websocket are.
#[derive(Debug)]
pub(super) enum Route {
    /// A data message, or an array that begins with one.
    Data(Stream),
    /// A control message, alone or alone in an array.
    Control(Control),
    /// An array of messages that each have to be looked at.
    List,
    /// Something else; in words.
    Unknown(String),
}

/// What `body` is.
pub(super) fn route(body: &[u8]) -> Route {
    leading_type(body).map_or_else(|| slow_route(body, true), Route::Data)
}

/// The type of a data message, where the message (or an array of messages) begins with it.
pub(super) fn leading_type(body: &[u8]) -> Option<Stream> {
    let body = body.trim_ascii_start();
    let body = body.strip_prefix(b"[").unwrap_or(body).trim_ascii_start();
    let body = body.strip_prefix(b"{")?.trim_ascii_start();
    let body = body.strip_prefix(b"\"type\"").or_else(|| body.strip_prefix(b"\"ty\""))?;
    let body = body.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let body = body.strip_prefix(b"\"")?;
    // The longest type has eleven bytes.
    let end = body.iter().take(16).position(|byte| *byte == b'"')?;
    Stream::text(std::str::from_utf8(body.get(..end)?).ok()?)
}

/// The elements of an array, each as it was written.
pub(super) fn elements(body: &[u8]) -> Option<Vec<&RawValue>> {
    serde_json::from_slice(body).ok()
}

/// The keys that tell messages apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    r#type: Option<Json>,
    ty: Option<Json>,
    status: Option<Json>,
    error: Option<Json>,
}

fn slow_route(body: &[u8], outermost: bool) -> Route {
    let body = body.trim_ascii();
    if body.starts_with(b"[") && outermost {
        return match elements(body) {
            Some(elements) => match elements.as_slice() {
                [one] => slow_route(one.get().as_bytes(), false),
                _ => Route::List,
            },
            None => Route::Unknown("an array that is not JSON".to_owned()),
        };
    }
    if !body.starts_with(b"{") {
        return Route::Unknown(format!("neither an object nor an array: {}", excerpt(body)));
    }
    match serde_json::from_slice(body) {
        Ok(envelope) => opened(&envelope, body),
        Err(error) => Route::Unknown(format!("not JSON: {error}: {}", excerpt(body))),
    }
}

fn opened(envelope: &Envelope, body: &[u8]) -> Route {
    let word = envelope.r#type.as_ref().or(envelope.ty.as_ref());
    if let Some(stream) = word.and_then(Json::as_str).and_then(Stream::text) {
        return Route::Data(stream);
    }
    if let Some(error) = &envelope.error {
        return Route::Control(refusal(error));
    }
    if envelope.status.as_ref().and_then(Json::as_str) == Some("UP") {
        return Route::Control(Control::Heartbeat);
    }
    Route::Unknown(match word {
        Some(word) => format!("a message of unknown type {}", excerpt(word.to_string().as_bytes())),
        None => format!("a message without a type: {}", excerpt(body)),
    })
}

/// The error that the venue tells. Its name is a word, or over REST a number.
fn refusal(error: &Json) -> Control {
    let text = |key: &str| match error.get(key) {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    if let Json::String(message) = error {
        return Control::Refusal { name: String::new(), message: message.clone() };
    }
    Control::Refusal { name: text("name"), message: text("message") }
}

/// The beginning of `body`, fit for a line of text.
pub(super) fn excerpt(body: &[u8]) -> String {
    const LENGTH: usize = 60;
    let head = body.get(..LENGTH).unwrap_or(body);
    let dots = if body.len() > LENGTH { "…" } else { "" };
    format!("{:?}{dots}", String::from_utf8_lossy(head))
}

#[cfg(test)]
mod tests {
    use crate::venue::Venue;
    use crate::venue::upbit::KOREA;

    use super::*;

    fn check(body: &str, expected: &str) {
        let found = match route(body.as_bytes()) {
            Route::Data(stream) => stream.to_string(),
            Route::Control(Control::Heartbeat) => "up".to_owned(),
            Route::Control(Control::Refusal { name, message }) => format!("no: {name}: {message}"),
            Route::List => "list".to_owned(),
            Route::Unknown(_) => "unknown".to_owned(),
        };
        assert_eq!(found, expected, "{body}");
        let control = match KOREA.control(body.as_bytes()) {
            Some(Control::Heartbeat) => found == "up",
            Some(Control::Refusal { .. }) => found.starts_with("no: "),
            None => found != "up" && !found.starts_with("no: "),
        };
        assert!(control, "{body}");
    }

    #[test]
    fn every_kind_of_message_in_any_order_of_keys() {
        for (body, expected) in [
            (r#"{"type":"trade","code":"KRW-BTC"}"#, "trade"),
            (r#" { "ty" : "candle.240m" } "#, "candle.240m"),
            (r#"[{"ty":"orderbook"},{"status":"UP"}]"#, "orderbook"),
            (r#"{"code":"KRW-BTC","type":"ticker"}"#, "ticker"),
            (r#"[{"cd":"KRW-BTC","ty":"candle.1s"}]"#, "candle.1s"),
            (r#"{"\u0074ype":"\u0074rade"}"#, "trade"),
            (r#"{"type":"trade","error":{"name":"X"}}"#, "trade"),
            (r#"{"error":{"name":"X"},"type":"trade"}"#, "trade"),
            (r#"{"status":"UP"}"#, "up"),
            (r#"[ {"status" : "UP"} ]"#, "up"),
            (r#"{"status":"DOWN"}"#, "unknown"),
            (r#"{"error":{"name":"NO_TYPE","message":"m"}}"#, "no: NO_TYPE: m"),
            (r#"{"error":{"message":"m","name":404}}"#, "no: 404: m"),
            (r#"[{"error":{"message":"m","name":"NO_CODES"}}]"#, "no: NO_CODES: m"),
            (r#"{"ticket":"t","error":{}}"#, "no: : "),
            (r#"{"error":"m"}"#, "no: : m"),
            (r#"{"error":null}"#, "unknown"),
            (r#"{"type":"error","error":{"name":"X","message":"m"}}"#, "no: X: m"),
            (r#"{"type":"candle.2m"}"#, "unknown"),
            (r#"{"type":7}"#, "unknown"),
            (r#"{"type":"trade"#, "unknown"),
            (r#"[[{"type":"trade"}]]"#, "unknown"),
            (r#"[{"status":"UP"},{"status":"UP"}]"#, "list"),
            ("[]", "list"),
            ("", "unknown"),
            ("UP", "unknown"),
            ("Too many API requests.", "unknown"),
        ] {
            check(body, expected);
        }
    }
}
