"""Compares what pandas, polars and DuckDB read of an old data folder with its listing.

    python tests/it/format.py FOLDER DATA

FOLDER/rows/<stream>.jsonl has the rows that DATA has to have, as the program told them when the
files were made. Prints a line for each reader and stream, or says what differs.
"""

import json
import sys
import warnings
from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl


def pandas_rows(data: Path, stream: str):
    frame = pd.read_parquet(data / f"stream={stream}")
    return [dict(zip(frame.columns, row)) for row in frame.itertuples(index=False, name=None)]


def polars_rows(data: Path, stream: str):
    return pl.read_parquet(data / f"stream={stream}/**/*.parquet", hive_partitioning=True).to_dicts()


def duckdb_rows(data: Path, stream: str):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    found = connection.execute(
        f"FROM read_parquet('{data}/stream={stream}/**/*.parquet', hive_partitioning = true)")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def plain(value, listed):
    """The value as the listing has it."""
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return list(value)
    if value is None or value is pd.NaT or value != value:
        return None
    if isinstance(value, (datetime, pd.Timestamp)):
        return pd.Timestamp(value)
    return str(value) if isinstance(listed, str) else value


def expected(listed, value):
    return pd.Timestamp(listed) if isinstance(value, pd.Timestamp) else listed


def main() -> None:
    warnings.simplefilter("error")
    folder, data = Path(sys.argv[1]), Path(sys.argv[2])
    for listing in sorted((folder / "rows").glob("*.jsonl")):
        stream = listing.stem
        rows = [json.loads(line) for line in listing.read_text().splitlines()]
        key = lambda row: (str(row["market"]), row["frame"], str(row.get("id")), str(row.get("ts_open")))
        for reader in (pandas_rows, polars_rows, duckdb_rows):
            found = reader(data, stream)
            assert len(found) == len(rows), (stream, reader.__name__, len(found), len(rows))
            order = lambda row: (str(plain(row["market"], "")), row["frame"], str(row.get("id")),
                                 str(plain(row["ts_open"], None)) if "ts_open" in row else "None")
            for row, listed in zip(sorted(found, key=order), sorted(rows, key=key)):
                for column, value in listed.items():
                    if column == "stream":
                        continue
                    seen = plain(row[column], value)
                    assert seen == expected(value, seen), (stream, reader.__name__, column, seen, value)
            print(reader.__name__, stream, len(found))


if __name__ == "__main__":
    main()
