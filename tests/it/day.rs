//! A day of a venue: brought from its past with a kill in it, then recorded live while sockets drop.
//! Every hour of it is complete or repaired; and what is taken out of it, doubled or changed is found,
//! with its hour and second.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, TimestampMicrosecondArray};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::tempdir;
use veritape::model::time::Timestamp;

use crate::backfill::{DAY, Past, summary};
use crate::harness::{Process, SOON, veritape, wait_until};

const HOUR_US: i64 = 3_600_000_000;
const WANTED: [&str; 4] = ["--markets", "KRW-BTC", "--streams", "trade,candle.1s"];

fn json_of(command: &[&str], data: &Path, code: Option<i32>) -> Value {
    let mut asking = veritape();
    asking.args(command).args(["--json", "--data"]).arg(data);
    let ended = Process::start(asking).wait(SOON);
    let told = serde_json::from_str(&ended.stdout);
    let told: Value =
        told.unwrap_or_else(|error| panic!("{error}: {} {}", ended.stdout, ended.stderr));
    assert!(code.is_none_or(|code| ended.status.code() == Some(code)), "{told:#} {}", ended.stderr);
    told
}

/// The hours of trades, each with its condition.
fn hours(data: &Path) -> Vec<(Timestamp, String)> {
    let told = json_of(&["coverage"], data, None);
    let rows = told["coverage"].as_array().unwrap().iter();
    let text = |hour: &Value, key: &str| hour[key].as_str().unwrap().to_owned();
    rows.filter(|hour| hour["stream"] == "trade")
        .map(|hour| (text(hour, "hour").parse().unwrap(), text(hour, "condition")))
        .collect()
}

/// A data folder, and its file of trades of one day.
struct Copy {
    data: PathBuf,
    file: String,
    rows: RecordBatch,
    /// What the file says of itself.
    says: Option<Vec<KeyValue>>,
}

