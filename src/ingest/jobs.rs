//! What became of the pages of jobs, for whoever asks for the next ones.

use crate::model::job::Reached;

/// What the writer knows of one job. It is there once the catalog knows the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobTold {
    /// Pages of it that are durable in the journal, in this run.
    pub pages: u64,
    /// Rows that were not there before, or not like this, as far as that is settled.
    pub rows: u64,
    /// Rows that were there already, as far as that is settled.
    pub known: u64,
    /// How far back it came; none before its first page.
    pub reached: Option<Reached>,
}
