//! Untroubled runs on a real folder.

use super::*;
use crate::ingest::queue::{QueueLimits, queue};
use crate::model::event::ClockStep;
use crate::store::catalog::LagRows;
use crate::store::journal::read_all;

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
fn who_was_served_is_told_at_the_next_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = start(folder.path(), &real()).expect("starts");
    let progress = writer.progress();
    let served_and_asked = || {
        let streams = &progress.borrow().roll.streams;
        streams.values().map(|one| (one.served, one.asked)).collect::<Vec<_>>()
    };
    for event in [opened(0, 1), Event::Tick(at(1))] {
        writer.take(event).expect("takes");
        writer.catch_up().expect("catches up");
    }
    assert_eq!(served_and_asked(), [(0, 1), (0, 1)]);
    for event in [served(1, 1), Event::Tick(at(1).after(LOOK_EVERY))] {
        writer.take(event).expect("takes");
        writer.catch_up().expect("catches up");
    }
    assert_eq!(served_and_asked(), [(1, 1), (0, 1)]);
}

/// In a storm the journal is packed elsewhere, and all of it is durable all the same.
#[test]
fn what_is_packed_elsewhere_becomes_durable() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = start(folder.path(), &real()).expect("starts");
    let (sender, receiver) = queue(QueueLimits::default());
    writer.gauge = receiver.gauge();
    for _ in 0..GATHER_BELOW {
        assert_eq!(sender.try_send(Event::Tick(at(0))), Ok(true));
    }
    for event in [opened(0, 1), served(0, 1), trade(0, 1, 7)] {
        writer.take(event).expect("takes");
    }
    // A new file is begun by the writer itself.
    writer.sync().expect("syncs");
    writer.catch_up().expect("catches up");
    for event in [trade(0, 1, 8), Event::Tick(at(1))] {
        writer.take(event).expect("takes");
    }
    let (clock, mut began) = (SystemClock::new(), false);
    while writer.journal.unsynced_since().is_some() {
        writer.catch_up().expect("catches up");
        began |= writer.journal.packs();
        assert!(clock.monotonic() < Duration::from_secs(30), "never durable");
    }
    assert!(began, "packed by the writer itself");
    let journal = std::fs::read_dir(folder.path().join("journal")).expect("a folder");
    let files: Vec<_> = journal.map(|file| file.expect("a file").path()).collect();
    let (frames, faults) = read_all(&std::fs::read(&files[0]).expect("bytes"));
    assert_eq!((frames.len(), faults.len(), files.len()), (2, 0, 1));
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

#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let mut writer = start(folder.path(), &fs).expect("starts");
    let stepped = ClockStep { at: at(500), by_us: -4_500_000_000 };
    let events = [
        opened(5_000, 1),
        served(5_001, 1),
        trade(5_001, 1, 7),
        Event::Tick(at(5_002)),
        Event::ClockStepped(stepped),
        Event::Tick(at(500)),
        trade(501, 1, 8),
        Event::Tick(at(502)),
    ];
    for event in events {
        writer.take(event).expect("takes it");
        writer.catch_up().expect("does what is due");
    }
    // It tells of itself again, and did not wait for 4,500 s to make its file.
    assert_eq!(writer.progress().borrow().at, at(502));
    writer.finish_seal().expect("seals");
    assert_eq!(column(folder.path(), &fs, Stream::Trade, "id"), ["7"]);
    writer.end().expect("ends");
    assert_eq!(column(folder.path(), &fs, Stream::Trade, "id"), ["7", "8"]);
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    assert_eq!(catalog.clock_steps(10).expect("steps"), [stepped]);
}

#[test]
fn lags_are_kept_by_hour_and_add_up_over_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let fs = real();
    let late = |second: i64, id: i64, ms: i64| {
        let sent = at(second).micros() / 1_000 - ms;
        frame(
            second,
            1,
            &json!({"ty": "trade", "cd": "KRW-BTC", "tms": sent, "ttms": sent, "tp": 5.0,
                "tv": 0.5, "ab": "BID", "pcp": 4.0, "c": "RISE", "cp": 1.0, "sid": id,
                "st": "REALTIME"}),
        )
    };
    let first = [late(10, 1, 40), late(11, 2, 45), late(3_601, 3, 90_000)];
    play(start(folder.path(), &fs).expect("starts"), first).expect("plays");
    let second = [late(20, 4, 48)];
    play(start(folder.path(), &fs).expect("starts"), second).expect("plays");
    let catalog = Catalog::of_folder(folder.path()).expect("a catalog");
    let lags = |second| catalog.lags(VENUE, Stream::Trade, at(second).hour()).expect("lags");
    let row = |upto_us, records, max_us| LagRows { upto_us, records, max_us };
    assert_eq!(lags(10), [row(Some(50_000), 3, 48_000)]);
    assert_eq!(lags(3_601), [row(None, 1, 90_000_000)]);
    let hours = |since| {
        let told = catalog.lags_since(at(since).hour()).expect("lags");
        told.into_iter().map(|one| (one.stream, one.hour, one.buckets)).collect::<Vec<_>>()
    };
    let last = (Stream::Trade, at(3_600).hour(), lags(3_601));
    assert_eq!(hours(0), [(Stream::Trade, at(0).hour(), lags(10)), last]);
    assert_eq!(hours(3_600).len(), 1);
}
