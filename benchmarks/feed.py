"""`make bench-feed`: how fast, and how late, messages of the feed are stored.

The consumer is a process of its own, beside Redis and MongoDB on the same cores. Rates are measured
from the first message to the last commit. Lateness is measured from the sending of a message to the
moment at which its number, or the anomaly, is seen in MongoDB. The naive way beside it does one
upsert a candle, with a document each.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import describe_machine
from benchmarks.feed_detection import measure_detection
from core.settings import Settings
from feed.bus import STREAMS, choose_stream
from feed.messages import Head, build_message
from feed.redis_bus import RedisBus
from market.exports.folders import write_folder
from market.exports.tables import Asked
from market.imports.importing import import_frame
from records.database import Db, open_database
from records.migrations import prepare_database
from records.ticks.positions import find_positions
from runner.programs import ROOT, feed_command
from runner.servers import die_with_parent, run_servers

# Each figure's bound, and on which side of it the figure should lie.
BOUNDS = {
    "candles_a_second": (">=", 20_000.0),
    "trades_a_second": (">=", 50_000.0),
    "candles_p99_ms": ("<=", 1_000.0),
    "depth_p99_ms": ("<=", 1_000.0),
    "anomaly_p99_ms": ("<=", 2_000.0),
    "export_seconds_a_million_bars": ("<=", 3.0),
}
POLL_SECONDS = 0.01


class Load:
    """Sends messages, and notes when each is stored."""

    def __init__(self, database: Db, bus: RedisBus) -> None:
        self._database, self._bus = database, bus
        self._seqs = dict.fromkeys(STREAMS, 0)
        self._sent: dict[tuple[str, int], float] = {}
        self.late: list[float] = []

    def send(self, kind: Any, ticker: str, records: list[dict[str, Any]]) -> None:
        stream = choose_stream(ticker)
        self._seqs[stream] += 1
        group = {"ticker": ticker, "venue": "X", "interval": "1m", "records": records}
        head = Head("bench", self._seqs[stream], time.time_ns() // 1_000_000)
        self._sent[stream, self._seqs[stream]] = time.perf_counter()
        self._bus.append(stream, build_message(kind, [group], head))

    def wait(self) -> None:
        while self.look() < sum(self._seqs.values()):
            time.sleep(POLL_SECONDS)

    def look(self) -> int:
        """Return how many messages are stored, and note how late each was."""
        now, stored = time.perf_counter(), 0
        for one in find_positions(self._database):
            seq = one["producers"].get("bench", {"seq": 0})["seq"]
            stored += seq
            for number in range(seq, 0, -1):
                sent = self._sent.pop((one["_id"], number), None)
                if sent is None:
                    break
                self.late.append(now - sent)
        return stored

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        self.late, over = [], Event()

        def watch() -> None:
            while not over.wait(POLL_SECONDS):
                self.look()

        watcher = Thread(target=watch)
        watcher.start()
        try:
            yield self.late
            over.set()
            watcher.join()
            self.wait()
        finally:
            over.set()


def make_candles(first: int, count: int, start: int) -> list[dict[str, Any]]:
    return [
        {"time": (start + 60 * n) * 1_000, "open": 100.0, "high": 101.0, "low": 99.0}
        | {"close": 100.5, "volume": 5.0}
        for n in range(first, first + count)
    ]


def measure(database: Db, bus: RedisBus, pid: int, *, quick: bool) -> dict[str, float]:
    load, figures = Load(database, bus), {}
    tickers = [f"C{n}-USD" for n in range(200 if quick else 1_000)]
    start = int(time.time()) // 60 * 60 - 12 * 3_600
    for ticker in tickers:  # The documents of new series are created one by one, once.
        load.send("candles", ticker, make_candles(0, 1, start))
    load.wait()
    figures["memory_mb_before"] = read_memory(pid)
    rates = []
    for turn in range(3):
        began = time.perf_counter()
        for ticker in tickers:
            load.send("candles", ticker, make_candles(1 + 20 * turn, 20, start))
        load.wait()
        rates.append(20 * len(tickers) / (time.perf_counter() - began))
    figures["candles_a_second"] = median(rates)
    figures["naive_candles_a_second"] = measure_naive(database, start)
    figures["ours_over_naive"] = figures["candles_a_second"] / figures["naive_candles_a_second"]
    rates = []
    for turn in range(3):
        began = time.perf_counter()
        for n, ticker in enumerate(tickers[:100]):
            trades = [
                {"time": (start + turn) * 1_000_000 + k, "id": f"{turn}-{k}", "price": 100 + n}
                | {"amount": 1, "side": "buy"}
                for k in range(500)
            ]
            load.send("trades", ticker, trades)
        load.wait()
        rates.append(50_000 / (time.perf_counter() - began))
    figures["trades_a_second"] = median(rates)
    seconds = 3 if quick else 10
    with load.watched() as late:
        pace(2_000, seconds, lambda n: load.send(
            "candles", tickers[n % len(tickers)],
            make_candles(61 + n // len(tickers), 1, start),
        ))  # fmt: skip
    figures["candles_p99_ms"] = 1_000 * float(np.percentile(late, 99))
    book = {"bids": [[100 - k, 1] for k in range(50)], "asks": [[101 + k, 1] for k in range(50)]}
    with load.watched() as late:
        pace(500, seconds, lambda n: load.send(
            "depth", f"D{n % 500}-USD", [{"time": (start + n // 500) * 1_000, **book}],
        ))  # fmt: skip
    figures["depth_p99_ms"] = 1_000 * float(np.percentile(late, 99))
    figures["memory_mb_after"] = read_memory(pid)
    return figures


def pace(rate: int, seconds: int, send: Any) -> None:
    """Call `send` with 0, 1, ... this many times a second, for this long."""
    began = time.perf_counter()
    for n in range(rate * seconds):
        send(n)
        if n % 20 == 0:
            time.sleep(max(0.0, began + n / rate - time.perf_counter()))


def measure_naive(database: Db, start: int) -> float:
    began, count = time.perf_counter(), 1_000
    for n in range(count):
        (candle,) = make_candles(n, 1, start)
        key = {"ticker": "NAIVE", "time": candle["time"]}
        database.bench_naive.update_one(key, {"$set": candle}, upsert=True)
    return count / (time.perf_counter() - began)


def measure_export(database: Db, folder: Path, *, quick: bool) -> float:
    """Measure how many seconds a million bars take to be exported to a folder of Parquet files."""
    days = pd.date_range("2016-01-01", "2025-12-31", tz="UTC")
    tickers = 20 if quick else 280
    price = np.linspace(50, 90, len(days))
    frame = pd.DataFrame(
        {"time": days, "open": price, "high": price + 2, "low": price - 2, "close": price + 1}
    ).assign(volume=1_000.0)
    names = [f"E{n}-USD" for n in range(tickers)]
    for name in names:
        now = datetime.now(UTC)
        import_frame(database, frame, interval="1d", source="bench", ticker=name, now=now)
    began = time.perf_counter()
    asked = Asked("bars", tuple(names), "1d")
    manifest = write_folder(database, asked, "parquet", folder, now=datetime.now(UTC))
    return (time.perf_counter() - began) * 1_000_000 / int(manifest["rows"])


def read_memory(pid: int) -> float:
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feed", description="Measure the speed of the feed."
    )
    parser.add_argument("--quick", action="store_true", help="less of all: a look, not the figures")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name, run_servers(Path(name)) as servers:
        folder = Path(name)
        settings = Settings(
            _env_file=None, mongo_url=servers.mongo_url, redis_url=servers.redis_url
        )
        database = open_database(settings)
        prepare_database(database, datetime.now(UTC))
        given = {"MONGO_URL": servers.mongo_url, "REDIS_URL": servers.redis_url}
        environment = {**os.environ, **given, "TMPDIR": name}
        with (folder / "feed.log").open("wb") as log:
            consumer = subprocess.Popen(
                die_with_parent(feed_command()), cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        bus = RedisBus(servers.redis_url, 4)
        try:
            figures = measure(database, bus, consumer.pid, quick=quick)
            figures |= measure_detection(settings, database, bus, folder, quick=quick)
        finally:
            consumer.terminate()
            consumer.wait()
        figures["export_seconds_a_million_bars"] = measure_export(
            database, folder / "export", quick=quick
        )
        database.client.close()
    machine = describe_machine()
    table = Table("figure", "measured", "to reach", "reached", title=f"the feed, on {machine}")
    for figure, value in figures.items():
        side, bound = BOUNDS.get(figure, ("", 0.0))
        reached = (value >= bound) if side == ">=" else (value <= bound)
        table.add_row(
            figure.replace("_", " "),
            f"{value:,.1f}",
            f"{side} {bound:,.0f}" if side else "",
            ("yes" if reached else "no") if side else "",
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    main()
