//! SIGINT and SIGTERM: the first asks to end, the second gives up.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;

/// The signals that end a command.
#[derive(Debug)]
pub(super) struct Signals(Mutex<(Signal, Signal)>);

impl Signals {
    /// Takes the signals from now on.
    pub(super) fn listen() -> Result<Self, anyhow::Error> {
        let take = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self(Mutex::new((take(SignalKind::interrupt())?, take(SignalKind::terminate())?))))
    }

    /// Waits for the next one.
    pub(super) async fn next(&self) {
        let mut signals = self.0.lock().await;
        let (interrupt, terminate) = &mut *signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
