//! Beside a recorder: its writer publishes what others merged.

use std::thread;
use std::time::Duration;

use super::*;
use crate::ingest::queue::{QueueLimits, queue};
use crate::ingest::writer::{Writer, WriterOptions};
use crate::maintain::caretaker::{Care, Caretaker};
use crate::maintain::retain::{Limits, Policy};
use crate::model::event::Event;
use crate::net::clock::{Clock, SystemClock};
use crate::store::swap::SwapError;

/// For what takes no time to speak of, on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(30);

/// A clock that stands still, two days after the rows.
#[derive(Debug)]
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        now()
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn files() -> Vec<(Stream, Vec<Row>)> {
    let mut files = files_of(CANDLE, &[vec![(0, 1, 1, true)], vec![(1, 1, 2, true)]]);
    files.extend(files_of(CANDLE, &[vec![(0, 1, 3, false)], vec![(2, 1, 4, true)]]));
    files.extend(files_of(Stream::Ticker, &[vec![(0, 1, 5, true)]]));
    files.extend(files_of(Stream::Orderbook, &[vec![(0, 1, 6, true)]]));
    files
}

#[test]
fn it_merges_and_removes_while_a_recorder_runs() {
    let home = Home::real(&files());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let options = WriterOptions::default();
    let writer =
        Writer::start(home.data(), Arc::clone(&home.fs), Arc::clone(&clock), options).unwrap();
    let desk = writer.desk();
    let (sender, receiver) = queue(QueueLimits::default());
    let writing = thread::spawn(move || writer.run(receiver));
    let limits = Limits { age: Some(Duration::from_hours(1)), bytes: None };
    let retain = |streams: &[Stream]| Policy {
        streams: streams.iter().map(|stream| (*stream, limits)).collect(),
        total: None,
    };
    // It would look in an hour; and no disk has so much room.
    let care = Care {
        compact: true,
        retain: Policy::default(),
        every: Duration::from_hours(1),
        min_free_bytes: u64::MAX,
        settle: Duration::from_secs(5),
    };
    let fs = Arc::clone(&home.fs);
    let caretaker = Caretaker::start(home.data(), fs, Arc::new(Later), desk.clone(), care).unwrap();
    // A writer looks at its desk when something comes, as the time does.
    let until = |files: usize| {
        while home.files().len() > files {
            assert!(clock.monotonic() < SOON, "{:?}", home.files());
            sender.try_send(Event::Tick(clock.now())).unwrap();
            thread::yield_now();
        }
    };
    // Told of it, it looks at once: what is not kept goes, and nothing is merged without room, or
    // there would be fewer files by the second look.
    let policy = retain(&[Stream::Ticker]);
    caretaker.orders().change(|care| care.retain = policy);
    until(5);
    let policy = retain(&[Stream::Ticker, Stream::Orderbook]);
    caretaker.orders().change(|care| care.retain = policy);
    until(4);
    assert_eq!(home.files().len(), 4, "{:?}", home.files());
    caretaker.orders().change(|care| care.min_free_bytes = 0);
    until(1);
    // What somebody else replaced meanwhile cannot be replaced again.
    let gone = sample::name(CANDLE, 1);
    let swap = Swap { sources: vec![gone.clone()], ..Swap::default() };
    let asking = thread::spawn({
        let desk = desk.clone();
        move || desk.swap(swap)
    });
    while !asking.is_finished() {
        assert!(clock.monotonic() < SOON, "the desk does not answer");
        sender.try_send(Event::Tick(clock.now())).unwrap();
        thread::yield_now();
    }
    let error = asking.join().unwrap().unwrap_err();
    assert!(matches!(&error, DeskError::Swap(SwapError::Gone(name)) if *name == gone), "{error}");
    drop(sender);
    writing.join().unwrap().unwrap();
    caretaker.join();
    assert!(matches!(desk.reserve(1), Err(DeskError::Ended)));

    assert_eq!(home.rows(), text(&left(&files()[..4])));
    let catalog = Catalog::of_folder(home.data()).unwrap();
    assert_eq!(catalog.retirements(&Filter::default()).unwrap().len(), 2);
    assert_eq!(catalog.recovery().unwrap(), None);
    // A start finds nothing to clear away, and numbers go on.
    let again = Owner::of(home.data(), &home.fs, now()).unwrap();
    assert!(again.catalog().start().unwrap().next_segment > 6);
}
