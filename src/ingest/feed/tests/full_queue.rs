//! A queue that nobody takes from: the session waits, and the venue must not pay for it.

use futures::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full_is_not_the_venues_silence() {
    let limits = QueueLimits { events: 4, bytes: 1_000 };
    let mut bench = bench("trade A-B", None, limits);
    let script: &[Act] = &[Every("trade A-B", 100, 100), Attend(1), Close(1000)];
    tokio::spawn(play(bench.server.clone(), vec![script]));
    // Nobody takes anything for longer than every rule of silence allows.
    tokio::time::sleep(Duration::from_mins(2)).await;
    let lines = bench.lines_until("1 closed overflow").await;
    assert_eq!(lines.iter().filter(|line| *line == "1 trade A-B").count(), 100);
    assert!(bench.context.queue.gauge().waited() > Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn pings_go_out_while_there_is_no_room() {
    let limits = QueueLimits { events: 4, bytes: 1_000 };
    let mut bench = bench("trade A-B", None, limits);
    let mut peer = bench.server.accept().await;
    for _ in 0..100 {
        peer.send("trade A-B").await;
    }
    let mut pings = 0;
    let count = async {
        while let Some(Ok(message)) = peer.0.next().await {
            pings += u32::from(matches!(message, Message::Ping(_)));
        }
    };
    assert!(tokio::time::timeout(Duration::from_mins(2), count).await.is_err());
    // Every nine to ten seconds, although nothing is read.
    assert!((12..=13).contains(&pings), "{pings}");
    assert_eq!(bench.context.stats.snapshot().frames, 3);
    drop(peer);
    let lines = bench.lines_until("1 closed overflow").await;
    assert_eq!(lines.iter().filter(|line| *line == "1 trade A-B").count(), 100);
}
