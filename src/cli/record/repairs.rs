//! Repairs beside the recording: they pause while nobody wants them, or there is no room for them.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::backfill;
use crate::backfill::repair::{self, RepairError};
use crate::cli::config::Config;
use crate::ingest::jobs::Told;
use crate::ingest::queue::Sender;
use crate::ingest::supervisor::Setup;

/// Everything that repairs need.
pub(super) fn repairs(
    config: &Config,
    setup: &Setup,
    queue: &Sender,
    told: watch::Receiver<Arc<Told>>,
) -> repair::Setup {
    repair::Setup {
        run: backfill::run::Setup {
            venue: setup.venue,
            rest_url: setup.rest_url.clone(),
            http: setup.http.clone(),
            clock: Arc::clone(&setup.clock),
            queue: queue.clone(),
            told,
            effort: repair::effort(None),
        },
        data: config.data.clone(),
        numbers: Arc::clone(&setup.numbers),
        settle: config.settle.0,
    }
}

/// Waits until it is so; `false` where whoever decides is gone.
async fn turned(wanted: &mut watch::Receiver<bool>, so: bool) -> bool {
    wanted.wait_for(|wanted| *wanted == so).await.is_ok()
}

/// Closes gaps, while that is wanted. What goes wrong with it does not end the recording.
pub(super) async fn mend(
    setup: repair::Setup,
    mut wanted: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    loop {
        let go = tokio::select! {
            biased;
            () = stop.cancelled() => false,
            // Whoever decides is gone only when all ends.
            told = turned(&mut wanted, true) => told,
        };
        if !go {
            return;
        }
        let pause = stop.child_token();
        let mut work = pin!(repair::keep(setup.clone(), pause.clone()));
        let worked = tokio::select! {
            worked = &mut work => worked,
            _ = turned(&mut wanted, false) => {
                pause.cancel();
                work.await
            }
        };
        match worked {
            Ok(()) => {}
            // Why the writer is gone, it says itself.
            Err(RepairError::NoWriter(_)) => return,
            Err(error) => {
                return tracing::error!("gaps stay open until the next start: {error}");
            }
        }
    }
}
