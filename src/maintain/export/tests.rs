//! What is handed out is what lies in the files.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::model::market::Market;
use crate::model::record::Body;
use crate::model::span::Span;
use crate::store::catalog::Change;
use crate::store::fs::{RealFs, hand_on};
use crate::store::segment::Contents;
use crate::store::segment::tests::sample;

/// A folder with `count` files of a stream, each with the sample's rows.
fn home(streams: &[Stream], count: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (paths, fs) = (Paths::new(folder.path()), real());
    let mut catalog = Catalog::open(&paths.catalog()).unwrap();
    let mut number = 0;
    for stream in streams {
        for _ in 0..count {
            number += 1;
            let name = sample::name(*stream, number);
            let rows = sample::rows(*stream);
            let contents = Contents { name: &name, rows: &rows, bases: &[] };
            let written = segment::write(&fs, &paths, contents).unwrap();
            let segments = vec![written.publish(fs.as_ref()).unwrap()];
            catalog.publish(&Change { segments, ..Change::default() }).unwrap();
        }
    }
    folder
}

fn real() -> Arc<dyn Fs> {
    Arc::new(RealFs)
}

fn request(format: Format, scratch: &Path) -> Request {
    let scratch = scratch.join("scratch");
    Request { streams: Vec::new(), wanted: Wanted::default(), format, scratch }
}

fn text(data: &Path, request: &Request) -> Vec<String> {
    let (bytes, rows) = export(data, &real(), request, Vec::new()).unwrap();
    let lines: Vec<String> = String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect();
    let head = usize::from(request.format == Format::Csv);
    assert_eq!(rows, (lines.len() - head) as u64);
    assert!(!request.scratch.exists());
    lines
}

#[test]
fn numbers_times_and_nulls_are_exact() {
    let home = home(&[Stream::Orderbook], 1);
    let mut json = request(Format::JsonLines, home.path());
    json.wanted.markets = Some(HashSet::from([Market::new("KRW-BTC")]));
    let lines = text(home.path(), &json);
    let expected = [
        r#"{"venue":"upbit","stream":"orderbook","market":"KRW-BTC","ts_recv":"2026-11-21T00:00:00.007004Z","source":"rest","snapshot":false,"session":3,"frame":5,"ts_event":"2026-11-21T00:00:00.000004Z","total_ask_size":null,"total_bid_size":null,"grouping":null,"best_ask_price":null,"best_ask_size":null,"best_bid_price":null,"best_bid_size":null,"ask_price":[],"ask_size":[],"bid_price":[],"bid_size":[]}"#,
        r#"{"venue":"upbit","stream":"orderbook","market":"KRW-BTC","ts_recv":"2026-11-21T00:00:00.007004Z","source":"ws","snapshot":true,"session":3,"frame":6,"ts_event":"2026-11-21T00:00:00.000004Z","total_ask_size":0.1,"total_bid_size":1e-8,"grouping":0.0,"best_ask_price":91154000.0,"best_ask_size":0.004,"best_bid_price":null,"best_bid_size":null,"ask_price":[91154000.0,91155000.0],"ask_size":[0.004,0.00079276],"bid_price":[],"bid_size":[]}"#,
    ];
    assert_eq!(lines[..2], expected);
    assert_eq!(lines.len(), 4);
    let csv = text(home.path(), &Request { format: Format::Csv, ..json });
    assert!(csv[0].starts_with("venue,stream,market,ts_recv,"), "{}", csv[0]);
    assert_eq!(
        csv[2],
        "upbit,orderbook,KRW-BTC,2026-11-21T00:00:00.007004Z,ws,true,3,6,2026-11-21T00:00:00.000004Z,0.1,1e-8,0.0,91154000.0,0.004,,,\"[91154000.0,91155000.0]\",\"[0.004,0.00079276]\",\"[]\",\"[]\""
    );
}

#[test]
fn odd_texts_and_bytes_are_quoted() {
    let home = home(&[Stream::Unread], 1);
    for format in [Format::Csv, Format::JsonLines] {
        let lines = text(home.path(), &request(format, home.path()));
        assert!(lines.iter().any(|line| line.contains("00ff7b80")), "{lines:#?}");
        for line in lines.iter().skip(1) {
            if format == Format::JsonLines {
                let read: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(read["reason"], "not JSON: 値 \"\u{0}\"");
            } else {
                assert!(line.contains("\"not JSON: 値 \"\"\u{0}\"\"\""), "{line}");
            }
        }
    }
}

#[test]
fn many_streams_and_many_files_are_one() {
    let streams: Vec<Stream> = Stream::all().collect();
    let (one, many) = (home(&streams, 1), home(&streams, 11));
    let first = text(one.path(), &request(Format::Csv, one.path()));
    let all = text(many.path(), &request(Format::Csv, many.path()));
    // Each file has the same rows, so each comes eleven times in a row.
    let expected = first[1..].iter().flat_map(|line| std::iter::repeat_n(line, 11));
    let mut found: Vec<&String> = all[1..].iter().collect();
    let mut expected: Vec<&String> = expected.collect();
    assert!(found.is_sorted_by_key(|line| {
        streams.iter().position(|one| line.split(',').nth(1) == Some(one.name()))
    }));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let fields = first[0].split(',').count();
    assert!(fields > 50);
    let within = Span::new(sample::at(4), sample::at(6));
    let wanted = Wanted { markets: None, within };
    let some = Request { wanted, streams: vec![Stream::Trade], ..request(Format::Csv, one.path()) };
    assert_eq!(text(one.path(), &some).len(), 1 + 3);
    let none = Request {
        wanted: Wanted { within: Span::new(sample::at(-9), sample::at(-8)), markets: None },
        ..some
    };
    assert_eq!(text(one.path(), &none).len(), 1, "the names of the columns come all the same");
}

