"""What it costs to keep a day and to ask it: the tables of schemas/README.md, as Markdown.

    python scripts/bench_query.py FOLDER

FOLDER/small and FOLDER/merged are data folders with the same rows, one as it was recorded and one
after `veritape compact`; FOLDER/full has some minutes at the full rate. scripts/bench-query makes
them. Everything is read from the page cache.
What is compared takes turns, so that a busy machine is busy for all; the best and the median time
of each are told. Every reader's answer is compared with the others'.
"""

import gzip
import json
import os
import platform
import random
import statistics
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

STREAMS = ["trade", "orderbook", "ticker", "candle.1s"]
DAY = datetime(2026, 11, 20, tzinfo=UTC)
# The fifth by activity: busy, but not the busiest.
MARKET = "KRW-004"
TEN = [f"KRW-{place:03}" for place in range(0, 50, 5)]
ROUNDS = 7
QUOTE = ["best_bid_price", "best_bid_size", "best_ask_price", "best_ask_size"]
LISTS = ["ask_price", "ask_size", "bid_price", "bid_size"]
CAPTURE = Path(__file__).parents[1] / "../shared/captures/upbit/ws-simple-2021-04-17.jsonl"


def main() -> None:
    folder = Path(sys.argv[1])
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    hours = span_of(folder / "merged")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {platform.machine()} ({model()}), {memory:.0f} GiB of memory; "
          f"DuckDB {duckdb.__version__}, polars {pl.__version__}, pyarrow {pa.__version__}.\n")
    sizes(folder)
    queries(folder, hours)
    formats(folder, scratch, hours)
    layouts(folder, scratch, hours)
    calibration(folder, scratch)


def model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def files(data: Path, stream: str) -> list[Path]:
    return sorted(data.glob(f"stream={stream}/venue=*/date=*/*.parquet"))


def glob(data: Path, stream: str) -> str:
    return str(data / f"stream={stream}/venue=*/date=*/*.parquet")


def span_of(data: Path) -> float:
    """Hours that the day has: fewer where it was made shorter."""
    last = max(pq.ParquetFile(path).metadata.metadata[b"veritape.to"] for path in files(data, "orderbook"))
    return (datetime.fromisoformat(last.decode()) - DAY) / timedelta(hours=1)


def table(head: list[str], rows: list[list]) -> None:
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def took(work, *arguments) -> tuple[float, object]:
    start = time.perf_counter()
    answer = work(*arguments)
    return (time.perf_counter() - start) * 1000, answer


def race(runners: dict, rounds: int = ROUNDS) -> dict:
    """Milliseconds of each, as `best / median`; they take turns. Each gets a connection of its own,
    since DuckDB keeps what it has read of a file as long as that lasts. All have to answer the same."""
    times, answers = {name: [] for name in runners}, {}
    for _ in range(rounds):
        for name, work in runners.items():
            spent, answer = took(work, connect())
            times[name].append(spent)
            answers[name] = answer
    first = next(iter(answers.values()))
    for name, answer in answers.items():
        assert answer == first, f"{name} answers {answer}, not {first}"
    word = lambda ms: f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"
    return {name: f"{word(min(all_))} / {word(statistics.median(all_))}" for name, all_ in times.items()}


def sizes(folder: Path) -> None:
    print("**Bytes per row**, of ten minutes at the full rate of 1,000 frames a second, and of the day that has a 40th of it. A file of a "
          "minute of that day has one book of most markets and so nothing to compress it with, which the full rate has; merged, they are "
          "alike. The columns alone are without the footer, which holds the schema's document, and the page index.\n")
    rows, total = [], Counter()
    folders = ["full", "small", "merged"]
    for stream in STREAMS:
        line = [f"`{stream}`"]
        for name in folders:
            paths = files(folder / name, stream)
            metadata = [pq.ParquetFile(path).metadata for path in paths]
            count = sum(one.num_rows for one in metadata)
            size = sum(path.stat().st_size for path in paths)
            columns = sum(one.row_group(g).column(c).total_compressed_size
                          for one in metadata for g in range(one.num_row_groups) for c in range(one.num_columns))
            line += [f"{count:,}"] if name != "merged" else []
            line += [len(paths), f"{size / count:.1f}", f"{columns / count:.1f}"]
            total[name, "files"] += len(paths)
            total[name] += size
        rows.append(line)
    summed = {name: [total[name, "files"], f"{total[name] / 1e6:.1f} MB", ""] for name in folders}
    rows.append(["all", "", *summed["full"], "", *summed["small"], *summed["merged"]])
    size = ["bytes per row", "columns alone"]
    table(["stream", "full rate: rows", "files", *size, "the day: rows", "files", *size, "merged: files", *size], rows)


