"""`make bench-alerts`: the time from a POST to stored alerts, the inbox among many alerts, and root
causes.

100 and 1,000 tickers of 400 bars, whose last bar is strange in each, are detected over HTTP by an
ensemble, with explanation and root cause, and by the forest in the same rounds. Then the active
alerts among 100,000 are read, and the moves of 5,000 tickers on one day are decomposed.
"""

import argparse
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import describe_machine, keep_figures
from benchmarks.api import percentile
from benchmarks.clock import Clock
from benchmarks.load import Client, read_at_rate
from benchmarks.service import run_bench_servers, run_service
from core.settings import Settings
from records.database import Db
from records.keys import add_key

RESULTS = Path(__file__).parent / "alerts.json"
TICKERS, FEW, BARS = 1_000, 100, 400
END = "2018-12-28"
STORED_ALERTS = 100_000
UNIVERSE = 5_000
READS_PER_SECOND = 100
ALL_BARS = {"market": "US", "max_period": "max"}
DETECTORS = ("isolation_forest", "ensemble")
# The upper bound of each figure.
BOUNDS = {
    "ensemble_100_seconds": 1.0,
    "ensemble_1000_seconds": 5.0,
    "active_alerts_p99_ms": 20.0,
    "root_cause_5000_ms": 50.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.alerts", description="Measure how soon alerts are there."
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: a look, not the figures"
    )
    quick = parser.parse_args().quick
    console, machine = Console(), describe_machine()
    console.print(machine)
    with run_bench_servers() as (settings, folder):
        figures = measure(settings, folder, console, rounds=2 if quick else 5)
    table = Table("figure", "measured", "bound")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3f}", f"<= {BOUNDS[name]:g}" if name in BOUNDS else "")
    console.print(table)
    keep_figures(console, RESULTS, {**figures, "machine": machine}, quick=quick)


def measure(settings: Settings, folder: Path, console: Console, *, rounds: int) -> dict[str, float]:
    """Return the figures by name."""
    from tasks.process.worker import get_worker  # noqa: PLC0415 - once the environment is set

    database = get_worker().database
    console.print(f"Generating {BARS} bars of each of {TICKERS:,} tickers.")
    tickers = fill(database)
    key = add_key(database, "bench", ("admin",), datetime.now(UTC))
    clock = Clock()
    with run_service(settings, folder, ("api", "worker", "control")):
        _ask(settings.port, key, "/py/anomalies/backfill?wait=30", ALL_BARS)
        wait_until_told(database)
        for number in range(rounds):
            console.print(f"Round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}.")
            for detector in DETECTORS:
                promote(database, detector)
                for count in (FEW, TICKERS):
                    forget(database)
                    with clock.time(f"{detector}_{count}_seconds"):
                        found = _ask(
                            settings.port,
                            key,
                            "/py/anomalies/detect?wait=30",
                            {"tickers": tickers[:count]},
                        )
                    assert found["anomalies_detected"] >= 0.9 * count, found["status"]
                    stored = database.alerts.count_documents({})
                    assert stored >= 0.9 * count, (detector, count, stored)
        figures = {name: clock.median(name) for name in sorted(clock.seconds)}
        store_alerts(database)
        paths = [
            f"/py/alerts/active?limit=50{more}" for more in ("", "&severity=high", "&watchlist=w7")
        ]
        took = read_at_rate(
            settings.port, key, paths, per_second=READS_PER_SECOND, seconds=4 * rounds
        )
    figures["active_alerts_p99_ms"] = 1_000 * percentile(took, 0.99)
    figures["root_cause_5000_ms"] = 1_000 * time_root_cause(rounds)
    return {name: round(value, 4) for name, value in figures.items()}


def wait_until_told(database: Db) -> None:
    """Wait until all events so far have been delivered."""
    while database.detection_runs.count_documents({"run_id": None, "completed_at": None}) or (
        database.outbox.count_documents({"delivered_at": None})
    ):
        time.sleep(0.2)


def _ask(port: int, key: str, path: str, body: object) -> Any:
    """Post over a new connection: one that waited would have been closed meanwhile."""
    with Client(port, key) as client:
        return json.loads(client.ask(path, body))


