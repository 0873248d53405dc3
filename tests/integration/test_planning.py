"""Splitting scans into batches."""

from datetime import UTC, datetime, timedelta

import pytest

from core.settings import Settings
from records.database import Db
from records.work import runs
from records.work.requests import RunRequest, insert_run
from tasks.engine.kind import KINDS
from tasks.engine.splitting import RECENT_BARS
from tasks.process.broker import build_celery
from tasks.process.worker import Worker

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
TICKERS = ("AAA", "BBB", "CCC", "DDD")
BARS = 1_500


@pytest.fixture
def worker(settings: Settings, database: Db) -> Worker:
    """A worker whose batches hold at most two series of `BARS` bars, and four such series."""
    database.series.insert_many(
        [
            {"_id": f"{t}::1d", "ticker": t, "interval": "1d", "market": "US", "bars": BARS}
            for t in TICKERS
        ]
    )
    narrow = settings.model_copy(update={"batch_bars": 2 * BARS})
    return Worker(narrow, database, build_celery(settings), "test")


def plan_scan(worker: Worker) -> list[list[str]]:
    run = insert_run(worker.database, RunRequest("incremental", "manual", TICKERS), NOW)
    claimed = runs.claim_run(worker.database, run["_id"], lease_seconds=60, max_attempts=5)
    assert claimed is not None
    return [batch["tickers"] for batch in KINDS[claimed["task"]].split(worker, claimed, NOW)]


def note_detection(database: Db, ticker: str, at: datetime) -> None:
    database.detection_metadata.insert_one(
        {"_id": f"detection_meta::{ticker}::1d", "ticker": ticker, "updated_at": at}
    )


def test_series_that_were_never_detected_are_split_by_their_bars(worker: Worker) -> None:
    assert plan_scan(worker) == [["AAA", "BBB"], ["CCC", "DDD"]]


def test_series_that_were_detected_lately_are_little_work_however_long_they_are(
    worker: Worker,
) -> None:
    for ticker in TICKERS:
        note_detection(worker.database, ticker, NOW - timedelta(days=1))
    assert plan_scan(worker) == [[*TICKERS]]


def test_a_series_that_was_not_detected_for_long_counts_with_all_its_bars(worker: Worker) -> None:
    for ticker in TICKERS:
        note_detection(worker.database, ticker, NOW - timedelta(days=RECENT_BARS + 1))
    assert plan_scan(worker) == [["AAA", "BBB"], ["CCC", "DDD"]]
