"""Compares what a data folder has of a market's past with what the simulated venue says of it.

    python tests/it/past.py REST DATA STREAM MARKET FROM TO

FROM and TO are instants such as 2026-01-31T00:00:00Z. The venue is asked in another way than the
program asks: candles forward, by windows of 200 units, trades by days and half hours. Every row
that it tells must be there once, value for value, and none that it does not. Prints how many there
are and how many windows have none; or what differs, and then ends with 1.
"""

import datetime
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from read import rows

UTC = datetime.UTC
CANDLE = {
    "open": "opening_price",
    "high": "high_price",
    "low": "low_price",
    "close": "trade_price",
    "volume": "candle_acc_trade_volume",
    "turnover": "candle_acc_trade_price",
}
TRADE = {"price": "trade_price", "size": "trade_volume", "prev_close": "prev_closing_price"}


def instant(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).astimezone(UTC)


def ask(rest: str, path: str, **parameters):
    url = f"{rest}{path}?{urllib.parse.urlencode(parameters)}"
    while True:
        # The venue allows ten a second.
        time.sleep(0.105)
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 429:
                raise


def candles(rest, market, unit, begin, end):
    if unit.endswith("s"):
        path, length = "/v1/candles/seconds", datetime.timedelta(seconds=1)
    else:
        path, length = f"/v1/candles/minutes/{unit[:-1]}", datetime.timedelta(minutes=int(unit[:-1]))
    while begin < end:
        to = min(begin + 200 * length, end)
        for row in ask(rest, path, market=market, count=200, to=to.strftime("%Y-%m-%dT%H:%M:%SZ")):
            opened = datetime.datetime.fromisoformat(row["candle_date_time_utc"]).replace(tzinfo=UTC)
            if begin <= opened:
                yield opened.timestamp(), {name: row[key] for name, key in CANDLE.items()}
        begin = to


def trades(rest, market, begin, end):
    today = datetime.datetime.now(UTC).date()
    for days in range((today - begin.date()).days, -1, -1):
        for half in range(48):
            hour = datetime.time(half // 2, 30 * (half % 2), tzinfo=UTC)
            opened = datetime.datetime.combine(today - datetime.timedelta(days=days), hour)
            until = opened + datetime.timedelta(minutes=30)
            if until <= begin or opened >= end:
                continue
            parameters = {"days_ago": days} if days else {}
            if half < 47:
                parameters["to"] = until.strftime("%H:%M:%S")
            page = ask(rest, "/v1/trades/ticks", market=market, count=500, **parameters)
            assert page and page[-1]["timestamp"] < opened.timestamp() * 1000 or len(page) < 500
            for row in page:
                at = row["timestamp"] / 1000
                if max(opened, begin).timestamp() <= at < min(until, end).timestamp():
                    yield row["sequential_id"], {name: row[key] for name, key in TRADE.items()}


def main() -> None:
    rest, data, stream, market, begin, end = sys.argv[1:]
    begin, end = instant(begin), instant(end)
    kind, _, unit = stream.partition(".")
    if kind == "candle":
        key, columns, told = "ts_open", CANDLE, dict(candles(rest, market, unit, begin, end))
    else:
        key, columns, told = "id", TRADE, dict(trades(rest, market, begin, end))
    held, wrong = {}, []
    for path in sorted(Path(data).glob(f"stream={stream}/venue=*/date=*/*.parquet")):
        for row in rows(path):
            at = row["ts_open" if kind == "candle" else "ts_event"] / 1e6
            if row["market"] != market or not begin.timestamp() <= at < end.timestamp():
                continue
            identity = row[key] / 1e6 if kind == "candle" else row[key]
            if identity in held:
                wrong.append(f"{stream} {market} {identity} is there twice")
            held[identity] = {name: row[name] for name in columns}
    wrong += [f"{key} {one} is missing" for one in sorted(told.keys() - held.keys())]
    wrong += [f"{key} {one} was never told" for one in sorted(held.keys() - told.keys())]
    same = sorted(told.keys() & held.keys())
    wrong += [f"{one}: {held[one]}, not {told[one]}" for one in same if held[one] != told[one]]
    if wrong:
        print("\n".join(wrong[:20]), f"\n{len(wrong)} in all", file=sys.stderr)
        sys.exit(1)
    print(json.dumps({"rows": len(held)}))


if __name__ == "__main__":
    main()
