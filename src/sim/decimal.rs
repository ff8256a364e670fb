//! Exact decimals, and the ways in which the venue spells them.
//!
//! Invariant: every spelling of one decimal reads as the same double, because each is the same
//! decimal number; only zeros and the place of the point differ.

use std::fmt;

/// An exact decimal: `mantissa` × 10^-`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    mantissa: i128,
    scale: u32,
}

/// Digits after the point of prices and sizes.
pub(super) const PLACES: u32 = 8;
/// What one unit of price or size is in its mantissa.
pub(super) const ONE: i64 = 100_000_000;

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// With all digits of its scale: `91154000.00000000`, `0.00077720`.
    Padded,
    /// Without needless zeros, and without a point where it is whole: `116606000`, `0.0070459`.
    Plain,
    /// As Java prints a double: `1.16539E8`, `7.9276E-4`, `127.0`.
    Java,
}

impl Decimal {
    /// A decimal of any scale up to 30.
    pub(super) const fn new(mantissa: i128, scale: u32) -> Self {
        Self { mantissa, scale }
    }

    /// A price or a size.
    pub(super) fn fixed(mantissa: i64) -> Self {
        Self { mantissa: i128::from(mantissa), scale: PLACES }
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Appends the number in the given spelling.
    pub(super) fn write(self, spelling: Spelling, out: &mut Vec<u8>) {
        if self.mantissa < 0 {
            out.push(b'-');
        }
        let mantissa = self.mantissa.unsigned_abs();
        match spelling {
            Spelling::Padded => pointed(mantissa, self.scale, out),
            Spelling::Plain => {
                let (mantissa, scale) = trimmed(mantissa, self.scale);
                pointed(mantissa, scale, out);
            }
            Spelling::Java => java(mantissa, self.scale, out),
        }
    }
}

/// The number without needless zeros.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write(Spelling::Plain, &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Appends a whole number.
pub(super) fn push_number(number: u128, out: &mut Vec<u8>) {
    push_digits(number, 1, out);
}

/// Appends a whole number with at least `width` digits.
pub(super) fn push_digits(number: u128, width: u32, out: &mut Vec<u8>) {
    let mut text = [b'0'; 40];
    let mut left = number;
    let mut used = 0_usize;
    for slot in text.iter_mut().rev() {
        // Numbers that fit 64 bits take the short division; nearly all do.
        let digit = if let Ok(short) = u64::try_from(left) {
            left = u128::from(short / 10);
            short % 10
        } else {
            let digit = left % 10;
            left /= 10;
            u64::try_from(digit).unwrap_or(0)
        };
        *slot = b'0' + u8::try_from(digit).unwrap_or(0);
        used += 1;
        if left == 0 {
            break;
        }
    }
    let wanted = used.max(usize::try_from(width).unwrap_or(used)).min(text.len());
    out.extend_from_slice(text.get(text.len() - wanted..).unwrap_or_default());
}

const fn power(exponent: u32) -> u128 {
    10_u128.pow(exponent)
}

fn pointed(mantissa: u128, scale: u32, out: &mut Vec<u8>) {
    if let (Ok(short), true) = (u64::try_from(mantissa), scale == PLACES) {
        push_number(u128::from(short / 100_000_000), out);
        out.push(b'.');
        push_digits(u128::from(short % 100_000_000), PLACES, out);
        return;
    }
    push_number(mantissa / power(scale), out);
    if scale > 0 {
        out.push(b'.');
        push_digits(mantissa % power(scale), scale, out);
    }
}

fn trimmed(mut mantissa: u128, mut scale: u32) -> (u128, u32) {
    while scale > 0 {
        if let Ok(short) = u64::try_from(mantissa) {
            if short % 10 != 0 {
                break;
            }
            mantissa = u128::from(short / 10);
        } else {
            if !mantissa.is_multiple_of(10) {
                break;
            }
            mantissa /= 10;
        }
        scale -= 1;
    }
    (mantissa, scale)
}

fn java(mantissa: u128, scale: u32, out: &mut Vec<u8>) {
    let small = scale >= 3 && mantissa < power(scale - 3);
    if mantissa == 0 || (!small && mantissa < power(scale + 7)) {
        let (mantissa, scale) = trimmed(mantissa, scale);
        pointed(mantissa, scale, out);
        if scale == 0 {
            out.extend_from_slice(b".0");
        }
        return;
    }
    let mut digits = Vec::with_capacity(40);
    push_number(mantissa, &mut digits);
    let exponent = digits.len() - 1;
    while digits.len() > 2 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    let (first, rest) = digits.split_at(1);
    out.extend_from_slice(first);
    out.push(b'.');
    out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
    out.push(b'E');
    let scale = usize::try_from(scale).unwrap_or(0);
    if exponent < scale {
        out.push(b'-');
    }
    push_number(u128::try_from(exponent.abs_diff(scale)).unwrap_or(0), out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spelled(number: Decimal, spelling: Spelling) -> String {
        let mut out = Vec::new();
        number.write(spelling, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn spellings_seen_on_the_wire() {
        for (mantissa, padded, plain, java) in [
            (11_653_900_000_000_000, "116539000.00000000", "116539000", "1.16539E8"),
            (77_720, "0.00077720", "0.0007772", "7.772E-4"),
            (79_276, "0.00079276", "0.00079276", "7.9276E-4"),
            (50_000, "0.00050000", "0.0005", "5.0E-4"),
            (1_000_000_000_000_000, "10000000.00000000", "10000000", "1.0E7"),
            (12_700_000_000, "127.00000000", "127", "127.0"),
            (2_054_761, "0.02054761", "0.02054761", "0.02054761"),
            (100_000, "0.00100000", "0.001", "0.001"),
            (1, "0.00000001", "0.00000001", "1.0E-8"),
            (0, "0.00000000", "0", "0.0"),
            (-5_600_000_000_000, "-56000.00000000", "-56000", "-56000.0"),
        ] {
            let number = Decimal::fixed(mantissa);
            assert_eq!(spelled(number, Spelling::Padded), padded);
            assert_eq!(spelled(number, Spelling::Plain), plain);
            assert_eq!(spelled(number, Spelling::Java), java);
        }
        let turnover = Decimal::new(i128::from(7_803_926_107_651_241_i64) * 1_000_000_000_000, 16);
        assert_eq!(spelled(turnover, Spelling::Padded), "780392610765.1241000000000000");
    }

    proptest! {
        #[test]
        fn every_spelling_reads_as_the_same_double(mantissa in any::<i64>(), scale in 0_u32..20) {
            let number = Decimal::new(i128::from(mantissa), scale);
            for spelling in [Spelling::Padded, Spelling::Java] {
                let text = spelled(number, spelling);
                let read: f64 = text.parse().unwrap();
                prop_assert_eq!(read.to_bits(), number.to_f64().to_bits(), "{}", text);
            }
        }
    }
}
