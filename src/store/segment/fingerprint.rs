//! What rows there are, whatever their order and wherever they lie.

use super::cells::Cells;
use crate::model::record::HashSink;

/// How many rows, and the sum of a 128-bit hash over all columns of each. Equal for equal multisets
/// of rows; for others only by a chance that is nobody's concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fingerprint {
    rows: u64,
    sum: u128,
}

impl Fingerprint {
    /// Adds a row; the part has to be read whole.
    pub fn add(&mut self, cells: &Cells<'_>, row: usize) {
        let mut hash = HashSink::default();
        cells.put(row, &mut hash);
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash.finish_wide());
    }

    /// How many rows.
    #[must_use]
    pub const fn rows(self) -> u64 {
        self.rows
    }

    /// What is left of these rows without `others`, which are among them.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self { rows: self.rows.saturating_sub(others.rows), sum: self.sum.wrapping_sub(others.sum) }
    }
}
