//! `/metrics`: Prometheus text.
//!
//! Every metric is a line of [`METRICS`], and a line of the table in this folder's README; a test
//! compares the two with what is really told. Labels are bounded: venue, stream, state. A market is
//! a label only where somebody asked to see it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use smol_str::SmolStr;

use super::now::Now;
use super::routes::Shared;
use crate::ingest::merge::LaneKey;
use crate::ingest::pulse::Lag;
use crate::ingest::watched::Count;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;

/// Name, type and meaning of each.
pub(super) const METRICS: [(&str, &str, &str); 42] = [
    ("veritape_build_info", "gauge", "Always 1; the version is its label."),
    ("veritape_start_time_seconds", "gauge", "When the recorder started."),
    ("veritape_healthy", "gauge", "1 while /healthz says 200, else 0."),
    ("veritape_ready", "gauge", "1 once every subscription was served or refused, else 0."),
    ("veritape_frames_total", "counter", "Frames that the writer took."),
    ("veritape_frame_bytes_total", "counter", "Bytes of those frames."),
    ("veritape_recovered_frames_total", "counter", "Frames that the start found in the journal."),
    ("veritape_unread_frames_total", "counter", "Frames that no decoder understood."),
    ("veritape_records_total", "counter", "Records that the venue told."),
    ("veritape_rows_total", "counter", "Records that became a row."),
    ("veritape_duplicates_total", "counter", "Records that had been told before."),
    ("veritape_last_receive_timestamp_seconds", "gauge", "When the last record arrived."),
    ("veritape_silence_threshold_seconds", "gauge", "How long no data is too long, as learned."),
    ("veritape_market_records_total", "counter", "Records of a market asked for one by one."),
    (
        "veritape_market_last_receive_timestamp_seconds",
        "gauge",
        "When the last record of a market asked for one by one arrived.",
    ),
    ("veritape_lag_seconds", "histogram", "From the venue's clock to ours, of live messages."),
    ("veritape_subscriptions_asked", "gauge", "Markets that are asked for."),
    ("veritape_subscriptions_served", "gauge", "Markets that a connection serves."),
    ("veritape_subscriptions_refused", "gauge", "Markets that the venue shows nothing of."),
    ("veritape_subscriptions_awaited", "gauge", "Markets neither served yet nor refused."),
    ("veritape_sessions_open", "gauge", "Connections that are up."),
    ("veritape_sessions_opened_total", "counter", "Connections that came up."),
    ("veritape_sessions_lost_total", "counter", "Connections that ended without our will."),
    ("veritape_queue_events", "gauge", "Events that wait for the writer."),
    ("veritape_queue_bytes", "gauge", "Bytes of frames that wait for the writer."),
    ("veritape_queue_limit_events", "gauge", "Events that may wait."),
    ("veritape_queue_limit_bytes", "gauge", "Bytes of frames that may wait."),
    ("veritape_queue_waits_total", "counter", "How often a socket waited for room."),
    ("veritape_queue_wait_seconds_total", "counter", "How long those waits were."),
    ("veritape_writer_delay_seconds", "gauge", "How old the writer's own time is."),
    ("veritape_waiting_rows", "gauge", "Rows that wait for a file."),
    ("veritape_waiting_bytes", "gauge", "Bytes of memory that they hold, roughly."),
    ("veritape_files_total", "counter", "Files published."),
    ("veritape_file_rows_total", "counter", "Rows in them."),
    ("veritape_file_bytes_total", "counter", "Bytes of them."),
    ("veritape_gaps", "gauge", "Rows of the gap ledger, by state."),
    ("veritape_disk_free_bytes", "gauge", "Bytes that are free where the data lies."),
    ("veritape_disk_days_left", "gauge", "How many days that lasts at the rate of late."),
    ("veritape_clock_drift_seconds", "gauge", "How far the wall clock went beside the monotonic."),
    ("veritape_http_requests_total", "counter", "Answers given, by class."),
    ("veritape_http_turned_away_total", "counter", "Connections beyond the limit."),
    ("veritape_http_wrong_tokens_total", "counter", "Requests with a wrong token."),
];

/// The text of `/metrics`; `gaps` is what the catalog counts, if it says.
pub(super) fn text(shared: &Shared, now: &Now, gaps: Option<&Value>) -> String {
    let mut text = Text::default();
    general(&mut text, now);
    streams(&mut text, now);
    subscriptions(&mut text, now);
    flow(&mut text, shared, now);
    text.metric("veritape_gaps");
    for (state, count) in gaps.and_then(Value::as_object).into_iter().flatten() {
        text.line("", &[("state", state)], count);
    }
    if let Some(free) = now.free_bytes {
        text.single("veritape_disk_free_bytes", free);
    }
    if let Some(days) = now.days_left() {
        text.single("veritape_disk_days_left", days);
    }
    text.single("veritape_clock_drift_seconds", super::status::micros(now.stats.drift_us));
    text.metric("veritape_http_requests_total");
    let counts = &shared.counts;
    let classes = [("2xx", &counts.good), ("4xx", &counts.refused), ("5xx", &counts.failed)];
    for (class, count) in classes {
        text.line("", &[("class", class)], count.load(Ordering::Relaxed));
    }
    let away = counts.turned_away.load(Ordering::Relaxed);
    text.single("veritape_http_turned_away_total", away);
    text.single("veritape_http_wrong_tokens_total", shared.gate.wrong());
    text.out
}

