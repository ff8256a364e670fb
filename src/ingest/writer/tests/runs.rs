//! Untroubled runs on a real folder.

use super::*;

#[test]
fn what_comes_twice_is_one_row_in_and_over_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let first = [opened(0, 1), served(1, 1), trade(1, 1, 7), trade(2, 1, 8), trade(2, 1, 7)];
    play(start(folder.path(), &fs).expect("starts"), first).expect("plays");
    let second = [opened(10, 2), served(11, 2), trade(11, 2, 8), trade(12, 2, 9)];
    play(start(folder.path(), &fs).expect("starts"), second).expect("plays");
    assert_eq!(column(folder.path(), &fs, Stream::Trade, "id"), ["7", "8", "9"]);
    assert_eq!(column(folder.path(), &fs, Stream::Trade, "frame"), ["1", "2", "5"]);
}

#[test]
fn a_candle_that_changes_after_it_was_written_replaces_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let events = [
        candle(10, 10, 1.0, 10),
        candle(11, 11, 5.0, 11),
        Event::Tick(at(18)),
        Event::Tick(at(100)),
        candle(101, 10, 2.0, 12),
        Event::Tick(at(170)),
    ];
    play(start(folder.path(), &fs).expect("starts"), events).expect("plays");
    let closes = column(folder.path(), &fs, Stream::Candle(CandleUnit::S1), "close");
    assert_eq!(closes, ["2.0", "5.0"]);
}

#[test]
fn bytes_that_nobody_understands_are_a_row_and_a_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let events = [opened(0, 1), served(1, 1), frame(2, 1, &json!(["garbage"])), closed(9, 1, None)];
    play(start(folder.path(), &fs).expect("starts"), events).expect("plays");
    assert_eq!(column(folder.path(), &fs, Stream::Unread, "frame"), ["1"]);
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    let gaps = catalog.gaps(&Filter::default()).expect("gaps");
    let causes: Vec<_> = gaps.iter().map(|(_, gap)| (gap.stream, gap.cause)).collect();
    assert_eq!(
        causes,
        [(Stream::Trade, GapCause::Unread), (Stream::Candle(CandleUnit::S1), GapCause::Unread)]
    );
}

#[test]
fn which_line_was_first_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let events = [
        opened(0, 1),
        opened(0, 2),
        served(1, 1),
        served(1, 2),
        trade(1, 1, 7),
        trade(3, 2, 7),
        trade(4, 2, 8),
        trade(5, 1, 8),
        trade(6, 1, 9),
        trade(6, 1, 9),
        closed(9, 1, None),
        closed(9, 2, None),
    ];
    play(start(folder.path(), &fs).expect("starts"), events).expect("plays");
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    let sessions = catalog.sessions(&Filter::default()).expect("sessions");
    let tallies: Vec<[u64; 4]> = sessions
        .iter()
        .map(|row| row.tally)
        .map(|tally| [tally.records, tally.duplicates, tally.led, tally.lead_us])
        .collect();
    assert_eq!(tallies, [[4, 2, 1, 2_000_000], [2, 1, 1, 1_000_000]]);
}
