//! Messages as the venue writes almost all of them, read in one pass straight into their fields.
//!
//! Invariants: what is read here is what the full parser reads, bit for bit; what is not plain (an
//! array, white space, an escape, a number that does not fit, a text that is no JSON) is not read
//! here at all but left to the full parser, which also says what is wrong with it.

use super::value::Value;

/// Reads `body`, which is one object; none where it is not plain.
pub(super) fn read<T: ReadPlain>(body: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(body).ok()?;
    let mut plain = Plain { text, rest: body };
    let value = T::read_plain(&mut plain)?;
    plain.rest.is_empty().then_some(value)
}

/// What can be read from plain text.
pub(super) trait ReadPlain: Sized {
    /// Reads the value that `plain` begins with; none where it is not plain.
    fn read_plain(plain: &mut Plain<'_>) -> Option<Self>;
}

/// A text, and what of it is not read yet.
pub(super) struct Plain<'a> {
    text: &'a str,
    rest: &'a [u8],
}

/// A number, as it was written: without a fraction or exponent, or with one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// Not below zero.
    Natural(u64),
    /// Below zero.
    Negative(i64),
    /// The nearest double.
    Double(f64),
}

/// So many digits always fit 64 bits.
const DIGITS: usize = 19;
/// Every integer up to this one is a double.
const EXACT: u64 = 1 << 53;
/// The powers of ten that are doubles.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Eight times the digit 0.
const EIGHT_ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
/// By how much so many digits move those before them.
const SCALES: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

impl<'a> Plain<'a> {
    /// The byte that comes next.
    pub(super) fn next(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Passes over `word`, if it comes next.
    #[inline]
    pub(super) fn pass(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// Reads an object: `value` reads the value of each key.
    pub(super) fn object(
        &mut self,
        mut value: impl FnMut(&mut Self, &str) -> Option<()>,
    ) -> Option<()> {
        self.pass(b"{")?;
        loop {
            let key = self.string()?;
            self.pass(b":")?;
            value(self, key)?;
            if self.pass(b",").is_none() {
                return self.pass(b"}");
            }
        }
    }

    /// Passes over a value that is no array or object.
    pub(super) fn skip(&mut self) -> Option<()> {
        Value::<bool>::read_plain(self).map(drop)
    }

    /// Reads a string without escapes.
    pub(super) fn string(&mut self) -> Option<&'a str> {
        self.pass(b"\"")?;
        let begin = self.text.len() - self.rest.len();
        let length = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
        self.rest = self.rest.get(length..)?;
        self.pass(b"\"")?;
        self.text.get(begin..begin + length)
    }

    /// Reads a number.
    pub(super) fn number(&mut self) -> Option<Number> {
        let begin = self.text.len() - self.rest.len();
        let negative = self.pass(b"-").is_some();
        let zero = self.next() == Some(b'0');
        let (value, whole) = self.digits(0);
        if whole == 0 || (zero && whole > 1) {
            return None;
        }
        let (value, fraction) = match self.pass(b".") {
            Some(()) => Some(self.digits(value)).filter(|(_, length)| *length > 0)?,
            None => (value, 0),
        };
        let exponent = match self.next() {
            Some(b'e' | b'E') => Some(self.exponent()?),
            Some(_) | None => None,
        };
        let fits = whole + fraction <= DIGITS;
        if fraction == 0 && exponent.is_none() {
            return match (fits, negative) {
                (true, false) => Some(Number::Natural(value)),
                (true, true) => 0_i64.checked_sub_unsigned(value).map(Number::Negative),
                (false, _) => None,
            };
        }
        let power = exponent.unwrap_or(0) - i64::try_from(fraction).ok()?;
        if let Some(double) = nearest(value, power).filter(|_| fits) {
            return Some(Number::Double(if negative { -double } else { double }));
        }
        let end = self.text.len() - self.rest.len();
        let double: f64 = self.text.get(begin..end)?.parse().ok()?;
        double.is_finite().then_some(Number::Double(double))
    }

    /// Reads digits that stand to the right of `value`; and how many there were.
    ///
    /// Up to eight at once: each number of a book has another length, and a loop over its digits
    /// ends where no processor expects it.
    #[inline]
    fn digits(&mut self, value: u64) -> (u64, usize) {
        let Some(chunk) = self.rest.first_chunk() else { return self.few_digits(value) };
        let word = u64::from_le_bytes(*chunk) ^ EIGHT_ZEROS;
        let length = leading_digits(word);
        let Some(rest) = self.rest.get(length..).filter(|_| length > 0) else { return (value, 0) };
        self.rest = rest;
        // Zeros take the place before the first digit.
        let digits = word << (64 - 8 * length);
        let scale = SCALES.get(length).copied().unwrap_or_default();
        let value = value.wrapping_mul(scale).wrapping_add(eight_digits(digits));
        if length < chunk.len() {
            return (value, length);
        }
        let (value, more) = self.few_digits(value);
        (value, length + more)
    }

    fn few_digits(&mut self, mut value: u64) -> (u64, usize) {
        let mut rest = self.rest;
        while let [digit @ b'0'..=b'9', later @ ..] = rest {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            rest = later;
        }
        let length = self.rest.len() - rest.len();
        self.rest = rest;
        (value, length)
    }

    fn exponent(&mut self) -> Option<i64> {
        self.rest = self.rest.get(1..)?;
        let negative = self.pass(b"-").is_some();
        if !negative {
            self.pass(b"+");
        }
        let (value, length) = self.digits(0);
        // Whatever is longer is no number that a venue writes.
        let value = (1..=4).contains(&length).then_some(value)?;
        let value = i64::try_from(value).ok()?;
        Some(if negative { -value } else { value })
    }
}

/// How many of eight bytes, the lowest first, are digits less [`EIGHT_ZEROS`].
const fn leading_digits(word: u64) -> usize {
    // The highest bit of each byte that is more than nine. The carry of one that is spoils those
    // behind it, which do not count.
    let more = (word.wrapping_add(u64::from_le_bytes([0x7F - 9; 8])) | word)
        & u64::from_le_bytes([0x80; 8]);
    more.trailing_zeros() as usize / 8
}

/// The number that eight digits make, the first of them in the lowest byte: pairs of them first,
/// then pairs of pairs.
const fn eight_digits(digits: u64) -> u64 {
    const FOURTH: u64 = 0xFF + (0xFF << 32);
    let pairs = digits * 10 + (digits >> 8);
    let outer = (pairs & FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let inner = ((pairs >> 16) & FOURTH).wrapping_mul(1 + (10_000 << 32));
    outer.wrapping_add(inner) >> 32
}

/// The double nearest to `value` times ten to the `power`, where one rounding gives it: of two
/// numbers that doubles hold exactly.
#[expect(clippy::cast_precision_loss, reason = "no integer up to EXACT loses any")]
fn nearest(value: u64, power: i64) -> Option<f64> {
    let ten = POWERS.get(usize::try_from(power.unsigned_abs()).ok()?)?;
    let exact = (value <= EXACT).then_some(value as f64)?;
    Some(if power < 0 { exact / ten } else { exact * ten })
}