def connect():
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def instants(hours: float) -> list[datetime]:
    dice = random.Random(1)
    last = hours * 3600 * 10**6
    return sorted(DAY + timedelta(microseconds=int(dice.uniform(0.01, 1) * last)) for _ in range(1_000))


def questions(data: Path, hours: float) -> dict:
    """Each question: what DuckDB runs, and what polars runs. Both give rows, and a number to compare."""
    trades, books = glob(data, "trade"), glob(data, "orderbook")
    scan = lambda path: pl.scan_parquet(path, hive_partitioning=True)
    of = pl.col("market").cast(pl.String) == MARKET
    at = pl.DataFrame({"at": instants(hours)}, schema={"at": pl.Datetime("us", "UTC")})
    wanted = at.to_arrow()
    noon = DAY + timedelta(hours=int(hours / 2))
    later = noon + timedelta(hours=1)

    def ask(sql, *columns):
        def run(connection):
            connection.register("wanted", wanted)
            return summary(pl.from_arrow(connection.sql(sql).to_arrow_table()), *columns)
        return run

    def collect(lazy, *columns):
        return lambda _: summary(lazy.collect(), *columns)

    bars = ["first(price ORDER BY ts_event, frame) AS open", "max(price) AS high", "min(price) AS low",
            "last(price ORDER BY ts_event, frame) AS close", "sum(size) AS volume"]
    price = pl.col("price")
    top = ["market", "ts_event", *QUOTE]
    return {
        "trades of a market, a day": (
            ask(f"SELECT * FROM read_parquet('{trades}', hive_partitioning = true) WHERE market = '{MARKET}'", "price", "size"),
            collect(scan(trades).filter(of), "price", "size")),
        "one-minute bars of a market, a day": (
            ask(f"SELECT time_bucket(INTERVAL '1 minute', ts_event) AS ts_open, {', '.join(bars)} "
                f"FROM read_parquet('{trades}') WHERE market = '{MARKET}' GROUP BY ts_open ORDER BY ts_open",
                "open", "high", "low", "close"),
            collect(scan(trades).filter(of).sort("ts_event", "frame").group_by_dynamic("ts_event", every="1m").agg(
                open=price.first(), high=price.max(), low=price.min(), close=price.last(), volume=pl.col("size").sum()),
                "open", "high", "low", "close")),
        "best quote at 1,000 instants": (
            ask(f"SELECT w.at, {', '.join(QUOTE)} FROM wanted w ASOF JOIN (SELECT ts_event, {', '.join(QUOTE)} "
                f"FROM read_parquet('{books}') WHERE market = '{MARKET}') b ON w.at >= b.ts_event", *QUOTE),
            collect(at.lazy().set_sorted("at").join_asof(
                scan(books).filter(of).select("ts_event", *QUOTE).sort("ts_event"),
                left_on="at", right_on="ts_event", strategy="backward").drop_nulls("best_bid_price"), *QUOTE)),
        "top of book of 10 markets, an hour": (
            ask(f"SELECT {', '.join(top)} FROM read_parquet('{books}') WHERE market IN ({str(TEN)[1:-1]}) "
                f"AND ts_event >= '{noon}' AND ts_event < '{later}'", *QUOTE),
            collect(scan(books).filter(pl.col("market").cast(pl.String).is_in(TEN), pl.col("ts_event") >= noon,
                                       pl.col("ts_event") < later).select(top), *QUOTE)),
    }


def summary(frame: pl.DataFrame, *columns: str) -> tuple:
    """Rows, and sums that do not depend on their order."""
    return frame.height, *(round(frame[column].sort().sum(), 6) for column in columns)


