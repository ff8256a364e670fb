//! Kept raw frames, as time goes on: a file holds frames of one day, and old days go.

use super::Writer;
use crate::store::journal::Keep;
use crate::store::raw::{self, RawError};

impl Writer {
    /// At the start and when the UTC day changes: ends the journal's file, so that it can go to
    /// its day's folder, and removes the days that are no longer to be kept. What cannot be
    /// removed now is tried again the next day.
    pub(super) fn turn_raw_page(&mut self) {
        let today = self.now.date();
        if self.options.keep == Keep::Nothing || self.raw_day == Some(today) {
            return;
        }
        self.raw_day = Some(today);
        self.journal.roll();
        if let Some(keep) = self.options.raw_days
            && let Err(error) = self.remove_expired(keep)
        {
            tracing::warn!("raw frames are kept longer than they should be: {error}");
        }
    }

    fn remove_expired(&self, keep: u16) -> Result<(), RawError> {
        let (fs, paths) = (self.fs.as_ref(), self.folder.paths());
        for day in raw::expired(&raw::days(fs, paths)?, self.now.date(), keep) {
            let files = raw::remove(fs, paths, day)?;
            if files > 0 {
                tracing::info!("removed the raw frames of {day} ({files} files): kept {keep} days");
            }
        }
        Ok(())
    }
}
