"""Loads a Veritape data folder into polars.

    python scripts/load_polars.py DATA          tables to look at
    python scripts/load_polars.py DATA --json   one JSON object per stream, to compare with

Needs polars (scripts/requirements.txt).
"""

import argparse
import json
from pathlib import Path

import polars as pl

# Each stream has a time of its own; stream `unread` has only that of the arrival.
TIMES = ["ts_event", "ts_open", "ts_seen", "ts_recv"]
# Summed where a stream has them, so that readers can be compared.
SUMS = ["price", "size", "close", "volume", "best_ask_price", "ask_size"]


def scan(data: Path, stream: str) -> pl.LazyFrame:
    """One stream, lazily: only the columns, files and row groups that the query needs are read.
    `venue` and `date` come from the path, so a filter on them skips whole files. The recorder
    may be at work: it gives a file its name `*.parquet` when it is complete."""
    return pl.scan_parquet(
        data / f"stream={stream}/venue=*/date=*/*.parquet", hive_partitioning=True
    )


def streams_in(data: Path) -> list[str]:
    """The streams of which there is a file."""
    paths = data.glob("stream=*/venue=*/date=*/*.parquet")
    return sorted({path.parents[2].name.removeprefix("stream=") for path in paths})


def exact_sum(column: pl.Expr) -> pl.Expr:
    """Adds decimals instead of doubles: the shortest text of a double is the decimal that the
    venue wrote, and the sum of decimals does not depend on their order."""
    return column.cast(pl.String).str.to_decimal(scale=8).sum()


def flat(name: str, schema: pl.Schema) -> pl.Expr:
    """A column, or the elements of a list column."""
    column = pl.col(name)
    return column.explode() if isinstance(schema[name], pl.List) else column


def summary(data: Path, stream: str) -> dict:
    frame = scan(data, stream)
    schema = frame.collect_schema()
    time = pl.col(next(name for name in TIMES if name in schema))
    sums = [name for name in SUMS if name in schema]
    row = frame.select(
        pl.len().alias("rows"),
        time.min().alias("first"),
        time.max().alias("last"),
        *[exact_sum(flat(name, schema).drop_nulls()).alias(name) for name in sums],
        *[flat(name, schema).count().alias(f"count:{name}") for name in sums],
    ).collect().row(0, named=True)
    return {
        "stream": stream,
        "rows": row["rows"],
        "first": row["first"].isoformat(timespec="microseconds"),
        "last": row["last"].isoformat(timespec="microseconds"),
        "sums": {name: f"{row[name]:f}" for name in sums if row[f"count:{name}"]},
    }


def bars(data: Path) -> pl.DataFrame:
    """One-minute bars from trades, in the time of Seoul. `market` and `side` are categoricals:
    grouping and comparing them is as quick as with integers."""
    return (
        scan(data, "trade")
        # `frame` is the order of arrival: it orders what shares a microsecond.
        .sort("ts_event", "frame")
        .with_columns(pl.col("ts_event").dt.convert_time_zone("Asia/Seoul"))
        .group_by_dynamic("ts_event", every="1m", group_by="market")
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("size").sum(),
            bought=pl.col("size").filter(pl.col("side") == "buy").sum(),
        )
        .sort("market", "ts_event")
        .collect()
    )


def imbalance(data: Path, depth: int = 5) -> pl.DataFrame:
    """How much more is bid than asked in the best levels, averaged per market: 1 is bids only,
    -1 is asks only. For a matrix of one row per book, see `levels`."""
    ask = pl.col("ask_size").list.head(depth).list.sum()
    bid = pl.col("bid_size").list.head(depth).list.sum()
    return (
        scan(data, "orderbook")
        .group_by("market")
        .agg(count=pl.len(), mean=((bid - ask) / (bid + ask)).mean())
        .sort("market")
        .collect()
    )


def levels(data: Path, column: str, depth: int):
    """A list column as a numpy matrix, one row per book and one column per level; NaN where a
    book is not so deep."""
    level = pl.col(column).list.get
    names = [level(i, null_on_oob=True).alias(str(i)) for i in range(depth)]
    return scan(data, "orderbook").select(names).collect().to_numpy()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", type=Path, metavar="DATA", help="the data folder")
    arguments.add_argument("--json", action="store_true", help="one JSON object per stream")
    options = arguments.parse_args()
    data, streams = options.data, streams_in(options.data)
    if options.json:
        for stream in streams:
            print(json.dumps(summary(data, stream)))
        return
    pl.Config(tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_width_chars=240, fmt_str_lengths=40)
    summaries = [summary(data, stream) for stream in streams]
    print(pl.DataFrame([row | row.pop("sums") for row in summaries], infer_schema_length=None))
    if "trade" in streams:
        print("\nOne-minute bars, time of Seoul:", bars(data).head(10), sep="\n")
    if "orderbook" in streams:
        print("\nImbalance of the five best levels:", imbalance(data).head(10), sep="\n")
        print("\nAsk prices as a numpy matrix:", levels(data, "ask_price", 5)[:3], sep="\n")


if __name__ == "__main__":
    main()
