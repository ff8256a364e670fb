"""Records a simulated venue through a storm of faults, and judges what is left.

    scripts/soak --minutes 30 --rate 1000 --seed 1 --binary target/release/veritape

The storm follows from the seed. Every kind of fault in FAULTS comes in turn, in a shuffled order,
8 to 32 seconds apart. In the first half of the time the recorder is killed (SIGKILL, two times of
three) or ended (SIGTERM) about once a minute and started again; then it is left alone, with the
faults going on, so that one life is long enough to judge; near the end it is killed once more.

At the end the recorder is asked to stop, `gaps repair` closes what is open, `verify` reads every
file, and `tests/it/ledger.py` compares the folder with the ledger of the venue: every gap of
trades and candles has to be repaired, and every trade has to be there, once.

Resident memory, open files and threads of the recorder are looked at every second. A life of
5 minutes and more is judged: without its first 2 minutes, in which buffers and caches fill, the
median of its last third is at most that of its first third and 10 % and 8 MiB more for memory,
and 4 more for open files and for threads. Then it is called flat.

Ends with 0 where all is well, with 3 where it is not, and with 1 where it could not be found out.
The folder of the run stays unless all is well; --keep DIR says where it is, and keeps it.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STREAMS = "trade,orderbook,ticker,candle.1s,candle.1m"
# Kinds of fault by the names of src/sim/faults.rs, with how long or how often, from and to. A venue
# that is up and tells nothing is silent for longer than SILENCE_FLOOR of src/ingest/watch.rs (5 s):
# nobody notices less while it lasts, and only `verify` finds it.
FAULTS = {
    "drop": {},
    "drop_without_close": {},
    "reset": {},
    "error": {},
    "stall": {"for": (8, 20)},
    "freeze": {"for": (8, 20)},
    "garbage": {"count": (1, 50)},
    "duplicates": {"for": (5, 20)},
    "slow": {"for": (2, 5)},
    "handshake_429": {"count": (1, 3)},
    "handshake_418": {"for": (2, 5)},
    "rest_429": {"count": (1, 5)},
    "rest_418": {"for": (2, 5)},
    "rest_500": {"count": (1, 5)},
    "rest_html": {"count": (1, 5)},
    "rest_truncated": {"count": (1, 5)},
    "rest_slow": {"count": (1, 3)},
    "rest_timeout": {"count": (1, 2)},
}
# Seconds between two faults, of a life, and from the end of one to the next one at most.
APART = (8, 32)
LIFE = 60
PAUSE = 5
# Shares of the time: when deaths end for a while, the last one, and the last fault.
DEATHS_UNTIL, LAST_DEATH, FAULTS_UNTIL = 0.45, 0.92, 0.95
# For what a process does in no time on a quiet machine.
SOON = 120
REPAIR = 1_800
JUDGED_FROM, WARM = 300, 120
MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Fault(Exception):
    """Why nothing can be said."""


def storm(seed: int, seconds: float) -> tuple[str, list[tuple[float, int, float]]]:
    """The faults file of the venue; and when the recorder dies, by which signal, for how long."""
    dice = random.Random(seed)
    faults, deck, at = [], [], min(10, seconds / 10)
    while at < seconds * FAULTS_UNTIL:
        if not deck:
            deck = list(FAULTS)
            dice.shuffle(deck)
        what = deck.pop()
        lines = ["[[fault]]", f"after = '{int(at * 1000)}ms'", f"what = '{what}'"]
        for name, (low, high) in FAULTS[what].items():
            number = dice.randint(low, high)
            lines.append(f"{name} = '{number}s'" if name == "for" else f"{name} = {number}")
        faults.append("\n".join(lines))
        at += dice.uniform(*APART)
    count = max(1, round(seconds * DEATHS_UNTIL / LIFE))
    moments = [dice.uniform(0.05, DEATHS_UNTIL) * seconds for _ in range(count)]
    kinds = [dice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)) for _ in moments]
    deaths = zip(sorted(moments), kinds)
    deaths = [*deaths, (LAST_DEATH * seconds, signal.SIGKILL)]
    longest = min(PAUSE, seconds / 60)
    deaths = [(at, kind, dice.uniform(0, longest)) for at, kind in deaths]
    return "\n\n".join(faults) + "\n", deaths


class Life:
    """One process of the recorder, and what it held, second by second."""

    def __init__(self, process: subprocess.Popen, log: Path):
        self.process = process
        self.log = log
        self.began = time.monotonic()
        self.samples = []
        self.ticks = 0
        self.end = "running"

    def look(self):
        folder = Path(f"/proc/{self.process.pid}")
        try:
            stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            files = len(os.listdir(folder / "fd"))
        except OSError:
            return
        resident, threads = int(stat[21]) * PAGE, int(stat[17])
        # One that has just ended has nothing any more.
        if resident and files:
            self.samples.append((time.monotonic() - self.began, resident, files, threads))
            self.ticks = int(stat[11]) + int(stat[12])

    def age(self) -> float:
        return self.samples[-1][0] if self.samples else 0.0

    def cpu(self) -> float:
        """Of one core, in percent."""
        return 100 * self.ticks / TICKS / max(self.age(), 1)

    def judged(self) -> bool:
        return self.age() >= JUDGED_FROM

    def thirds(self, place: int) -> tuple[float, float]:
        values = [sample[place] for sample in self.samples if sample[0] >= WARM]
        third = len(values) // 3
        return statistics.median(values[:third]), statistics.median(values[-third:])

    def growing(self) -> list[str]:
        """What is not flat."""
        told = []
        limits = ((1, "memory", 1.1, 8 * MIB), (2, "open files", 1, 4), (3, "threads", 1, 4))
        for place, name, times, more in limits:
            first, last = self.thirds(place)
            if last > first * times + more:
                told.append(f"{name} grew from {first:.0f} to {last:.0f}")
        return told


class Soak:
    def __init__(self, args: argparse.Namespace, folder: Path):
        self.args = args
        self.folder = folder
        self.data = folder / "data"
        self.seconds = args.minutes * 60
        self.lives = []
        self.findings = []
        self.asked = Counter()
        self.running = []

    def run(self) -> bool:
        faults, deaths = storm(self.args.seed, self.seconds)
        (self.folder / "faults.toml").write_text(faults)
        rest = self.start_venue()
        say(f"{faults.count('[[fault]]')} faults, {len(deaths)} deaths; {self.folder}")
        try:
            self.weather(deaths)
            self.at_rest(rest)
        finally:
            for process in self.running:
                process.kill()
                process.wait()
        return self.report()

    def start_venue(self) -> str:
        command = [self.args.binary, "sim", "--markets", self.args.markets]
        command += ["--rate", self.args.rate, "--seed", self.args.seed]
        command += ["--ledger", self.folder / "ledger", "--faults", self.folder / "faults.toml"]
        with (self.folder / "venue.log").open("wb") as log:
            self.venue = self.spawn(command, stdout=subprocess.PIPE, stderr=log)
        line = self.venue.stdout.readline()
        if not line:
            raise Fault(f"the venue did not start; see {self.folder}/venue.log")
        # Its ledger has every trade since then.
        self.began = time.time_ns() // 1_000
        self.urls = json.loads(line)
        return self.urls["rest"]

    def start_recorder(self):
        command = [self.args.binary, "record", "--venue", "upbit", "--markets", "all"]
        command += ["--streams", STREAMS, "--data", self.data, "--lines", self.args.lines]
        command += ["--ws-url", self.urls["ws"], "--rest-url", self.urls["rest"]]
        command += ["--http", "127.0.0.1:0"]
        log = self.folder / f"recorder-{len(self.lives) + 1}.log"
        with log.open("wb") as pipe:
            self.lives.append(Life(self.spawn(command, stdout=pipe, stderr=pipe), log))

    def spawn(self, command: list, **pipes) -> subprocess.Popen:
        own = {name: value for name, value in os.environ.items() if "VERITAPE_" not in name}
        command = [str(part) for part in command]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=own, **pipes)
        self.running.append(process)
        return process

    def weather(self, deaths: list):
        """Records until the time is over."""
        begin = time.monotonic()
        self.start_recorder()
        minute, deaths = 1, list(deaths)
        while (now := time.monotonic()) < begin + self.seconds:
            time.sleep(1)
            life = self.lives[-1]
            if life.process.poll() is not None:
                life.end = f"ended by itself with {life.process.returncode}"
                self.findings.append(f"life {len(self.lives)} {life.end}; see {life.log}")
                self.running.remove(life.process)
                self.start_recorder()
            self.lives[-1].look()
            if now >= begin + minute * 60:
                self.minute(minute)
                minute += 1
            if deaths and now >= begin + deaths[0][0]:
                _, kind, pause = deaths.pop(0)
                self.die(kind)
                time.sleep(pause)
                self.start_recorder()
        self.minute(minute)
        # What went before its last start is a gap once it is there again.
        self.wait_until_it_says("connected", self.lives[-1])
        self.die(signal.SIGTERM)

    def die(self, kind: int):
        life = self.lives[-1]
        if kind == signal.SIGTERM:
            # It takes signals then: asked to end before, it has nothing to end politely.
            self.wait_until_it_says("recording into", life)
        life.look()
        life.process.send_signal(kind)
        life.end = signal.Signals(kind).name
        try:
            code = life.process.wait(SOON)
        except subprocess.TimeoutExpired as error:
            raise Fault(f"the recorder did not end within {SOON} s of {life.end}") from error
        if kind == signal.SIGTERM and code != 0:
            self.findings.append(f"life {len(self.lives)} ended with {code} after SIGTERM")
        self.running.remove(life.process)

    def wait_until_it_says(self, words: str, life: Life):
        deadline = time.monotonic() + SOON
        while words not in life.log.read_text(errors="replace"):
            if time.monotonic() > deadline or life.process.poll() is not None:
                raise Fault(f"the recorder does not say {words!r}; see {life.log}")
            time.sleep(0.05)

    def minute(self, minute: int):
        told = self.ask(["status", "--json"], (0, 3))
        self.asked["asked"] += 1
        status = json.loads(told) if told else {}
        self.asked["answered"] += status.get("recording") is True
        rows = sum(stream["rows"] for stream in status.get("streams", []))
        samples = self.lives[-1].samples
        _, resident, files, threads = samples[-1] if samples else (0, 0, 0, 0)
        say(
            f"minute {minute}: life {len(self.lives)}, {self.lives[-1].age():.0f} s old,"
            f" {resident / MIB:.1f} MiB, {files} files open, {threads} threads, {rows} rows in files"
        )

    def ask(self, words: list, codes: tuple, within: float = SOON) -> str | None:
        """What a command says of the folder; nothing where it ends with another code."""
        command = [self.args.binary, *words, "--data", self.data]
        own = {name: value for name, value in os.environ.items() if "VERITAPE_" not in name}
        command = [str(part) for part in command]
        done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=within)
        if done.returncode not in codes:
            say(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
            return None
        return done.stdout

    def at_rest(self, rest: str):
        """Repairs, reads and compares."""
        began = time.monotonic()
        if self.ask(["gaps", "repair", "--json", "--rest-url", rest], (0,), REPAIR) is None:
            self.findings.append("gaps repair did not close every gap")
        say(f"repaired in {time.monotonic() - began:.0f} s")
        self.venue.send_signal(signal.SIGTERM)
        if self.venue.wait(SOON) != 0:
            raise Fault(f"the venue did not end well; see {self.folder}/venue.log")
        self.running.remove(self.venue)
        if self.ask(["verify"], (0,), REPAIR) is None:
            self.findings.append("verify found something")
        status = self.ask(["status", "--json"], (0,))
        gaps = self.ask(["gaps", "--json"], (0, 3))
        if status is None or gaps is None:
            raise Fault("the folder cannot be read")
        self.status, self.gaps = json.loads(status), json.loads(gaps)["gaps"]
        (self.folder / "gaps.json").write_text(gaps)
        compare = [sys.executable, "-B", ROOT / "tests/it/ledger.py", self.folder / "ledger"]
        compare += [self.data, self.folder / "gaps.json", "--repaired", "--began", self.began]
        done = subprocess.run(list(map(str, compare)), capture_output=True, text=True)
        self.compared = (done.stdout + done.stderr).strip()
        if done.returncode != 0:
            self.findings.append("the folder is not what the ledger says")

    def report(self) -> bool:
        print("\nstream         rows        bytes")
        for one in self.status["streams"]:
            print(f"{one['stream']:<12} {one['rows']:>10,} {one['bytes']:>12,}")
        print("\ngaps: stream   cause       state             times   rows of the ledger of gaps")
        for (stream, cause, state), begins in sorted(self.counted_gaps().items()):
            print(f"{stream:<14} {cause:<11} {state:<15} {len(set(begins)):>7} {len(begins):>6}")
        self.report_lives()
        print(f"\nledger: {self.compared}")
        print(f"status of the running recorder: {dict(self.asked)}")
        for finding in self.findings:
            print(f"NOT WELL: {finding}")
        print("all is well" if not self.findings else "see " + str(self.folder))
        return not self.findings

    def counted_gaps(self) -> dict:
        """When gaps began, by stream, cause and state."""
        counts = defaultdict(list)
        for gap in self.gaps:
            counts[gap["stream"], gap["cause"], gap["state"]].append(gap["from"])
        return counts

    def report_lives(self):
        print("\nlife  seconds  end       MiB: first   last   most   files: first last most   CPU")
        for number, life in enumerate(self.lives, 1):
            if not life.samples:
                print(f"{number:>4}        0  {life.end}")
                continue
            first, last = life.samples[0], life.samples[-1]
            most = [max(sample[place] for sample in life.samples) for place in range(4)]
            print(
                f"{number:>4} {life.age():>8.0f}  {life.end:<9} {first[1] / MIB:>10.1f}"
                f" {last[1] / MIB:>6.1f} {most[1] / MIB:>6.1f} {first[2]:>14} {last[2]:>4}"
                f" {most[2]:>4} {life.cpu():>4.1f} %"
            )
        judged = [life for life in self.lives if life.judged()]
        if not judged:
            print(f"flat: not judged, no life of {JUDGED_FROM} s")
        for life in judged:
            memory, files = life.thirds(1), life.thirds(2)
            grown = life.growing()
            print(
                f"life {self.lives.index(life) + 1} {'is not' if grown else 'is'} flat:"
                f" {memory[0] / MIB:.1f} MiB in its first third, {memory[1] / MIB:.1f} in its last;"
                f" {files[0]:.0f} and {files[1]:.0f} open files"
            )
            self.findings += grown


def say(text: str):
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5, help="how long (default: 5)")
    parser.add_argument("--rate", type=float, default=1_000, help="frames a second (1000)")
    parser.add_argument("--markets", type=int, default=50, help="how many markets (50)")
    parser.add_argument("--lines", type=int, default=1, help="connections of the recorder (1)")
    parser.add_argument("--seed", type=int, default=1, help="what the storm follows from (1)")
    parser.add_argument("--binary", required=True, help="the program (a fresh release build)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work there, and keep it")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if args.keep:
        args.keep.mkdir(parents=True)
    folder = args.keep or Path(tempfile.mkdtemp(prefix="veritape-soak-"))
    try:
        well = Soak(args, folder.resolve()).run()
    except (Fault, OSError, subprocess.SubprocessError, json.JSONDecodeError) as error:
        print(f"nothing can be said: {error}; see {folder}", file=sys.stderr)
        return 1
    if well and not args.keep:
        shutil.rmtree(folder)
    return 0 if well else 3


if __name__ == "__main__":
    sys.exit(main())
