//! Spans in which frames came that no decoder understood.
//!
//! The bytes are kept in stream `unread`; the ledger says which streams may lack something.

use std::collections::BTreeMap;
use std::time::Duration;

use smol_str::SmolStr;

use crate::model::frame::Frame;
use crate::model::gap::{Gap, GapCause, GapState};
use crate::model::market::Market;
use crate::model::subscription::{Stream, Subscription};
use crate::model::time::Timestamp;

/// Unread frames that follow each other sooner than this are one span.
const APART: Duration = Duration::from_secs(1);
/// Spans that are held at most, for one stream and market, before they become one.
const SPANS_LIMIT: usize = 64;

/// The spans since the last publication.
#[derive(Debug, Default)]
pub struct UnreadSpans(BTreeMap<(SmolStr, Stream, Option<Market>), Vec<Gap>>);

impl UnreadSpans {
    /// Notes a frame that could not be read. Where it does not say which stream it is of, it may
    /// be of any that its session asked for.
    pub fn add(
        &mut self,
        frame: &Frame,
        stream: Option<Stream>,
        market: Option<&Market>,
        asked: &[Subscription],
        reason: &str,
    ) {
        let mut streams: Vec<Stream> = match stream.or(frame.origin.stream) {
            Some(stream) => vec![stream],
            None => asked.iter().map(|one| one.stream).collect(),
        };
        streams.sort();
        streams.dedup();
        if streams.is_empty() {
            streams.push(Stream::Unread);
        }
        for stream in streams {
            let key = (frame.origin.venue.clone(), stream, market.cloned());
            join(self.0.entry(key.clone()).or_default(), gap(key, frame.ts_recv, reason));
        }
    }

    /// Takes the spans.
    pub fn drain(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.0).into_values().flatten().collect()
    }
}

fn gap(key: (SmolStr, Stream, Option<Market>), at: Timestamp, reason: &str) -> Gap {
    let (venue, stream, market) = key;
    Gap {
        venue,
        stream,
        market,
        from: at,
        to: Some(at.after(Duration::from_micros(1))),
        cause: GapCause::Unread,
        state: GapState::Open,
        rows_repaired: 0,
        source: None,
        detail: reason.to_owned(),
    }
}

fn join(spans: &mut Vec<Gap>, new: Gap) {
    let full = spans.len() >= SPANS_LIMIT;
    match spans.last_mut() {
        Some(last) if full || last.to.is_some_and(|to| new.from.since(to) <= APART) => {
            last.from = last.from.min(new.from);
            last.to = last.to.max(new.to);
        }
        _ => spans.push(new),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::frame::Origin;
    use crate::model::market::Source;

    #[test]
    fn near_ones_are_one_span_and_every_asked_stream_is_named() {
        let origin = Arc::new(Origin {
            venue: "v".into(),
            session: 1,
            source: Source::Ws,
            stream: None,
            market: None,
        });
        let asked = [Stream::Trade, Stream::Ticker, Stream::Trade].map(|stream| Subscription {
            stream,
            market: Market::new("A"),
            depth: None,
        });
        let mut spans = UnreadSpans::default();
        for millis in [1_000, 1_500, 2_400, 9_000] {
            let at = Timestamp::from_millis(millis);
            let frame = Frame::arrived(at, Arc::clone(&origin), bytes::Bytes::new());
            spans.add(&frame, None, None, &asked, "garbage");
        }
        let gaps = spans.drain();
        let seen: Vec<(Stream, i64, i64)> = gaps
            .iter()
            .map(|gap| (gap.stream, gap.from.micros(), gap.to.expect("an end").micros()))
            .collect();
        assert_eq!(
            seen,
            [
                (Stream::Trade, 1_000_000, 2_400_001),
                (Stream::Trade, 9_000_000, 9_000_001),
                (Stream::Ticker, 1_000_000, 2_400_001),
                (Stream::Ticker, 9_000_000, 9_000_001),
            ]
        );
        assert!(spans.drain().is_empty());
    }
}
