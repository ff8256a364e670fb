"""Runs what `veritape views` printed, and prints what each view and macro shows.

    python tests/it/views.py DATA STATEMENTS
"""

import sys

import duckdb


def main() -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(sys.argv[2])
    views = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
    assert "trades" in views and "books" in views, views
    for view in sorted(views):
        count = connection.execute(f"SELECT count(*), min(date), max(date) FROM {view}").fetchone()
        types = dict(connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {view})").fetchall())
        assert types["date"] == "DATE" and types["venue"] == "VARCHAR", types
        print(view, count)
    for width in ["1s", "5m", "1h"]:
        total = connection.execute(
            f"SELECT count(*), sum(trades), sum(volume::DECIMAL(38, 8)) FROM bars('{width}')"
        ).fetchone()
        print(width, total)
    wide = connection.execute("SELECT sum(trades) FROM bars('1d')").fetchone()
    assert wide == connection.execute("SELECT count(*) FROM trades").fetchone()
    units = connection.execute("SELECT DISTINCT unit FROM candles ORDER BY unit").fetchall()
    print(units)


if __name__ == "__main__":
    main()
