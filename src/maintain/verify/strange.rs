//! What the folder has and the catalog does not know, and what the catalog counts and no file has.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{Fault, FaultKind, Report, Site, VerifyError};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, CatalogError, Filter};

/// Looks for files that the catalog does not know. While somebody records (`recording`), a file
/// that was just given its name is not known yet.
pub(super) fn look(
    site: Site<'_>,
    catalog: &Catalog,
    recording: bool,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let found = site.paths.walk(site.fs.as_ref()).map_err(|source| VerifyError::List {
        path: site.paths.data().display().to_string(),
        source,
    })?;
    let retired = catalog.retired()?;
    let next = catalog.start()?.next_segment;
    for name in found.parts.into_iter().filter(|name| site.wants(name.stream)) {
        if catalog.knows(&name)? {
            continue;
        }
        let path = name.to_string();
        if retired.iter().any(|one| one.path == path) {
            report.leftovers += u64::from(!recording);
        } else if !(recording && name.number >= next) {
            report.faults.push(unknown(path));
        }
    }
    if !recording {
        report.leftovers += u64::try_from(found.unpublished.len()).unwrap_or(u64::MAX);
    }
    for path in found.strange {
        let path = path.strip_prefix(site.paths.data()).unwrap_or(&path);
        report.faults.push(unknown(path.display().to_string()));
    }
    Ok(())
}

fn unknown(path: String) -> Fault {
    let detail = "the catalog does not know it, and readers of the folder may take it: it does \
        not belong here";
    Fault { path, fault: FaultKind::Unknown, detail: detail.to_owned(), remedy: Vec::new() }
}

/// Days of which the catalog counts other rows by the hour than it counts in files.
pub(super) fn miscounted(site: Site<'_>, catalog: &Catalog) -> Result<Vec<Fault>, CatalogError> {
    let whole = Filter { within: site.request.within.and_then(days), ..Filter::default() };
    let mut counts: BTreeMap<(SmolStr, Stream, chrono::NaiveDate), (u64, u64)> = BTreeMap::new();
    for segment in catalog.segments(&whole)? {
        let name = segment.name;
        counts.entry((name.venue, name.stream, name.date)).or_default().0 += segment.rows;
    }
    for ((venue, stream, _), hour, rows) in catalog.recorded(&whole)? {
        counts.entry((venue.into(), stream, hour.date())).or_default().1 += rows;
    }
    // A row of `unread` need not name a market, and is counted by no hour then.
    let wrong = counts.into_iter().filter(|((_, stream, _), (files, hours))| {
        site.wants(*stream) && *stream != Stream::Unread && files != hours
    });
    let fault = |((venue, stream, date), (files, hours))| Fault {
        path: format!("stream={stream}/venue={venue}/date={date}"),
        fault: FaultKind::Count,
        detail: format!("{hours} rows by the hour, {files} in files"),
        remedy: Vec::new(),
    };
    Ok(wrong.map(fault).collect())
}

/// The days that `span` touches.
fn days(span: crate::model::span::Span) -> Option<crate::model::span::Span> {
    use crate::maintain::proof::reading::span_of;

    let last = Timestamp::from_micros(span.to().micros().saturating_sub(1));
    let (first, last) = (span_of(span.from().date())?, span_of(last.date())?);
    crate::model::span::Span::new(first.from(), last.to())
}
