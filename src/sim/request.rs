//! What a client asks for over the websocket, read as the venue reads it.

use serde_json::Value;

use super::book::DEPTH;
use super::candle::LIVE_UNITS;
use crate::model::subscription::Stream;

/// A request that is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Replaces everything that the connection carried.
    Subscribe(Plan),
    /// Asks what the connection carries.
    List {
        /// The text that names the request.
        ticket: String,
        /// The format, which from now on is that of the connection.
        format: Format,
    },
}

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Format {
    /// Short field names.
    pub(super) simple: bool,
    /// Each frame in an array.
    pub(super) list: bool,
}

/// A whole subscription.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    pub(super) format: Format,
    pub(super) wants: Vec<Want>,
}

/// One type object of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Want {
    pub(super) kind: Kind,
    /// Code and, for order books, how many levels.
    pub(super) codes: Vec<(String, usize)>,
    /// The grouping of an order book as it was written.
    pub(super) level: f64,
    pub(super) snapshot: bool,
    pub(super) realtime: bool,
}

impl Eq for Want {}

/// What kind of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Trade,
    Book,
    Ticker,
    /// The place of the unit in [`LIVE_UNITS`].
    Candle(usize),
}

impl Kind {
    /// The venue's word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Book => "orderbook",
            Self::Ticker => "ticker",
            Self::Candle(place) => {
                LIVE_UNITS.get(place).map_or("", |unit| Stream::Candle(*unit).name())
            }
        }
    }

    /// The kind that the venue calls so.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        let candles = (0..LIVE_UNITS.len()).map(Self::Candle);
        [Self::Trade, Self::Book, Self::Ticker]
            .into_iter()
            .chain(candles)
            .find(|kind| kind.name() == name)
    }
}

/// Why the venue says no: its word, and its explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) name: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(name: &'static str, message: &str) -> Self {
        Self { name, message: message.to_owned() }
    }

    /// The frame that says it. The order of the fields is that of the wire: it varies there.
    pub(super) fn frame(&self) -> String {
        if self.name == "NO_TICKET" {
            format!("{{\"error\":{{\"name\":\"{}\",\"message\":\"{}\"}}}}", self.name, self.message)
        } else {
            format!("{{\"error\":{{\"message\":\"{}\",\"name\":\"{}\"}}}}", self.message, self.name)
        }
    }
}

/// Reads a request.
pub(super) fn read(text: &str) -> Result<Ask, Refusal> {
    let wrong = || Refusal::new("WRONG_FORMAT", "Format 이 맞지 않습니다.");
    let Ok(Value::Array(parts)) = serde_json::from_str(text) else { return Err(wrong()) };
    let field = |name: &str| parts.iter().find_map(|part| part.get(name));
    let ticket = field("ticket").and_then(Value::as_str).filter(|ticket| !ticket.is_empty());
    let Some(ticket) = ticket else {
        return Err(Refusal::new("NO_TICKET", "티켓이 존재하지 않거나, 유효하지 않습니다."));
    };
    let format = match field("format").map(Value::as_str) {
        None | Some(Some("DEFAULT")) => Format::default(),
        Some(Some("SIMPLE")) => Format { simple: true, list: false },
        Some(Some("SIMPLE_LIST")) => Format { simple: true, list: true },
        Some(Some("JSON_LIST")) => Format { simple: false, list: true },
        Some(_) => return Err(wrong()),
    };
    if let Some(method) = field("method") {
        if method.as_str() != Some("LIST_SUBSCRIPTIONS") {
            return Err(Refusal::new("INVALID_PARAM", "지원하지 않는 method 입니다."));
        }
        return Ok(Ask::List { ticket: ticket.to_owned(), format });
    }
    let is_type = |part: &&Value| part.get("ticket").is_none() && part.get("format").is_none();
    let wants: Vec<Want> = parts.iter().filter(is_type).map(want).collect::<Result<_, _>>()?;
    if wants.is_empty() {
        return Err(no_type());
    }
    Ok(Ask::Subscribe(Plan { format, wants }))
}

fn no_type() -> Refusal {
    Refusal::new("NO_TYPE", "type 필드가 존재하지 않습니다.")
}

