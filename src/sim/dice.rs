//! Chance that can be asked again: every draw is a pure function of the words it was made from.
//!
//! This is the generator's own arithmetic (`SplitMix64`), not a crate's, so that a seed means the
//! same market for ever.

/// One number from several, with every bit of each spread over all of it.
pub(super) fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0x5851_F42D_4C95_7F2D, |state, word| scramble(state ^ scramble(*word)))
}

/// A number for a text.
pub(super) fn mix_text(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |state, byte| scramble(state ^ u64::from(byte)))
}

const fn scramble(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The number below `limit` that a hash falls on; `limit` is under 2^32.
pub(super) const fn below(hash: u64, limit: u64) -> u64 {
    ((hash >> 32).wrapping_mul(limit)) >> 32
}

/// A sequence of draws.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence that belongs to `words`.
    pub(super) fn of(words: &[u64]) -> Self {
        Self(mix(words))
    }

    /// The next 64 bits.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scramble(self.0)
    }

    /// A number below `limit`, which is under 2^32; 0 where `limit` is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        below(self.draw(), limit)
    }

    /// A whole number from 0 up to `of`, which it does not reach; 0 where `of` is not positive.
    pub(super) fn share(&mut self, of: i64) -> i64 {
        let drawn = (u128::from(self.draw()) * u128::try_from(of).unwrap_or(0)) >> 64;
        i64::try_from(drawn).unwrap_or(0)
    }

    /// True `part` times in `whole`.
    pub(super) fn chance(&mut self, part: u64, whole: u64) -> bool {
        self.below(whole) < part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_pure_even_and_within_their_limit() {
        assert_eq!(Dice::of(&[1, 2]).draw(), Dice::of(&[1, 2]).draw());
        assert_ne!(mix(&[1, 2]), mix(&[2, 1]));
        assert_ne!(mix_text("KRW-BTC"), mix_text("KRW-BTG"));
        let mut dice = Dice::of(&[7]);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[usize::try_from(dice.below(10)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
        assert_eq!(dice.below(0), 0);
    }
}
