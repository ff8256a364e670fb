//! The same on a real disk.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use super::super::{Compression, Journal, Keep, Options, read_all, replay};
use super::{frame, sequences};
use crate::store::fs::RealFs;

const BLOCK: u64 = 50;

#[test]
fn frames_outlive_their_process_and_are_kept_by_day() {
    for compression in [Compression::Zstd, Compression::Lz4, Compression::None] {
        let home = tempfile::tempdir().unwrap();
        let (folder, aside) = (home.path().join("journal"), home.path().join("quarantine"));
        let options = Options { compression, segment_bytes: 8 << 20, ..Options::default() };
        let open = |from| Journal::open(Arc::new(RealFs), &folder, &aside, from, options).unwrap();

        let (mut journal, _) = open(1);
        for sequence in 1..=10 * BLOCK {
            journal.append(&frame(sequence, 0)).unwrap();
            if sequence % BLOCK == 0 {
                assert_eq!(journal.sync().unwrap(), sequence + 1);
            }
        }
        let file = folder.join("00000000000000000001.vtj");
        drop(journal);

        // What a process leaves that was killed in the middle of a write.
        let mut bytes = std::fs::read(&file).unwrap();
        let (frames, faults) = read_all(&bytes);
        assert_eq!((frames.len(), faults.len()), (500, 0));
        bytes.extend_from_within(40..60);
        std::fs::write(&file, &bytes).unwrap();

        let (mut journal, mut recovery) = open(451);
        let found: Vec<_> = recovery.by_ref().collect();
        assert_eq!(sequences(&found), (451..=500).collect::<Vec<_>>());
        assert_eq!(found[7], frame(458, 0));
        assert_eq!((recovery.report().torn.len(), journal.next_sequence()), (1, 501));
        assert_eq!(std::fs::metadata(&file).unwrap().len(), bytes.len() as u64 - 20);

        let next = journal.next_sequence();
        journal.append(&frame(next, 1)).unwrap();
        journal.sync().unwrap();
        journal.roll();
        let new = std::fs::metadata(folder.join(format!("{next:020}.vtj"))).unwrap();
        assert!(new.blocks() * 512 <= 64 << 10, "{} blocks are still reserved", new.blocks());
        let keep = Keep::Raw(home.path().join("raw"));
        assert_eq!(journal.release(next + 1, &keep).unwrap().files, 2);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);

        let raw = [home.path().join("raw/1970-01-01")];
        let kept = replay(Arc::new(RealFs), &raw, 1).unwrap();
        let expected: Vec<_> = (1..=500).chain([next]).collect();
        assert_eq!(sequences(&kept.collect::<Vec<_>>()), expected);
    }
}
