-- The catalog of a data folder, version 1 (PRAGMA user_version).
--
-- Every time is an INTEGER: microseconds since 1970-01-01T00:00:00Z. Words of `stream`, `cause` and
-- `state` are those of the files and of `--json`. Read it as you like while the recorder runs (it
-- is in WAL mode); write nothing.

-- Single values: created, next_frame (every frame below it is in published files or in `carry`),
-- next_segment, recovery (what the last start recovered, as JSON).
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value ANY  NOT NULL
) STRICT, WITHOUT ROWID;

-- One published Parquet file each. Both ends of each span are inside it.
CREATE TABLE segments (
    number         INTEGER PRIMARY KEY,
    path           TEXT    NOT NULL UNIQUE,  -- from the data folder on
    stream         TEXT    NOT NULL,
    venue          TEXT    NOT NULL,
    date           TEXT    NOT NULL,         -- UTC day of ts_event
    rows           INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    blake3         TEXT    NOT NULL,         -- of the whole file, hexadecimal
    format_version INTEGER NOT NULL,
    ts_event_min   INTEGER NOT NULL,
    ts_event_max   INTEGER NOT NULL,
    ts_recv_min    INTEGER NOT NULL,
    ts_recv_max    INTEGER NOT NULL,
    frame_min      INTEGER NOT NULL,
    frame_max      INTEGER NOT NULL,
    published_at   INTEGER NOT NULL,
    market         TEXT                      -- the only one of its rows, where it was made for one
) STRICT;

CREATE INDEX segments_by_time ON segments (venue, stream, ts_event_min, ts_event_max);

-- Files whose rows are in other files now, or that are about to be published; each is removed, then
-- its row.
CREATE TABLE retired (
    number     INTEGER PRIMARY KEY,
    path       TEXT    NOT NULL,
    retired_at INTEGER NOT NULL
) STRICT;

-- What was held and was removed because a policy said so: nothing of it was lost. The span is a UTC
-- day.
CREATE TABLE retirements (
    id         INTEGER PRIMARY KEY,
    venue      TEXT    NOT NULL,
    stream     TEXT    NOT NULL,
    from_us    INTEGER NOT NULL,
    to_us      INTEGER NOT NULL,
    files      INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    policy     TEXT    NOT NULL,             -- such as: orderbook older than 30days
    retired_at INTEGER NOT NULL
) STRICT;

CREATE INDEX retirements_by_time ON retirements (venue, stream, from_us);

-- One connection each.
CREATE TABLE sessions (
    id            INTEGER PRIMARY KEY,
    venue         TEXT    NOT NULL,
    endpoint      TEXT    NOT NULL,
    subscriptions TEXT    NOT NULL,          -- JSON
    opened        INTEGER NOT NULL,
    first_data    INTEGER,
    closed        INTEGER,
    why           TEXT,
    frames        INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    proven_until  INTEGER,                   -- the last proof of life
    records       INTEGER NOT NULL,          -- records it told, of which
    duplicates    INTEGER NOT NULL,          -- had been told before
    led           INTEGER NOT NULL,          -- records it told first and another session after it,
    lead_us       INTEGER NOT NULL           -- by so much in all
) STRICT;

CREATE INDEX sessions_open ON sessions (id) WHERE closed IS NULL;

-- From when to when a session is proven to have carried a market of a stream. No end: it still
-- does, and is proven up to sessions.proven_until.
CREATE TABLE live (
    session INTEGER NOT NULL REFERENCES sessions (id),
    stream  TEXT    NOT NULL,
    market  TEXT    NOT NULL,
    venue   TEXT    NOT NULL,
    from_us INTEGER NOT NULL,
    to_us   INTEGER,
    PRIMARY KEY (session, stream, market)
) STRICT, WITHOUT ROWID;

CREATE INDEX live_by_market ON live (venue, stream, market, from_us);
CREATE INDEX live_open ON live (venue, stream, market) WHERE to_us IS NULL;

-- The latest to_us in `live`, so that a start need not read all of it.
CREATE TABLE proven (
    venue  TEXT    NOT NULL,
    stream TEXT    NOT NULL,
    market TEXT    NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (venue, stream, market)
) STRICT, WITHOUT ROWID;

-- Rows recorded, by the hour of their time. `market` is empty where a row names none.
CREATE TABLE hours (
    venue  TEXT    NOT NULL,
    stream TEXT    NOT NULL,
    market TEXT    NOT NULL,
    hour   INTEGER NOT NULL,                 -- its first instant
    rows   INTEGER NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (venue, stream, market, hour)
) STRICT, WITHOUT ROWID;

-- Whether all of an hour is here, as `verify` found it. It holds as long as the catalog says of the
-- hour what it said then: `rows`, `covered_us`, `evidence_rows` and `ledger`.
CREATE TABLE conditions (
    venue         TEXT    NOT NULL,
    stream        TEXT    NOT NULL,
    market        TEXT    NOT NULL,
    hour          INTEGER NOT NULL,          -- its first instant
    condition     TEXT    NOT NULL,          -- complete, repaired, degraded, missing, unproven
    rows          INTEGER NOT NULL,          -- rows of the hour then
    covered_us    INTEGER NOT NULL,          -- how much of it was proven live then
    evidence      TEXT    NOT NULL,          -- the streams it was compared with, apart by commas
    evidence_rows INTEGER NOT NULL,          -- their rows of the hour then
    ledger        INTEGER NOT NULL,          -- a number for the gaps in it then
    numbers       TEXT    NOT NULL,          -- what decided it, as JSON
    checked_at    INTEGER NOT NULL,
    PRIMARY KEY (venue, stream, market, hour)
) STRICT, WITHOUT ROWID;

