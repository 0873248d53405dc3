"""`make bench-analytics`: the speed of metrics compared with pandas a ticker at a time, and of
reading them.

1,000 tickers of 400 bars: from bars in MongoDB to committed documents, in one process tied to one
core, as a worker does; and the naive way from the same bars to its own documents, in the same
rounds. Then a tick with nothing new, and the market overview at 300 requests a second, nine in ten
of which send the ETag of their copy.
"""

import argparse
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import describe_machine, keep_figures
from benchmarks.api import percentile, run_api
from benchmarks.clock import Clock
from benchmarks.load import Client, read_at_rate
from benchmarks.service import run_bench_servers
from core.settings import Settings
from records.database import Db
from records.keys import add_key

RESULTS = Path(__file__).parent / "analytics.json"
TICKERS, BARS = 1_000, 400
READS_PER_SECOND = 300
# Each figure's bound, and on which side of it the figure should lie.
BOUNDS = {
    "naive_over_ours": (">=", 50.0),
    "seconds_1000_tickers": ("<=", 1.0),
    "tick_without_news_ms": ("<=", 50.0),
    "overview_p99_ms": ("<=", 50.0),
}
SAME = ("rolling_stddev", "parkinson", "sma", "wma", "z_score", "skewness", "beta", "entropy_index")
STORED = (
    "analytics",
    "analytics_overview",
    "analytics_markets",
    "analytics_versions",
    "detection_runs",
    "batches",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.analytics", description="Measure the speed of metrics."
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: a look, not the figures"
    )
    quick = parser.parse_args().quick
    console, machine = Console(), describe_machine()
    console.print(machine)
    with run_bench_servers() as (settings, folder):
        figures = measure(
            settings,
            folder,
            rounds=2 if quick else 5,
            seconds=3 if quick else 20,
            say=console.print,
        )
    console.print(build_figures(figures))
    keep_figures(console, RESULTS, {**figures, "machine": machine}, quick=quick)


def measure(
    settings: Settings, folder: Path, *, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, float]:
    """Return the figures by name."""
    from tasks.process.worker import (  # noqa: PLC0415 - loads the numeric stack, after the environment is set
        get_worker,
    )

    clock, worker = Clock(), get_worker()
    tickers = tuple(f"T{number:05d}" for number in range(TICKERS))
    say(f"Generating {BARS} bars of each of {TICKERS:,} tickers.")
    benchmark = fill(worker.database, tickers)
    compare_ways(clock, tickers, benchmark, rounds, say)
    time_ticks(clock, rounds)
    figures = {
        "naive_over_ours": clock.ratio("naive", "ours"),
        "seconds_1000_tickers": clock.median("ours"),
        "seconds_1000_tickers_cpu": clock.median("ours, processor"),
        "naive_seconds": clock.median("naive"),
        "tick_without_news_ms": 1_000 * clock.median("tick"),
    }
    key = add_key(worker.database, "bench", ("admin",), datetime.now(UTC))
    with run_api(settings, folder):
        figures |= time_reads(settings.port, key, rounds, seconds, say)
    return {name: round(value, 4) for name, value in figures.items()}


def fill(database: Db, tickers: tuple[str, ...]) -> pd.Series:
    """Store synthetic bars, also in the naive way's form, and return the market's returns by
    time.
    """
    import numpy as np  # noqa: PLC0415 - see above

    from benchmarks import market, naive  # noqa: PLC0415
    from market.imports.bulk import import_synthetic  # noqa: PLC0415
    from market.markets import SHIPPED  # noqa: PLC0415
    from records.indexes import ensure_indexes  # noqa: PLC0415

    ensure_indexes(database)
    market_of = SHIPPED[market.MARKET]
    import_synthetic(
        database,
        tickers,
        market_of,
        bars=BARS,
        seed=market.SEED,
        end=market.END,
        now=datetime.now(UTC),
    )
    returns = {}
    for panel in market.load_portions(database, tickers):
        table = market.build_table(panel)
        naive.store_bars(database, table)
        for ticker, own in table.groupby("ticker"):
            returns[ticker] = np.log(own.set_index("time")["close"]).diff()
    return pd.DataFrame(returns).median(axis=1)


