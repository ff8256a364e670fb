use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::model::frame::{Frame, Origin};
use crate::model::market::Source;
use crate::model::time::Timestamp;

fn frame(bytes: usize) -> Event {
    let origin =
        Origin { venue: "toy".into(), session: 1, source: Source::Ws, stream: None, market: None };
    Event::Frame(Frame::arrived(
        Timestamp::default(),
        Arc::new(origin),
        Bytes::from(vec![0; bytes]),
    ))
}

const TICK: Event = Event::Tick(Timestamp::MAX);

/// What fits at once, in order, and what stays in the queue then: events and bytes.
#[test]
fn both_limits_hold() {
    type Row = (&'static str, Vec<Event>, &'static [bool], (u64, u64));
    let limits = QueueLimits { events: 3, bytes: 100 };
    let table: &[Row] = &[
        ("events", vec![frame(1), TICK, frame(2), TICK], &[true, true, true, false], (3, 3)),
        (
            "bytes",
            vec![frame(60), frame(41), frame(40), frame(1)],
            &[true, false, true, false],
            (2, 100),
        ),
        ("time weighs nothing", vec![frame(100), TICK, TICK], &[true, true, true], (3, 100)),
        (
            "a giant passes alone",
            vec![frame(5_000), frame(1), TICK],
            &[true, false, true],
            (2, 100),
        ),
        ("a giant waits for all room", vec![frame(1), frame(5_000)], &[true, false], (1, 1)),
    ];
    for (name, events, fits, (held, bytes)) in table {
        let (sender, mut receiver) = queue(limits);
        for (event, fits) in events.iter().zip(*fits) {
            assert_eq!(sender.try_send(event.clone()), Ok(*fits), "{name}");
        }
        let gauge = receiver.gauge();
        assert_eq!((gauge.events(), gauge.bytes()), (*held, *bytes), "{name}");
        drop(sender);
        let mut out = Vec::new();
        while receiver.recv_batch(&mut out, 2) {}
        let sent = events.iter().zip(*fits).filter(|(_, fits)| **fits).map(|(event, _)| event);
        assert!(out.iter().eq(sent), "{name}: in order");
        assert_eq!((gauge.events(), gauge.bytes()), (0, 0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_senders_wait_and_counts_it() {
    for (name, limits) in [
        ("events", QueueLimits { events: 2, bytes: 1_000 }),
        ("bytes", QueueLimits { events: 1_000, bytes: 20 }),
    ] {
        let (sender, mut receiver) = queue(limits);
        let gauge = receiver.gauge();
        let sends = tokio::spawn(async move {
            let mut waits = Vec::new();
            for _ in 0..5 {
                waits.push(sender.send(frame(10)).await.unwrap().as_millis());
            }
            waits
        });
        let mut most = 0;
        let mut out = Vec::new();
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            most = most.max(gauge.events());
            if !receiver.recv_batch_async(&mut out, 1).await {
                break;
            }
        }
        assert_eq!(out.len(), 5, "{name}");
        assert_eq!(most, 2, "{name}");
        assert_eq!(sends.await.unwrap(), [0, 0, 100, 100, 100], "{name}");
        assert_eq!(gauge.waits(), 3, "{name}");
        assert_eq!(gauge.waited(), Duration::from_millis(300), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_to_nobody_is_told() {
    let (sender, receiver) = queue(QueueLimits { events: 1, bytes: 10 });
    assert_eq!(sender.send(TICK).await, Ok(Duration::ZERO));
    let waits = {
        let sender = sender.clone();
        tokio::spawn(async move { sender.send(TICK).await })
    };
    tokio::task::yield_now().await;
    drop(receiver);
    assert_eq!(waits.await.unwrap(), Err(NoWriter));
    assert_eq!(sender.send(TICK).await, Err(NoWriter));
    assert_eq!(sender.try_send(TICK), Err(NoWriter));
}

#[test]
fn a_thread_takes_what_tasks_send() {
    let (sender, mut receiver) = queue(QueueLimits { events: 4, bytes: 64 });
    let writer = std::thread::spawn(move || {
        let mut out = Vec::new();
        while receiver.recv_batch(&mut out, 3) {}
        out.len()
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for n in 0..500 {
                        sender.send(frame(n % 80)).await.unwrap();
                    }
                })
            })
            .collect();
        drop(sender);
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(writer.join().unwrap(), 2_000);
}
