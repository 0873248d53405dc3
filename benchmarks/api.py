"""`make bench-api`: how quickly the API answers, compared with `/healthz`, the floor of the same
stack.

The API runs as `make up` starts it, with its own Redis and MongoDB. No Celery worker runs: enqueued
work waits, as behind a backlog. Only at the end of each round the workers of `make up` run, and
reads are requested while they backfill everything. Requests have a key, so they count in its rate
limit. The two sides of a figure take turns, so that a machine whose speed drifts slows both, and
figures are computed over all rounds together.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import Event

from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import describe_machine, keep_figures
from benchmarks.load import Client, read_at_rate
from benchmarks.service import run_bench_servers, run_service
from core.settings import Settings
from records.database import Db, open_database
from records.keys import add_key
from records.work import endings
from runner.programs import api_command
from runner.servers import die_with_parent
from runner.service import wait_for_api

RESULTS = Path(__file__).parent / "api.json"
TICKERS = 1_000
DETECTED_TICKERS = 100
READS_PER_SECOND = 300
# The upper bound of each figure.
BOUNDS = {
    "enqueue_1_ticker_median_ms": 20.0,
    "enqueue_1000_over_1_ticker": 5.0,
    "reads_p99_ms": 20.0,
    "reads_beside_backfill_p99_ms": 50.0,
}
BACKFILL = "/py/anomalies/backfill"
EVERYTHING = {"market": "US"}
WAIT_SECONDS = 25
SIDES = {
    "healthz": "GET /healthz",
    "one": "POST a backfill of 1 ticker",
    "many": f"POST a backfill of {TICKERS:,} tickers",
    "healthz_reads": f"GET /healthz, {READS_PER_SECOND} a second",
    "reads": f"mixed reads, {READS_PER_SECOND} a second",
    "beside": f"the same beside a backfill of {TICKERS:,} tickers",
}

Times = dict[str, list[list[float]]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: the rounds, the POSTs of each kind in a round, and the seconds of
    reads.
    """

    rounds: int
    posts: int
    read_seconds: float


FULL = Size(rounds=5, posts=40, read_seconds=10)
QUICK = Size(rounds=2, posts=10, read_seconds=3)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.api", description="Measure how quickly the API answers."
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: a look, not the figures"
    )
    quick = parser.parse_args().quick
    console = Console()
    machine = describe_machine()
    console.print(machine)
    with run_bench_servers() as (settings, folder):
        console.print(f"Generating {TICKERS:,} series, and detecting {DETECTED_TICKERS} of them.")
        with open_database(settings).client as client, run_api(settings, folder):
            database = client[settings.mongo_database]
            paths = fill(database)
            # With a key, each request looks the key up and is counted, as where other machines are
            # served.
            key = add_key(database, "bench", ("admin",), datetime.now(UTC))
            size = QUICK if quick else FULL
            times = measure(
                settings,
                folder,
                key=key,
                database=database,
                paths=paths,
                size=size,
                say=console.print,
            )
    figures = build_figures(times)
    console.print(build_times(times), build_bounds(figures))
    keep_figures(console, RESULTS, {**figures, "machine": machine}, quick=quick)


