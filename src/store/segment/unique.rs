//! Rows that are there twice: of a candle the last arrival stays, of a trade the first row.
//!
//! The recorder writes none, so this is for files that something else wrote, or wrote twice. Order
//! books, tickers and the rest have no key that would tell a repetition from a second event: they
//! stay as they are. Memory: the ids of one market's trades of a day.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::cells::Cells;
use super::fingerprint::Fingerprint;
use super::layout;
use super::merge::KeyColumns;
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// The column that tells one trade of a market from another.
const ID: &str = "id";

/// Rows that were left out because others took their place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Which.
    pub rows: Fingerprint,
    /// How many, by market and hour.
    pub hours: BTreeMap<(Option<Market>, Timestamp), u64>,
}

/// Leaves one of each.
pub(super) struct Unique {
    stream: Stream,
    /// The last candle: the next batch may revise it.
    held: Option<RecordBatch>,
    /// The trades of the market that is being read.
    ids: HashSet<i64>,
    market: Option<Market>,
    pub(super) dropped: Dropped,
}

impl Unique {
    pub(super) fn new(stream: Stream) -> Self {
        let (held, ids, market, dropped) = (None, HashSet::new(), None, Dropped::default());
        Self { stream, held, ids, market, dropped }
    }

    /// The rows that stay, as far as that is known; batches come in the order of the file.
    pub(super) fn sift(&mut self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        match self.stream {
            Stream::Trade => {
                let keep = self.new_ids(&batch)?;
                self.leave(&batch, keep)
            }
            Stream::Candle(_) => {
                let batch = match self.held.take() {
                    Some(held) => concat_batches(&batch.schema(), [&held, &batch])?,
                    None => batch,
                };
                let last = batch.num_rows().saturating_sub(1);
                self.held = Some(batch.slice(last, batch.num_rows() - last));
                let keep = self.last_of_each(&batch)?;
                self.leave(&batch.slice(0, last), keep)
            }
            Stream::Orderbook | Stream::Ticker | Stream::Instrument | Stream::Unread => Ok(batch),
        }
    }

    /// The rows that stay and were not told yet.
    pub(super) fn rest(&mut self) -> Option<RecordBatch> {
        self.held.take()
    }

    fn new_ids(&mut self, batch: &RecordBatch) -> Result<Vec<bool>, ArrowError> {
        let keys = KeyColumns::of(batch, layout::time_column(self.stream))?;
        let ids = batch.column_by_name(ID).and_then(|ids| ids.as_primitive_opt::<Int64Type>());
        let ids = ids.ok_or_else(|| ArrowError::SchemaError(format!("no column {ID}")))?.values();
        let mut keep = Vec::with_capacity(ids.len());
        for (row, id) in ids.iter().enumerate() {
            let market = keys.row(row).0;
            if market != self.market.as_ref().map(Market::as_str) {
                self.market = market.map(Market::new);
                self.ids.clear();
            }
            keep.push(self.ids.insert(*id));
        }
        Ok(keep)
    }

    /// Of all rows but the last, whether the next one is another candle.
    fn last_of_each(&self, batch: &RecordBatch) -> Result<Vec<bool>, ArrowError> {
        let keys = KeyColumns::of(batch, layout::time_column(self.stream))?;
        let candle = |row| {
            let (market, open, _) = keys.row(row);
            (market, open)
        };
        Ok((1..batch.num_rows()).map(|next| candle(next - 1) != candle(next)).collect())
    }

    fn leave(&mut self, batch: &RecordBatch, keep: Vec<bool>) -> Result<RecordBatch, ArrowError> {
        if keep.iter().all(|keep| *keep) {
            return Ok(batch.clone());
        }
        let cells = Cells::of(batch, self.stream)?;
        for (row, _) in keep.iter().enumerate().filter(|(_, keep)| !**keep) {
            self.dropped.rows.add(&cells, row);
            let hour = (cells.market(row).map(Market::new), cells.time(row).hour());
            *self.dropped.hours.entry(hour).or_default() += 1;
        }
        filter_record_batch(batch, &BooleanArray::from(keep))
    }
}
