//! Events that wait until the webhook took them.
//!
//! Bounded: the eldest goes when there is no room, and is counted. An event leaves when a post
//! that held it was taken, so one may be told twice, by the same `id`, and none is lost unsaid.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::News;
use crate::model::time::Timestamp;
use crate::serve::Sources;

/// Events that wait at most, and so the most that one post holds: about 400 bytes each.
const ROOM: usize = 1_000;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notice {
    pub(super) news: News,
    pub(super) at: Timestamp,
    pub(super) venue: Option<String>,
    pub(super) detail: Value,
}

/// What waits.
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
    host: String,
    data: String,
    /// The instant of our start, which makes numbers of events unique.
    run: Timestamp,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<(u64, Notice)>,
    told: u64,
    left_out: u64,
}

/// One post.
pub(super) struct Batch {
    pub(super) body: Bytes,
    pub(super) events: usize,
    upto: u64,
    left_out: u64,
}

impl Outbox {
    pub(super) fn new(sources: &Sources) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let data = std::path::absolute(&sources.data).unwrap_or_else(|_| sources.data.clone());
        let data = data.display().to_string();
        Self::of(host, data, sources.clock.now())
    }

    fn of(host: String, data: String, run: Timestamp) -> Self {
        Self { waiting: Mutex::default(), filled: Notify::new(), host, data, run }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what happened.
    pub(super) fn put(&self, notices: impl IntoIterator<Item = Notice>) {
        let mut waiting = self.waiting();
        for notice in notices {
            if waiting.events.len() >= ROOM {
                waiting.events.pop_front();
                waiting.left_out += 1;
            }
            waiting.told += 1;
            let number = waiting.told;
            waiting.events.push_back((number, notice));
        }
        if !waiting.events.is_empty() {
            self.filled.notify_one();
        }
    }

    /// Returns once something waits.
    pub(super) async fn filled(&self) {
        while self.waiting().events.is_empty() {
            self.filled.notified().await;
        }
    }

    /// All that waits, as one post of `now`; none where nothing does.
    pub(super) fn batch(&self, now: Timestamp) -> Option<Batch> {
        let waiting = self.waiting();
        let upto = waiting.events.back()?.0;
        let events = waiting.events.iter().map(|(number, notice)| {
            json!({
                "id": format!("{}-{number}", self.run),
                "event": notice.news.as_str(),
                "at": notice.at.to_string(),
                "host": self.host,
                "data": self.data,
                "venue": notice.venue,
                "detail": notice.detail,
            })
        });
        let document = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "sent": now.to_string(),
            "left_out": waiting.left_out,
            "events": events.collect::<Vec<Value>>(),
        });
        let (events, left_out) = (waiting.events.len(), waiting.left_out);
        Some(Batch { body: document.to_string().into(), events, upto, left_out })
    }

    /// The webhook took this post.
    pub(super) fn taken(&self, batch: &Batch) {
        let mut waiting = self.waiting();
        waiting.events.retain(|(number, _)| *number > batch.upto);
        waiting.left_out = waiting.left_out.saturating_sub(batch.left_out);
    }

    /// The webhook will never take this post.
    pub(super) fn refused(&self, batch: &Batch) {
        let mut waiting = self.waiting();
        let before = waiting.events.len();
        waiting.events.retain(|(number, _)| *number > batch.upto);
        let gone = before - waiting.events.len();
        waiting.left_out += u64::try_from(gone).unwrap_or(u64::MAX);
    }

    /// How many events nobody was told of.
    pub(super) fn untold(&self) -> u64 {
        let waiting = self.waiting();
        waiting.left_out.saturating_add(u64::try_from(waiting.events.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::of("h".to_owned(), "/d".to_owned(), Timestamp::from_millis(5))
    }

    fn put(outbox: &Outbox, count: usize) {
        let one = Notice {
            news: News::DiskLow,
            at: Timestamp::from_millis(1),
            venue: None,
            detail: Value::Null,
        };
        outbox.put(vec![one; count]);
    }

    /// The number of the first event of a post, how many it has, and what it says was left out.
    fn first(batch: &Batch) -> (String, usize, u64) {
        let document: Value = serde_json::from_slice(&batch.body).unwrap();
        let events = document["events"].as_array().unwrap();
        assert_eq!(events.len(), batch.events);
        let id = events[0]["id"].as_str().unwrap().to_owned();
        (id, events.len(), document["left_out"].as_u64().unwrap())
    }

    #[test]
    fn what_was_taken_leaves_and_what_was_lost_is_counted() {
        let (outbox, now) = (outbox(), Timestamp::from_millis(9));
        let id = |number: u64| format!("1970-01-01T00:00:00.005Z-{number}");
        assert!(outbox.batch(now).is_none());
        put(&outbox, 3);
        let post = outbox.batch(now).unwrap();
        assert_eq!(first(&post), (id(1), 3, 0));
        // What comes while a post is on its way waits for the next one.
        put(&outbox, 2);
        outbox.taken(&post);
        assert_eq!(first(&outbox.batch(now).unwrap()), (id(4), 2, 0));
        // No room: the eldest go.
        put(&outbox, ROOM);
        let post = outbox.batch(now).unwrap();
        assert_eq!(first(&post), (id(6), ROOM, 2));
        // Two more go while that post is on its way: it did not say so.
        put(&outbox, 2);
        outbox.taken(&post);
        let post = outbox.batch(now).unwrap();
        assert_eq!(first(&post), (id(1_006), 2, 2));
        outbox.refused(&post);
        assert!(outbox.batch(now).is_none());
        assert_eq!(outbox.untold(), 4);
        put(&outbox, 1);
        assert_eq!(first(&outbox.batch(now).unwrap()), (id(1_008), 1, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken() {
        let outbox = std::sync::Arc::new(outbox());
        let waits = std::sync::Arc::clone(&outbox);
        let waiting = tokio::spawn(async move { waits.filled().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        put(&outbox, 1);
        waiting.await.unwrap();
    }
}
