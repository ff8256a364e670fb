"""Prints the rows of an export as JSON lines: times as microseconds, doubles exact.

    python tests/it/read_export.py FILE
"""

import csv
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def micros(text: str) -> int:
    assert len(text) == len("2026-11-21T00:00:00.000000Z"), text
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def rows(path: Path):
    if path.suffix == ".parquet":
        for row in pq.read_table(path).to_pylist():
            yield row | {"ts_event": (row["ts_event"] - EPOCH) // timedelta(microseconds=1)}
        return
    with path.open(newline="") as file:
        for row in csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, file):
            numbers = {"id": int(row["id"]), "price": float(row["price"]), "size": float(row["size"])}
            yield row | numbers | {"ts_event": micros(row["ts_event"])}


def main() -> None:
    names = ["market", "id", "ts_event", "price", "size"]
    for row in rows(Path(sys.argv[1])):
        print(json.dumps({name: row[name] for name in names}))


if __name__ == "__main__":
    main()