-- How long live messages were on their way, from the venue's clock to ours, by the hour of their
-- arrival: how many took more than the bound of the bucket below and at most `upto_us`
-- (9223372036854775807: no bound), and the greatest of them.
CREATE TABLE lags (
    venue   TEXT    NOT NULL,
    stream  TEXT    NOT NULL,
    hour    INTEGER NOT NULL,                -- its first instant
    upto_us INTEGER NOT NULL,
    records INTEGER NOT NULL,
    max_us  INTEGER NOT NULL,
    PRIMARY KEY (venue, stream, hour, upto_us)
) STRICT, WITHOUT ROWID;

-- Steps of the machine's wall clock, which stamps ts_recv: what it said after each, and how far it
-- went beside the monotonic clock (back where it is below 0).
CREATE TABLE clock_steps (
    id    INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    by_us INTEGER NOT NULL
) STRICT;

-- What is missing, why, and what became of it. `market` is NULL where all of them are meant,
-- `to_us` while it lasts.
CREATE TABLE gaps (
    id            INTEGER PRIMARY KEY,
    venue         TEXT    NOT NULL,
    stream        TEXT    NOT NULL,
    market        TEXT,
    from_us       INTEGER NOT NULL,
    to_us         INTEGER,
    cause         TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    rows_repaired INTEGER NOT NULL,
    source        TEXT,                      -- where the rows were had again
    detail        TEXT    NOT NULL
) STRICT;

CREATE INDEX gaps_by_market ON gaps (venue, stream, market, from_us);
CREATE INDEX gaps_pending ON gaps (id) WHERE to_us IS NULL OR state = 'open';

-- Work on the past: one market of one stream over one span each. Numbers are of the same series as
-- those of sessions. Counts are of pages whose rows are in published files or in `carry`; a restart
-- takes up the rest again.
CREATE TABLE jobs (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    venue      TEXT    NOT NULL,
    stream     TEXT    NOT NULL,
    market     TEXT    NOT NULL,
    from_us    INTEGER NOT NULL,
    to_us      INTEGER NOT NULL,
    gap        INTEGER,                      -- the gap that it is to close
    state      TEXT    NOT NULL,
    rows       INTEGER NOT NULL,             -- rows that were not there before, or not like this
    known      INTEGER NOT NULL,             -- rows that were there already
    calls      INTEGER NOT NULL,             -- requests made, those that failed among them
    error      TEXT,                         -- what went wrong last
    reached_us INTEGER,                      -- the earliest that its pages told,
    reached_id INTEGER                       -- and the number of that trade
) STRICT;

CREATE INDEX jobs_pending ON jobs (id) WHERE state IN ('planned', 'running');
CREATE INDEX jobs_by_gap ON jobs (gap) WHERE gap IS NOT NULL;

-- The markets as the venue last listed them.
CREATE TABLE instruments (
    venue        TEXT    NOT NULL,
    market       TEXT    NOT NULL,
    listed       INTEGER NOT NULL,           -- 0 or 1
    name_local   TEXT,
    name_english TEXT,
    warning      INTEGER,                    -- 0 or 1
    caution      TEXT,
    first_seen   INTEGER NOT NULL,
    last_changed INTEGER NOT NULL,
    PRIMARY KEY (venue, market)
) STRICT, WITHOUT ROWID;

-- What the writer has to know to go on where it stopped; only the writer reads it.
CREATE TABLE carry (
    venue  TEXT NOT NULL,
    stream TEXT NOT NULL,
    market TEXT NOT NULL,
    state  BLOB NOT NULL,
    PRIMARY KEY (venue, stream, market)
) STRICT, WITHOUT ROWID;

-- For people: the spans proven live, each with its end.
CREATE VIEW spans AS
SELECT live.venue, live.stream, live.market, live.session, live.from_us,
       coalesce(live.to_us, sessions.proven_until) AS to_us
FROM live JOIN sessions ON sessions.id = live.session;

-- For people: the ledger with times to read.
CREATE VIEW gap_list AS
SELECT id, venue, stream, coalesce(market, '(all)') AS market,
       strftime('%Y-%m-%dT%H:%M:%fZ', from_us / 1e6, 'unixepoch') AS from_utc,
       strftime('%Y-%m-%dT%H:%M:%fZ', to_us / 1e6, 'unixepoch') AS to_utc,
       (to_us - from_us) / 1e6 AS seconds, cause, state, rows_repaired, detail
FROM gaps;

-- For people: the connections with times to read.
CREATE VIEW session_list AS
SELECT id, venue, endpoint,
       strftime('%Y-%m-%dT%H:%M:%fZ', opened / 1e6, 'unixepoch') AS opened_utc,
       strftime('%Y-%m-%dT%H:%M:%fZ', closed / 1e6, 'unixepoch') AS closed_utc,
       why, frames, bytes
FROM sessions;

INSERT INTO meta (key, value) VALUES
    ('created', CAST(unixepoch('subsec') * 1000000 AS INTEGER)),
    ('next_frame', 1),
    ('next_segment', 1);