fn want(part: &Value) -> Result<Want, Refusal> {
    let name = part.get("type").and_then(Value::as_str).ok_or_else(no_type)?;
    if matches!(name, "myOrder" | "myAsset") {
        return Err(Refusal::new("INVALID_AUTH", "인증 정보가 올바르지 않습니다."));
    }
    let kind = Kind::by_name(name).ok_or_else(|| {
        // What the client wrote goes back into JSON: only what needs no escape.
        let shown: String =
            name.chars().filter(|c| c.is_alphanumeric() || "._-".contains(*c)).collect();
        Refusal::new("INVALID_PARAM", &format!("{shown} 은 지원하지 않는 타입입니다."))
    })?;
    let codes = part
        .get("codes")
        .ok_or_else(|| Refusal::new("NO_CODES", "codes 필드가 존재하지 않습니다."))?;
    let codes: Vec<(String, usize)> = codes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|code| split(kind, code))
        .collect();
    if codes.is_empty() {
        return Err(Refusal::new("INVALID_PARAM", "codes 필드가 비어 있습니다."));
    }
    let flag = |name: &str| part.get(name).and_then(Value::as_bool).unwrap_or(false);
    Ok(Want {
        kind,
        codes,
        level: part.get("level").map_or(0.0, number),
        snapshot: !flag("is_only_realtime"),
        realtime: !flag("is_only_snapshot"),
    })
}

/// A code and the levels asked for; a count that the venue does not have means all of them.
fn split(kind: Kind, code: &str) -> (String, usize) {
    match code.split_once('.') {
        Some((code, count)) if kind == Kind::Book => {
            let depth = match count {
                "1" => 1,
                "5" => 5,
                "15" => 15,
                _ => DEPTH,
            };
            (code.to_owned(), depth)
        }
        Some(_) | None => (code.to_owned(), DEPTH),
    }
}

/// A number, which may be written as a text.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_the_venue_reads_them() {
        for (text, outcome) in [
            ("hello", "WRONG_FORMAT"),
            (r#"{"ticket":"t"}"#, "WRONG_FORMAT"),
            (r#"[{"type":"trade","codes":["KRW-BTC"]}]"#, "NO_TICKET"),
            (r#"[{"ticket":""},{"type":"trade","codes":["KRW-BTC"]}]"#, "NO_TICKET"),
            (r#"[{"ticket":"t"}]"#, "NO_TYPE"),
            (r#"[{"ticket":"t"},{"codes":["KRW-BTC"]}]"#, "NO_TYPE"),
            (r#"[{"ticket":"t"},{"type":"trade"}]"#, "NO_CODES"),
            (r#"[{"ticket":"t"},{"type":"trade","codes":[]}]"#, "INVALID_PARAM"),
            (r#"[{"ticket":"t"},{"type":"nope","codes":["KRW-BTC"]}]"#, "INVALID_PARAM"),
            (r#"[{"ticket":"t"},{"type":"candle.2m","codes":["KRW-BTC"]}]"#, "INVALID_PARAM"),
            (r#"[{"ticket":"t"},{"type":"myOrder"}]"#, "INVALID_AUTH"),
            (r#"[{"ticket":"t"},{"type":"trade","codes":["A"]},{"format":"XML"}]"#, "WRONG_FORMAT"),
            (r#"[{"ticket":"t"},{"type":"candle.240m","codes":["A"]}]"#, "ok"),
            (r#"[{"ticket":"t"},{"method":"LIST_SUBSCRIPTIONS"}]"#, "ok"),
        ] {
            let name = read(text).map_or_else(|refusal| refusal.name, |_| "ok");
            assert_eq!(name, outcome, "{text}");
        }
        let refusal = read(r#"[{"ticket":"t"},{"type":"no\"pe","codes":["A"]}]"#).unwrap_err();
        let frame: Value = serde_json::from_str(&refusal.frame()).unwrap();
        assert_eq!(frame["error"]["message"], "nope 은 지원하지 않는 타입입니다.");
    }

    #[test]
    fn depths_levels_and_flags() {
        let text = r#"[{"ticket":"t"},{"type":"orderbook","level":"10000","is_only_snapshot":true,
            "codes":["KRW-A.1","KRW-B.5","KRW-C.15","KRW-D.30","KRW-E.20","KRW-F"]},
            {"format":"SIMPLE_LIST"}]"#;
        let Ok(Ask::Subscribe(plan)) = read(text) else { panic!("not understood") };
        assert_eq!(plan.format, Format { simple: true, list: true });
        let depths: Vec<usize> = plan.wants[0].codes.iter().map(|code| code.1).collect();
        assert_eq!(depths, [1, 5, 15, 30, 30, 30]);
        assert!(plan.wants[0].snapshot && !plan.wants[0].realtime);
        assert!((plan.wants[0].level - 10_000.0).abs() < f64::EPSILON);
    }
}