def queries(folder: Path, hours: float) -> None:
    print(f"**Questions.** Milliseconds, best / median of {ROUNDS}; the market is {MARKET}, the fifth by activity.\n")
    small, merged = questions(folder / "small", hours), questions(folder / "merged", hours)
    rows = []
    for name, (in_duckdb, in_polars) in small.items():
        told = race({"DuckDB, small": in_duckdb, "DuckDB, merged": merged[name][0],
                     "polars, small": in_polars, "polars, merged": merged[name][1]})
        rows.append([name, *told.values()])
    table(["question", "DuckDB, files of a minute", "DuckDB, merged", "polars, files of a minute", "polars, merged"], rows)


def write(rows: pa.Table, path: Path, lists="PLAIN", floats="PLAIN", level=3, group=32_768, codec="zstd", page=None) -> Path:
    """As the store writes it, but for what is said; DICTIONARY is one, too."""
    text, encodings = [], {}
    for field in rows.schema:
        if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type):
            text.append(field.name)
        elif pa.types.is_timestamp(field.type) or pa.types.is_integer(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
            chosen = lists[field.name] if isinstance(lists, dict) else lists
            encodings[f"{field.name}.list.element"] = chosen
        elif pa.types.is_floating(field.type):
            encodings[field.name] = floats
    text += [name for name, encoding in encodings.items() if encoding == "DICTIONARY"]
    encodings = {name: encoding for name, encoding in encodings.items() if encoding != "DICTIONARY"}
    pq.write_table(rows, path, compression=codec, compression_level=level, use_dictionary=text,
                   column_encoding=encodings, row_group_size=group, data_page_size=page, write_page_index=True)
    return path


def some_rows(data: Path, stream: str, time_column: str, start: datetime, end: datetime) -> pa.Table:
    rows = pq.read_table(files(data, stream), partitioning=None,
                         filters=[(time_column, ">=", start), (time_column, "<", end)])
    return rows.replace_schema_metadata(None)


def formats(folder: Path, scratch: Path, hours: float) -> None:
    print("**Other formats.** Bytes per row of one hour; the last line is the time for the top of book of 10 markets in "
          "it, in DuckDB (best / median). The hour is shorter than a day, so a row takes more in our layout than above. "
          "JSON Lines are in the order of arrival, as a log of messages has them, with the names of our columns; "
          "CSV has a column for each level.\n")
    noon = DAY + timedelta(hours=int(hours / 2))
    told = {name: [] for name in ["ours", "JSON Lines", "JSON Lines, zstd 3", "JSON Lines, zstd 19", "CSV, gzip 6", "a row per level, zstd 3"]}
    for stream in STREAMS:
        time_column = "ts_open" if stream.startswith("candle") else "ts_event"
        rows = some_rows(folder / "merged", stream, time_column, noon, noon + timedelta(hours=1))
        paths = convert(pl.from_arrow(rows), rows, stream, scratch)
        for name, cells in told.items():
            cells.append(f"{paths[name].stat().st_size / rows.num_rows:.1f}" if name in paths else "–")
        if stream == "orderbook":
            race_formats = paths
    columns = ", ".join(f"sum({name})" for name in QUOTE)
    of = f"market IN ({str(TEN)[1:-1]})"
    run = lambda source: lambda connection: tuple(f"{x:.9g}" for x in connection.sql(
        f"SELECT {columns} FROM {source} WHERE {of}").fetchall()[0])
    runners = {
        "ours": run(f"read_parquet('{race_formats['ours']}')"),
        "JSON Lines": run(f"read_json('{race_formats['JSON Lines']}')"),
        "JSON Lines, zstd 3": run(f"read_json('{race_formats['JSON Lines, zstd 3']}')"),
        "JSON Lines, zstd 19": run(f"read_json('{race_formats['JSON Lines, zstd 19']}')"),
        "CSV, gzip 6": run(f"read_csv('{race_formats['CSV, gzip 6']}')"),
        "a row per level, zstd 3": lambda connection: tuple(f"{x:.9g}" for x in connection.sql(
            "SELECT sum(price) FILTER (side = 'bid'), sum(size) FILTER (side = 'bid'), sum(price) FILTER (side = 'ask'), "
            f"sum(size) FILTER (side = 'ask') FROM read_parquet('{race_formats['a row per level, zstd 3']}') WHERE {of} AND level = 0").fetchall()[0]),
    }
    times = race(runners, 5)
    table(["format", *(f"`{stream}`" for stream in STREAMS), "top of book, ms"],
          [[name, *cells, times[name]] for name, cells in told.items()])


def convert(frame: pl.DataFrame, rows: pa.Table, stream: str, scratch: Path) -> dict:
    paths = {"ours": write(rows, scratch / f"{stream}.parquet")}
    text = frame.sort("frame").write_ndjson().encode()
    paths["JSON Lines"] = scratch / f"{stream}.jsonl"
    paths["JSON Lines"].write_bytes(text)
    for level in [3, 19]:
        path = paths[f"JSON Lines, zstd {level}"] = scratch / f"{stream}.{level}.jsonl.zst"
        path.write_bytes(pa.Codec("zstd", compression_level=level).compress(text, asbytes=True))
    flat = frame.sort("frame")
    if stream == "orderbook":
        cells = [pl.col(name).list.get(place, null_on_oob=True).alias(f"{name}_{place}") for name in LISTS for place in range(30)]
        flat = flat.with_columns(cells).drop(LISTS)
        level = lambda side: (frame.select("market", "ts_event", "ts_recv", "session", "frame", price=f"{side}_price", size=f"{side}_size")
                              .with_columns(side=pl.lit(side), level=pl.int_ranges(pl.col("price").list.len()))
                              .explode("price", "size", "level"))
        levels = pl.concat([level("ask"), level("bid")]).sort("market", "ts_event", "frame", "side", "level", maintain_order=True)
        path = paths["a row per level, zstd 3"] = scratch / "levels.parquet"
        pq.write_table(levels.to_arrow(), path, compression="zstd", compression_level=3)
    path = paths["CSV, gzip 6"] = scratch / f"{stream}.csv.gz"
    path.write_bytes(gzip.compress(flat.write_csv().encode(), 6))
    return paths


def layouts(folder: Path, scratch: Path, hours: float) -> None:
    variants = {
        "as recorded: doubles plain, zstd 3, groups of 32,768": {},
        "zstd 1": {"level": 1},
        "zstd 9": {"level": 9},
        "doubles as dictionaries": {"lists": "DICTIONARY", "floats": "DICTIONARY"},
        "prices of levels as dictionaries": {"lists": {"ask_price": "DICTIONARY", "bid_price": "DICTIONARY", "ask_size": "PLAIN", "bid_size": "PLAIN"}},
        "doubles as BYTE_STREAM_SPLIT": {"lists": "BYTE_STREAM_SPLIT", "floats": "BYTE_STREAM_SPLIT"},
        "groups of 8,192": {"group": 8_192},
        "groups of 131,072": {"group": 131_072},
    }
    quarter = DAY + timedelta(hours=hours / 4)
    books = some_rows(folder / "merged", "orderbook", "ts_event", DAY, quarter)
    trades = some_rows(folder / "merged", "trade", "ts_event", DAY, DAY + timedelta(hours=24))
    print(f"**Layouts.** Written by pyarrow, with pages of 1 MiB: {books.num_rows:,} books (a quarter of the day) and {trades.num_rows:,} trades (all of it), "
          "sorted as ours. Milliseconds, best / median of 5: the best quotes of one market's books, and its trades with all columns.\n")
    told, runners = {}, {}
    for place, (name, how) in enumerate(variants.items()):
        told[name] = []
        for stream, rows in [("orderbook", books), ("trade", trades)]:
            if stream == "trade" and isinstance(how.get("lists"), dict):
                told[name] += ["–", "–"]
                continue
            path = scratch / f"layout-{place}-{stream}.parquet"
            spent, _ = took(lambda: write(rows, path, **how))
            told[name] += [f"{path.stat().st_size / rows.num_rows:.1f}", f"{spent / 1000:.1f}"]
            runners[name, stream] = path
    for stream, columns in [("orderbook", ["ts_event", *QUOTE]), ("trade", ["*"])]:
        of_stream = {name: path for (name, which), path in runners.items() if which == stream}
        check = QUOTE if stream == "orderbook" else ["price", "size"]
        sql = lambda path: f"SELECT {', '.join(columns)} FROM read_parquet('{path}') WHERE market = '{MARKET}'"
        in_duckdb = race({name: lambda connection, path=path: summary(pl.from_arrow(connection.sql(sql(path)).to_arrow_table()), *check)
                          for name, path in of_stream.items()}, 5)
        in_polars = race({name: lambda _, path=path: summary(pl.scan_parquet(path).filter(pl.col("market").cast(pl.String) == MARKET)
                                                          .select(columns).collect(), *check) for name, path in of_stream.items()}, 5)
        for name in told:
            told[name] += [in_duckdb.get(name, "–"), in_polars.get(name, "–")]
    order = [0, 1, 4, 5, 2, 3, 6, 7]
    table(["layout", "books: bytes per row", "written in s", "DuckDB", "polars", "trades: bytes per row", "written in s", "DuckDB", "polars"],
          [[name, *(cells[place] for place in order)] for name, cells in told.items()])


def calibration(folder: Path, scratch: Path) -> None:
    """Generated books beside those of a real venue: as many of as many markets, cut to as many levels."""
    if not CAPTURE.exists():
        print("The captures are not there, so generated books are not compared with real ones.\n", file=sys.stderr)
        return
    real = []
    for number, line in enumerate(CAPTURE.read_text().splitlines()):
        told = json.loads(line)
        frame = json.loads(told["frame"])
        if frame["ty"] == "orderbook":
            units = frame["obu"]
            of = lambda key: [unit[key] for unit in units]
            real.append({"market": frame["cd"], "ts_recv": int(told["ts_recv"] * 1e6), "ts_event": frame["tms"] * 1000, "frame": number,
                         "total_ask_size": frame["tas"], "total_bid_size": frame["tbs"], "ask_price": of("ap"), "ask_size": of("as"),
                         "bid_price": of("bp"), "bid_size": of("bs")})
    real = pl.DataFrame(real)
    counts = sorted(Counter(real["market"]).values(), reverse=True)
    depth = real["ask_price"].list.len().max()
    rows = pl.read_parquet(files(folder / "merged", "orderbook")[0], hive_partitioning=False).with_columns(
        pl.col("market").cast(pl.String), pl.col("ts_recv", "ts_event").cast(pl.Int64))
    kept = rows.filter(pl.col("market").is_in([f"KRW-{place:03}" for place in range(10, 10 + len(counts))]))
    parts = [part.head(count) for part, count in zip(kept.partition_by("market", maintain_order=True), counts)]
    made = pl.concat(parts).select(real.columns).with_columns(pl.col(LISTS).list.head(depth))
    told = []
    for name, frame in [("real", real), ("generated", made)]:
        frame = frame.sort("market", "ts_event", "frame")
        path = write(frame.to_arrow(), scratch / f"calibration-{name}.parquet")
        metadata = pq.ParquetFile(path).metadata.row_group(0)
        size = lambda part: sum(metadata.column(c).total_compressed_size for c in range(metadata.num_columns)
                                if part in metadata.column(c).path_in_schema) / frame.height
        told.append([name, frame.height, len(counts), depth, f"{changes(frame):.2f}", f"{size('price.'):.1f}", f"{size('size.'):.1f}", f"{size(''):.1f}"])
    print("**How real the books are.** The books of a real venue (2021) beside as many generated ones, cut to as many levels.\n")
    table(["books", "rows", "markets", "levels", "levels changed from one to the next", "prices: bytes per row", "sizes", "all columns"], told)


def changes(frame: pl.DataFrame) -> float:
    found, before = [], {}
    for row in frame.iter_rows(named=True):
        book = {("a", *level) for level in zip(row["ask_price"], row["ask_size"])} | {("b", *level) for level in zip(row["bid_price"], row["bid_size"])}
        if row["market"] in before:
            prices = {level[:2] for level in book ^ before[row["market"]]}
            found.append(len(prices))
        before[row["market"]] = book
    return statistics.mean(found)


if __name__ == "__main__":
    main()
