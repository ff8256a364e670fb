//! The commands that mend what is at fault, in the order in which they work.
//!
//! * A file whose raw frames are all kept is made again from them (`rebuild`), and nothing is lost.
//! * Any other damaged file first has to go: `verify --quarantine` takes it out of the catalog and
//!   names what is lost in the gap ledger. What the venue still tells is then had again by
//!   `gaps repair`, or by the next start of a recorder.
//! * What is recorded twice is merged by `compact`.
//! * Where files are whole and trades and candles disagree, the venue told less than it knew: both
//!   are asked for again (`backfill --force`), as far as it still tells.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use super::{Fault, FaultKind, Report, Site};
use crate::maintain::proof::Numbers;
use crate::model::market::Market;
use crate::model::span::Span;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::ConditionRow;
use crate::store::journal;
use crate::store::paths::PartName;
use crate::store::raw;
use crate::store::segment::{Frames, Segment};
use crate::venue::{Venue, by_name};

/// By how much arrivals may be out of order between two files of frames.
const SLACK: Duration = Duration::from_mins(5);
const HOUR: Duration = Duration::from_hours(1);

/// The kinds of commands, in the order in which they work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Quarantine,
    Rebuild,
    Compact,
    Repair,
    Ask,
}

type Command = (Step, String);

/// Says of every fault how it is mended, and which files have to go for it.
pub(super) fn offer(site: Site<'_>, segments: &[Segment], report: &mut Report) {
    let known: BTreeMap<String, &Segment> =
        segments.iter().map(|segment| (segment.name.to_string(), segment)).collect();
    let at_fault = report.faults.iter().filter_map(|fault| known.get(&fault.path).copied());
    let kept = kept(site, &at_fault.collect::<Vec<_>>());
    let mut all: BTreeSet<Command> = BTreeSet::new();
    for fault in &mut report.faults {
        let commands = match (known.get(&fault.path), fault.path.parse::<PartName>()) {
            (Some(segment), _) => {
                let commands = of_file(site, segment, segments, fault, &kept);
                if commands.iter().any(|(step, _)| *step == Step::Quarantine) {
                    report.lost.push(segment.name.clone());
                }
                commands
            }
            (None, Ok(_)) if fault.fault == FaultKind::Unknown => vec![quarantine(site)],
            (None, _) => Vec::new(),
        };
        fault.remedy = commands.iter().map(|(_, command)| command.clone()).collect();
        all.extend(commands);
    }
    // Damaged files are reason enough to disagree.
    if report.faults.is_empty() && super::held(site.paths.data()).is_none() {
        all.extend(ask(site, &report.hours));
    }
    report.lost.sort();
    report.lost.dedup();
    report.remedies = all.into_iter().map(|(_, command)| command).collect();
}

/// What can be done about a file.
fn of_file(
    site: Site<'_>,
    segment: &Segment,
    segments: &[Segment],
    fault: &Fault,
    kept: &Frames,
) -> Vec<Command> {
    let again = kept.cover(segment.frames).then(|| vec![rebuild(site, segment)]);
    match fault.fault {
        FaultKind::Unknown | FaultKind::Count => Vec::new(),
        FaultKind::Missing
        | FaultKind::Unreadable
        | FaultKind::Size
        | FaultKind::Checksum
        | FaultKind::Format
        | FaultKind::Rows
        | FaultKind::Span
        | FaultKind::Order => again.unwrap_or_else(|| {
            let repair = is_had_again(site, segment).then(|| repair(site, segment));
            [quarantine(site)].into_iter().chain(repair).collect()
        }),
        FaultKind::Key => {
            again.unwrap_or_else(|| compact(site, segment, segments).into_iter().collect())
        }
    }
}

/// The frames kept around the arrival of the rows of `files`.
fn kept(site: Site<'_>, files: &[&Segment]) -> Frames {
    let mut frames = Frames::default();
    let first = files.iter().map(|file| file.ts_recv.min).min();
    let last = files.iter().map(|file| file.ts_recv.max).max();
    let span = first.zip(last).and_then(|(first, last)| Span::new(first, after(last)));
    let (Some(span), Ok(days)) = (span, raw::days(site.fs.as_ref(), site.paths)) else {
        return frames;
    };
    let days = raw::reaching(&days, span.from().date(), span.to().date());
    let folders: Vec<_> = days.into_iter().map(|day| site.paths.raw(day)).collect();
    match journal::replay_within(Arc::clone(site.fs), &folders, span, SLACK) {
        Ok(recovery) => {
            for frame in recovery {
                frames.push(i64::try_from(frame.sequence).unwrap_or(i64::MAX));
            }
        }
        Err(error) => tracing::warn!("raw frames are not taken for kept: {error}"),
    }
    frames
}

