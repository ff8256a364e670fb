//! stdout is data: a table, or JSON, which is a contract. stderr is talk.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Writes `text` and a newline to stdout. A reader that went away is no error: it has what it
/// wanted.
pub(super) fn data(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| writeln!(stdout))
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes `value` to stdout as one JSON document.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    data(&serde_json::to_string_pretty(value)?)
}

/// Writes a line to stderr.
pub(super) fn talk(text: &str) {
    // Nobody is left to tell when stderr is gone.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Writes a table to stdout; `none` in its place where it has no rows.
pub(super) fn table(head: &[(&str, Align)], rows: Vec<Vec<String>>, none: &str) -> io::Result<()> {
    data(&columns(head, rows, none))
}

/// The text of a table; `none` in its place where it has no rows.
pub(super) fn columns(head: &[(&str, Align)], rows: Vec<Vec<String>>, none: &str) -> String {
    if rows.is_empty() {
        return none.to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().map(|(name, _)| *name));
    table.add_rows(rows);
    for (column, (_, align)) in table.column_iter_mut().zip(head) {
        column.set_padding((0, 2)).set_cell_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    table.trim_fmt()
}

/// A number with its thousands apart: `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes for a person: `1.2 MiB`.
pub(super) fn bytes(number: u64) -> String {
    bytesize::ByteSize(number).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (100_000, "100,000"),
        ] {
            assert_eq!(count(number), text);
        }
    }
}
