//! Memory for many small bodies, used again when nobody holds them any more.
//!
//! Messages and the levels of books come by the thousand, are handed to another thread, and are let
//! go there in about the order in which they came. With an allocation for each of them that thread
//! gives back what this one has to fetch anew, page by page: a sixth of what a book of 30 levels
//! cost (perf, 2026-11-28). Here they stand side by side in large pieces; a piece is filled again
//! from its start once all that stood in it is gone.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Free pieces that are always kept for what comes next.
const SPARE: usize = 4;
/// One goes back to the allocator with every so many that are taken, while more than half are free:
/// soon enough after a storm, and not all of them between two files.
const SELDOM: usize = 4;

/// A place for bodies.
#[derive(Debug)]
pub struct Slab {
    piece_bytes: usize,
    pieces: usize,
    /// The piece that is being filled; none before the first body.
    filling: Option<BytesMut>,
    /// Those that are full, oldest first.
    full: VecDeque<BytesMut>,
    /// How many were taken.
    taken: usize,
}

impl Slab {
    /// A place without memory yet. It takes it by pieces of `piece_bytes`, and keeps track of so
    /// many `pieces` at most: beyond that the oldest goes with the last of its bodies.
    #[must_use]
    pub fn new(piece_bytes: usize, pieces: usize) -> Self {
        Self { piece_bytes, pieces, filling: None, full: VecDeque::new(), taken: 0 }
    }

    /// A copy of `body`. One that is larger than a quarter of a piece gets memory of its own.
    pub fn keep(&mut self, body: &[u8]) -> Bytes {
        if body.len() > self.piece_bytes / 4 {
            return Bytes::copy_from_slice(body);
        }
        let mut piece = match self.filling.take() {
            Some(piece) if piece.capacity() >= body.len() => piece,
            full => {
                let next = self.next();
                self.full.extend(full);
                next
            }
        };
        piece.extend_from_slice(body);
        let kept = piece.split().freeze();
        self.filling = Some(piece);
        kept
    }

    /// A piece with room: one of the oldest, where one is free. Before it may stand some of which a
    /// little is held for longer.
    fn next(&mut self) -> BytesMut {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(SELDOM) && self.is_free(SPARE.max(self.full.len() / 2)) {
            self.full.pop_front();
        }
        let free = (0..SPARE).find(|nth| self.is_free(*nth));
        if let Some(piece) = free.and_then(|nth| self.full.remove(nth)) {
            return piece;
        }
        if self.full.len() >= self.pieces {
            self.full.pop_front();
        }
        BytesMut::with_capacity(self.piece_bytes)
    }

    /// Whether nobody holds anything of that piece.
    fn is_free(&mut self, nth: usize) -> bool {
        let bytes = self.piece_bytes;
        self.full.get_mut(nth).is_some_and(|piece| piece.try_reclaim(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIECE: usize = 64;
    const PIECES: usize = 8;

    fn body(byte: u8, length: usize) -> Vec<u8> {
        vec![byte; length]
    }

    #[test]
    fn a_piece_is_filled_again_once_all_of_it_is_gone() {
        let mut slab = Slab::new(PIECE, PIECES);
        let first = slab.keep(&body(1, 16)).as_ptr();
        for _ in 0..PIECES * 10 {
            drop(slab.keep(&body(2, 16)));
        }
        let places: Vec<_> = (0..8).map(|_| slab.keep(&body(3, 16)).as_ptr()).collect();
        assert!(places.contains(&first), "the first piece is in use still");
        assert!(slab.full.len() <= 1, "{} pieces where one would do", slab.full.len());
    }

    #[test]
    fn what_a_storm_took_is_given_back() {
        let mut slab = Slab::new(PIECE, 100);
        let storm: Vec<Bytes> = (0..200).map(|_| slab.keep(&body(1, 16))).collect();
        assert_eq!(slab.full.len(), 49);
        drop(storm);
        for _ in 0..4_000 {
            drop(slab.keep(&body(2, 16)));
        }
        assert_eq!(slab.full.len(), SPARE);
    }

    #[test]
    fn a_body_that_stays_holds_its_piece_and_no_more() {
        let mut slab = Slab::new(PIECE, PIECES);
        let kept = slab.keep(&body(1, 16));
        for _ in 0..1_000 {
            drop(slab.keep(&body(2, 16)));
            assert!(slab.full.len() <= 2, "{} pieces", slab.full.len());
        }
        assert_eq!(kept, body(1, 16));
    }

    #[test]
    fn of_bodies_that_all_stay_it_keeps_track_of_so_many_pieces() {
        let mut slab = Slab::new(PIECE, PIECES);
        let kept: Vec<Bytes> = (0..200).map(|byte| slab.keep(&body(byte, 16))).collect();
        assert_eq!(slab.full.len(), PIECES);
        assert!((0..).zip(&kept).all(|(byte, kept)| *kept == body(byte, 16)));
    }

    #[test]
    fn a_large_body_has_memory_of_its_own() {
        let mut slab = Slab::new(PIECE, PIECES);
        assert_eq!(slab.keep(&body(1, PIECE / 4 + 1)), body(1, PIECE / 4 + 1));
        assert!(slab.filling.is_none());
        assert!(slab.keep(&[]).is_empty());
    }

    proptest! {
        /// Whatever is let go in whatever order, what is held stays as it was.
        #[test]
        fn what_is_held_never_changes(
            steps in proptest::collection::vec((0_usize..40, 0_usize..6), 1..400),
        ) {
            let mut slab = Slab::new(PIECE, PIECES);
            let mut held: Vec<(Bytes, Vec<u8>)> = Vec::new();
            for (length, gone) in steps {
                let bytes = body(u8::try_from(held.len() % 251).unwrap(), length);
                held.push((slab.keep(&bytes), bytes));
                for _ in 0..gone.min(held.len()) {
                    held.swap_remove(length % held.len());
                }
                for (kept, bytes) in &held {
                    prop_assert_eq!(kept, bytes);
                }
            }
        }
    }
}
