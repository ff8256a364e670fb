//! The commands that are offered are those that work.

use super::home::{Home, S1, at, everything};
use super::{overwrite, rows};
use crate::maintain::compact::compact;
use crate::maintain::compact::plan::Rule;
use crate::maintain::verify::{Path, Progress, remedy, verify};
use crate::model::subscription::Stream;
use crate::store::paths::PartName;
use crate::store::segment::Segment;

/// The commands for a file of a recording at which something is wrong.
fn offered(home: &Home, part: &Segment) -> (Vec<String>, Vec<PartName>) {
    let report = home.verify();
    let fault = report.faults.into_iter().find(|fault| fault.path == part.name.to_string());
    (fault.unwrap().remedy, report.lost)
}

#[test]
fn a_remedy_is_what_can_be_had() {
    let data = |home: &Home| home.data().display().to_string();
    let home = Home::recorded();
    let out = format!("veritape verify --data {} --quarantine", data(&home));
    let again = format!("veritape gaps repair --data {} --venue upbit", data(&home));
    for (stream, expected) in [
        (Stream::Orderbook, vec![&out]),
        (Stream::Trade, vec![&out, &again]),
        (S1, vec![&out, &again]),
    ] {
        let part = home.part(stream, 0);
        overwrite(&home, &part, b"PAR1");
        let (commands, lost) = offered(&home, &part);
        assert_eq!(commands.iter().collect::<Vec<_>>(), expected, "{stream}");
        assert!(lost.contains(&part.name), "{lost:?}");
    }
    // Days that the venue does not tell of any more.
    let late = at(9 * 86_400);
    let progress = Progress { begin: &|_, _| {}, done: &|_| {} };
    let report = verify(home.data(), &home.fs, late, &everything(), progress).unwrap();
    let trades = report.faults.iter().find(|fault| fault.path.starts_with("stream=trade")).unwrap();
    assert_eq!(trades.remedy, [out], "{trades:?}");
}

#[test]
fn frames_that_are_kept_make_a_file_again() {
    for (kept, whole) in [(1..=2_100, true), (1..=239, false), (2..=2_100, false)] {
        let home = Home::recorded();
        home.keep_raw(kept.clone());
        let part = home.part(Stream::Trade, 0);
        assert_eq!((part.frames.min, part.frames.max), (1, 240));
        overwrite(&home, &part, b"PAR1");
        let (commands, lost) = offered(&home, &part);
        let rebuild = format!(
            "veritape rebuild --data {} --from 2026-09-22T10:00:00Z --to 2026-09-22T10:59:30.000001Z \
             --streams trade",
            home.data().display()
        );
        assert_eq!(commands == [rebuild], whole, "{kept:?}: {commands:?}");
        assert_eq!(lost.is_empty(), whole, "{kept:?}");
    }
}

#[test]
fn what_is_recorded_twice_is_merged() {
    let home = Home::recorded();
    let part = home.publish(Stream::Trade, &rows(&home, Stream::Trade, &[0, 1]));
    let command =
        format!("veritape compact --data {} --all --streams trade", home.data().display());
    assert_eq!(offered(&home, &part), (vec![command], Vec::new()));
    let rule = Rule { streams: vec![Stream::Trade], all: true, ..Rule::default() };
    compact(home.data(), &home.fs, at(8_000), &rule).unwrap();
    assert_eq!(home.verify().faults, Vec::new());
}

#[test]
fn a_folder_is_named_as_a_shell_reads_it() {
    for (path, expected) in
        [("/data/upbit-1", "/data/upbit-1"), ("/my data", "'/my data'"), ("/it's", r"'/it'\''s'")]
    {
        assert_eq!(remedy::quoted(Path::new(path)), expected);
    }
}
