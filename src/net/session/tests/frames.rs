//! Frames that are made by hand, as servers may send them and as they must not.

use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Kinds of frames; all but the first parts of a message end it.
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// What comes until the end, and how it ended.
async fn all(session: &mut Session) -> (Vec<Bytes>, usize, Why) {
    let (mut bodies, mut proofs) = (Vec::new(), 0);
    loop {
        match session.next().await {
            Incoming::Data { body, .. } => bodies.push(body),
            Incoming::Proof { .. } => proofs += 1,
            Incoming::Closed { why, .. } => return (bodies, proofs, why),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn how_it_ends() {
    let ends: [(&str, Vec<u8>, &str); 9] = [
        ("nothing", Vec::new(), "it ended without a close frame"),
        ("half a head", vec![0x82], "it ended without a close frame"),
        ("half a frame", vec![0x82, 100, 1, 2], "it ended without a close frame"),
        ("half a message", frame(TEXT, b"half"), "it ended without a close frame"),
        ("close 1001", frame(CLOSE, &[0x03, 0xe9]), "the venue closed it with code 1001"),
        ("no UTF-8 as text", frame(0x80 | TEXT, &[0xff, 0xfe]), "the venue broke the websocket"),
        ("reserved bits", frame(0xf2, b""), "the venue broke the websocket protocol"),
        ("the end of no message", frame(0x80, b""), "the venue broke the websocket protocol"),
        (
            "a frame beyond the limit",
            vec![0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0],
            "the venue broke the websocket protocol: a message is longer than 16 MiB",
        ),
    ];
    for way in Way::ALL {
        for (name, bytes, words) in &ends {
            let (mut session, mut peer) = pair(way, NEVER).await;
            peer.raw(bytes).await;
            drop(peer);
            let (_, _, why) = all(&mut session).await;
            assert!(why.to_string().starts_with(words), "{way:?}, {name}: {why}");
        }
    }
}

/// What is packed and cannot be unpacked ends it too; so does a mark that nobody agreed to.
#[tokio::test(start_paused = true)]
async fn packed_nonsense_ends_it() {
    for way in Way::ALL {
        let (mut session, mut peer) = pair(way, NEVER).await;
        peer.raw(&frame(0xc2, &[0xff; 20])).await;
        drop(peer);
        let (bodies, _, why) = all(&mut session).await;
        assert!(bodies.is_empty() && matches!(why, Why::Protocol(_)), "{way:?}: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn control_frames_come_between_the_parts_of_a_message() {
    for way in Way::ALL {
        for parts in [1, 2, 3, 7] {
            let (mut session, mut peer) = pair(way, NEVER).await;
            let mut packer = Packer::new(way);
            for opcode in [TEXT, BINARY] {
                for part in packer.message(opcode, "a message in parts, 원".as_bytes(), parts) {
                    peer.raw(&frame(PING, b"you")).await;
                    peer.raw(&part).await;
                    peer.raw(&frame(PONG, b"")).await;
                }
            }
            peer.raw(&frame(CLOSE, b"")).await;
            let (bodies, proofs, why) = all(&mut session).await;
            assert_eq!(bodies, ["a message in parts, 원"; 2], "{way:?}, {parts}");
            assert_eq!(proofs, 4 * parts, "{way:?}, {parts}");
            assert_eq!(why, Why::Close { code: None, reason: String::new() });
            session.leave().await;
            let mut answers = Vec::new();
            while let Some(Ok(answer)) = peer.0.next().await {
                answers.push(answer);
            }
            // Who answers late need not answer each ping, but the last.
            assert!(answers.contains(&Message::Pong("you".into())), "{way:?}: {answers:?}");
        }
    }
}

/// Whoever closes says so once, whatever the answer.
#[tokio::test(start_paused = true)]
async fn a_close_is_said_once() {
    const MASKED_CLOSE_BYTES: usize = 8;
    for way in Way::ALL {
        for answer in [frame(CLOSE, &[0x03, 0xe8]), frame(CLOSE, b""), Vec::new()] {
            let (session, peer) = pair(way, NEVER).await;
            let mut wire = peer.0.into_inner();
            let far = async {
                let mut said = vec![0; MASKED_CLOSE_BYTES];
                wire.read_exact(&mut said).await.unwrap();
                wire.write_all(&answer).await.unwrap();
                // The end of what we write; ours is read until the other side has left too.
                wire.shutdown().await.unwrap();
                wire.read_to_end(&mut said).await.unwrap();
                said
            };
            let ((), said) = tokio::join!(session.close(), far);
            assert_eq!(said.len(), MASKED_CLOSE_BYTES, "{way:?}, {answer:?}: {said:?}");
            assert_eq!(said[0], CLOSE, "{way:?}");
        }
    }
}

/// A message that no other is like, byte for byte.
fn body(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Letters that pack somewhat.
        b'a' + u8::try_from(state >> 28).unwrap()
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_are_as_large_as_they_may_be() {
    const MIB: usize = 1 << 20;
    let too_long = Why::too_long();
    for way in Way::ALL {
        for (length, parts) in [
            (MIB + 1, 1),
            (3 * MIB, 5),
            (MESSAGE_LIMIT, 1),
            (MESSAGE_LIMIT, 3),
            (MESSAGE_LIMIT + 1, 1),
            (MESSAGE_LIMIT + 1, 3),
            (4 * MESSAGE_LIMIT, 2),
        ] {
            let (mut session, mut peer) = pair(way, NEVER).await;
            // One byte again and again packs to nothing: what counts is what it becomes.
            let sent = if length >= MESSAGE_LIMIT { vec![b'x'; length] } else { body(length, 7) };
            let frames = Packer::new(way).message(BINARY, &sent, parts);
            let sending = async move {
                for frame in frames {
                    peer.raw(&frame).await;
                }
            };
            let ((bodies, _, why), ()) = tokio::join!(
                async {
                    let told = all(&mut session).await;
                    // The other end need not go on once this one has seen enough.
                    drop(session);
                    told
                },
                sending
            );
            let name = format!("{way:?}: {length} bytes in {parts} parts");
            if length > MESSAGE_LIMIT {
                assert!(bodies.is_empty(), "{name}");
                assert_eq!(why, too_long, "{name}");
            } else {
                assert_eq!(why, Why::Dropped, "{name}");
                assert!(bodies.len() == 1 && bodies[0] == sent, "{name}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_alike_are_told_apart() {
    for way in Way::ALL {
        let (mut session, mut peer) = pair(way, NEVER).await;
        let mut packer = Packer::new(way);
        let texts: Vec<_> = (0..50)
            .map(|n| format!("{{\"code\":\"KRW-BTC\",\"n\":{n},\"x\":[1,2,3,4,5]}}"))
            .collect();
        let (mut sizes, mut plain) = (Vec::new(), 0);
        for (nth, text) in texts.iter().enumerate() {
            plain += text.len();
            let parts = packer.message(BINARY, text.as_bytes(), 1 + nth % 3);
            sizes.push(parts.iter().map(Vec::len).sum::<usize>());
            for part in parts {
                peer.raw(&part).await;
            }
            // A server may leave a message as it is, and go on packing.
            peer.raw(&frame(0x80 | BINARY, b"as it is")).await;
            // An empty one has a form of its own.
            peer.raw(&packer.whole(TEXT, b"")).await;
        }
        drop(peer);
        let (bodies, _, why) = all(&mut session).await;
        assert_eq!(why, Why::Dropped);
        let expected = texts.iter().flat_map(|text| [text.as_str(), "as it is", ""]);
        assert!(bodies.iter().eq(expected), "{way:?}: {bodies:?}");
        // The later ones are packed with the earlier in mind, or are not.
        let later = sizes[25..].iter().sum::<usize>() * 2;
        let packs_better = later < plain / 2;
        #[cfg(feature = "deflate")]
        assert_eq!(packs_better, way == Way::Packed, "{way:?}: {later} of {plain}");
        #[cfg(not(feature = "deflate"))]
        assert!(!packs_better);
    }
}

/// A poll that is given up has read something, and that is not lost.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_waiting_is_given_up() {
    for way in Way::ALL {
        let (mut session, mut peer) = pair(way, NEVER).await;
        let mut packer = Packer::new(way);
        let sent: Vec<_> = (0..20).map(|seed| body(300, seed)).collect();
        let mut bodies = Vec::new();
        for message in &sent {
            for part in packer.message(BINARY, message, 3) {
                for byte in part {
                    peer.raw(&[byte]).await;
                    match session.next().now_or_never() {
                        Some(Incoming::Data { body, .. }) => bodies.push(body),
                        None => {}
                        Some(other) => panic!("{way:?}: {other:?}"),
                    }
                }
            }
        }
        assert_eq!(bodies, sent, "{way:?}");
    }
}