fn rebuild(site: Site<'_>, segment: &Segment) -> Command {
    let (from, to) = (segment.ts_recv.min, after(segment.ts_recv.max));
    let (data, stream) = (data(site), segment.name.stream);
    let command =
        format!("veritape rebuild --data {data} --from {from} --to {to} --streams {stream}");
    (Step::Rebuild, command)
}

fn quarantine(site: Site<'_>) -> Command {
    (Step::Quarantine, format!("veritape verify --data {} --quarantine", data(site)))
}

/// Trades and candles that are in two files of a day become one when these do.
fn compact(site: Site<'_>, segment: &Segment, segments: &[Segment]) -> Option<Command> {
    let PartName { stream, venue, date, .. } = &segment.name;
    let beside = |one: &&Segment| {
        one.name.stream == *stream && one.name.venue == *venue && one.name.date == *date
    };
    let merges = match stream {
        Stream::Trade | Stream::Candle(_) => segments.iter().filter(beside).count() > 1,
        Stream::Orderbook | Stream::Ticker | Stream::Instrument | Stream::Unread => false,
    };
    let command = || format!("veritape compact --data {} --all --streams {stream}", data(site));
    merges.then(|| (Step::Compact, command()))
}

fn repair(site: Site<'_>, segment: &Segment) -> Command {
    let command =
        format!("veritape gaps repair --data {} --venue {}", data(site), segment.name.venue);
    (Step::Repair, command)
}

/// Asks each venue once for the hours that are whole and disagree with each other.
fn ask(site: Site<'_>, hours: &[ConditionRow]) -> Vec<Command> {
    let mut venues: BTreeMap<&SmolStr, Asked<'_>> = BTreeMap::new();
    for hour in hours.iter().filter(|hour| disagrees(hour)) {
        let end = hour.hour.after(HOUR).min(site.now);
        let streams: BTreeSet<Stream> = std::iter::once(hour.stream)
            .chain(hour.evidence.iter().copied())
            .filter(|stream| is_told_again(site, &hour.venue, *stream, end))
            .collect();
        if streams.is_empty() {
            continue;
        }
        let asked = venues.entry(&hour.venue).or_insert_with(|| Asked {
            streams: BTreeSet::new(),
            markets: BTreeSet::new(),
            from: hour.hour,
            to: end,
        });
        asked.streams.extend(streams);
        asked.markets.insert(&hour.market);
        (asked.from, asked.to) = (asked.from.min(hour.hour), asked.to.max(end));
    }
    let data = data(site);
    let command = |(venue, asked): (&SmolStr, Asked<'_>)| {
        let streams: Vec<String> = asked.streams.iter().map(ToString::to_string).collect();
        let markets: Vec<&str> = asked.markets.iter().map(|market| market.as_str()).collect();
        let command = format!(
            "veritape backfill --data {data} --venue {venue} --streams {} --markets {} --from {} \
             --to {} --force",
            streams.join(","),
            markets.join(","),
            asked.from,
            asked.to
        );
        (Step::Ask, command)
    };
    venues.into_iter().map(command).collect()
}

/// What is asked of a venue.
struct Asked<'a> {
    streams: BTreeSet<Stream>,
    markets: BTreeSet<&'a Market>,
    from: Timestamp,
    to: Timestamp,
}

/// Whether an hour was found to disagree with what it was compared with.
fn disagrees(hour: &ConditionRow) -> bool {
    let numbers = serde_json::from_str::<Numbers>(&hour.numbers);
    hour.condition.is_bad() && numbers.is_ok_and(|numbers| numbers.disagreeing > 0)
}

/// Whether the venue's history reaches to any of the file's rows.
fn is_had_again(site: Site<'_>, segment: &Segment) -> bool {
    is_told_again(site, &segment.name.venue, segment.name.stream, segment.ts_event.max)
}

/// Whether a venue's history of a stream reaches to `last`.
fn is_told_again(site: Site<'_>, venue: &str, stream: Stream, last: Timestamp) -> bool {
    let offers = by_name(venue).map(Venue::offers).unwrap_or_default();
    let offer = offers.iter().find(|offer| offer.stream == stream);
    let Some(history) = offer.and_then(|offer| offer.history) else { return false };
    history.earliest(site.now).is_none_or(|earliest| earliest <= last)
}

fn data(site: Site<'_>) -> String {
    quoted(site.paths.data())
}

/// A path, as a shell reads it.
pub(super) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

fn after(at: Timestamp) -> Timestamp {
    at.after(Duration::from_micros(1))
}
