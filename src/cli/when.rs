//! Times as a person writes them: `2026-01-31`, `2026-01-31T09:00`, `2026-01-31T09:00:00Z`, `now`,
//! or so long ago, as `3d` or `12h`.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};

use crate::model::time::Timestamp;

/// What to write, for whoever wrote something else.
const FORMS: &str = "write a day such as 2026-01-31, a time such as 2026-01-31T09:00 or \
                     2026-01-31T09:00:00+09:00, now, or how long ago, such as 3d or 12h";
/// Zones with a name. They have no summer time.
const ZONES: [(&str, i32); 3] = [("UTC", 0), ("KST", 9 * 3_600), ("JST", 9 * 3_600)];

/// The zone that a time without one is in.
///
/// # Errors
///
/// What to write instead.
pub(super) fn zone(text: &str) -> Result<FixedOffset, String> {
    let named = ZONES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let named = named.and_then(|(_, seconds)| FixedOffset::east_opt(*seconds));
    let offset = || {
        // An offset is read as the end of a time.
        let at = DateTime::parse_from_rfc3339(&format!("2000-01-01T00:00:00{text}")).ok()?;
        Some(*at.offset())
    };
    named.or_else(offset).ok_or_else(|| {
        format!("{text:?} is no time zone; write UTC, KST, or an offset such as +09:00")
    })
}

/// The instant that `text` means at `now`; a time that names no zone is in `zone`.
///
/// # Errors
///
/// What to write instead.
pub(super) fn instant(text: &str, zone: FixedOffset, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(now);
    }
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let day = text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN));
    let times =
        ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f"];
    let time = || times.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    if let Some(local) = day.ok().or_else(time) {
        let at = local.and_local_timezone(zone).single();
        return at.map(|at| at.to_utc().into()).ok_or_else(|| format!("{text:?}: {FORMS}"));
    }
    humantime::parse_duration(text)
        .map(|ago| now.before(ago))
        .map_err(|_| format!("{text:?}: {FORMS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, timezone: &str, expected: &str) {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let found = zone(timezone).and_then(|zone| instant(text, zone, now));
        let found = found.map_or_else(|error| error, |at| at.to_string());
        assert!(
            found == expected || (found.contains(expected) && expected.contains(' ')),
            "{text} {timezone}: {found}"
        );
    }

    #[test]
    fn every_way_to_write_a_time() {
        for (text, zone, expected) in [
            ("2026-01-31", "UTC", "2026-01-31T00:00:00Z"),
            ("2026-01-31", "kst", "2026-01-30T15:00:00Z"),
            ("2026-01-31", "-03:30", "2026-01-31T03:30:00Z"),
            ("2026-01-31T09:00", "+09:00", "2026-01-31T00:00:00Z"),
            ("2026-01-31 09:00:00.5", "UTC", "2026-01-31T09:00:00.500Z"),
            ("2026-01-31T09:00:00+09:00", "UTC", "2026-01-31T00:00:00Z"),
            ("now", "KST", "2026-11-21T12:00:00Z"),
            ("3d", "KST", "2026-11-18T12:00:00Z"),
            ("1d 12h", "UTC", "2026-11-20T00:00:00Z"),
            ("2026-02-30", "UTC", "write a day such as"),
            ("yesterday", "UTC", "write a day such as"),
            ("2026-01-31", "CET", "is no time zone; write"),
            ("2026-01-31", "9", "is no time zone; write"),
        ] {
            check(text, zone, expected);
        }
    }
}
