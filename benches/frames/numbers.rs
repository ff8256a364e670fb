//! The numbers of messages, and the fastest way to read them: the floor of every decoder.

use std::hint::black_box;

/// The texts of all numbers in a JSON text.
pub(crate) fn numbers_of(text: &[u8]) -> Vec<String> {
    let (mut found, mut number, mut quoted) = (Vec::new(), String::new(), false);
    for byte in text {
        quoted ^= *byte == b'"';
        if !quoted && matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') {
            number.push(char::from(*byte));
        } else if !number.is_empty() {
            found.push(std::mem::take(&mut number));
        }
    }
    // Without the letters of true and false.
    found.retain(|number| number.bytes().any(|byte| byte.is_ascii_digit()));
    found
}

/// Reads them: how many are numbers.
pub(crate) fn read(numbers: &[String]) -> usize {
    let read =
        |number: &&String| lexical_core::parse::<f64>(number.as_bytes()).map(black_box).is_ok();
    numbers.iter().filter(read).count()
}
