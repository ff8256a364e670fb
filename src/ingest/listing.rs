//! The venue's list of markets: fetched, recorded like anything else that arrives, and read.
//!
//! A page that equals the last one says nothing new and is not recorded again.

use std::sync::Arc;

use bytes::Bytes;

use super::queue::{NoWriter, Sender};
use crate::model::event::Event;
use crate::model::frame::{Frame, Origin};
use crate::model::market::Market;
use crate::model::record::{Body, Record};
use crate::net::http::{Http, HttpError};
use crate::venue::{DecodeError, Venue};

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
