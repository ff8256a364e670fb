"""Bytes per row against the venue's own frames: more tables of schemas/README.md, as Markdown.

    python scripts/bench_size.py FOLDER

FOLDER/few and FOLDER/few-merged are data folders with the same rows, one as it was recorded and one
after `veritape compact`; FOLDER/capture and FOLDER/capture-merged the same of frames of the real
venue, where they are there. scripts/bench-query makes them.
"""

import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from bench_query import CAPTURE, LISTS, STREAMS, files, table, write

# The venue's short names of what a ticker says, and ours; those of candles.
TICKER = {"op": "open", "hp": "high", "lp": "low", "tp": "price", "pcp": "prev_close", "c": "change", "cp": "change_price",
          "scp": "signed_change_price", "cr": "change_rate", "scr": "signed_change_rate", "tv": "size", "atv": "acc_volume",
          "atv24h": "acc_volume_24h", "atp": "acc_turnover", "atp24h": "acc_turnover_24h", "ab": "side", "aav": "acc_ask_volume",
          "abv": "acc_bid_volume", "h52wp": "high_52w", "h52wdt": "high_52w_date", "l52wp": "low_52w", "l52wdt": "low_52w_date",
          "ms": "market_state", "its": "is_trading_suspended", "dd": "delisting_date", "mw": "market_warning"}
CANDLE = {"op": "open", "hp": "high", "lp": "low", "tp": "close", "catv": "volume", "catp": "turnover"}
TRADE = {"tp": "price", "tv": "size", "ab": "side", "pcp": "prev_close", "c": "change", "cp": "change_price", "sid": "id",
         "bap": "best_ask_price", "bas": "best_ask_size", "bbp": "best_bid_price", "bbs": "best_bid_size"}


def main() -> None:
    folder = Path(sys.argv[1])
    against_frames(folder)
    floor(folder)
    variants(folder)


def against_frames(folder: Path) -> None:
    print("**Against the frames.** Bytes per row. The frames are lines of JSON as the venue sends them (SIMPLE format, in the order of "
          "arrival), zstd 19 of all of a stream's together; ours are the columns alone, without footers. Ours also say when each row "
          "arrived and in which frame, and the best levels apart, which the frames of books do not.\n")
    rows = []
    for what, name in [("generated", "few"), ("real", "capture")]:
        for stream in STREAMS:
            live, merged = (files(folder / one, stream) for one in (name, f"{name}-merged"))
            if not live:
                continue
            frames, count = (captured(stream) if name == "capture" else generated(live, stream))
            packed = [len(pa.Codec("zstd", compression_level=level).compress(frames)) / count for level in (3, 19)]
            ours = [columns_of(paths) for paths in (live, merged)]
            assert all(found == count for _, found in ours), f"{ours} rows, and {count} frames"
            (before, _), (after, _) = ours
            rows.append([what, f"`{stream}`", f"{count:,}", f"{len(frames) / count:.0f}", *(f"{size:.1f}" for size in packed),
                         len(live), f"{before / count:.1f}", f"{after / count:.1f}", f"{after / count / packed[1]:.2f}"])
    table(["rows", "stream", "count", "JSON", "zstd 3", "zstd 19", "files", "as recorded", "merged", "of zstd 19"], rows)


def columns_of(paths: list[Path]) -> tuple[int, int]:
    """Bytes of all columns, and rows."""
    metadata = [pq.ParquetFile(path).metadata for path in paths]
    groups = [one.row_group(group) for one in metadata for group in range(one.num_row_groups)]
    size = sum(group.column(c).total_compressed_size for group in groups for c in range(group.num_columns))
    return size, sum(group.num_rows for group in groups)


def captured(stream: str) -> tuple[bytes, int]:
    frames = [json.loads(line)["frame"] for line in CAPTURE.read_text().splitlines()]
    lines = [frame + "\n" for frame in frames if json.loads(frame)["ty"] == stream]
    return "".join(lines).encode(), len(lines)


def generated(paths: list[Path], stream: str) -> tuple[bytes, int]:
    frame = pl.concat(pl.read_parquet(path, hive_partitioning=False) for path in paths).sort("frame")
    frame = frame.with_columns(pl.col(pl.Datetime).cast(pl.Int64), pl.col(pl.Categorical).cast(pl.String))
    kind = stream.partition(".")[0]
    say = {"trade": trade, "orderbook": book, "ticker": ticker, "candle": candle}[kind]
    text = "".join(say(row) for part in frame.iter_slices(4_096) for row in part.iter_rows(named=True))
    return text.encode(), frame.height


def book(row: dict) -> str:
    units = ",".join(f'{{"ap":{plain(ap)},"bp":{plain(bp)},"as":{java(as_)},"bs":{java(bs)}}}' for ap, as_, bp, bs in zip(*(row[name] for name in LISTS)))
    return (f'{{"ty":"orderbook","cd":"{row["market"]}","tms":{row["ts_event"] // 1000},"tas":{java(row["total_ask_size"])},'
            f'"tbs":{java(row["total_bid_size"])},"obu":[{units}],"st":"REALTIME","lv":0}}\n')


def trade(row: dict) -> str:
    at = moment(row["ts_event"])
    times = f'"tms":{row["ts_sent"] // 1000},"td":"{at:%Y-%m-%d}","ttm":"{at:%H:%M:%S}","ttms":{row["ts_event"] // 1000}'
    return f'{{"ty":"trade","cd":"{row["market"]}",{times},{pairs(row, TRADE)},"st":"REALTIME"}}\n'


