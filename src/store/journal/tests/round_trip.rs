//! What goes in comes out, whatever it is.

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::format::{BlockHeader, FileHeader};
use super::super::{Compression, Options, read_all};
use super::{open, recover, sequences};
use crate::model::frame::{Frame, Origin};
use crate::model::market::{Market, Source};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::fs::faulty::{FaultyFs, PowerLoss};

fn compressions() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::Zstd), Just(Compression::Lz4), Just(Compression::None)]
}

fn origins() -> impl Strategy<Value = Origin> {
    let streams = Stream::all().collect::<Vec<_>>();
    let stream = option::of(proptest::sample::select(streams));
    ("[a-z]{0,9}", any::<i64>(), any::<bool>(), stream, option::of(".{0,8}")).prop_map(
        |(venue, session, rest, stream, market)| Origin {
            venue: venue.into(),
            session,
            source: if rest { Source::Rest } else { Source::Ws },
            stream,
            market: market.map(Market::new),
        },
    )
}

/// What is done after a frame.
#[derive(Debug, Clone, Copy)]
enum Step {
    Sync,
    SyncOn,
    /// Syncs ahead where it is due.
    Go,
}

/// Frames with rising sequences, few origins and any bytes, and what to do after each of them.
fn frames() -> impl Strategy<Value = Vec<(Frame, Step)>> {
    let body = prop_oneof![vec(any::<u8>(), 0..200), vec(Just(0), 0..300)];
    let step = proptest::sample::select(vec![Step::Sync, Step::SyncOn, Step::Go, Step::Go]);
    let entry = (any::<i64>(), any::<prop::sample::Index>(), body, 1_u64..3, step);
    (vec(origins(), 1..4), vec(entry, 1..80)).prop_map(|(origins, entries)| {
        let origins: Vec<_> = origins.into_iter().map(Arc::new).collect();
        let mut next = 0;
        let frame = |(ts, origin, body, by, step): (_, prop::sample::Index, Vec<u8>, _, _)| {
            next += by;
            let origin = Arc::clone(&origins[origin.index(origins.len())]);
            let ts_recv = Timestamp::from_micros(ts);
            (Frame { ts_recv, origin, sequence: next, body: Bytes::from(body) }, step)
        };
        entries.into_iter().map(frame).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_come_back_as_they_were(
        frames in frames(),
        compression in compressions(),
        block_bytes in 0_usize..2_000,
        segment_bytes in 0_u64..4_000,
        from in 0_u64..100,
    ) {
        let disk = FaultyFs::default();
        let options = Options { compression, block_bytes, segment_bytes, pending_bytes: 1 << 20 };
        let (mut journal, _) = open(&disk, 1, options).unwrap();
        for (frame, step) in &frames {
            journal.append(frame).unwrap();
            match step {
                Step::Sync => prop_assert_eq!(journal.sync().unwrap(), frame.sequence + 1),
                Step::SyncOn => journal.sync_on().unwrap(),
                Step::Go if journal.sync_due() => journal.sync_ahead().unwrap(),
                Step::Go => {}
            }
            prop_assert!(journal.durable <= frame.sequence + 1);
        }
        journal.sync().unwrap();
        prop_assert_eq!(journal.pending_bytes(), 0);
        let left = disk.crash(PowerLoss::Keeps { bytes: 0, names: false, zeros: false });
        let (journal, found, report) = recover(&left, from);
        let expected: Vec<_> =
            frames.into_iter().map(|it| it.0).filter(|it| it.sequence >= from).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert!(report.torn.is_empty() && report.damaged.is_empty());
        prop_assert_eq!(report.frames, expected.len() as u64);
        let next = expected.last().map_or(from, |last| last.sequence + 1);
        prop_assert!(journal.next_sequence() >= next);
    }

    /// Headers and checksums that are right, around what no writer made.
    #[test]
    fn any_block_is_read_without_harm(
        body in vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..300),
        compression in compressions(),
        raw in prop_oneof![0..400_u32, any::<u32>()],
        frames in prop_oneof![1..9_u32, any::<u32>()],
        first in prop_oneof![1..9_u64, any::<u64>()],
    ) {
        let salt = 7;
        let file = FileHeader { first: 1, created: Timestamp::default(), salt };
        let stored = u32::try_from(body.len()).unwrap();
        let body_crc = crc32fast::hash(&body);
        let header = BlockHeader { compression, stored, raw, frames, first, salt, body_crc };
        let bytes = [file.encode(), header.encode(), body].concat();
        let (found, faults) = read_all(&bytes);
        prop_assert!(found.is_empty() || found.len() == usize::try_from(frames).unwrap());
        prop_assert!(found.is_empty() || faults.is_empty());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..2_000)) {
        let (frames, _) = read_all(&bytes);
        prop_assert!(frames.is_empty());
    }
}

#[test]
fn one_file_alone_is_read_whole() {
    let disk = FaultyFs::default();
    let (mut journal, _) = open(&disk, 1, Options::default()).unwrap();
    super::write(&mut journal, 1, 500, 0);
    super::write(&mut journal, 500, 900, 0);
    let files = disk.files();
    assert_eq!(files.len(), 1);
    let (frames, faults) = read_all(&disk.bytes(&files[0]));
    assert_eq!(sequences(&frames), (1..900).collect::<Vec<_>>());
    assert!(faults.is_empty());
}
