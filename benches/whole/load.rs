//! What is sent: trades, order books, and a real mix where the captures lie beside the package.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::frames::Pool;

/// Messages that are made ready; later ones are these with other numbers and times.
const READY: usize = 32_768;

/// Messages of one kind.
#[derive(Debug)]
pub(crate) struct Load {
    /// What they are.
    pub(crate) name: &'static str,
    /// The streams that they are of.
    pub(crate) streams: &'static [&'static str],
    /// Different messages.
    pub(crate) pool: Pool,
    /// The markets that they speak of.
    pub(crate) markets: BTreeSet<String>,
    /// How many are sent over each line when they go as fast as they are taken.
    pub(crate) messages: u64,
}

/// Each kind; `share` is the percentage of the usual number.
pub(crate) async fn loads(share: u64) -> Result<Vec<Load>, Box<dyn Error>> {
    let trades = Pool::simulated(&["trade"], "SIMPLE", READY).await?;
    let books = Pool::simulated(&["orderbook"], "SIMPLE", READY).await?;
    let (name, streams, mix) = if let Some(pool) = captured()? {
        ("captured mix", &["trade", "orderbook"][..], pool)
    } else {
        let streams = &["trade", "orderbook", "ticker"][..];
        ("simulated mix", streams, Pool::simulated(streams, "SIMPLE", READY).await?)
    };
    let load = |name, streams, pool: Pool, messages: u64| Load {
        name,
        streams,
        markets: markets(&pool),
        pool,
        messages: (messages * share / 100).max(10_000),
    };
    Ok(vec![
        load("trades", &["trade"], trades, 1_200_000),
        load("books of 30 levels", &["orderbook"], books, 300_000),
        load(name, streams, mix, 800_000),
    ])
}

/// A recorded half minute of five markets: trades and order books of 15 levels as they came.
fn captured() -> Result<Option<Pool>, Box<dyn Error>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/captures/upbit/ws-simple-2021-04-17.jsonl");
    if !path.is_file() {
        return Ok(None);
    }
    let mut texts = Vec::new();
    for line in fs::read_to_string(path)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        texts.push(line.get("frame").and_then(Value::as_str).ok_or("no frame")?.to_owned());
    }
    Ok(Some(Pool::of(texts)))
}

fn markets(pool: &Pool) -> BTreeSet<String> {
    let code = |template: &crate::frames::Template| {
        let mut text = Vec::new();
        // A number must not begin with 0.
        template.write(&mut text, 1, 1_700_000_000_000);
        let message: Value = serde_json::from_slice(&text).ok()?;
        message.get("cd").and_then(Value::as_str).map(str::to_owned)
    };
    pool.templates.iter().filter_map(code).collect()
}
