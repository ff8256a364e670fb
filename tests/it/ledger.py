"""Compares a data folder with the ledger of the simulated venue it was recorded from.

    python tests/it/ledger.py LEDGER DATA GAPS --began MICROSECONDS [--strict] [--repaired]
        [--died FROM-TO,…] [--dropped MARKET,…] [--sync MICROSECONDS]

LEDGER has the trades of the venue since it began, and those from before that it told as snapshots,
one JSON object a line; of a market and id the last line counts,
and its `sockets` says to how many connections the trade was sent. GAPS is what `gaps --json` said.

What must hold, whatever happened:

* Every recorded trade is in the ledger, once, and has its values to the last digit.
* No stream has two rows of one key. Every row's session or job is in the catalog, and a job counts
  the rows that it brought.
* A trade that is not recorded lies in a gap of stream `trade`, by its own time, and that gap is not
  repaired: what happened in a repaired gap is there, whoever was told of it. Gaps are in our
  clock, so a trade that happened before a gap began may have been on its way then: by as much as
  trades of this recording were late. At the end, what was under way may be missing, and nothing
  before what was recorded last.
* A candle of a second (or minute) that was wholly told is what its trades in the ledger make, where
  every gap of its stream is repaired.
* A gap has a known cause, and does not end before it begins.
* Every part file can be read, the catalog knows it and counts its rows; nothing unpublished lies
  about.

With `--strict`, a trade that was sent to a connection is recorded even if it lies in a gap; with
`--repaired`, every gap of a stream that can be had again is repaired. With
`--died`, spans of microseconds since 1970, so is one that happened outside of them; each begins
twice `--sync` earlier, because what came then need not be on the disk yet. Of the markets that are
`--dropped`, what came after the end of the last connection that carried them is not asked for.

Prints figures as JSON; or what differs, and then ends with 1.
"""

import argparse
import datetime
import hashlib
import json
import sqlite3
import sys
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

from read import rows

CAUSES = {"stopped", "disconnect", "silence", "refused", "overflow", "disk", "unread", "damaged"}
# Columns that say how a row came here, and not what the venue said.
ARRIVAL = {"ts_recv", "session", "frame", "file", "source", "snapshot"}
UNITS = {"candle.1s": 1_000, "candle.1m": 60_000}
# Beyond the lateness that was seen: the one that was not seen may have been later.
MARGIN = 250_000


def micros(text: str | None) -> float:
    if text is None:
        return float("inf")
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (datetime.datetime.fromisoformat(text) - epoch) // datetime.timedelta(microseconds=1)


