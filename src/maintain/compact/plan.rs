//! Which files become one: decided from the catalog alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::NaiveDate;
use smol_str::SmolStr;

use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::{HOUR_US, Timestamp};
use crate::store::segment::Segment;

/// How long an hour is left alone after its end, and after the last row that came for it.
const QUIET_HOUR: Duration = Duration::from_mins(10);
/// The same of a day.
const QUIET_DAY: Duration = Duration::from_hours(1);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Files of these streams; of all where none is named.
    pub streams: Vec<Stream>,
    /// Also those of the UTC day that is not over.
    pub all: bool,
    /// One file for each market.
    pub by_market: bool,
}

/// Files of one stream, venue and day that become one, or one for each market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// In the order of their numbers.
    pub sources: Vec<Segment>,
    /// Whether each market gets a file of its own.
    pub by_market: bool,
}

/// The files of a stream, venue and day.
type Day<'a> = ((NaiveDate, Stream, SmolStr), Vec<&'a Segment>);

/// What a command does. `of_market` says which files hold one market alone.
#[must_use]
pub fn plan(
    segments: &[Segment],
    of_market: &BTreeMap<u64, Market>,
    rule: &Rule,
    now: Timestamp,
) -> Vec<Task> {
    let wanted = |((date, stream, _), _): &Day<'_>| {
        (rule.streams.is_empty() || rule.streams.contains(stream))
            && (rule.all || *date < now.date())
    };
    let days = days(segments).into_iter().filter(wanted);
    let due =
        days.filter(
            |(_, files)| {
                if rule.by_market { !are_apart(files, of_market) } else { files.len() > 1 }
            },
        );
    due.map(|(_, files)| task(&files, rule.by_market)).collect()
}

/// What a recorder does on its own: the hours of a day as they end, then the day. Files of one
/// market stay: somebody wanted them so. A day that still grows (a backfill) is left alone until
/// nothing has come for a while, so that a large file is not written again for each small one.
#[must_use]
pub fn plan_on_its_own(
    segments: &[Segment],
    of_market: &BTreeMap<u64, Market>,
    now: Timestamp,
) -> Vec<Task> {
    let mut tasks = Vec::new();
    for ((date, ..), mut files) in days(segments) {
        files.retain(|file| !of_market.contains_key(&file.name.number));
        if date < now.date() && are_quiet(&files, now, QUIET_DAY) {
            tasks.extend((files.len() > 1).then(|| task(&files, false)));
            continue;
        }
        let mut hours: BTreeMap<Timestamp, Vec<&Segment>> = BTreeMap::new();
        for file in files {
            // The last row says which: a snapshot may bring a row that is much older.
            hours.entry(file.ts_event.max.hour()).or_default().push(file);
        }
        for (hour, files) in hours {
            let end = hour.after(Duration::from_micros(HOUR_US.unsigned_abs()));
            let over = end.after(QUIET_HOUR) <= now;
            if over && files.len() > 1 && are_quiet(&files, now, QUIET_HOUR) {
                tasks.push(task(&files, false));
            }
        }
    }
    tasks
}

fn task(files: &[&Segment], by_market: bool) -> Task {
    let mut sources: Vec<Segment> = files.iter().map(|file| (*file).clone()).collect();
    sources.sort_by_key(|file| file.name.number);
    Task { sources, by_market }
}

/// The files by day, oldest first.
fn days(segments: &[Segment]) -> Vec<Day<'_>> {
    let mut days: BTreeMap<_, Vec<&Segment>> = BTreeMap::new();
    for one in segments {
        let key = (one.name.date, one.name.stream, one.name.venue.clone());
        days.entry(key).or_default().push(one);
    }
    days.into_iter().collect()
}

/// Whether every file holds one market alone, and every market has one file.
fn are_apart(files: &[&Segment], of_market: &BTreeMap<u64, Market>) -> bool {
    let mut seen = BTreeSet::new();
    files.iter().all(|file| of_market.get(&file.name.number).is_some_and(|one| seen.insert(one)))
}

