//! What may change what is recorded while it is: the venue's list, and what somebody wishes.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::LIST_PATIENCE;
use crate::ingest::listing::{Listing, ListingError};
use crate::ingest::plan::{PlanError, Selection};
use crate::ingest::queue::NoWriter;
use crate::model::market::Market;

/// Another wish than that of the start: it takes effect without a gap for what stays.
#[derive(Debug)]
pub struct Wish {
    /// What is to be recorded; as before where none is given.
    pub selection: Option<Selection>,
    /// How often the list of markets is asked for.
    pub poll_every: Duration,
    /// Takes the answer: how many subscriptions there are now, or why it cannot be.
    pub reply: oneshot::Sender<Result<usize, PlanError>>,
}

/// What may change what is recorded: another list, another wish, or both.
pub(super) struct News {
    pub(super) markets: Option<Vec<Market>>,
    pub(super) wish: Option<Wish>,
}

/// Asks for the list again and again, and for each wish at once; what cannot be had is asked for
/// again at the next turn.
pub(super) async fn poll(
    mut listing: Listing,
    mut every: Duration,
    mut wishes: mpsc::Receiver<Wish>,
    news: mpsc::Sender<News>,
    stop: CancellationToken,
) -> Result<(), NoWriter> {
    loop {
        let wish = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Some(wish) = wishes.recv() => Some(wish),
            () = tokio::time::sleep(every) => None,
        };
        every = wish.as_ref().map_or(every, |wish| wish.poll_every);
        let fetched = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            // Who wishes waits for the answer.
            () = tokio::time::sleep(LIST_PATIENCE), if wish.is_some() => None,
            fetched = listing.fetch() => Some(fetched),
        };
        let markets = match fetched {
            Some(Ok(markets)) => Some(markets),
            Some(Err(ListingError::NoWriter(error))) => return Err(error),
            Some(Err(error)) => {
                tracing::warn!("the list of markets was not had: {error}");
                None
            }
            None => None,
        };
        let something = markets.is_some() || wish.is_some();
        if something && news.send(News { markets, wish }).await.is_err() {
            return Ok(());
        }
    }
}
