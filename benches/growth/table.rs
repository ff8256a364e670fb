//! Figures beside each other, as Markdown: a column for each size, and how each figure grows.

use std::fmt;
use std::io::{self, Write as _};
use std::time::Duration;

use super::real;

/// Figures by size.
pub(crate) struct Table {
    of: &'static str,
    sizes: Vec<String>,
    /// In the order in which they came first.
    rows: Vec<(String, Vec<String>)>,
    next: usize,
}

impl Table {
    /// A table of sizes of `of`.
    pub(crate) const fn new(of: &'static str) -> Self {
        Self { of, sizes: Vec::new(), rows: Vec::new(), next: 0 }
    }

    /// From now on figures are of `size`; they come in the same order each time.
    pub(crate) fn begin(&mut self, size: &str) {
        self.sizes.push(size.to_owned());
        self.next = 0;
    }

    /// The next figure; it is told at once, for whoever waits.
    pub(crate) fn put(&mut self, name: &str, figure: String) {
        let size = self.sizes.last().map_or("", String::as_str);
        say(&format!("{size} {}: {name}: {figure}", self.of));
        if self.sizes.len() == 1 {
            self.rows.push((name.to_owned(), Vec::new()));
        }
        if let Some((_, figures)) = self.rows.get_mut(self.next) {
            figures.push(figure);
        }
        self.next += 1;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} | {} |", self.of, self.sizes.join(" | "))?;
        writeln!(f, "|---|{}", "--:|".repeat(self.sizes.len()))?;
        for (name, figures) in &self.rows {
            writeln!(f, "| {name} | {} |", figures.join(" | "))?;
        }
        Ok(())
    }
}

/// Tells whoever waits.
pub(crate) fn say(what: &str) {
    // Nobody may listen.
    writeln!(io::stderr(), "{what}").ok();
}

/// Milliseconds.
pub(crate) fn ms(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1_000.0;
    if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

/// Mebibytes.
pub(crate) fn mib(bytes: u64) -> String {
    let mib = real(bytes) / 1_048_576.0;
    if mib < 10.0 { format!("{mib:.1}") } else { format!("{mib:.0}") }
}
