"""Looks at a recorder's status page in a real browser, as a person would.

    python page.py URL FOLDER PID

Clicks through the page, compares what it shows with /status.json, takes pictures into FOLDER, then
ends the recorder PID and waits until the page says so. Prints what it saw as one JSON object, or
says what was wrong. Needs chromium and chromedriver; speaks WebDriver over HTTP itself.
"""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

# For what takes no time to speak of, on a machine that has other things to do.
SOON = 40
# Whoever tests as root, on a machine without a network, needs these.
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
]


class Driver:
    """A browser, by the WebDriver protocol."""

    def __init__(self, profile: str):
        self.process = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in self.process.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                self.base = f"http://127.0.0.1:{found[1]}/session"
                break
        else:
            raise SystemExit("chromedriver did not start")
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.base += "/" + self.ask("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def ask(self, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def run(self, script: str, *arguments):
        return self.ask("/execute/sync", {"script": script, "args": list(arguments)})

    def command(self, name: str, **parameters):
        return self.ask("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def click(self, selector: str):
        """Clicks where a person would: the element has to be there, in view and not covered."""
        found = self.ask("/element", {"using": "css selector", "value": selector})
        element = next(iter(found.values()))
        self.ask(f"/element/{element}/click", {})

    def look(self, width: int, dark: bool):
        """Shows the page so wide, light or dark, and gives a picture of all of it."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        phone = width < 600
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": phone}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        wide = self.run("return document.documentElement.scrollWidth")
        assert wide <= width, f"the page is {wide} wide and scrolls sideways at {width}"
        tall = self.run("return document.documentElement.scrollHeight")
        self.command("Emulation.setDeviceMetricsOverride", **{**size, "height": tall})
        # After a change of its size the page draws its charts anew, a moment later.
        painted = "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 1000)"
        self.ask("/execute/async", {"script": painted, "args": []})
        return base64.b64decode(self.ask("/screenshot"))

    def close(self):
        try:
            self.ask("/window")
            request = urllib.request.Request(self.base, method="DELETE")
            urllib.request.urlopen(request, timeout=30).close()
        finally:
            self.process.terminate()
            self.process.wait(30)


def wait(what: str, ask):
    end = time.monotonic() + SOON
    while True:
        if answer := ask():
            return answer
        assert time.monotonic() < end, f"not within {SOON} s: {what}"
        time.sleep(0.1)


SHOWN = """
const text = (node, selector) => node.querySelector(selector).textContent;
return {
  at: document.getElementById("main").dataset.at,
  verdict: document.getElementById("verdict").textContent,
  streams: Object.fromEntries([...document.querySelectorAll("#streams article")].map((card) =>
    [card.dataset.stream, { text: card.textContent, rate: text(card, "[data-field=rate]") }])),
  tiles: Object.fromEntries([...document.querySelectorAll("#flow article")].map((card) =>
    [card.dataset.tile, card.textContent])),
  connections: [...document.querySelectorAll("#connections tbody tr")].map((row) =>
    [...row.children].map((cell) => cell.textContent)),
  held: [...document.querySelectorAll("#held tbody tr")].map((row) =>
    [...row.children].map((cell) => cell.textContent)),
};
"""


def count(number: int) -> str:
    return f"{number:,}"


def rate(number: float) -> str:
    """As the page writes it: of two that are equally near the greater."""
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    near = Decimal(number).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{near:,} a second"


def same_numbers(driver: Driver, url: str) -> dict:
    """The page and /status.json of the same moment, which say the same."""

    def both():
        with urllib.request.urlopen(f"{url}/status.json", timeout=10) as answer:
            told = json.load(answer)
        shown = driver.run(SHOWN)
        held = [(one["stream"], count(one["files"]), count(one["rows"])) for one in told["streams"]]
        # What is held may grow within a moment of the recorder's.
        same = [(row[0], row[3], row[4]) for row in shown["held"]] == held
        return (told, shown) if same and told["live"]["at"] == shown["at"] else None

    told, shown = wait("the page and /status.json of one moment", both)
    live = told["live"]
    assert {one["stream"] for one in live["streams"]} == shown["streams"].keys(), shown
    for one in live["streams"]:
        card = shown["streams"][one["stream"]]
        assert card["rate"] == rate(one["records_per_s"]), (card, one)
        for fact in (f"rows{count(one['rows'])}", f"{one['served']} of {one['asked']} markets"):
            assert fact in card["text"], (fact, card)
        if one["lag"]:
            assert "lag p50–" not in card["text"], card
    assert f"{count(live['writer']['frames'])} frames" in shown["tiles"]["writer"], shown["tiles"]
    assert f"of {count(live['queue']['limit_events'])} waiting" in shown["tiles"]["queue"]
    assert f"rows{count(live['writer']['file_rows'])}" in shown["tiles"]["files"], shown["tiles"]
    assert [row[0] for row in shown["connections"]] == [str(one["id"]) for one in live["connections"]]
    for row, one in zip(shown["connections"], live["connections"]):
        assert (row[1], row[4], row[5], row[7]) == tuple(count(one[key]) for key in ("line", "subscriptions", "frames", "led")), row
    return shown


def click_through(driver: Driver, url: str) -> dict:
    """Everything that can be clicked."""
    seen = {}
    gaps = "return [...document.querySelectorAll('#gaps tbody tr')].map((row) => row.textContent)"
    seen["gaps"] = wait("the planted gap", lambda: [row for row in driver.run(gaps) if "disconnect" in row])
    assert any("open" in row or "beyond repair" in row or "repaired" in row for row in seen["gaps"]), seen

    wait("a calendar", lambda: driver.run("return document.querySelectorAll('#calendar .cell').length") == 14 * 24)
    driver.click("#coverage-streams button[data-value=orderbook]")
    pressed = "return document.querySelector('#coverage-streams [aria-pressed=true]').dataset.value"
    wait("the other stream's calendar", lambda: driver.run(pressed) == "orderbook")
    coloured = "return [...document.querySelectorAll('#calendar .cell')].filter((cell) => cell.classList.length > 1).length"
    seen["hours"] = wait("an hour with a condition", lambda: driver.run(coloured))
    with urllib.request.urlopen(f"{url}/api/coverage?stream=orderbook&days=14", timeout=10) as answer:
        told = [hour for day in reversed(json.load(answer)["days"]) for hour in day["hours"]]
    colours = "return [...document.querySelectorAll('#calendar .cell')].map((cell) => cell.className)"
    wanted = [f"cell {hour['condition']}" if hour else "cell" for hour in told]
    wait("the colours of /api/coverage", lambda: driver.run(colours) == wanted)
    assert seen["hours"] == sum(hour is not None for hour in told), (seen, told)
    legend = "return [...document.querySelectorAll('#legend i')].map((cell) => cell.className)"
    words = ["complete", "repaired", "unproven", "degraded", "missing", "retired"]
    assert driver.run(legend) == [f"cell {word}" for word in words], driver.run(legend)
    driver.click("#calendar .date")
    markets = "return document.querySelectorAll('#day-markets tbody tr').length"
    seen["day_markets"] = wait("the markets of a day", lambda: driver.run(markets) > 1 and driver.run(markets))
    day_gaps = "return document.querySelector('#day-gaps').textContent"
    assert "disconnect" in driver.run(day_gaps), "the day does not show its gap"

    bars = "return document.querySelectorAll('#prices rect.rise, #prices rect.fall').length"
    seen["bars"] = wait("bars of a price", lambda: driver.run(bars))
    depth = "return document.querySelectorAll('#book path').length"
    wait("a book", lambda: driver.run(depth) == 4)
    before = driver.run("return document.getElementById('prices-about').textContent")
    other = "const list = document.getElementById('market'); list.value = list.options[1].value === list.value ? list.options[0].value : list.options[1].value; list.dispatchEvent(new Event('change'))"
    driver.run(other)
    about = "return document.getElementById('prices-about').textContent"
    wait("the other market", lambda: driver.run(about).split(":")[0] != before.split(":")[0])
    driver.click("#span button[data-value='1']")
    wait("another span", lambda: driver.run("return document.querySelector('#span [aria-pressed=true]').dataset.value") == "1")
    return seen


def main() -> None:
    url, folder, pid = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = Driver(profile)
        try:
            driver.ask("/url", {"url": url})
            wait("all is well", lambda: "all is well" in driver.run("return document.getElementById('verdict').textContent"))
            first = same_numbers(driver, url)
            # It goes on by itself.
            wait("a newer picture", lambda: driver.run(SHOWN)["at"] > first["at"])
            second = same_numbers(driver, url)
            assert second["tiles"]["writer"] != first["tiles"]["writer"], "the numbers stand still"
            seen = click_through(driver, url)
            same_numbers(driver, url)
            for name, width, dark in [("light", 1280, False), ("dark", 1280, True), ("phone", 390, False), ("phone-dark", 390, True)]:
                (folder / f"{name}.png").write_bytes(driver.look(width, dark))
            os.kill(pid, signal.SIGTERM)
            gone = "const gone = document.getElementById('gone'); return gone.hidden ? '' : gone.textContent"
            seen["gone"] = wait("the page says that the recorder is gone", lambda: driver.run(gone))
            assert "recorder is gone" in seen["gone"], seen
            assert "does not answer" in driver.run("return document.getElementById('verdict').textContent")
            (folder / "gone.png").write_bytes(driver.look(1280, False))
            said = driver.ask("/se/log", {"type": "browser"})
            said = [line["message"] for line in said if line["level"] in ("WARNING", "SEVERE")]
            # Nobody answers at the end, which the browser says; nothing else may be wrong.
            ends = ("ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")
            wrong = [line for line in said if not any(end in line for end in ends)]
            assert not wrong, wrong
        finally:
            driver.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
