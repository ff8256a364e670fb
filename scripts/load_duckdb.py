"""Runs scripts/load_duckdb.sql on a Veritape data folder.

    python scripts/load_duckdb.py DATA          every result, to look at
    python scripts/load_duckdb.py DATA --json   the last result as one JSON object per stream

Needs duckdb and pytz (scripts/requirements.txt).
"""

import argparse
import json
import sys
from pathlib import Path

import duckdb

# Of the last result; the sums follow.
STREAM_COLUMNS = 4


def summary(row: tuple, names: list[str]) -> dict:
    stream, rows, first, last = row[:STREAM_COLUMNS]
    sums = zip(names[STREAM_COLUMNS:], row[STREAM_COLUMNS:])
    return {
        "stream": stream,
        "rows": rows,
        "first": first.isoformat(timespec="microseconds"),
        "last": last.isoformat(timespec="microseconds"),
        "sums": {name: f"{value:f}" for name, value in sums if value is not None},
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", metavar="DATA", help="the data folder")
    arguments.add_argument("--json", action="store_true", help="one JSON object per stream")
    options = arguments.parse_args()
    connection = duckdb.connect()
    connection.execute("SET VARIABLE data = ?", [options.data])
    script = Path(__file__).with_suffix(".sql").read_text()
    *before, last = connection.extract_statements(script)
    for statement in before:
        if statement.type != duckdb.StatementType.SELECT:
            connection.execute(statement)
        elif not options.json:
            try:
                show(connection.execute(statement))
            except duckdb.IOException as error:  # a stream that was not recorded
                print(error, file=sys.stderr)
    connection.execute(last)
    if not options.json:
        show(connection)
        return
    names = [column[0] for column in connection.description]
    for row in connection.fetchall():
        print(json.dumps(summary(row, names)))


def show(connection: duckdb.DuckDBPyConnection) -> None:
    print(*[column[0] for column in connection.description], sep="\t")
    for row in connection.fetchall():
        print(*row, sep="\t")
    print()


if __name__ == "__main__":
    main()
