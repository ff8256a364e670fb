//! The simulator over real sockets: what a client sees, against what the facts and the ledger say.

mod capture;
mod faults;
mod ledger;
mod rest;
mod wire;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::model::subscription::CandleUnit;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Options that start at a round time.
fn options() -> Options {
    Options::new("2026-11-21T12:00:00.250Z".parse().unwrap())
}

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(sim: &Sim) -> Self {
        Self(connect_async(sim.ws_url()).await.unwrap().0)
    }

    /// A client that has sent these type objects.
    async fn subscribed(sim: &Sim, types: &str, format: &str) -> Self {
        let mut client = Self::connect(sim).await;
        client.subscribe(types, format).await;
        client
    }

    async fn subscribe(&mut self, types: &str, format: &str) {
        self.say(&format!(r#"[{{"ticket":"t"}},{types},{{"format":"{format}"}}]"#)).await;
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next message; none at the end of the connection, however that comes.
    async fn message(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("no message came");
        match next {
            Some(Ok(message)) => Some(message),
            None | Some(Err(Error::Protocol(_) | Error::Io(_) | Error::ConnectionClosed)) => None,
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// The next frame, which must be binary JSON; none once the connection has ended or closes.
    async fn try_frame(&mut self) -> Option<Value> {
        match self.message().await {
            Some(Message::Binary(bytes)) => Some(serde_json::from_slice(&bytes).unwrap()),
            Some(Message::Close(_)) | None => None,
            Some(other) => panic!("{other:?}"),
        }
    }

    async fn frame(&mut self) -> Value {
        self.try_frame().await.expect("the connection has ended")
    }

    /// The next frame for which `wanted` holds.
    async fn frame_that(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.frame().await;
            if wanted(&frame) {
                return frame;
            }
        }
    }
}

/// A field by its long or its short name, in an object or in an array of one.
fn field<'a>(frame: &'a Value, long: &str, short: &str) -> &'a Value {
    let object = frame.get(0).unwrap_or(frame);
    object.get(long).or_else(|| object.get(short)).unwrap_or(&Value::Null)
}

/// Type, code and stream type.
fn head(frame: &Value) -> (String, String, bool) {
    let text = |long, short| field(frame, long, short).as_str().unwrap_or_default().to_owned();
    (text("type", "ty"), text("code", "cd"), text("stream_type", "st") == "SNAPSHOT")
}

/// The body of a GET, and its status.
async fn get(sim: &Sim, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{}{path}", sim.rest_url())).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The same, but if the second's allowance is used up, in the next one.
async fn patient_get(sim: &Sim, path: &str) -> (u16, String) {
    loop {
        let answer = get(sim, path).await;
        if answer.0 != 429 {
            return answer;
        }
        until(sim, (sim.now().micros() / 1_000_000 + 1) * 1_000).await;
    }
}

async fn get_rows(sim: &Sim, path: &str) -> Vec<Value> {
    let (status, body) = get(sim, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Waits until the simulator's venue time is at least `ts`.
async fn until(sim: &Sim, ts: i64) {
    while sim.now().micros() / 1_000 < ts {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
