//! Notices: what whoever owns the recorder wants to hear without asking, posted to a webhook.
//!
//! Invariants: nothing here can disturb the recording or is needed for it: a thread and a runtime
//! of its own, which looks at a picture of the writer once a second and reads the gap ledger.
//! Events wait in a bounded outbox until the webhook took them; what finds no room, and what the
//! webhook refuses, is counted, and the next post says how much that was. One post at a time, and
//! after one that was taken the next not before `min_interval` is over. The contract is in the
//! README beside this folder.

mod deliver;
mod outbox;
mod watch;

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::outbox::Outbox;
use super::Sources;
use crate::model::spelling::hint;
use crate::net::http::Hook;

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// A gap is in the ledger.
    GapOpened,
    /// Data comes again.
    GapClosed,
    /// `/healthz` says 503.
    HealthLost,
    /// `/healthz` says 200 again.
    HealthRegained,
    /// The disk has no room.
    DiskLow,
    /// The disk has room again.
    DiskOk,
}

impl News {
    /// Everything that can be told.
    pub const ALL: [Self; 6] = [
        Self::GapOpened,
        Self::GapClosed,
        Self::HealthLost,
        Self::HealthRegained,
        Self::DiskLow,
        Self::DiskOk,
    ];

    /// Its name in JSON and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GapOpened => "gap_opened",
            Self::GapClosed => "gap_closed",
            Self::HealthLost => "health_lost",
            Self::HealthRegained => "health_regained",
            Self::DiskLow => "disk_low",
            Self::DiskOk => "disk_ok",
        }
    }
}

impl FromStr for News {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.into_iter().map(Self::as_str);
        Self::ALL.into_iter().find(|news| news.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = names().collect();
            format!(
                "there is no event {name:?}{}; there are {}",
                hint(name, names()),
                known.join(", ")
            )
        })
    }
}

/// What is told, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Between two posts that the webhook took.
    pub min_interval: Duration,
    /// What is told; the rest is not.
    pub events: Vec<News>,
}

/// The thread. When this is dropped it is asked to end.
#[derive(Debug)]
pub struct Notifier {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Notifier {
    /// Starts to tell `hook` what happens from now on.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(sources: Sources, hook: Hook, rule: Rule) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .thread_name("notify-read")
            .build()?;
        // Gaps that begin from here on are news.
        let ledger = watch::Ledger::of(&sources.data);
        let body = move || {
            runtime.block_on(async move {
                let outbox = Arc::new(Outbox::new(&sources));
                let clock = Arc::clone(&sources.clock);
                let looking = watch::look(sources, ledger, &rule.events, Arc::clone(&outbox));
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = looking => {}
                    () = deliver::keep(&outbox, &hook, rule.min_interval, clock.as_ref()) => {}
                }
                deliver::last(&outbox, &hook, clock.as_ref()).await;
            });
            // A question to a disk that hangs must not hold the exit.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("notify".to_owned()).spawn(body)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Asks it to end, and does not wait.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for its end: a last post, for a moment at most.
    pub fn join(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its hook already.
            drop(thread.join());
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for news in News::ALL {
            assert_eq!(news.as_str().parse(), Ok(news));
        }
        let error = "gap_open".parse::<News>().unwrap_err();
        assert!(error.contains("did you mean \"gap_opened\"?"), "{error}");
    }
}