#[test]
fn columns_of_one_name_are_of_one_type() {
    let mut known: BTreeMap<&str, Kind> = BTreeMap::new();
    for stream in Stream::all() {
        for column in Row::columns(stream) {
            let kind = *known.entry(column.name).or_insert(column.kind);
            assert_eq!(kind, column.kind, "{stream}.{}", column.name);
        }
    }
}

/// The real disk, where the first file that is read is merged with others at once.
#[derive(Debug)]
struct Merging {
    of: RealFs,
    data: PathBuf,
    left: Mutex<u32>,
}

impl Fs for Merging {
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut left = self.left.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            let now = "2026-11-23T00:00:00Z".parse().unwrap();
            let rule = crate::maintain::compact::plan::Rule {
                by_market: *left % 2 == 1,
                ..Default::default()
            };
            crate::maintain::compact::compact(&self.data, &real(), now, &rule).unwrap();
        }
        drop(left);
        self.of.read(path, offset, length)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.of.length(path)
    }

    hand_on!();
}

#[test]
fn files_that_are_merged_meanwhile_are_looked_up_again() {
    let streams = [Stream::Orderbook];
    let expected = {
        let home = home(&streams, 9);
        text(home.path(), &request(Format::Csv, home.path()))
    };
    for times in [1, 2] {
        let home = home(&streams, 9);
        let fs: Arc<dyn Fs> =
            Arc::new(Merging { of: RealFs, data: home.path().to_owned(), left: Mutex::new(times) });
        let request = request(Format::Csv, home.path());
        let (bytes, _) = export(home.path(), &fs, &request, Vec::new()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}

/// The real disk, and how many bytes were read from it.
#[derive(Debug)]
struct Counting {
    of: RealFs,
    bytes: AtomicU64,
}

impl Fs for Counting {
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.of.read(path, offset, length)?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.of.length(path)
    }

    hand_on!();
}

#[test]
fn row_groups_of_other_markets_are_not_read() {
    let home = tempfile::tempdir().unwrap();
    let (paths, fs) = (Paths::new(home.path()), real());
    let mut catalog = Catalog::open(&paths.catalog()).unwrap();
    let mut publish = |number: u64, rows: &[Row]| {
        let name = sample::name(Stream::Trade, number);
        let contents = Contents { name: &name, rows, bases: &[] };
        let segment = segment::write(&fs, &paths, contents).unwrap().publish(fs.as_ref()).unwrap();
        let segments = vec![segment];
        catalog.publish(&Change { segments, ..Change::default() }).unwrap();
    };
    // A row group each, since 20,000 rows are enough for one.
    let markets = ["KRW-A", "KRW-B", "KRW-C", "KRW-D"];
    let of = |market: &str, first: i64, count: i64| -> Vec<Row> {
        let row = |at: i64| {
            let mut row = sample::row(Stream::Trade, market, at, at + 1, true);
            if let Body::Trade(trade) = &mut row.body {
                // As good as random: or the file is smaller than what surrounds its values.
                trade.price = (f64::from(i32::try_from(at).unwrap()) * 1.37).sin();
                trade.size = (f64::from(i32::try_from(at).unwrap()) * 0.73).cos();
            }
            row
        };
        (first..first + count).map(row).collect()
    };
    for half in 0..2_i64 {
        let first = |place: usize| half * 10_100 + i64::try_from(place).unwrap() * 100_000;
        let rows: Vec<Row> = (0..)
            .zip(markets)
            .flat_map(|(place, market)| of(market, first(place), 10_100))
            .collect();
        publish(1 + half.cast_unsigned(), &rows);
    }
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    let rule = crate::maintain::compact::plan::Rule::default();
    crate::maintain::compact::compact(home.path(), &real(), now, &rule).unwrap();
    let files = Catalog::of_folder(home.path()).unwrap().segments(&Filter::default()).unwrap();
    let [merged] = files.as_slice() else { panic!("{files:?}") };
    let footer = segment::footer(&fs, &paths, merged).unwrap();
    assert_eq!((footer.rows, footer.row_groups), (80_800, 4));
    // With more files than are read at once, they are read through the disk that counts.
    let next = merged.name.number + 1;
    for small in 0..3 {
        publish(next + small, &of("KRW-B", 900_000 + small.cast_signed(), 1));
    }
    let read = |asked: &[&str], rows: u64| {
        let fs = Arc::new(Counting { of: RealFs, bytes: AtomicU64::new(0) });
        let disk: Arc<dyn Fs> = Arc::<Counting>::clone(&fs);
        let mut request = request(Format::Csv, home.path());
        request.wanted.markets = Some(asked.iter().map(|market| Market::new(*market)).collect());
        let (_, exported) = export(home.path(), &disk, &request, Vec::new()).unwrap();
        assert_eq!(exported, rows, "{asked:?}");
        fs.bytes.load(Ordering::Relaxed)
    };
    let all = read(&markets, 80_803);
    for (asked, rows) in [(vec!["KRW-A"], 20_200), (vec!["KRW-B"], 20_203), (vec!["KRW-0"], 0)] {
        // Every byte once for the checksum, then one row group of four at most, and it once more
        // on its way through the file that is made between.
        let bytes = read(&asked, rows);
        let most = merged.bytes / 4 * 7;
        assert!(bytes < most, "{asked:?}: {bytes} bytes of {} were read", merged.bytes);
        assert!(bytes + merged.bytes / 2 < all, "{asked:?}: {bytes} and not {all} bytes");
    }
    assert!(read(&["KRW-A", "KRW-D"], 40_400) < all - merged.bytes / 4);
}
