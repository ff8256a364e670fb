-- From version 1 to 2: what is published together, and asked for together, lies together; and what
-- is asked for by time is found by it.

ALTER TABLE hours RENAME TO hours_1;
CREATE TABLE hours (
    venue  TEXT    NOT NULL,
    stream TEXT    NOT NULL,
    market TEXT    NOT NULL,
    hour   INTEGER NOT NULL,
    rows   INTEGER NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (hour, venue, stream, market)
) STRICT, WITHOUT ROWID;
INSERT INTO hours SELECT * FROM hours_1 ORDER BY hour, venue, stream, market;
DROP TABLE hours_1;
CREATE INDEX hours_by_market ON hours (venue, stream, market, hour);

ALTER TABLE conditions RENAME TO conditions_1;
CREATE TABLE conditions (
    venue         TEXT    NOT NULL,
    stream        TEXT    NOT NULL,
    market        TEXT    NOT NULL,
    hour          INTEGER NOT NULL,
    condition     TEXT    NOT NULL,
    rows          INTEGER NOT NULL,
    covered_us    INTEGER NOT NULL,
    evidence      TEXT    NOT NULL,
    evidence_rows INTEGER NOT NULL,
    ledger        INTEGER NOT NULL,
    numbers       TEXT    NOT NULL,
    checked_at    INTEGER NOT NULL,
    PRIMARY KEY (hour, venue, stream, market)
) STRICT, WITHOUT ROWID;
INSERT INTO conditions SELECT * FROM conditions_1 ORDER BY hour, venue, stream, market;
DROP TABLE conditions_1;

CREATE INDEX sessions_by_time ON sessions (opened, closed, proven_until);
CREATE INDEX gaps_by_end ON gaps (to_us, from_us);
CREATE INDEX gaps_by_state ON gaps (state);
CREATE INDEX jobs_done_by_end
    ON jobs (to_us - from_us > 172800000000, to_us, from_us, venue, stream, market)
    WHERE state = 'done';