impl Copy {
    /// A copy of `data`, where the hour is in the only file of its day.
    fn of(data: &Path, to: &Path, hour: Timestamp) -> Self {
        copy(data, to);
        let sql = "SELECT path FROM segments WHERE stream = 'trade' AND date = ?1";
        let db = Connection::open(to.join("catalog.sqlite")).unwrap();
        let file: String = db.query_row(sql, [hour.date().to_string()], |row| row.get(0)).unwrap();
        let bytes = Bytes::from(fs::read(to.join(&file)).unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let says = reader.metadata().file_metadata().key_value_metadata().cloned();
        let reader = reader.with_batch_size(1 << 24).build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(batches.len(), 1, "one market of one day is few rows");
        Self { data: to.to_owned(), file, rows: batches.into_iter().next().unwrap(), says }
    }

    /// The times of the rows.
    fn times(&self) -> Vec<i64> {
        let times = self.rows.column_by_name("ts_event").unwrap();
        times.as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap().values().to_vec()
    }

    /// Puts these rows in the place of all, as if this program had written them.
    fn replace(&self, hour: Timestamp, pieces: &[RecordBatch]) {
        let mut bytes = Vec::new();
        let says = WriterProperties::builder().set_key_value_metadata(self.says.clone()).build();
        let mut writer = ArrowWriter::try_new(&mut bytes, self.rows.schema(), Some(says)).unwrap();
        for piece in pieces {
            writer.write(piece).unwrap();
        }
        writer.close().unwrap();
        fs::write(self.data.join(&self.file), &bytes).unwrap();
        let db = Connection::open(self.data.join("catalog.sqlite")).unwrap();
        let rows: usize = pieces.iter().map(RecordBatch::num_rows).sum();
        let more = rows.cast_signed() - self.rows.num_rows().cast_signed();
        let hash = blake3::hash(&bytes).to_hex().to_string();
        let sql = "UPDATE segments SET rows = ?1, bytes = ?2, blake3 = ?3 WHERE path = ?4";
        assert_eq!(db.execute(sql, (rows, bytes.len(), hash, &self.file)).unwrap(), 1);
        let sql = "UPDATE hours SET rows = rows + ?1 WHERE stream = 'trade' AND hour = ?2";
        assert_eq!(db.execute(sql, (more, hour.micros())).unwrap(), 1);
        let sql = "DELETE FROM hours WHERE rows <= 0";
        db.execute(sql, []).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Rows of which the size of the one at `place` is twice as much.
fn larger(rows: &RecordBatch, place: usize) -> RecordBatch {
    let at = rows.schema().index_of("size").unwrap();
    let sizes = rows.column(at).as_any().downcast_ref::<Float64Array>().unwrap();
    let sizes = sizes.values().iter().enumerate();
    let sizes: Float64Array =
        sizes.map(|(row, size)| if row == place { 2.0 * size } else { *size }).collect();
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns[at] = Arc::new(sizes);
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

/// What is wrong with a copy in which something was planted: its faults, and the condition of the
/// hour with the first disagreement.
fn found(data: &Path, hour: Timestamp) -> (Value, Value, Value) {
    let told = json_of(&["verify"], data, Some(3));
    let odd = told["incomplete"].as_array().unwrap().iter();
    let mut odd = odd.filter(|one| one["stream"] == "trade");
    let one = odd.next().unwrap_or_else(|| panic!("no hour is bad: {told:#}"));
    assert_eq!(one["hour"], hour.to_string(), "{told:#}");
    assert!(odd.next().is_none(), "another hour is bad too: {told:#}");
    (told["faults"].clone(), one["condition"].clone(), one["numbers"]["disagreements"].clone())
}

/// A day with all that happens to one.
fn lived() -> Past {
    let drops = "[[fault]]\nevery = '5s'\nwhat = 'drop'\n";
    let past = Past::of(&["--markets", "2", "--rate", "20", "--seed", "19"], drops);
    let asking = past.ask(DAY, &WANTED);
    wait_until("some pages", SOON, || (past.calls().len() > 8).then_some(()));
    asking.signal(Signal::KILL);
    asking.wait(SOON);
    summary(&past.ask(DAY, &WANTED).wait(SOON * 4), 0);

    let settings = past.data().with_file_name("veritape.toml");
    fs::write(&settings, "rotate = '1s'\nsettle = '1s'\n").unwrap();
    let settings = ["--config", settings.to_str().unwrap()];
    let recorder = past.sim.record(&past.data(), &[&settings[..], &WANTED].concat());
    recorder.wait_for_talk("connected", SOON);
    wait_until("gaps, repaired", SOON * 2, || {
        let gaps = json_of(&["gaps"], &past.data(), None);
        let gaps = gaps["gaps"].as_array().unwrap().iter();
        let repaired = gaps.filter(|gap| gap["stream"] == "trade" && gap["state"] == "repaired");
        (repaired.count() > 1).then_some(())
    });
    recorder.signal(Signal::TERM);
    recorder.wait(SOON).success();
    // The last drop may have come with the end: its gap is closed by hand.
    let mut repair = veritape();
    repair.args(["gaps", "repair", "--rest-url", past.sim.rest(), "--data"]).arg(past.data());
    Process::start(repair).wait(SOON * 2).success();
    past
}

#[test]
fn every_hour_is_complete_or_repaired_and_what_is_planted_is_found() {
    let past = lived();
    let told = json_of(&["verify"], &past.data(), Some(0));
    assert_eq!((&told["faults"], &told["incomplete"]), (&json!([]), &json!([])), "{told:#}");
    let hours = hours(&past.data());
    println!("{hours:#?}");
    let good = |(_, condition): &&(Timestamp, String)| {
        *condition == "complete" || *condition == "repaired"
    };
    assert!(hours.len() >= 24 && hours.iter().all(|hour| good(&hour)), "{hours:#?}");
    assert!(hours.iter().any(|(_, condition)| condition == "repaired"), "{hours:#?}");

    let mut compact = veritape();
    compact.args(["compact", "--all", "--data"]).arg(past.data());
    Process::start(compact).wait(SOON).success();
    let hour = hours[12].0;
    let folder = tempdir().unwrap();
    let fresh = |name: &str| Copy::of(&past.data(), &folder.path().join(name), hour);
    let inside = |at: i64| (hour.micros()..hour.micros() + HOUR_US).contains(&at);
    let times = fresh("times").times();
    let (first, count) = (
        times.iter().position(|at| inside(*at)).unwrap(),
        times.iter().filter(|at| inside(**at)).count(),
    );
    let (place, rows) = (first + count / 2, times.len());
    let at = Timestamp::from_micros(times[place] - times[place].rem_euclid(1_000_000)).to_string();

    let home = fresh("removed");
    let (before, after) = (home.rows.slice(0, place), home.rows.slice(place + 1, rows - place - 1));
    home.replace(hour, &[before.clone(), after.clone()]);
    let (faults, condition, seconds) = found(&home.data, hour);
    assert_eq!((faults, condition), (json!([]), json!("degraded")));
    assert_eq!(seconds[0]["at"], at, "{seconds:#}");

    let home = fresh("doubled");
    let one = home.rows.slice(place, 1);
    home.replace(hour, &[before.clone(), one.clone(), one, after.clone()]);
    let (faults, condition, seconds) = found(&home.data, hour);
    assert_eq!((&faults[0]["fault"], condition), (&json!("key"), json!("degraded")), "{faults:#}");
    assert_eq!(seconds[0]["at"], at, "{seconds:#}");

    let home = fresh("changed");
    home.replace(hour, &[larger(&home.rows, place)]);
    let (faults, condition, seconds) = found(&home.data, hour);
    assert_eq!((faults, condition), (json!([]), json!("degraded")));
    assert_eq!(seconds[0]["at"], at, "{seconds:#}");

    let home = fresh("missing");
    let last = first + count;
    home.replace(hour, &[home.rows.slice(0, first), home.rows.slice(last, rows - last)]);
    let (faults, condition, _) = found(&home.data, hour);
    assert_eq!((faults, condition), (json!([]), json!("missing")));
}