@contextmanager
def run_api(settings: Settings, folder: Path) -> Iterator[None]:
    """Start the API as `make up` does, and stop it at the end."""
    command = die_with_parent(api_command(settings))
    limits = {"RATE_LIMIT_READS": "1000000/minute", "RATE_LIMIT_WRITES": "1000000/minute"}
    with (
        (folder / "api.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | limits) as process,
    ):
        try:
            wait_for_api(settings)
            yield
        finally:
            process.terminate()


def fill(database: Db) -> list[str]:
    """Store bars, a model, anomalies and runs, and return the paths that a dashboard requests."""
    # These modules load the numeric stack, which reads the environment when it is imported.
    from benchmarks import market, sides  # noqa: PLC0415
    from detection.models.plan import TrainingPlan  # noqa: PLC0415
    from detection.models.training import train_model  # noqa: PLC0415
    from market.imports.bulk import import_synthetic  # noqa: PLC0415
    from market.markets import SHIPPED  # noqa: PLC0415
    from records.indexes import ensure_indexes  # noqa: PLC0415
    from tasks.process.worker import get_worker  # noqa: PLC0415

    ensure_indexes(database)
    tickers, now = tuple(f"T{number:05d}" for number in range(TICKERS)), datetime.now(UTC)
    import_synthetic(
        database,
        tickers,
        SHIPPED[market.MARKET],
        bars=market.BARS,
        seed=market.SEED,
        end=market.END,
        now=now,
    )
    detected = tickers[:DETECTED_TICKERS]
    train_model(database, TrainingPlan(market.MARKET, tickers=detected, seed=market.SEED), now=now)
    run_id = sides.run_here(get_worker(), sides.ask("backfill", detected))["_id"]
    found = [anomaly["_id"] for anomaly in database.anomalies.find({}, {"_id": 1}).limit(100)]
    return [
        path
        for anomaly_id, ticker in zip(found, detected, strict=True)
        for path in (
            "/py/anomalies?limit=50",
            f"/py/anomalies/{anomaly_id}",
            f"/py/detection-runs/{run_id}",
            f"/py/tickers/{ticker}/status",
            f"/py/chart?ticker={ticker}&period=1y",
        )
    ]


def measure(
    settings: Settings,
    folder: Path,
    *,
    key: str,
    database: Db,
    paths: Sequence[str],
    size: Size,
    say: Callable[[str], None],
) -> Times:
    """Return the seconds of each answer, by request and round."""
    times: Times = {name: [] for name in SIDES}
    port = settings.port
    load = {"per_second": READS_PER_SECOND, "seconds": size.read_seconds}
    with Client(port, key) as client:
        for path in paths[:10]:
            client.ask(path)
        post(client, database, EVERYTHING)
    for number in range(size.rounds):
        say(f"Round {number + 1} of {size.rounds}, load {os.getloadavg()[0]:.1f}.")
        floor, one, many = [], [], []
        with Client(port, key) as client:
            for ticker in range(size.posts):
                floor.append(time_it(client, "/healthz"))
                one.append(post(client, database, {"ticker": f"T{ticker:05d}"}))
                if ticker % 4 == 0:
                    many.append(post(client, database, EVERYTHING))
        floor_reads = read_at_rate(port, key, ["/healthz"], **load)
        reads = read_at_rate(port, key, paths, **load)
        with run_backfills(settings, folder, key):
            beside = read_at_rate(port, key, paths, **load)
        measured = (floor, one, many, floor_reads, reads, beside)
        for name, seconds in zip(SIDES, measured, strict=True):
            times[name].append(seconds)
    return times


@contextmanager
def run_backfills(settings: Settings, folder: Path, key: str) -> Iterator[None]:
    """Have the workers of `make up` backfill everything, again and again until the end."""
    over = Event()

    def backfill() -> None:
        with Client(settings.port, key) as client:
            answer = json.loads(client.ask(f"{BACKFILL}?wait={WAIT_SECONDS}", EVERYTHING))
            # A backfill that outlasts the wait would conflict with the next one.
            while answer.get("completed_at") is None:
                time.sleep(0.5)
                run_id = answer.get("run_id") or answer["_id"]
                answer = json.loads(client.ask(f"/py/detection-runs/{run_id}"))

    def go_on() -> None:
        while not over.is_set():
            backfill()

    with run_service(settings, folder, ("worker",)), ThreadPoolExecutor(1) as pool:
        backfill()  # After the first backfill the model is loaded.
        ended = pool.submit(go_on)
        try:
            yield
        finally:
            over.set()
        ended.result()


def post(client: Client, database: Db, body: dict[str, str]) -> float:
    """Return the seconds until a backfill was accepted; it is cancelled, so that the next one does
    not conflict.
    """
    start = time.perf_counter()
    accepted = json.loads(client.ask(BACKFILL, body))
    seconds = time.perf_counter() - start
    endings.request_cancel(database, accepted["run_id"], datetime.now(UTC))
    return seconds


def time_it(client: Client, path: str) -> float:
    start = time.perf_counter()
    client.ask(path)
    return time.perf_counter() - start


def build_figures(times: Times) -> dict[str, float]:
    """Return the figures in milliseconds, and as multiples of `/healthz` or of one ticker.

    Percentiles are those of all rounds together: a median of the rounds' percentiles would hide a
    round that stalls, which users would notice.
    """

    def find(share: float, name: str, over: str | None = None) -> float:
        found = percentile(list(chain(*times[name])), share)
        return 1_000 * found if over is None else found / percentile([*chain(*times[over])], share)

    figures = {
        "enqueue_1_ticker_median_ms": find(0.5, "one"),
        "enqueue_1_ticker_p99_ms": find(0.99, "one"),
        "enqueue_1_ticker_over_healthz": find(0.5, "one", "healthz"),
        "enqueue_1000_tickers_median_ms": find(0.5, "many"),
        "enqueue_1000_tickers_p99_ms": find(0.99, "many"),
        "enqueue_1000_over_1_ticker": find(0.5, "many", "one"),
        "reads_median_ms": find(0.5, "reads"),
        "reads_p99_ms": find(0.99, "reads"),
        "reads_p99.9_ms": find(0.999, "reads"),
        "reads_most_ms": find(1.0, "reads"),
        "reads_beside_backfill_median_ms": find(0.5, "beside"),
        "reads_beside_backfill_p99_ms": find(0.99, "beside"),
        "reads_beside_backfill_p99.9_ms": find(0.999, "beside"),
        "reads_beside_backfill_most_ms": find(1.0, "beside"),
        "reads_p99_over_healthz": find(0.99, "reads", "healthz_reads"),
    }
    return {name: round(value, 2) for name, value in figures.items()}


def percentile(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]


def build_times(times: Times) -> Table:
    table = Table(
        "asked",
        "times",
        "median",
        "p99",
        "p99.9",
        "most",
        title="Milliseconds, all rounds",
    )
    for name, rounds in times.items():
        seconds = [one for each in rounds for one in each]
        values = (*(percentile(seconds, share) for share in (0.5, 0.99, 0.999)), max(seconds))
        table.add_row(
            SIDES[name], f"{len(seconds):,}", *(f"{1_000 * value:.1f}" for value in values)
        )
    return table


def build_bounds(figures: dict[str, float]) -> Table:
    table = Table("figure", "measured", "below", "", title="What counts")
    for name, measured in figures.items():
        bound = BOUNDS.get(name)
        reached = "" if bound is None else "reached" if measured < bound else "SHORT"
        table.add_row(name, f"{measured:g}", "" if bound is None else f"{bound:g}", reached)
    return table


if __name__ == "__main__":
    main()
