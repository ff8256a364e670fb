//! Messages for the benches: what a venue says, with numbers and times that can be set again so
//! that no two are alike.

use std::error::Error;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use veritape::net::clock::{Clock as _, SystemClock};
use veritape::sim::{Options, Sim};

/// Markets of the simulated venue, and data frames a second: ten of each market, as of the real
/// one when much happens.
const MARKETS: usize = 500;
const RATE: f64 = 5_000.0;
/// Digits of a trade's number that are set anew.
const NUMBER_DIGITS: usize = 10;
/// Digits of a time in milliseconds.
const MILLIS_DIGITS: usize = 13;
/// Prices and sizes of a message that are set anew, and how many digits of each: a book changes in
/// a few places, and no two messages are alike but for their time.
const SIZES: usize = 4;
const SIZE_DIGITS: usize = 4;

/// One message, and where in it numbers stand that are set anew.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    text: Vec<u8>,
    /// Where the last digits of the trade's number begin.
    number: Option<usize>,
    /// Where times begin.
    millis: Vec<usize>,
    /// Where the last digits of some sizes begin.
    sizes: Vec<usize>,
}

impl Template {
    fn new(text: String) -> Self {
        let after = |key: &str| text.find(key).map(|at| at + key.len());
        let times = ["\"tms\":", "\"ttms\":", "\"timestamp\":", "\"trade_timestamp\":"];
        let number = ["\"sid\":", "\"sequential_id\":"].into_iter().find_map(after).map(|at| {
            let digits = text.bytes().skip(at).take_while(u8::is_ascii_digit).count();
            at + digits.saturating_sub(NUMBER_DIGITS)
        });
        let millis = times.into_iter().filter_map(after).collect();
        Self { number, millis, sizes: sizes(&text), text: text.into() }
    }

    /// Bytes of it.
    pub(crate) const fn len(&self) -> usize {
        self.text.len()
    }

    /// Writes it behind what is in `out`, as the `nth` message, of the time `millis`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, nth: u64, millis: u64) {
        let begin = out.len();
        out.extend_from_slice(&self.text);
        let mut set = |at: usize, digits: usize, value: u64| {
            let mut rest = value;
            for place in out.iter_mut().skip(begin + at).take(digits).rev() {
                *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        };
        if let Some(at) = self.number {
            set(at, NUMBER_DIGITS, nth);
        }
        for at in &self.millis {
            set(*at, MILLIS_DIGITS, millis);
        }
        for (one, at) in (nth..).zip(&self.sizes) {
            // Any digits, the same for the same message.
            set(*at, SIZE_DIGITS, one.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32);
        }
    }
}

/// Messages of some streams, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The messages.
    pub(crate) templates: Vec<Template>,
}

impl Pool {
    /// So many messages of `streams` as the simulated venue sends them in `format`.
    pub(crate) async fn simulated(
        streams: &[&str],
        format: &str,
        count: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let now = SystemClock::new().now();
        let sim = Sim::start(Options { markets: MARKETS, rate: RATE, ..Options::new(now) }).await?;
        let listing = format!("{}/v1/market/all", sim.rest_url());
        let listed: Vec<Value> = serde_json::from_str(&reqwest::get(listing).await?.text().await?)?;
        let codes: Vec<&Value> = listed.iter().filter_map(|market| market.get("market")).collect();
        let mut ask = vec![json!({ "ticket": "bench" })];
        ask.extend(streams.iter().map(|stream| json!({ "type": stream, "codes": codes })));
        ask.push(json!({ "format": format }));
        let (mut socket, _) = tokio_tungstenite::connect_async(sim.ws_url()).await?;
        socket.send(Message::text(Value::Array(ask).to_string())).await?;
        let mut texts = Vec::with_capacity(count);
        while texts.len() < count {
            let message = socket.next().await.ok_or("the venue ended")??;
            if message.is_text() || message.is_binary() {
                texts.push(String::from_utf8(message.into_data().into())?);
            }
        }
        sim.stop().await?;
        Ok(Self::of(texts))
    }

    /// These messages.
    pub(crate) fn of(texts: Vec<String>) -> Self {
        Self { templates: texts.into_iter().map(Template::new).collect() }
    }
}

/// Where the last digits of some numbers stand that have many behind their point.
fn sizes(text: &str) -> Vec<usize> {
    let digits = |at: usize| text.bytes().skip(at).take_while(u8::is_ascii_digit).count();
    let ends = text.match_indices('.').map(|(at, _)| (at + 1, digits(at + 1)));
    let found: Vec<usize> = ends
        .filter(|(_, digits)| *digits > SIZE_DIGITS)
        .map(|(at, digits)| at + digits - SIZE_DIGITS)
        .collect();
    let every = found.len().div_ceil(SIZES).max(1);
    found.into_iter().step_by(every).collect()
}
