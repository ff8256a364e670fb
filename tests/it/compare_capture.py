"""Compares what was recorded from a capture with the frames themselves.

    python tests/it/compare_capture.py CAPTURE DATA

CAPTURE has one JSON object a line, with the text of a frame in SIMPLE format under `frame`. Every
value that a frame holds is compared with the row that came of it, as Python's `json` reads it; a
column that the frames do not speak of must be null. Prints the rows of each stream as JSON, or what
differs, and then ends with 1.
"""

import datetime
import json
import sys
from collections import defaultdict
from pathlib import Path

from read import rows

# The columns that say how a row came here, and not what the venue said.
ARRIVAL = {"ts_recv", "session", "frame", "file"}


def expected(frame: dict) -> tuple[str, dict]:
    """The stream of a frame and the row that it should become."""
    row = {
        "market": frame["cd"],
        "venue": "upbit",
        "source": "ws",
        "snapshot": frame["st"] == "SNAPSHOT",
    }
    if frame["ty"] == "trade":
        row |= {
            "ts_event": frame["ttms"] * 1000,
            "ts_sent": frame["tms"] * 1000,
            "id": frame["sid"],
            "price": frame["tp"],
            "size": frame["tv"],
            "side": {"BID": "buy", "ASK": "sell"}[frame["ab"]],
            "prev_close": frame["pcp"],
            "change": {"RISE": "rise", "EVEN": "even", "FALL": "fall"}[frame["c"]],
            "change_price": frame["cp"],
        }
        # The frame says its time twice.
        assert row["ts_event"] == micros(f"{frame['td']}T{frame['ttm']}+00:00"), frame
    else:
        asks = [unit for unit in frame["obu"] if unit["ap"] != 0]
        bids = [unit for unit in frame["obu"] if unit["bp"] != 0]
        row |= {
            "ts_event": frame["tms"] * 1000,
            "total_ask_size": frame["tas"],
            "total_bid_size": frame["tbs"],
            "ask_price": [unit["ap"] for unit in asks],
            "ask_size": [unit["as"] for unit in asks],
            "bid_price": [unit["bp"] for unit in bids],
            "bid_size": [unit["bs"] for unit in bids],
        }
        for column in ["ask_price", "ask_size", "bid_price", "bid_size"]:
            row[f"best_{column}"] = row[column][0]
    instant = datetime.datetime.fromtimestamp(row["ts_event"] / 1e6, datetime.UTC)
    row["date"] = instant.date().isoformat()
    return frame["ty"], row


def micros(text: str) -> int:
    instant = datetime.datetime.fromisoformat(text)
    return round(instant.timestamp()) * 1_000_000


def recorded(data: Path, stream: str) -> list[dict]:
    """The rows of a stream in the order of arrival; in each file they lie by market and time."""
    found = []
    for path in data.glob(f"stream={stream}/venue=*/date=*/*.parquet"):
        of_file = list(rows(path))
        keys = [(row["market"], row["ts_event"]) for row in of_file]
        assert keys == sorted(keys), f"{path} is not sorted by market and time"
        found += of_file
    return sorted(found, key=lambda row: row["frame"])


def by_market(found: list[dict]) -> dict[str, list[dict]]:
    groups = defaultdict(list)
    for row in found:
        groups[row["market"]].append(row)
    return groups


def differences(stream: str, want: list[dict], have: list[dict]):
    """Row by row of each market: between markets, the order depends on the connections."""
    wanted, held = by_market(want), by_market(have)
    for market in sorted(wanted.keys() | held.keys()):
        want, have = wanted[market], held[market]
        if len(want) != len(have):
            yield f"{stream} {market}: {len(want)} frames, {len(have)} rows"
        for number, (frame, row) in enumerate(zip(want, have), 1):
            for column in sorted((frame.keys() | row.keys()) - ARRIVAL):
                # As text, so that 1 is not 1.0 and a column that is absent is not null.
                told, kept = repr(frame.get(column)), repr(row.get(column, "absent"))
                if told != kept:
                    yield f"{stream} {market} row {number} {column}: sent {told}, kept {kept}"


def main() -> None:
    capture, data = map(Path, sys.argv[1:])
    want = defaultdict(list)
    for line in capture.read_text().splitlines():
        stream, row = expected(json.loads(json.loads(line)["frame"]))
        want[stream].append(row)
    have = {stream: recorded(data, stream) for stream in want}
    told = [line for stream in want for line in differences(stream, want[stream], have[stream])]
    if told:
        sys.exit("\n".join([f"{len(told)} differences", *told[:20]]))
    print(json.dumps({stream: len(found) for stream, found in have.items()}))


if __name__ == "__main__":
    main()
