//! How parts lie on disk, asked of their own footers.

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, RowGroupMetaData};

use super::*;
use crate::model::record::Kind;
use crate::store::segment::layout::{ROW_GROUP_ROWS, time_column};

fn metadata(home: &Home, name: &PartName) -> ArrowReaderMetadata {
    let file = std::fs::File::open(home.paths.part(name)).unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ArrowReaderMetadata::load(&file, options).unwrap()
}

#[test]
fn columns_lie_as_they_were_measured_best() {
    let home = Home::new();
    for (number, stream) in (1..).zip(Stream::all()) {
        let name = sample::name(stream, number);
        home.publish(&name, &sample::rows(stream));
        let metadata = metadata(&home, &name);
        let group = metadata.metadata().row_group(0);
        let sorting: Vec<(i32, bool, bool)> = (group.sorting_columns().unwrap().iter())
            .map(|one| (one.column_idx, one.descending, one.nulls_first))
            .collect();
        let names: Vec<&str> = Row::columns(stream).map(|column| column.name).collect();
        let place = |name: &str| (0_i32..).zip(&names).find(|(_, one)| **one == name).unwrap().0;
        let expected =
            ["market", time_column(stream), "frame"].map(|one| (place(one), false, true));
        assert_eq!(sorting, expected, "{stream}");
        assert_eq!(group.columns().len(), names.len());
        for (chunk, column) in group.columns().iter().zip(Row::columns(stream)) {
            check_chunk(chunk, column.kind, &format!("{stream}.{}", column.name));
        }
        for (field, column) in metadata.schema().fields().iter().zip(Row::columns(stream)) {
            assert_eq!(field.is_nullable(), column.nullable, "{stream}.{}", column.name);
            assert_eq!(
                field.metadata().get("description").map(String::as_str),
                Some(column.doc.trim())
            );
        }
    }
}

fn check_chunk(chunk: &ColumnChunkMetaData, kind: Kind, what: &str) {
    assert!(
        matches!(chunk.compression(), Compression::ZSTD(_)),
        "{what}: {:?}",
        chunk.compression()
    );
    assert!(chunk.offset_index_offset().is_some(), "{what} has no offset index");
    let (statistics, index) = (chunk.statistics().is_some(), chunk.column_index_offset().is_some());
    let dictionary = chunk.dictionary_page_offset().is_some();
    let has = |encoding| chunk.encodings().any(|one| one == encoding);
    match kind {
        Kind::Time | Kind::Int => {
            assert!(
                has(Encoding::DELTA_BINARY_PACKED) && !dictionary && statistics && index,
                "{what}"
            );
        }
        Kind::Text => assert!(dictionary && statistics && index, "{what}"),
        Kind::FloatList => {
            let path = chunk.column_path().string();
            assert!(path.ends_with(".list.element"), "{what}: {path}");
            assert!(has(Encoding::PLAIN) && !dictionary && !statistics, "{what}");
        }
        Kind::Float => {
            assert!(has(Encoding::PLAIN) && !dictionary && statistics && index, "{what}");
        }
        Kind::Bool => assert!(statistics && index, "{what}"),
        Kind::Bytes => assert!(has(Encoding::PLAIN) && !dictionary && !statistics, "{what}"),
    }
}

#[test]
fn the_footer_says_what_the_file_is() {
    let home = Home::new();
    let name = sample::name(Stream::Trade, 1);
    let segment = home.publish(&name, &sample::rows(Stream::Trade));
    let part = Part::open(&home.fs, &home.paths, &segment).unwrap();
    for (key, value) in [
        ("veritape.format_version", "1"),
        ("veritape.venue", "upbit"),
        ("veritape.stream", "trade"),
        ("veritape.from", "2026-11-21T00:00:00Z"),
        ("veritape.to", "2026-11-21T23:59:59.999990Z"),
        ("veritape.schema", &document::of_stream(Stream::Trade)),
    ] {
        assert_eq!(part.metadata(key), Some(value), "{key}");
    }
    let writer = metadata(&home, &name).metadata().file_metadata().created_by().unwrap().to_owned();
    assert!(writer.starts_with("veritape "), "{writer}");
}

#[test]
fn the_time_column_is_the_rows_own_time() {
    for stream in Stream::all() {
        let name = time_column(stream);
        let place = Row::columns(stream).position(|column| column.name == name).unwrap();
        for row in sample::rows(stream) {
            assert_eq!(cells(&row)[place], format!("{:?}", Some(row.time().micros())), "{stream}");
        }
    }
}

#[test]
fn long_files_have_several_row_groups() {
    let home = Home::new();
    let name = sample::name(Stream::Trade, 1);
    let count = i64::try_from(ROW_GROUP_ROWS).unwrap() + 1;
    let rows: Vec<Row> = (0..count)
        .map(|one| sample::row(Stream::Trade, "KRW-BTC", count - one, one, one % 2 == 0))
        .collect();
    let segment = home.publish(&name, &rows);
    assert_eq!(segment.rows, rows.len() as u64);
    let metadata = metadata(&home, &name);
    let groups: Vec<i64> =
        metadata.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
    assert_eq!(groups, [count - 1, 1]);
    assert_eq!(home.rows(&segment), in_order(&rows));
}

#[test]
fn row_groups_that_are_long_enough_end_with_a_market() {
    let home = Home::new();
    let name = sample::name(Stream::Trade, 1);
    let mut rows = Vec::new();
    for (market, count) in
        [("KRW-A", 5_000), ("KRW-B", 16_000), ("KRW-C", 9_000), ("KRW-D", 12_000)]
    {
        let row = |one| sample::row(Stream::Trade, market, one, one, one % 2 == 0);
        rows.extend((0..count).map(row));
    }
    home.publish(&name, &rows);
    let metadata = metadata(&home, &name);
    let groups: Vec<i64> =
        metadata.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
    assert_eq!(groups, [21_000, 21_000]);
}
