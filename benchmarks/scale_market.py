"""A market of 100,000 series: a scan of one new bar of each, and the size of its data in
MongoDB.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import Timestamp
from celery import Celery

from benchmarks import market, sides
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from market.imports.bulk import import_synthetic
from market.markets import SHIPPED
from records.database import Db, Query
from records.indexes import ensure_indexes
from tasks.process.worker import Worker

# At least as many bars as the features of a new bar need.
BARS = 400
TRAINED = 100
# With this many series each worker gets a batch, and so loads its model.
WARM = 1_000
KEPT = ("bars", "series", "detection_metadata", "anomalies", "bar_revisions", "bar_imports")
MIB = 1 << 20


def fill(database: Db, tickers: Sequence[str], trained: Sequence[str]) -> None:
    """Store the bars of a market's series, and train the default model on the bars of some of
    them.
    """
    ensure_indexes(database)
    store_bars(database, tickers)
    train_model(
        database,
        TrainingPlan(market.MARKET, tickers=tuple(trained), seed=market.SEED),
        now=datetime.now(UTC),
    )


def store_bars(database: Db, tickers: Sequence[str]) -> None:
    """Generate the bars of series and import them."""
    import_synthetic(
        database,
        tickers,
        SHIPPED[market.MARKET],
        bars=BARS,
        seed=market.SEED,
        end=market.END,
        now=datetime.now(UTC),
    )


def measure_oplog(worker: Worker, tickers: tuple[str, ...]) -> dict[str, float]:
    """Import, backfill and scan so few series that the oplog still holds all writes afterwards;
    return its bytes for each bar of a step.
    """
    database, bars = worker.database, len(tickers) * BARS
    written = {}

    def note(step: str, count: int, work: Callable[[], object]) -> None:
        since: Timestamp = database.command("hello")["lastWrite"]["opTime"]["ts"]
        work()
        written[step] = _count_oplog_bytes(database, since) / count

    note("import", bars, lambda: fill(database, tickers, tickers[:TRAINED]))
    note("backfill", bars, lambda: sides.run_here(worker, sides.ask("backfill", tickers)))
    market.forget_last_bar(database, tickers[0])
    scan = sides.ask("incremental", tickers)
    note("scan", len(tickers), lambda: sides.run_here(worker, scan))
    return written


def warm_up(database: Db, celery: Celery, tickers: tuple[str, ...]) -> None:
    """Have each worker load its model; then delete the results and skip their alerts."""
    market.forget_last_bar(database, tickers[0])
    sides.run_by_workers(database, celery, sides.ask("incremental", tickers[:WARM]))
    sides.leave_alerts(database)
    market.forget_last_bar(database, tickers[0])


def scan(database: Db, celery: Celery, tickers: tuple[str, ...]) -> dict[str, float]:
    """Have the workers scan one new bar of each series; return the seconds until the run was split,
    until its first batch was done, and until all were.
    """
    begun = time.perf_counter()
    run = sides.run_by_workers(database, celery, sides.ask("incremental", tickers))
    seconds = time.perf_counter() - begun
    # Some of so many series end with a bar that repeats the one before, which has no score.
    assert run["progress"]["tickers_failed"] == 0, run["progress"]
    assert run["progress"]["tickers_done"] == len(tickers), run["progress"]
    batches = list(
        database.batches.find({"run_id": run["_id"]}, {"created_at": 1, "finished_at": 1})
    )
    asked = run["requested_at"]
    return {
        "split": (min(each["created_at"] for each in batches) - asked).total_seconds(),
        "first_batch": (min(each["finished_at"] for each in batches) - asked).total_seconds(),
        "scan": seconds,
    }


def measure_sizes(database: Db, bars: int) -> dict[str, tuple[float, float]]:
    """Return the space that a million bars take on disk, in MiB: each collection's documents, and
    its indexes.
    """
    database.client.admin.command("fsync")
    stats: dict[str, Any] = {name: database.command("collStats", name) for name in KEPT}
    share = 1e6 / bars / MIB
    return {
        name: (found["storageSize"] * share, found["totalIndexSize"] * share)
        for name, found in stats.items()
    }


def _count_oplog_bytes(database: Db, since: Timestamp) -> int:
    stages: list[Query] = [
        {"$match": {"ts": {"$gt": since}}},
        {"$group": {"_id": None, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}},
    ]
    (found,) = database.client.local["oplog.rs"].aggregate(stages)
    return int(found["bytes"])