fn general(text: &mut Text, now: &Now) {
    text.metric("veritape_build_info");
    text.line("", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.single("veritape_start_time_seconds", seconds(now.started));
    text.single("veritape_healthy", u8::from(now.problems.is_empty()));
    text.single("veritape_ready", u8::from(now.ready));
    let progress = &now.progress;
    text.single("veritape_frames_total", progress.frames);
    text.single("veritape_frame_bytes_total", progress.bytes);
    text.single("veritape_recovered_frames_total", progress.recovered);
    text.single("veritape_unread_frames_total", progress.unread);
}

fn streams(text: &mut Text, now: &Now) {
    let tallies = &now.progress.streams;
    text.each("veritape_records_total", tallies, |tally| Some(tally.told));
    text.each("veritape_rows_total", tallies, |tally| Some(tally.rows));
    text.each("veritape_duplicates_total", tallies, |tally| Some(tally.duplicates));
    text.each("veritape_last_receive_timestamp_seconds", tallies, |tally| {
        tally.last_recv.map(seconds)
    });
    let pulses = &now.progress.pulses;
    text.each("veritape_silence_threshold_seconds", pulses, |pulse| {
        pulse.threshold().map(|threshold| threshold.as_secs_f64())
    });
    markets(text, now);
    text.metric("veritape_lag_seconds");
    for ((venue, stream), pulse) in pulses.iter().filter(|(_, pulse)| pulse.lag.count() > 0) {
        histogram(text, [("venue", venue.as_str()), ("stream", stream.name())], &pulse.lag);
    }
}

fn markets(text: &mut Text, now: &Now) {
    let told = &now.progress.roll.markets;
    let mut each = |name, value: fn(&Count) -> f64| {
        text.metric(name);
        for (LaneKey { venue, stream, market }, count) in told {
            let labels =
                [("venue", venue.as_str()), ("stream", stream.name()), ("market", market.as_str())];
            text.line("", &labels, value(count));
        }
    };
    each("veritape_market_records_total", |count| exact(count.told));
    each("veritape_market_last_receive_timestamp_seconds", |count| seconds(count.last_recv));
}

/// A count as Prometheus has it: exact up to 2^53.
fn exact(count: u64) -> f64 {
    Duration::from_secs(count).as_secs_f64()
}

fn histogram(text: &mut Text, [venue, stream]: [(&str, &str); 2], lag: &Lag) {
    let mut below = 0;
    for (bound, bucket) in lag.buckets() {
        below += bucket.count;
        let bound = bound.map_or_else(|| "+Inf".to_owned(), |us| micros(us).to_string());
        text.line("_bucket", &[venue, stream, ("le", &bound)], below);
    }
    text.line("_sum", &[venue, stream], micros(lag.sum_us()));
    text.line("_count", &[venue, stream], below);
}

fn subscriptions(text: &mut Text, now: &Now) {
    let roll = &now.progress.roll;
    text.each("veritape_subscriptions_asked", &roll.streams, |one| Some(one.asked));
    text.each("veritape_subscriptions_served", &roll.streams, |one| Some(one.served));
    text.each("veritape_subscriptions_refused", &roll.streams, |one| Some(one.refused.0));
    text.each("veritape_subscriptions_awaited", &roll.streams, |one| Some(one.awaited.0));
    text.single("veritape_sessions_open", now.stats.sessions_up);
    text.single("veritape_sessions_opened_total", now.stats.sessions_opened);
    text.single("veritape_sessions_lost_total", now.stats.reconnects);
}

fn flow(text: &mut Text, shared: &Shared, now: &Now) {
    let (progress, limits) = (&now.progress, shared.sources.queue);
    text.single("veritape_queue_events", now.queued_events);
    text.single("veritape_queue_bytes", now.queued_bytes);
    text.single("veritape_queue_limit_events", limits.events);
    text.single("veritape_queue_limit_bytes", limits.bytes);
    text.single("veritape_queue_waits_total", progress.queue_waits);
    text.single("veritape_queue_wait_seconds_total", progress.queue_waited.as_secs_f64());
    let delay = now.at.since(progress.at.max(now.started));
    text.single("veritape_writer_delay_seconds", delay.as_secs_f64());
    text.single("veritape_waiting_rows", progress.waiting_rows);
    text.single("veritape_waiting_bytes", progress.waiting_bytes);
    text.single("veritape_files_total", progress.files);
    text.single("veritape_file_rows_total", progress.file_rows);
    text.single("veritape_file_bytes_total", progress.file_bytes);
}

fn seconds(at: Timestamp) -> f64 {
    at.since(Timestamp::default()).as_secs_f64()
}

fn micros(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

/// Text in the making.
#[derive(Default)]
struct Text {
    out: String,
    name: &'static str,
}

impl Text {
    /// Begins a metric.
    fn metric(&mut self, name: &'static str) {
        self.name = name;
        let told = METRICS.iter().find(|(known, ..)| *known == name);
        let (kind, help) = told.map_or(("untyped", ""), |(_, kind, help)| (*kind, *help));
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One value of the metric.
    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let name = self.name;
        if labels.is_empty() {
            self.push(format_args!("{name}{suffix} {value}\n"));
        } else {
            self.push(format_args!("{name}{suffix}{{{}}} {value}\n", labels.join(",")));
        }
    }

    /// A metric without labels.
    fn single(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.metric(name);
        self.line("", &[], value);
    }

    /// A metric by venue and stream.
    fn each<'a, T: 'a, V: std::fmt::Display>(
        &mut self,
        name: &'static str,
        of: impl IntoIterator<Item = (&'a (SmolStr, Stream), &'a T)>,
        value: impl Fn(&T) -> Option<V>,
    ) {
        self.metric(name);
        for ((venue, stream), one) in of {
            if let Some(value) = value(one) {
                self.line("", &[("venue", venue), ("stream", stream.name())], value);
            }
        }
    }

    fn push(&mut self, words: std::fmt::Arguments<'_>) {
        self.out.push_str(&words.to_string());
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
