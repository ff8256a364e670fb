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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::ingest::writer::WriterOptions;
    use crate::model::event::Event;
    use crate::model::frame::{Frame, Origin};
    use crate::model::market::Source;
    use crate::model::time::Timestamp;
    use crate::net::clock::Clock;
    use crate::store::fs::{Fs, RealFs};
    use crate::store::paths::Paths;

    #[derive(Debug)]
    struct Stopped(Timestamp);

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            self.0
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn frame(at: Timestamp) -> Event {
        let (venue, source) = ("nowhere".into(), Source::Ws);
        let origin = Origin { venue, session: 1, source, stream: None, market: None };
        Event::Frame(Frame::arrived(at, Arc::new(origin), Bytes::from_static(b"?")))
    }

    /// Starts with frames kept of three days, takes a frame of each of two days, and tells what is
    /// kept after the start and after that.
    fn check(keep: Keep, raw_days: Option<u16>, data: &Path) -> [Vec<String>; 2] {
        let paths = Paths::new(data);
        for day in ["2026-09-19", "2026-09-20", "2026-09-21"] {
            let folder = paths.raw(day.parse().unwrap());
            RealFs.create_folder(&folder).unwrap();
            RealFs.create(&folder.join("00000000000000000001.vtj")).unwrap();
        }
        let kept = || {
            let days = raw::days(&RealFs, &paths).unwrap();
            days.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let clock = Arc::new(Stopped(at("2026-09-22T23:00:00Z")));
        let options = WriterOptions { keep, raw_days, ..WriterOptions::default() };
        let mut writer = Writer::start(data, Arc::new(RealFs), clock, options).unwrap();
        let started = kept();
        for time in ["2026-09-22T23:59:59Z", "2026-09-23T00:00:00Z"] {
            writer.take(frame(at(time))).unwrap();
            writer.catch_up().unwrap();
            writer.finish_seal().unwrap();
        }
        [started, kept()]
    }

    #[test]
    fn a_day_ends_its_file_and_old_days_go() {
        let old = ["2026-09-19", "2026-09-20", "2026-09-21"];
        let none = Keep::Nothing;
        let with = |days: &[&str]| days.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (days, started, turned) in [
            (Some(2), &old[1..], &["2026-09-21", "2026-09-22"][..]),
            (Some(9), &old[..], &[old[0], old[1], old[2], "2026-09-22"]),
            (None, &old[..], &[old[0], old[1], old[2], "2026-09-22"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let keep = Keep::Raw(Paths::new(folder.path()).raw_root());
            let kept = check(keep, days, folder.path());
            assert_eq!(kept, [with(started), with(turned)], "{days:?}");
        }
        // What is no longer kept is left alone.
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check(none, Some(0), folder.path()), [with(&old), with(&old)]);
    }
}
