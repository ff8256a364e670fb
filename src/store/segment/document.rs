//! The schema documents: made from the declarations of the records, for people and for the files'
//! own metadata.

use std::fmt::Write as _;

use super::{FORMAT_VERSION, layout};
use crate::model::record::{Body, Column, Columns as _, Head};
use crate::model::subscription::{CandleUnit, Stream};

/// The documents in `schemas/`, by file name: one for each stream, and one for candles of all
/// units.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    Stream::all()
        .filter(|stream| !matches!(stream, Stream::Candle(unit) if *unit != CandleUnit::M1))
        .map(|stream| (format!("{}.md", family(stream)), of_stream(stream)))
        .collect()
}

/// The document of one stream.
#[must_use]
pub fn of_stream(stream: Stream) -> String {
    let (family, time) = (family(stream), layout::time_column(stream));
    let folder = match stream {
        Stream::Candle(_) => "candle.<unit>",
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => family,
    };
    let units = match stream {
        Stream::Candle(_) => {
            let units: Vec<String> =
                CandleUnit::ALL.iter().map(|unit| format!("`{}`", unit.as_str())).collect();
            format!("\n- Units: {}.", units.join(", "))
        }
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => String::new(),
    };
    let mut text = format!(
        "# Stream `{folder}`\n\n{}\n\n\
        - Format version: {FORMAT_VERSION}.\n\
        - Files: `stream={folder}/venue=<venue>/date=<YYYY-MM-DD>/part-<number>.parquet`; the date is the UTC day of \
        `{time}`.\n\
        - Order: `market`, `{time}`, `frame`.{units}\n\n",
        Body::doc(stream).trim(),
    );
    text.push_str("Columns of every stream:\n\n");
    table(&mut text, Head::COLUMNS);
    text.push_str("\nIts own:\n\n");
    table(&mut text, Body::columns(stream));
    text
}

const fn family(stream: Stream) -> &'static str {
    match stream {
        Stream::Candle(_) => "candle",
        Stream::Trade
        | Stream::Orderbook
        | Stream::Ticker
        | Stream::Instrument
        | Stream::Unread => stream.name(),
    }
}

fn table(text: &mut String, columns: &[Column]) {
    text.push_str("| column | type | null | meaning |\n|---|---|---|---|\n");
    for Column { name, kind, nullable, doc } in columns {
        let null = if *nullable { "yes" } else { "no" };
        let doc = doc.trim().replace('|', "\\|");
        // Writing to a string cannot fail.
        writeln!(text, "| `{name}` | {} | {null} | {doc} |", kind.as_str()).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The committed documents are what the code says. `VERITAPE_UPDATE_SCHEMAS=1` writes them.
    #[test]
    fn committed_documents_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let mut documents = all();
        documents.push(("catalog.sql".to_owned(), crate::store::catalog::SCHEMA.to_owned()));
        for (file, text) in &documents {
            let path = folder.join(file);
            if std::env::var_os("VERITAPE_UPDATE_SCHEMAS").is_some() {
                fs::write(&path, text).unwrap();
            }
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == *text,
                "{file} is not current: run the tests with VERITAPE_UPDATE_SCHEMAS=1"
            );
        }
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let mut head = String::new();
        table(&mut head, Head::COLUMNS);
        assert!(readme.contains(&head), "README.md needs this table of common columns:\n{head}");
        for (file, _) in &documents {
            assert!(readme.contains(&format!("({file})")), "README.md links no {file}");
        }
        assert!(readme.contains(&format!("format version is {FORMAT_VERSION}")));
        // What a recorder says of itself is held to its own schema by the tests of `serve`.
        let others = ["README.md", "status.schema.json"];
        let mut strange: Vec<_> =
            fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name()).collect();
        strange.retain(|file| {
            !others.iter().any(|known| **file == **known)
                && !documents.iter().any(|(known, _)| **known == **file)
        });
        assert!(strange.is_empty(), "{strange:?} belong to no stream");
    }
}
