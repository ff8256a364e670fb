-- Loads a Veritape data folder into DuckDB.
--
-- With the DuckDB shell:
--     duckdb -cmd "SET VARIABLE data = './data'" < scripts/load_duckdb.sql
-- With the Python package (scripts/requirements.txt):
--     python scripts/load_duckdb.py DATA [--json]

-- Times are instants (TIMESTAMP WITH TIME ZONE); the session says in which zone they are shown.
SET TimeZone = 'UTC';

-- One stream: FROM stream('trade'). `venue` and `date` come from the path, so a condition on them
-- skips whole files. The recorder may be at work: it gives a file its name `*.parquet` when it is
-- complete.
CREATE OR REPLACE TEMP MACRO stream(name) AS TABLE
    FROM read_parquet(
        format('{}/stream={}/venue=*/date=*/*.parquet', getvariable('data'), name),
        hive_partitioning = true,
        union_by_name = true
    );

-- Adds decimals instead of doubles: the shortest text of a double is the decimal that the venue
-- wrote, and the sum of decimals does not depend on their order.
CREATE OR REPLACE TEMP MACRO exact_sum(number) AS sum(number::VARCHAR::DECIMAL(38, 8));

-- One-minute bars from trades, in the time of Seoul. `frame` is the order of arrival: it orders
-- what shares a microsecond.
SELECT
    market,
    time_bucket(INTERVAL '1 minute', ts_event) AT TIME ZONE 'Asia/Seoul' AS minute,
    first(price ORDER BY ts_event, frame) AS open,
    max(price) AS high,
    min(price) AS low,
    last(price ORDER BY ts_event, frame) AS close,
    sum(size) AS volume,
    coalesce(sum(size) FILTER (side = 'buy'), 0) AS bought
FROM stream('trade')
GROUP BY market, minute
ORDER BY market, minute
LIMIT 10;

-- How much more is bid than asked in the five best levels, averaged per market: 1 is bids only,
-- -1 is asks only. The lists begin with the best level.
SELECT
    market,
    count(*) AS books,
    avg((bid - ask) / (bid + ask)) AS imbalance
FROM (
    SELECT market, list_sum(ask_size[1:5]) AS ask, list_sum(bid_size[1:5]) AS bid
    FROM stream('orderbook')
)
GROUP BY market
ORDER BY market
LIMIT 10;

-- Every stream at once: rows, first and last instant, and sums by which readers can be compared.
-- Each stream has a time of its own; stream `unread` has only that of the arrival. The empty
-- SELECT names the columns of the streams that this folder may not have.
WITH every_row AS (
    SELECT
        NULL::TIMESTAMPTZ AS ts_event, NULL::TIMESTAMPTZ AS ts_open, NULL::TIMESTAMPTZ AS ts_seen,
        NULL::DOUBLE AS price, NULL::DOUBLE AS size, NULL::DOUBLE AS close, NULL::DOUBLE AS volume,
        NULL::DOUBLE AS best_ask_price, NULL::DOUBLE[] AS ask_size
    WHERE false
    UNION ALL BY NAME
    FROM stream('*')
)
SELECT
    stream,
    count(*) AS rows,
    min(coalesce(ts_event, ts_open, ts_seen, ts_recv)) AS first,
    max(coalesce(ts_event, ts_open, ts_seen, ts_recv)) AS last,
    exact_sum(price) AS price,
    exact_sum(size) AS size,
    exact_sum(close) AS close,
    exact_sum(volume) AS volume,
    exact_sum(best_ask_price) AS best_ask_price,
    sum(list_sum([level::VARCHAR::DECIMAL(38, 8) FOR level IN ask_size])) AS ask_size
FROM every_row
GROUP BY stream
ORDER BY stream;
