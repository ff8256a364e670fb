//! The desk and a seal that is under way: neither takes a file from under the other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use super::faults::Heard;
use super::*;
use crate::ingest::writer::desk::Request;
use crate::store::fs::faulty::FaultyFs;
use crate::store::swap::{Swap, SwapError};

#[test]
fn a_seal_that_is_under_way_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let (reach, reached) = sync_channel(1);
    let (release, released) = sync_channel::<()>(1);
    let (armed, released) = (Arc::new(AtomicBool::new(false)), Mutex::new(released));
    let hook = {
        let armed = Arc::clone(&armed);
        move |operation: &str, _: bool| {
            if operation == "publish" && armed.swap(false, Ordering::SeqCst) {
                reach.send(()).unwrap();
                released.lock().unwrap().recv().ok();
            }
        }
    };
    let fs: Arc<dyn Fs> = Arc::new(Heard(FaultyFs::default(), hook));
    let mut writer = start(folder.path(), &fs).unwrap();
    // Goes before the writer, which waits for its seal, when an assertion fails.
    let release = release;
    writer.take(candle(1, 0, 5.0, 0)).unwrap();
    writer.take(Event::Tick(at(60))).unwrap();
    writer.ripen(true);
    writer.seal().unwrap();
    let published = Catalog::of_folder(folder.path()).unwrap();
    let old = published.segments(&Filter::default()).unwrap().remove(0).name;

    // A revision: the seal reads the old file, and will retire it.
    writer.take(candle(61, 0, 6.0, 0)).unwrap();
    writer.ripen(true);
    armed.store(true, Ordering::SeqCst);
    writer.begin_seal().unwrap();
    reached.recv().unwrap();
    let (reply, answer) = sync_channel(1);
    let swap = Box::new(Swap { sources: vec![old.clone()], ..Swap::default() });
    writer.counter.ask.send(Request::Swap { swap, reply }).unwrap();
    for _ in 0..10 {
        writer.catch_up().unwrap();
    }
    assert!(answer.try_recv().is_err(), "the desk answers though a seal is under way");
    release.send(()).unwrap();
    let error = loop {
        writer.catch_up().unwrap();
        if let Ok(answered) = answer.try_recv() {
            break answered.unwrap_err();
        }
        thread::yield_now();
    };
    assert!(matches!(&error, SwapError::Gone(name) if *name == old), "{error}");
    writer.end().unwrap();
    let stream = Stream::Candle(CandleUnit::S1);
    assert_eq!(column(folder.path(), &fs, stream, "close"), ["6.0"]);
}