class Recording:
    def __init__(self, args):
        self.strict = args.strict
        self.began = args.began // 1000
        self.repaired = args.repaired
        spans = [span.split("-") for span in args.died.split(",") if span]
        self.died = [(int(begin), int(over)) for begin, over in spans]
        self.unsafe = 2 * args.sync
        self.data = args.data
        self.dropped = {market for market in args.dropped.split(",") if market}
        self.ledger = {}
        for line in args.ledger.read_text().splitlines():
            trade = json.loads(line)
            self.ledger[trade["market"], trade["id"]] = trade
        self.gaps = json.loads(args.gaps.read_text())["gaps"]
        self.spans = defaultdict(list)
        for gap in self.gaps:
            if gap["stream"] == "trade":
                span = micros(gap["from"]), micros(gap["to"]), gap["state"] == "repaired"
                self.spans[gap["market"]].append(span)
        # Rows of trades and candles are kept; of the others what tells them apart, and counts.
        self.parts = {}
        self.streams = defaultdict(list)
        self.keys_seen = defaultdict(set)
        self.keys_again = defaultdict(Counter)
        self.brought = defaultdict(Counter)
        self.by_market = Counter()
        for path in sorted(self.data.glob("stream=*/venue=*/date=*/*.parquet")):
            part = str(path.relative_to(self.data))
            self.parts[part] = 0
            stream = part.split("/")[0].removeprefix("stream=")
            for row in rows(path):
                self.parts[part] += 1
                self.take(stream, row)
        self.catalog = sqlite3.connect(f"file:{self.data}/catalog.sqlite?mode=ro", uri=True)
        self.trades = self.streams["trade"]
        live = [row for row in self.trades if not row["snapshot"] and row["source"] == "ws"]
        self.late = max((row["ts_recv"] - row["ts_event"] for row in live), default=0) + MARGIN
        self.figures = Counter()

    def take(self, stream: str, row: dict):
        one = key(stream, row)
        digest = hashlib.blake2b(repr(one).encode(), digest_size=16).digest()
        if digest in self.keys_seen[stream]:
            self.keys_again[stream][one] += 1
        self.keys_seen[stream].add(digest)
        self.brought[stream][row["session"]] += 1
        self.by_market[stream] += row["market"] is not None
        if stream == "trade" or stream in UNITS:
            self.streams[stream].append(row)

    def files(self):
        known = dict(self.catalog.execute("SELECT path, rows FROM segments"))
        for path in sorted(known.keys() | self.parts.keys()):
            if path not in known:
                yield f"{path} is not in the catalog"
            elif path not in self.parts:
                yield f"{path} is in the catalog and not on the disk"
            elif known[path] != self.parts[path]:
                yield f"{path} has {self.parts[path]} rows; the catalog says {known[path]}"
        for path in self.data.rglob("*.tmp"):
            yield f"{path} lies about"
        self.figures["files"] = len(self.parts)

    def keys(self):
        query = "SELECT id FROM sessions UNION SELECT id FROM jobs"
        sessions = {row[0] for row in self.catalog.execute(query)}
        for stream, found in self.brought.items():
            for twice, count in list(self.keys_again[stream].items())[:5]:
                yield f"{stream}: {count + 1} rows of {twice}"
            for session in found.keys() - sessions:
                yield f"{stream}: session {session} is not in the catalog"
        brought = sum(self.brought.values(), Counter())
        # A live candle can take the place of one that a job brought, and not the other way round.
        query = "SELECT id, stream, rows FROM jobs"
        for job, stream, count in self.catalog.execute(query):
            self.figures["rest"] += brought[job]
            if brought[job] > count or (stream == "trade" and brought[job] != count):
                yield f"{stream}: job {job} brought {brought[job]} rows; it says {count}"
        query = "SELECT stream, sum(rows) FROM hours GROUP BY stream"
        for stream, count in self.catalog.execute(query):
            have = self.by_market[stream]
            if count != have:
                yield f"{stream}: {have} rows; the catalog counts {count} by the hour"

    def values(self):
        self.figures["recorded"] = len(self.trades)
        # Not the first trade of the ledger: the snapshot of a quiet market is from long before.
        first = self.began
        last = max(told["ts_ms"] for told in self.ledger.values())
        for row in self.trades:
            told = self.ledger.get((row["market"], row["id"]))
            if told is None:
                # REST knows the venue's past as well, and what is told only after its end.
                ago, on = row["ts_event"] // 1000 - first, row["ts_event"] // 1000 - last
                if row["source"] != "rest" or (ago >= 0 and on <= 0):
                    where = f"{ago} ms after it began, {-on} ms before its last"
                    yield f"trade {row['market']} {row['id']} is not in the ledger: {where}"
                else:
                    self.figures["before_the_ledger" if ago < 0 else "after_the_ledger"] += 1
                continue
            want = (told["ts_ms"] * 1000, float(told["price"]), float(told["size"]), told["side"])
            have = (row["ts_event"], row["price"], row["size"], row["side"])
            # As text, so that 1 is not 1.0.
            if repr(want) != repr(have):
                yield f"trade {row['market']} {row['id']}: told {want}, kept {have}"

    def missing(self):
        """Trades that are not there and should be."""
        first, end = self.recorded_span()
        dropped = self.dropped_at()
        have = {(row["market"], row["id"]) for row in self.trades}
        last = {}
        for row in self.trades:
            last[row["market"]] = max(last.get(row["market"], 0), row["ts_event"])
        self.figures["ledger"] = len(self.ledger)
        self.figures["lateness_ms"] = (self.late - MARGIN) // 1000
        for (market, number), trade in self.ledger.items():
            at = trade["ts_ms"] * 1000
            if (market, number) in have or at < first.get(market, float("inf")):
                continue
            if market in dropped and at > dropped[market] - self.late and at >= last.get(market, 0):
                self.figures["after_the_drop"] += 1
                continue
            if at > end - self.late and (at >= last.get(market, 0) or not trade["sockets"]):
                self.figures["after_the_end"] += 1
                continue
            told = f"trade {market} {number}, at {at} told to {trade['sockets']},"
            gaps = self.spans[market] + self.spans[None]
            around = [state for begin, over, state in gaps if begin - self.late <= at < over]
            if not around:
                yield f"{told} is neither recorded nor in a gap"
            elif all(around):
                yield f"{told} is not recorded, and its gap is repaired"
            elif not trade["sockets"]:
                self.figures["untold"] += 1
            elif self.strict:
                yield f"{told} is not recorded"
            else:
                self.figures["lost"] += 1
                if self.died:
                    yield from self.lost(told, at)

    def lost(self, told: str, at: int):
        """Whether a trade that was sent, and is not recorded, could not be on the disk yet."""
        fatal = [
            begin
            for begin, over in self.died
            if begin - self.unsafe - self.late <= at <= over + self.late
        ]
        if fatal:
            # The nearest of those whose fault it can be.
            age = min(abs(begin - at) for begin in fatal) // 1000
            self.figures["lost_at_most_ms"] = max(self.figures["lost_at_most_ms"], age)
        else:
            yield f"{told} is lost, and nothing happened then"

    def recorded_span(self):
        """From when on each market was recorded, and when the last session ended."""
        query = "SELECT market, min(from_us) FROM live WHERE stream = 'trade' GROUP BY market"
        (end,) = self.catalog.execute("SELECT max(closed) FROM sessions").fetchone()
        return dict(self.catalog.execute(query)), end

    def dropped_at(self):
        """When the markets that were dropped were carried last."""
        query = "SELECT market, max(to_us) FROM live WHERE stream = 'trade' GROUP BY market"
        ends = dict(self.catalog.execute(query))
        return {market: ends[market] for market in self.dropped}

    def candles(self):
        for stream, unit in UNITS.items():
            found = {(row["market"], row["ts_open"] // 1000): row for row in self.streams[stream]}
            gaps = [gap for gap in self.gaps if gap["stream"] == stream]
            if not found or any(gap["state"] != "repaired" for gap in gaps):
                continue
            first, _ = self.recorded_span()
            dropped = self.dropped_at()
            last = max(at for _, at in found)
            sums = defaultdict(list)
            for (market, _), trade in self.ledger.items():
                at = trade["ts_ms"] - trade["ts_ms"] % unit
                # Wholly told: from before it began until after it ended.
                whole = first.get(market, float("inf")) / 1000 <= at < last
                over = dropped.get(market, float("inf")) / 1000
                whole = whole and at + unit < over - self.late / 1000
                if whole:
                    sums[market, at].append(trade)
            for (market, at), trades in sums.items():
                row = found.get((market, at))
                have = row and tuple(row[name] for name in CANDLE)
                want = candle(trades)
                self.figures[stream] += 1
                if repr(have) != repr(want):
                    yield f"{stream} {market} {at}: trades make {want}, kept {have}"

    def spans_are_sound(self):
        for gap in self.gaps:
            begin, over = micros(gap["from"]), micros(gap["to"])
            if gap["cause"] not in CAUSES or over < begin or begin < 1.7e15:
                yield f"gap {gap}"
            again = gap["stream"] == "trade" or gap["stream"].startswith("candle.")
            self.figures[gap["state"]] += 1
            if self.repaired and again and gap["state"] != "repaired":
                yield f"not repaired: {gap}"
        self.figures["gaps"] = len(self.gaps)
        query = "SELECT count(*) FROM sessions WHERE subscriptions != '{}'"
        (self.figures["sessions"],) = self.catalog.execute(query).fetchone()


CANDLE = ("open", "high", "low", "close", "volume", "turnover", "ts_last")


def candle(trades: list[dict]) -> tuple:
    trades = sorted(trades, key=lambda trade: (trade["ts_ms"], trade["id"]))
    prices = [Decimal(trade["price"]) for trade in trades]
    sizes = [Decimal(trade["size"]) for trade in trades]
    turnover = sum(price * size for price, size in zip(prices, sizes))
    summed = (prices[0], max(prices), min(prices), prices[-1], sum(sizes), turnover)
    return (*map(float, summed), trades[-1]["ts_ms"] * 1000)


def key(stream: str, row: dict) -> tuple:
    if stream == "trade":
        return row["market"], row["id"]
    if stream.startswith("candle."):
        return row["market"], row["ts_open"]
    if stream in ("unread", "instrument"):
        return row["frame"], row["market"]
    return tuple(repr(value) for name, value in sorted(row.items()) if name not in ARRIVAL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ledger", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("gaps", type=Path)
    parser.add_argument("--began", type=int, required=True)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--repaired", action="store_true")
    parser.add_argument("--died", default="")
    parser.add_argument("--dropped", default="")
    parser.add_argument("--sync", type=int, default=100_000)
    found = Recording(parser.parse_args())
    checks = [
        found.files,
        found.keys,
        found.values,
        found.missing,
        found.candles,
        found.spans_are_sound,
    ]
    told = [line for check in checks for line in check()]
    if told:
        sys.exit("\n".join([f"{len(told)} differences; {dict(found.figures)}", *told[:20]]))
    print(json.dumps(found.figures))


if __name__ == "__main__":
    main()