def compare_ways(
    clock: Clock,
    tickers: tuple[str, ...],
    benchmark: pd.Series,
    rounds: int,
    say: Callable[[str], None],
) -> None:
    """Time both ways; the naive one does another tenth of the tickers each round."""
    import time  # noqa: PLC0415

    from benchmarks import naive_analytics  # noqa: PLC0415
    from tasks.process.memory import spare_collections  # noqa: PLC0415
    from tasks.process.worker import get_worker  # noqa: PLC0415

    database = get_worker().database
    compute_all(tickers[:10])
    naive_analytics.compute(database, tickers[0], benchmark)
    # As the workers do.
    spare_collections()
    for number in range(rounds):
        say(f"Round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}.")
        forget(database)
        begun = time.process_time()
        with clock.time("ours"):
            compute_all(tickers)
        clock.seconds.setdefault("ours, processor", []).append(time.process_time() - begun)
        assert database.analytics.count_documents({}) == TICKERS
        part = tickers[number :: rounds * 10]
        with clock.time("naive", share=len(part) / TICKERS):
            found = {
                ticker: naive_analytics.compute(database, ticker, benchmark) for ticker in part
            }
        assert_same(database, found)


def assert_same(database: Db, found: dict[str, dict[str, float]]) -> None:
    """Raise AssertionError if the two ways differ in a metric that they define alike."""
    for ticker, values in found.items():
        stored = database.analytics.find_one({"ticker": ticker})
        assert stored is not None
        for name in SAME:
            # The naive way's benchmark is the median of all tickers, including its own; among 1,000
            # that is nearly the same.
            bound = 0.02 if name == "beta" else 1e-6
            ours, theirs = stored["values"][name], values[name]
            assert abs(ours - theirs) <= bound * max(1.0, abs(theirs)), (ticker, name, ours, theirs)


def compute_all(tickers: tuple[str, ...]) -> None:
    """Compute the metrics of tickers in this process, as a worker does a run's batches."""
    from benchmarks import sides  # noqa: PLC0415
    from records.work.requests import RunRequest  # noqa: PLC0415
    from tasks.process.worker import get_worker  # noqa: PLC0415

    request = RunRequest("analytics", "manual", tickers=tickers, market="US", options={"bars": 1})
    sides.run_here(get_worker(), request)


def time_ticks(clock: Clock, rounds: int) -> None:
    """Time ticks of slots with nothing new."""
    from tasks.periodic.analytics import accept_due  # noqa: PLC0415
    from tasks.process.worker import get_worker  # noqa: PLC0415

    worker, now = get_worker(), datetime.now(UTC)
    for number in range(10 * rounds):
        with clock.time("tick"):
            assert accept_due(worker, now + timedelta(seconds=900 * number)) == []


def forget(database: Db) -> None:
    """Restore the database to the state before metrics were computed."""
    for name in STORED:
        database[name].delete_many({})


def time_reads(
    port: int, key: str, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, float]:
    """Return how quickly the overview is answered, to clients with a current copy and to clients
    without.
    """
    base = "/py/analysis/market-overview?market=US&limit=50"
    fresh = [
        f"{base}&sort_by={by}&sort_order={way}"
        for by in ("ticker", "volatility", "regime")
        for way in ("asc", "desc")
    ]
    with Client(port, key) as client:
        known = [(path, client.read_etag(path)) for path in fresh]
    asked = [
        ask for n in range(60) for ask in (fresh[n % 6], *(known[(n + k) % 6] for k in range(9)))
    ]
    p99, middle, unread = [], [], []
    for number in range(rounds):
        say(f"Reads, round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}.")
        took = read_at_rate(port, key, asked, per_second=READS_PER_SECOND, seconds=seconds)
        p99.append(percentile(took, 0.99))
        middle.append(percentile(took, 0.5))
        unread.append(
            percentile(read_at_rate(port, key, fresh, per_second=30, seconds=seconds / 2), 0.99)
        )
    return {
        "overview_p99_ms": 1_000 * median(p99),
        "overview_median_ms": 1_000 * median(middle),
        "overview_without_etag_p99_ms": 1_000 * median(unread),
    }


def build_figures(figures: dict[str, float]) -> Table:
    """Return the table of figures and bounds."""
    table = Table("figure", "measured", "to reach", "", title="What counts")
    for name, measured in figures.items():
        side, bound = BOUNDS.get(name, ("", 0.0))
        reached = (
            "" if not side else "reached" if (measured >= bound) == (side == ">=") else "SHORT"
        )
        table.add_row(name, f"{measured:g}", f"{side} {bound:g}" if side else "", reached)
    return table


if __name__ == "__main__":
    main()
