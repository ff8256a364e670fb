//! Chance: the same numbers for the same seed, on every machine and in every version.

/// A sequence of draws (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A whole number from 0 up to `of`, which it does not reach.
    pub(crate) const fn below(&mut self, of: u64) -> u64 {
        ((self.draw() >> 32) * of) >> 32
    }

    /// The same as a place in a list.
    pub(crate) fn place(&mut self, of: usize) -> usize {
        let of = u64::try_from(of).unwrap_or(u64::MAX);
        usize::try_from(self.below(of)).unwrap_or_default()
    }

    /// True `part` times in a hundred.
    pub(crate) const fn percent(&mut self, part: u64) -> bool {
        self.below(100) < part
    }

    /// From 0 up to 1, which it does not reach.
    pub(crate) fn unit(&mut self) -> f64 {
        float((self.draw() >> 12).cast_signed()) / float(1 << 52)
    }

    /// A time to wait for what happens once in `mean`.
    pub(crate) fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// The double nearest to a whole number.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
pub(crate) const fn float(number: i64) -> f64 {
    number as f64
}

/// The whole number nearest to a double that is small enough to have one.
#[expect(clippy::cast_possible_truncation, reason = "what is drawn here is far below 2^63")]
pub(crate) const fn whole(number: f64) -> i64 {
    number.round() as i64
}