def ticker(row: dict) -> str:
    times = ""
    if row["ts_trade"] is not None:
        at = moment(row["ts_trade"])
        times = f'"tdt":"{at:%Y%m%d}","ttm":"{at:%H%M%S}","ttms":{row["ts_trade"] // 1000},'
    return f'{{"ty":"ticker","cd":"{row["market"]}",{pairs(row, TICKER)},{times}"tms":{row["ts_event"] // 1000},"st":"REALTIME"}}\n'


def candle(row: dict) -> str:
    utc, korea = moment(row["ts_open"]), moment(row["ts_open"] + 9 * 3_600_000_000)
    times = f'"cdttmu":"{utc:%Y-%m-%dT%H:%M:%S}","cdttmk":"{korea:%Y-%m-%dT%H:%M:%S}"'
    return f'{{"ty":"candle.1s","cd":"{row["market"]}",{times},{pairs(row, CANDLE)},"tms":{row["ts_last"] // 1000},"st":"REALTIME"}}\n'


def pairs(row: dict, names: dict) -> str:
    return ",".join(f'"{short}":{value(short, row[name])}' for short, name in names.items())


def value(short: str, told) -> str:
    if told is None or isinstance(told, (bool, int)):
        return json.dumps(told)
    if isinstance(told, str):
        return json.dumps({"buy": "BID", "sell": "ASK"}.get(told, told.upper()))
    if short in ("pcp", "cp"):
        return f"{told:.8f}"
    return plain(told) if short in ("bap", "bas", "bbp", "bbs", "h52wp", "l52wp") else java(told)


def moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC)


def plain(number: float) -> str:
    """Without needless zeros, and without a point where it is whole."""
    return f"{number:.0f}" if number == int(number) else f"{Decimal(repr(number)):f}"


def java(number: float) -> str:
    """As Java prints a double: `1.16539E8`, `7.9276E-4`, `127.0`."""
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return f"{Decimal(repr(number)):f}"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    first, *rest = map(str, digits)
    return f"{'-' * sign}{first}.{''.join(rest) or '0'}E{len(rest) + exponent}"


def sorted_rows(folder: Path, stream: str) -> pa.Table:
    return pq.read_table(files(folder / "few-merged", stream), partitioning=None).replace_schema_metadata(None)


def floor(folder: Path) -> None:
    """What the sizes that changed take by themselves, without saying where they belong."""
    frame = pl.from_arrow(sorted_rows(folder, "orderbook")).select("market", *LISTS)
    fresh, rows, before = [], 0, {}
    for row in frame.head(30_000).iter_rows(named=True):
        sides = [dict(zip(row[f"{side}_price"], row[f"{side}_size"])) for side in ("ask", "bid")]
        if row["market"] in before:
            rows += 1
            for now, then in zip(sides, before[row["market"]]):
                fresh += [size for price, size in now.items() if then.get(price) != size]
        before[row["market"]] = sides
    doubles = np.array(fresh)
    counted = np.rint(doubles * 1e8).astype(np.int64)
    split = lambda values: np.frombuffer(values.tobytes(), np.uint8).reshape(-1, 8).T.tobytes()
    print(f"**The floor.** Of {rows:,} generated books, {len(fresh) / rows:.2f} sizes differ from the book before. These alone, one after the "
          "other, packed with zstd 19:\n")
    told = []
    for name, told_as in [("doubles", doubles.tobytes()), ("doubles, split by byte", split(doubles)), ("decimal text", b"\n".join(b"%.8f" % one for one in fresh)),
                          ("whole numbers of 10^-8, split by byte", split(counted))]:
        size = len(pa.Codec("zstd", compression_level=19).compress(told_as))
        told.append([name, f"{size / len(fresh):.2f}", f"{size / rows:.1f}"])
    table(["as", "bytes each", "bytes per book"], told)


def variants(folder: Path) -> None:
    print("**How hard to press.** Written by pyarrow, sorted as ours; processor time of the writing alone.\n")
    books, trades = sorted_rows(folder, "orderbook"), sorted_rows(folder, "trade")
    told = []
    for name, how in {
        "zstd 3, pages of 256 KiB (as recorded)": {}, "zstd 4, pages of 240 KiB (merged)": {"level": 4, "page": 240 << 10},
        "zstd 4, pages of 256 KiB": {"level": 4}, "zstd 3, pages of 64 KiB": {"page": 64 << 10}, "zstd 3, pages of 1 MiB": {"page": 1 << 20},
        "zstd 6": {"level": 6}, "zstd 9": {"level": 9}, "zstd 12": {"level": 12}, "zstd 15": {"level": 15}, "zstd 19": {"level": 19},
        "brotli 5": {"codec": "brotli", "level": 5},
    }.items():
        cells = [name]
        for rows in (books, trades):
            path, start = folder / "scratch-size.parquet", time.process_time()
            write(rows, path, **{"page": 256 << 10} | how)
            spent = time.process_time() - start
            size, count = columns_of([path])
            cells += [f"{size / count:.2f}", f"{spent / count * 1e6:.2f}"]
            path.unlink()
        told.append(cells)
    table(["layout", "books: bytes per row", "µs per row", "trades: bytes per row", "µs per row"], told)
    sizes = Counter()
    metadata = pq.ParquetFile(files(folder / "few-merged", "orderbook")[0]).metadata
    for group in range(metadata.num_row_groups):
        for c in range(metadata.num_columns):
            column = metadata.row_group(group).column(c)
            sizes[column.path_in_schema.partition(".")[0]] += column.total_compressed_size
    most = sorted(sizes.items(), key=lambda pair: -pair[1])
    print("Bytes per row of a merged book by column: " + ", ".join(f"`{name}` {size / metadata.num_rows:.1f}" for name, size in most if size > metadata.num_rows / 20) + ".")


if __name__ == "__main__":
    main()