def fill(database: Db) -> list[str]:
    """Store bars whose last one is strange, train both detectors, and return the tickers."""
    from benchmarks.made import make_market  # noqa: PLC0415 - loads the numeric stack
    from detection.models.plan import TrainingPlan  # noqa: PLC0415
    from detection.models.training import train_model  # noqa: PLC0415
    from market.imports.importing import import_frame  # noqa: PLC0415
    from market.markets import load_markets  # noqa: PLC0415
    from records.indexes import ensure_indexes  # noqa: PLC0415

    ensure_indexes(database)
    now = datetime.now(UTC)
    made = make_market("T", TICKERS, BARS / 252, seed=5, end=END)
    for ticker, bars in made.bars.items():
        last = bars.index[-1]
        bars.loc[last, ["high", "close"]] = bars.loc[last, "open"] * 1.4
        bars.loc[last, "volume"] *= 12
        import_frame(database, bars, interval="1d", source="made", ticker=ticker, now=now)
    for detector in DETECTORS:
        options = {"detector": detector}
        plan = TrainingPlan.from_options("US", markets=load_markets(database), options=options)
        train_model(database, plan, now=now)
    return list(made.bars)


def promote(database: Db, detector: str) -> None:
    """Make the market's model of a detector its champion."""
    from detection.models import registry  # noqa: PLC0415

    record = database.models.find_one({"parameters.detector": detector})
    assert record is not None
    registry.promote(database, record["_id"], datetime.now(UTC))


def forget(database: Db) -> None:
    """Restore the database to the state before the last bar was detected."""
    last = database.series.find_one({})["last_bar"]  # type: ignore[index]  # it is there
    before = last - timedelta(days=1)
    database.detection_metadata.update_many({}, {"$set": {"last_detected_timestamp": before}})
    for name in ("anomalies", "alerts", "alert_trail"):
        database[name].delete_many({})


def store_alerts(database: Db) -> None:
    """Copy one alert until there are many, of 50 watchlists; one in three is resolved."""
    (alert,) = database.alerts.find({}).limit(1)
    states, severities = ("active", "acknowledged", "resolved"), ("medium", "high", "critical")
    first = alert["created_at"]
    for start in range(0, STORED_ALERTS, 10_000):
        database.alerts.insert_many(
            {
                **alert,
                "_id": f"w{number % 50}::{number}",
                "watchlist": f"w{number % 50}",
                "entity_id": f"E{number}",
                "state": states[number % 3],
                "severity": severities[number % 7 % 3],
                "created_at": first + timedelta(seconds=number),
            }
            for number in range(start, start + 10_000)
        )


def time_root_cause(rounds: int) -> float:
    """Return the median seconds in which a bar of 5,000 tickers is decomposed, and the hundred
    strangest are explained.
    """
    import numpy as np  # noqa: PLC0415

    from alerts.root_cause.explain import Universe, explain_bar  # noqa: PLC0415
    from alerts.root_cause.factors import ESTIMATION_BARS  # noqa: PLC0415

    random = np.random.default_rng(7)
    names = [f"T{number:05d}" for number in range(UNIVERSE)]
    moves = 0.01 * random.standard_normal((ESTIMATION_BARS + 1, 1))
    returns = moves + 0.015 * random.standard_normal((ESTIMATION_BARS + 1, UNIVERSE))
    sectors = np.arange(UNIVERSE) % 60
    sector_names = [f"sector {n}" for n in range(60)]
    strangest = np.argsort(-np.abs(returns[-1]))[:FEW]
    strange = {names[n]: int(np.sign(returns[-1, n])) for n in strangest.tolist()}
    took = []
    for _ in range(rounds + 1):
        # A new object each time, because it keeps what other bars could share.
        universe = Universe("US", names, returns, sectors, sector_names, None, None, {})
        begun = time.perf_counter()
        explain_bar(universe, ESTIMATION_BARS, strange, list(strange))
        took.append(time.perf_counter() - begun)
    return median(took[1:])


if __name__ == "__main__":
    main()
