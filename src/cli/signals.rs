//! SIGINT and SIGTERM: the first asks to end, the second gives up. SIGHUP: the settings are read
//! again.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;

/// The signals that end a command.
#[derive(Debug)]
pub(super) struct Signals(Mutex<(Signal, Signal)>);

/// The signal to read the settings again.
#[derive(Debug)]
pub(super) struct Hangups(Signal);

impl Hangups {
    /// Takes the signal from now on: the process does not end by it any more.
    pub(super) fn listen() -> Result<Self, anyhow::Error> {
        Ok(Self(signal(SignalKind::hangup()).context("cannot listen for signals")?))
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

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