fn are_quiet(files: &[&Segment], now: Timestamp, time: Duration) -> bool {
    files.iter().all(|file| file.ts_recv.max.after(time) <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::paths::PartName;
    use crate::store::segment::Ends;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A file with the rows of one minute, that came as they happened.
    fn file(number: u64, stream: Stream, minute: &str) -> Segment {
        let start = at(&format!("{minute}:00Z"));
        let ends = Ends { min: start, max: start.after(Duration::from_secs(59)) };
        let name = PartName { stream, venue: "upbit".into(), date: start.date(), number };
        Segment {
            name,
            rows: 1,
            bytes: 1,
            blake3: String::new(),
            format_version: 1,
            ts_event: ends,
            ts_recv: ends,
            frames: Ends { min: 1, max: 1 },
        }
    }

    fn files() -> Vec<Segment> {
        use Stream::{Orderbook, Trade};
        vec![
            file(1, Trade, "2026-11-20T10:00"),
            file(2, Trade, "2026-11-20T10:01"),
            file(3, Trade, "2026-11-20T23:59"),
            file(4, Orderbook, "2026-11-20T10:00"),
            file(5, Trade, "2026-11-21T00:00"),
            file(6, Trade, "2026-11-21T00:59"),
            file(7, Trade, "2026-11-21T01:00"),
            file(8, Orderbook, "2026-11-20T11:00"),
        ]
    }

    fn numbers(tasks: &[Task]) -> Vec<Vec<u64>> {
        let numbers = |task: &Task| task.sources.iter().map(|one| one.name.number).collect();
        tasks.iter().map(numbers).collect()
    }

    #[test]
    fn a_command_takes_whole_days() {
        let now = at("2026-11-21T02:00:00Z");
        let check = |rule: Rule, of_market: &[(u64, &str)], expected: &[&[u64]]| {
            let of_market = of_market.iter().map(|(n, m)| (*n, Market::new(*m))).collect();
            assert_eq!(numbers(&plan(&files(), &of_market, &rule, now)), expected, "{rule:?}");
        };
        check(Rule::default(), &[], &[&[1, 2, 3], &[4, 8]]);
        let trades = || vec![Stream::Trade];
        check(Rule { streams: trades(), ..Rule::default() }, &[], &[&[1, 2, 3]]);
        let all = || Rule { all: true, ..Rule::default() };
        check(all(), &[], &[&[1, 2, 3], &[4, 8], &[5, 6, 7]]);
        let by_market = || Rule { by_market: true, ..Rule::default() };
        check(by_market(), &[], &[&[1, 2, 3], &[4, 8]]);
        check(by_market(), &[(4, "A"), (8, "B")], &[&[1, 2, 3]]);
        check(by_market(), &[(4, "A"), (8, "A")], &[&[1, 2, 3], &[4, 8]]);
        check(by_market(), &[(4, "A")], &[&[1, 2, 3], &[4, 8]]);
        check(Rule::default(), &[(4, "A"), (8, "B")], &[&[1, 2, 3], &[4, 8]]);
    }

    #[test]
    fn a_recorder_takes_hours_then_the_day() {
        for (now, of_market, expected) in [
            ("2026-11-20T10:30:00Z", [].as_slice(), [].as_slice()),
            ("2026-11-20T11:09:59Z", &[], &[]),
            ("2026-11-20T11:10:00Z", &[], &[[1, 2].as_slice()]),
            // The day is over, but not for long: its hours only.
            ("2026-11-21T00:30:00Z", &[], &[&[4, 8], &[1, 2]]),
            ("2026-11-21T01:30:00Z", &[], &[&[1, 2, 3], &[4, 8], &[5, 6]]),
            ("2026-11-21T01:30:00Z", &[(4, "A"), (8, "B")], &[&[1, 2, 3], &[5, 6]]),
            ("2026-11-23T00:00:00Z", &[], &[&[1, 2, 3], &[4, 8], &[5, 6, 7]]),
        ] {
            let of_market = of_market.iter().map(|(n, m)| (*n, Market::new(*m))).collect();
            let mut found = numbers(&plan_on_its_own(&files(), &of_market, at(now)));
            let mut expected: Vec<Vec<u64>> = expected.iter().map(|one| one.to_vec()).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{now}");
        }
    }

    #[test]
    fn a_day_that_still_grows_is_left_alone() {
        let mut files = files();
        files[0].ts_recv.max = at("2026-11-21T04:30:00Z");
        let plan = |now| numbers(&plan_on_its_own(&files, &BTreeMap::new(), at(now)));
        assert!(!plan("2026-11-21T04:35:00Z").concat().contains(&1));
        // Its hours are small enough to be written again sooner.
        assert!(plan("2026-11-21T05:00:00Z").contains(&vec![1, 2]));
        assert!(plan("2026-11-21T05:30:00Z").contains(&vec![1, 2, 3]));
    }
}
