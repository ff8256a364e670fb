//! Frames as a session hands them on.

use std::sync::Arc;
use std::time::Duration;

use veritape::model::frame::{Frame, Origin};
use veritape::model::market::Source;
use veritape::model::time::Timestamp;

use crate::frames::{Pool, Template};

/// So many frames, no two alike, a millisecond apart from `first` on; the venue's own times too.
pub(crate) fn arrived(pool: &Pool, count: usize, first: Timestamp) -> Vec<Frame> {
    let origin = Arc::new(Origin {
        venue: "upbit".into(),
        session: 1,
        source: Source::Ws,
        stream: None,
        market: None,
    });
    let millis = u64::try_from(first.micros()).unwrap_or(0) / 1_000;
    let frame = |(nth, template): (u64, &Template)| {
        let mut body = Vec::with_capacity(template.len());
        template.write(&mut body, nth, millis + nth);
        let ts_recv = first.after(Duration::from_millis(nth));
        Frame { sequence: nth, ..Frame::arrived(ts_recv, Arc::clone(&origin), body.into()) }
    };
    (1..).zip(pool.templates.iter().cycle().take(count)).map(frame).collect()
}
