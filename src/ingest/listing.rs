//! The venue's list of markets: fetched, recorded like anything else that arrives, and read.
//!
//! A page that equals the last one says nothing new and is not recorded again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smol_str::SmolStr;

use super::queue::{NoWriter, Sender};
use crate::model::event::{Event, SessionClosed, SessionOpened};
use crate::model::frame::{Frame, Origin};
use crate::model::market::{Market, Source};
use crate::model::record::{Body, Record};
use crate::model::subscription::Stream;
use crate::net::clock::Clock;
use crate::net::http::{Http, HttpError};
use crate::venue::{DecodeError, Venue};

/// Between two tries for the first list.
const FIRST_LIST_RETRY: Duration = Duration::from_millis(500);

/// Fetches the list.
pub struct Listing {
    /// The venue.
    pub venue: &'static dyn Venue,
    /// Where its REST server is.
    pub rest_url: String,
    /// Makes requests.
    pub http: Http,
    /// What the pages are recorded as.
    pub origin: Arc<Origin>,
    /// Where they go.
    pub queue: Sender,
    /// The last page.
    pub last: Option<Bytes>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// It was not had.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It was had, and is not what the venue is known to send.
    #[error("{url} answered with something that is no list of markets: {reason}")]
    Decode {
        /// The URL.
        url: String,
        /// What was wrong.
        reason: DecodeError,
    },
    /// It was had, and is empty.
    #[error("{url} lists no market at all")]
    Empty {
        /// The URL.
        url: String,
    },
    /// Nobody takes events any more.
    #[error(transparent)]
    NoWriter(#[from] NoWriter),
}

impl Listing {
    /// The markets that the venue lists now.
    ///
    /// # Errors
    ///
    /// When the page cannot be had or read, or lists nothing.
    pub async fn fetch(&mut self) -> Result<Vec<Market>, ListingError> {
        let request = self.venue.listing(&self.rest_url);
        let page = self.http.get(&request).await?;
        let frame = Frame::arrived(page.ts_recv, Arc::clone(&self.origin), page.body.clone());
        if self.last.as_ref() != Some(&page.body) {
            self.queue.send(Event::Frame(frame.clone())).await?;
            self.last = Some(page.body);
        }
        let mut records = Vec::new();
        let decoded = self.venue.decode(&frame, &mut records);
        decoded.map_err(|reason| ListingError::Decode { url: request.url.clone(), reason })?;
        let markets: Vec<Market> = records.into_iter().filter_map(listed).collect();
        if markets.is_empty() {
            return Err(ListingError::Empty { url: request.url });
        }
        Ok(markets)
    }
}

/// The first list, tried for a while; once only where recording can start without it.
///
/// # Errors
///
/// Why there was none the last time.
pub async fn first_list(
    listing: &mut Listing,
    patience: Duration,
    once: bool,
) -> Result<Vec<Market>, ListingError> {
    let url = listing.venue.listing(&listing.rest_url).url;
    let mut last = None;
    let tries = async {
        loop {
            match listing.fetch().await {
                Ok(markets) => return Ok(markets),
                Err(error @ ListingError::NoWriter(_)) => return Err(error),
                Err(error) if once => return Err(error),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(FIRST_LIST_RETRY).await;
        }
    };
    match tokio::time::timeout(patience, tries).await {
        Ok(outcome) => outcome,
        Err(_) => Err(last.unwrap_or(HttpError::Timeout { url }.into())),
    }
}

/// The session that REST pages are recorded as: one a run, without subscriptions, so that it
/// proves nothing and every row's session is in the catalog.
pub struct Requests {
    origin: Arc<Origin>,
}

impl Requests {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// When the writer is gone.
    pub async fn open(
        venue: &dyn Venue,
        rest_url: &str,
        clock: &dyn Clock,
        queue: &Sender,
        session: i64,
    ) -> Result<Self, NoWriter> {
        let venue = SmolStr::new_static(venue.name());
        let opened = SessionOpened {
            session,
            venue: venue.clone(),
            endpoint: rest_url.to_owned(),
            subscriptions: Arc::from([]),
            line: 0,
            at: clock.now(),
        };
        queue.send(Event::SessionOpened(opened)).await?;
        let (source, stream) = (Source::Rest, Some(Stream::Instrument));
        Ok(Self { origin: Arc::new(Origin { venue, session, source, stream, market: None }) })
    }

    /// What lists of markets are recorded as.
    #[must_use]
    pub fn origin(&self) -> Arc<Origin> {
        Arc::clone(&self.origin)
    }

    /// Closes it.
    ///
    /// # Errors
    ///
    /// When the writer is gone.
    pub async fn close(self, queue: &Sender, clock: &dyn Clock) -> Result<(), NoWriter> {
        let at = clock.now();
        let closed = SessionClosed {
            session: self.origin.session,
            at,
            proven_until: at,
            cause: None,
            why: "closed by us".to_owned(),
            frames: 0,
            bytes: 0,
        };
        queue.send(Event::SessionClosed(closed)).await.map(|_| ())
    }
}

fn listed(record: Record) -> Option<Market> {
    match record.body {
        Body::Instrument(instrument) => instrument.listed.then_some(record.market),
        Body::Trade(_)
        | Body::Orderbook(_)
        | Body::Ticker(_)
        | Body::Candle(_)
        | Body::Unread(_) => None,
    }
}
