//! Playing recorded frames: JSON lines with `ts_recv` (seconds) and `frame` (the text as sent).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::SimError;
use super::floor::Out;
use super::request::{Kind, Plan};

/// The largest capture that is played. It is held in memory.
const LARGEST: u64 = 1 << 30;
/// Frames that are handed over at once where nothing paces them.
const TOGETHER: usize = 64;

/// A capture in memory. Frames that carry neither type nor code (heartbeats, errors) are not in it.
#[derive(Debug)]
pub(super) struct Capture {
    frames: Vec<Played>,
}

#[derive(Debug)]
struct Played {
    ts_recv: f64,
    kind: Kind,
    code: String,
    text: Bytes,
}

#[derive(Deserialize)]
struct Line {
    ts_recv: f64,
    frame: String,
}

impl Capture {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, SimError> {
        let file = |error| SimError::File { path: path.to_owned(), error };
        let bytes = std::fs::metadata(path).map_err(file)?.len();
        if bytes > LARGEST {
            return Err(SimError::CaptureTooLarge { path: path.to_owned(), bytes });
        }
        let text = std::fs::read_to_string(path).map_err(file)?;
        let mut frames = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|line| !line.1.trim().is_empty()) {
            let line: Line = serde_json::from_str(line).map_err(|error| SimError::Capture {
                path: path.to_owned(),
                line: number,
                error,
            })?;
            frames.extend(played(line));
        }
        if frames.is_empty() {
            return Err(SimError::CaptureEmpty { path: path.to_owned() });
        }
        Ok(Self { frames })
    }

    /// The codes of all frames.
    pub(super) fn codes(&self) -> BTreeSet<&str> {
        self.frames.iter().map(|frame| frame.code.as_str()).collect()
    }

    /// Hands over the frames that `plan` asks for, in their order, then ends. With a `speed` they
    /// keep their distances in time, divided by it; without one they go as fast as they are taken.
    pub(super) async fn play(
        self: Arc<Self>,
        plan: Plan,
        speed: Option<f64>,
        batches: mpsc::Sender<Vec<Out>>,
        queued: Arc<AtomicUsize>,
    ) {
        let mut batch = Vec::new();
        let mut before: Option<f64> = None;
        for frame in self.frames.iter().filter(|frame| frame.wanted(&plan)) {
            if let Some(speed) = speed.filter(|speed| *speed > 0.0) {
                let seconds = (frame.ts_recv - before.unwrap_or(frame.ts_recv)) / speed;
                let pause = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                tokio::time::sleep(pause).await;
                before = Some(frame.ts_recv);
            }
            batch.push(Out { bytes: frame.text.clone(), entry: None });
            if speed.is_some() || batch.len() >= TOGETHER {
                let full = std::mem::take(&mut batch);
                if !hand_over(full, &batches, &queued).await {
                    return;
                }
            }
        }
        hand_over(batch, &batches, &queued).await;
    }
}

/// Whether there is still somebody to take frames.
async fn hand_over(
    batch: Vec<Out>,
    batches: &mpsc::Sender<Vec<Out>>,
    queued: &AtomicUsize,
) -> bool {
    let bytes = batch.iter().map(|out| out.bytes.len()).sum();
    queued.fetch_add(bytes, Ordering::Relaxed);
    batches.send(batch).await.is_ok()
}

impl Played {
    fn wanted(&self, plan: &Plan) -> bool {
        plan.wants.iter().any(|want| {
            want.kind == self.kind && want.codes.iter().any(|(code, _)| *code == self.code)
        })
    }
}

fn played(line: Line) -> Option<Played> {
    let value: Value = serde_json::from_str(&line.frame).ok()?;
    let object = value.get(0).unwrap_or(&value);
    let text = |long: &str, short: &str| {
        object.get(short).or_else(|| object.get(long)).and_then(Value::as_str)
    };
    let kind = Kind::by_name(text("type", "ty")?)?;
    let code = text("code", "cd")?.to_owned();
    Some(Played { ts_recv: line.ts_recv, kind, code, text: Bytes::from(line.frame) })
}
