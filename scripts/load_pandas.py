"""Loads a Veritape data folder into pandas.

    python scripts/load_pandas.py DATA          tables to look at
    python scripts/load_pandas.py DATA --json   one JSON object per stream, to compare with

Needs pandas and pyarrow (scripts/requirements.txt).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

# Each stream has a time of its own; stream `unread` has only that of the arrival.
TIMES = ["ts_event", "ts_open", "ts_seen", "ts_recv"]
# Summed where a stream has them, so that readers can be compared.
SUMS = ["price", "size", "close", "volume", "best_ask_price", "ask_size"]


def files(data: Path, stream: str) -> list[Path]:
    """The files of a stream. The recorder may be at work: it gives a file its name `*.parquet`
    when it is complete, so take these and leave everything else alone."""
    return sorted(data.glob(f"stream={stream}/venue=*/date=*/*.parquet"))


def load(data: Path, stream: str, **options) -> pd.DataFrame:
    """One stream. `venue` and `date` come from the path; so a filter on them skips whole files:

    load(data, "trade", columns=["market", "price"], filters=[("date", "==", "2026-11-21")])
    """
    return pd.read_parquet(files(data, stream), partitioning="hive", **options)


def streams_in(data: Path) -> list[str]:
    """The streams of which there is a file."""
    paths = data.glob("stream=*/venue=*/date=*/*.parquet")
    return sorted({path.parents[2].name.removeprefix("stream=") for path in paths})


def exact_sum(column: pd.Series) -> str | None:
    """Adds decimals instead of doubles: the shortest text of a double is the decimal that the
    venue wrote, and the sum of decimals does not depend on their order."""
    column = column.explode() if column.dtype == object else column
    column = column.dropna()
    if column.empty:
        return None
    decimals = column.astype(str).astype(pd.ArrowDtype(pa.decimal128(38, 8)))
    return f"{decimals.sum():f}"


def summary(data: Path, stream: str) -> dict:
    frame = load(data, stream)
    time = next(name for name in TIMES if name in frame)
    sums = {name: exact_sum(frame[name]) for name in SUMS if name in frame}
    return {
        "stream": stream,
        "rows": len(frame),
        "first": frame[time].min().isoformat(timespec="microseconds"),
        "last": frame[time].max().isoformat(timespec="microseconds"),
        "sums": {name: value for name, value in sums.items() if value is not None},
    }


def bars(data: Path) -> pd.DataFrame:
    """One-minute bars from trades, in the time of Seoul. `market` and `side` are categoricals:
    grouping and comparing them is as quick as with integers."""
    trades = load(data, "trade", columns=["market", "ts_event", "frame", "price", "size", "side"])
    # `frame` is the order of arrival: it orders what shares a microsecond.
    trades = trades.sort_values(["ts_event", "frame"])
    trades["ts_event"] = trades["ts_event"].dt.tz_convert("Asia/Seoul")
    trades["bought"] = trades["size"].where(trades["side"] == "buy", 0.0)
    groups = trades.groupby(
        ["market", pd.Grouper(key="ts_event", freq="1min")], observed=True
    )
    return groups.agg(
        open=("price", "first"),
        high=("price", "max"),
        low=("price", "min"),
        close=("price", "last"),
        volume=("size", "sum"),
        bought=("bought", "sum"),
    )


def levels(column: pd.Series, depth: int) -> np.ndarray:
    """A list column as a matrix, one row per book and one column per level; NaN where a book is
    not so deep."""
    lists = [values[:depth] for values in column]
    lengths = np.array([len(values) for values in lists])
    matrix = np.full((len(lists), depth), np.nan)
    matrix[np.arange(depth) < lengths[:, None]] = np.concatenate(lists)
    return matrix


def imbalance(data: Path, depth: int = 5) -> pd.DataFrame:
    """How much more is bid than asked in the best levels, averaged per market: 1 is bids only,
    -1 is asks only."""
    books = load(data, "orderbook", columns=["market", "ask_size", "bid_size"])
    ask = np.nansum(levels(books["ask_size"], depth), axis=1)
    bid = np.nansum(levels(books["bid_size"], depth), axis=1)
    books["imbalance"] = (bid - ask) / (bid + ask)
    return books.groupby("market", observed=True)["imbalance"].agg(["count", "mean"])


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
    pd.set_option("display.width", 200, "display.max_columns", None)
    summaries = [summary(data, stream) for stream in streams]
    print(pd.DataFrame([row | row.pop("sums") for row in summaries]))
    if "trade" in streams:
        print("\nOne-minute bars, time of Seoul:", bars(data).head(10), sep="\n")
    if "orderbook" in streams:
        print("\nImbalance of the five best levels:", imbalance(data).head(10), sep="\n")


if __name__ == "__main__":
    main()
