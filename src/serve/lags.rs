//! How long messages were on their way, hour by hour, from the catalog: what `/metrics` has since the
//! start only.

use serde_json::{Value, json};

use super::archive::ArchiveError;
use super::status::lag;
use crate::ingest::pulse::Lag;
use crate::model::time::Timestamp;
use crate::store::catalog::Catalog;

/// The hours from `since` on, by venue and stream; an hour without live messages is left out.
pub(super) fn hours(catalog: &Catalog, since: Timestamp) -> Result<Value, ArchiveError> {
    let hours = catalog.lags_since(since)?;
    let hours = hours.iter().map(|one| {
        json!({
            "venue": one.venue,
            "stream": one.stream.name(),
            "hour": one.hour.to_string(),
            "lag": lag(&Lag::of(&one.buckets)),
        })
    });
    Ok(json!({ "hours": hours.collect::<Vec<Value>>() }))
}
