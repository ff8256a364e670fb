use std::net::Ipv4Addr;

use futures::{SinkExt as _, StreamExt as _};
use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::*;
use crate::net::clock::SystemClock;
use crate::net::connect::Connector;
use crate::net::testing::{self, EPOCH, Packer, Peer, Way, frame};
use crate::net::tls;
use crate::net::wire::Internet;
use crate::venue::Opening;

mod frames;

/// A session that goes this way, and the other end of it.
async fn pair(way: Way, ping_every: Duration) -> (Session, Peer) {
    let (connector, server) = testing::network(&testing::clock());
    let connector = way.of(connector);
    let opening = Opening { url: "ws://venue/".into(), messages: Vec::new(), ping_every };
    let (session, peer) = tokio::join!(connector.open(&opening), server.accept_as(way));
    (session.unwrap(), peer)
}

const NEVER: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn what_comes_is_told_and_stamped() {
    for way in Way::ALL {
        check_what_comes(way).await;
    }
}

async fn check_what_comes(way: Way) {
    let (mut session, mut peer) = pair(way, NEVER).await;
    tokio::time::advance(Duration::from_millis(5)).await;
    peer.send("data").await;
    peer.0.send(Message::Ping(Bytes::new())).await.unwrap();
    peer.0.send(Message::text("text")).await.unwrap();
    peer.close(1000, "enough").await;
    let at = EPOCH.after(Duration::from_millis(5));
    for expected in [
        Incoming::Data { ts_recv: at, body: "data".into() },
        Incoming::Proof { at },
        Incoming::Data { ts_recv: at, body: "text".into() },
        Incoming::Closed { at, why: Why::Close { code: Some(1000), reason: "enough".into() } },
    ] {
        assert_eq!(session.next().await, expected, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pings_go_out_however_much_comes_in() {
    for way in Way::ALL {
        check_pings(way).await;
    }
}

async fn check_pings(way: Way) {
    let (mut session, mut peer) = pair(way, Duration::from_secs(10)).await;
    let pings = tokio::spawn(async move {
        let mut pings = 0;
        for n in 0..600_u32 {
            peer.send(&n.to_string()).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            while let Some(Some(Ok(message))) = futures::FutureExt::now_or_never(peer.0.next()) {
                pings += u32::from(matches!(message, Message::Ping(_)));
            }
        }
        pings
    });
    while !matches!(session.next().await, Incoming::Closed { .. }) {}
    // Every nine to ten seconds in a minute.
    assert!((5..=6).contains(&pings.await.unwrap()), "{way:?}");
}

#[tokio::test(start_paused = true)]
async fn closing_is_polite_but_does_not_wait_for_ever() {
    for way in Way::ALL {
        check_closing(way).await;
    }
}

async fn check_closing(way: Way) {
    let (session, mut peer) = pair(way, NEVER).await;
    let (told, ()) = tokio::join!(peer.0.next(), session.close());
    assert!(matches!(told, Some(Ok(Message::Close(Some(_))))), "{way:?}: {told:?}");

    // Whoever only leaves says so too.
    let (session, mut peer) = pair(way, NEVER).await;
    let (told, ()) = tokio::join!(peer.0.next(), session.leave());
    assert!(matches!(told, Some(Ok(Message::Close(_)))), "{way:?}: {told:?}");

    let (session, _mute) = pair(way, NEVER).await;
    let before = tokio::time::Instant::now();
    session.close().await;
    assert_eq!(before.elapsed(), CLOSE_TIMEOUT);
}

/// Over a real socket, where what was not sent is lost with it.
#[tokio::test]
async fn the_other_sides_close_is_answered() {
    for (way, leaves) in Way::ALL.into_iter().flat_map(|way| [(way, true), (way, false)]) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut wire, _) = listener.accept().await.unwrap();
            testing::shake_hands(&mut wire, way.answer()).await;
            let mut socket = WebSocketStream::from_raw_socket(wire, Role::Server, None).await;
            socket.send(Message::text("last words")).await.unwrap();
            let frame = CloseFrame { code: CloseCode::Normal, reason: "enough".into() };
            socket.close(Some(frame)).await.unwrap();
            socket.next().await
        });
        let tls = tls::client_config(None).unwrap();
        let connector = Connector::new(Arc::new(Internet), tls, Arc::new(SystemClock::new()));
        let connector = way.of(connector);
        let opening = Opening { url, messages: Vec::new(), ping_every: NEVER };
        let mut session = connector.open(&opening).await.unwrap();
        assert_eq!(session.peer(), Some(Ipv4Addr::LOCALHOST.into()));
        while !matches!(session.next().await, Incoming::Closed { .. }) {}
        // Whoever only drops it has answered too, where the answer could go at once.
        if leaves {
            session.leave().await;
        } else {
            drop(session);
        }
        let answer = server.await.unwrap();
        let Some(Ok(Message::Close(Some(frame)))) = answer else {
            panic!("{way:?} {leaves}: {answer:?}")
        };
        assert_eq!(frame.code, CloseCode::Normal);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_go_is_waited_for_but_not_for_ever() {
    for (way, reads) in Way::ALL.into_iter().flat_map(|way| [(way, true), (way, false)]) {
        let (mut session, mut peer) = pair(way, NEVER).await;
        // With its header of eight bytes it leaves room for two on the wire: no close frame fits.
        session.send("x".repeat(64 * 1024 - 10)).await.unwrap();
        peer.close(1000, "enough").await;
        assert!(matches!(session.next().await, Incoming::Closed { .. }));
        let before = tokio::time::Instant::now();
        if reads {
            let seen = async { [peer.0.next().await, peer.0.next().await] };
            let ((), [text, close]) = tokio::join!(session.leave(), seen);
            assert!(matches!(text, Some(Ok(Message::Text(_)))));
            assert!(matches!(close, Some(Ok(Message::Close(Some(_))))), "{way:?}: {close:?}");
            assert_eq!(before.elapsed(), Duration::ZERO);
        } else {
            session.leave().await;
            assert_eq!(before.elapsed(), LEAVE_TIMEOUT);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever bytes follow the handshake, each ends the session or becomes a message.
    #[test]
    fn no_bytes_make_a_panic(
        way in prop::sample::select(Way::ALL.to_vec()),
        packed in prop::collection::vec(any::<u8>(), 0..200),
        raw in prop::collection::vec(any::<u8>(), 0..2_000),
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..10),
    ) {
        const MARKED_AS_PACKED: u8 = 0xc2;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(async {
            let (mut session, mut peer) = pair(way, NEVER).await;
            let mut packer = Packer::new(way);
            for message in &messages {
                peer.raw(&packer.whole(2, message)).await;
            }
            if way.packs() {
                peer.raw(&frame(MARKED_AS_PACKED, &packed)).await;
            }
            peer.raw(&raw).await;
            drop(peer);
            let mut bodies = Vec::new();
            loop {
                match session.next().await {
                    Incoming::Data { body, .. } => bodies.push(body.to_vec()),
                    Incoming::Proof { .. } => {}
                    Incoming::Closed { .. } => break,
                }
            }
            prop_assert_eq!(&bodies[..messages.len()], &messages[..]);
            Ok(())
        })?;
    }
}
