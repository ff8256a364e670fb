use News::{DiskLow, DiskOk, GapClosed, GapOpened, HealthLost, HealthRegained};

use super::*;
use crate::ingest::presence::{Attendance, Roll};
use crate::ingest::progress::Progress;
use crate::ingest::queue::QueueLimits;
use crate::model::gap::{GapCause, GapState};
use crate::model::subscription::Stream;
use crate::store::catalog::Change;

fn gap(to_ms: Option<i64>) -> Gap {
    Gap {
        venue: "v".into(),
        stream: Stream::Trade,
        market: None,
        from: Timestamp::from_millis(1),
        to: to_ms.map(Timestamp::from_millis),
        cause: GapCause::Disconnect,
        state: GapState::Open,
        rows_repaired: 0,
        source: None,
        detail: String::new(),
    }
}

#[test]
fn every_beginning_and_every_end_of_a_gap_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Ledger::of(folder.path()).highest.is_none(), "there is no ledger yet");
    let mut catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
    let mut write = |gaps: &[(i64, Option<i64>)]| {
        let gaps = gaps.iter().map(|(id, to)| (*id, gap(*to))).collect();
        catalog.publish(&Change { gaps, ..Change::default() }).unwrap();
    };
    write(&[(1, Some(5)), (2, None)]);
    let mut ledger = Ledger::of(folder.path());
    let mut check = |expected: &[(News, i64)]| {
        let news = ledger.news(&Catalog::of_folder(folder.path()).unwrap()).unwrap();
        let found: Vec<_> = news.iter().map(|(news, id, _)| (*news, *id)).collect();
        assert_eq!(found, expected);
    };
    check(&[]);
    write(&[(3, None), (4, Some(9))]);
    check(&[(GapOpened, 3), (GapOpened, 4), (GapClosed, 4)]);
    check(&[]);
    write(&[(2, Some(9)), (3, Some(9)), (5, None)]);
    check(&[(GapClosed, 2), (GapClosed, 3), (GapOpened, 5)]);
    check(&[]);
    // What a repair makes of a gap that was over is no news.
    write(&[(3, Some(9))]);
    check(&[]);
}

#[test]
fn what_lasts_is_told_and_what_passes_is_not() {
    let served = Attendance { asked: 1, served: 1, ..Attendance::default() };
    let streams = [(("v".into(), Stream::Trade), served)].into();
    let roll = Arc::new(Roll { streams, ..Roll::default() });
    let mut progress = Progress { roll, ..Progress::default() };
    let mut judge = Judge::default();
    let mut told = Vec::new();
    for second in 0..60 {
        let now = Timestamp::from_millis(second * 1_000);
        progress.at = now;
        // No connection is up, so it is unwell all the time but from 20 to 40.
        if second == 20 {
            // A gap that has only begun is no failure, and says why no connection is up.
            let begun = Gap { from: Timestamp::from_millis(1_000_000), ..gap(None) };
            let away = Attendance { away: Some((begun, 1)), ..Attendance::default() };
            let streams = [(("v".into(), Stream::Trade), away)].into();
            progress.roll = Arc::new(Roll { streams, ..Roll::default() });
        }
        if second == 40 {
            progress.roll = Arc::default();
        }
        let signs = Signs {
            now,
            started: Timestamp::from_millis(0),
            progress: &progress,
            queued_events: 0,
            queued_bytes: 0,
            queue: QueueLimits::default(),
            // Two pictures of a full disk are none; three are.
            free_bytes: Some(if [5, 6, 10, 11, 12].contains(&second) { 1 } else { 9 }),
            min_free_bytes: 5,
        };
        let notices = judge.judge(&signs);
        told.extend(notices.into_iter().map(|notice| (second, notice.news)));
    }
    let expected =
        [(2, HealthLost), (12, DiskLow), (15, DiskOk), (22, HealthRegained), (42, HealthLost)];
    assert_eq!(told, expected);
}

#[test]
fn a_recorder_that_has_just_begun_is_not_unwell() {
    let progress = Progress::default();
    let mut judge = Judge::default();
    let mut told = Vec::new();
    for second in 0..40 {
        let now = Timestamp::from_millis(second * 1_000);
        let progress = Progress { at: now, ..progress.clone() };
        let signs = Signs {
            now,
            started: Timestamp::from_millis(0),
            progress: &progress,
            queued_events: 0,
            queued_bytes: 0,
            queue: QueueLimits::default(),
            free_bytes: Some(9),
            min_free_bytes: 5,
        };
        told.extend(judge.judge(&signs).into_iter().map(|notice| (second, notice.news)));
    }
    assert_eq!(told, [(32, News::HealthLost)]);
}
