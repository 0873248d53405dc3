"""The sides that are timed: the same work in one process, by the service's workers, and over
HTTP.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from celery import Celery

from records.database import Db, Document
from records.work import outbox, runs
from records.work.heartbeats import NOTIFIER, find_heartbeats
from records.work.requests import RunRequest, insert_run
from runner.client import Api
from tasks.engine.accept import accept_run
from tasks.engine.execution import execute_batch
from tasks.engine.kind import KINDS
from tasks.process.worker import Worker

# Each poll uses some 0.4 ms of the cores on which the work is timed.
POLL_SECONDS = 0.02
HTTP_WAIT_SECONDS = 10
RUN_SECONDS = 600
TICK_SECONDS = 15


def ask(task: str, tickers: tuple[str, ...], detector: str | None = None) -> RunRequest:
    """Return the request of a detection of these tickers, by the champion or by a detector's latest
    model.
    """
    options = {"detector": detector}
    return RunRequest(task, "manual", tickers=tickers, period="max", options=options)  # type: ignore[arg-type]  # one of its literals


def run_here(worker: Worker, request: RunRequest) -> Document:
    """Execute a run in this process, batch after batch as the workers do, and return it."""
    database, settings = worker.database, worker.settings
    run_id = insert_run(database, request, datetime.now(UTC))["_id"]
    run = runs.claim_run(
        database, run_id, lease_seconds=settings.lease_seconds, max_attempts=settings.max_attempts
    )
    assert run is not None
    plan = KINDS[run["task"]].split(worker, run, datetime.now(UTC))
    runs.start_run(database, run_id, plan, datetime.now(UTC))
    for batch in plan:
        execute_batch(worker, batch["_id"])
    return _get_complete(database, run_id)


def run_by_workers(database: Db, celery: Celery, request: RunRequest) -> Document:
    """Have the workers execute a run, and return it."""
    run_id = accept_run(database, celery, request, now=datetime.now(UTC))["_id"]
    deadline = time.monotonic() + RUN_SECONDS
    while not runs.has_ended(database, run_id):
        assert time.monotonic() < deadline, (
            f"run {run_id} has not ended after {RUN_SECONDS} s; see worker.log"
        )
        time.sleep(POLL_SECONDS)
    return _get_complete(database, run_id)


def wait_for_alerts(database: Db, asking: Callable[[], None]) -> None:
    """Return when the anomalies of runs are explained and raised, which the workers do after the
    runs; `asking` has them do it.
    """
    deadline = time.monotonic() + RUN_SECONDS
    asked = 0.0
    while outbox.find_undelivered(database, limit=1):
        now = time.monotonic()
        assert now < deadline, f"alerts are not raised after {RUN_SECONDS} s; see worker.log"
        if now - asked > TICK_SECONDS:  # As the tick does.
            asked = now
            asking()
        time.sleep(POLL_SECONDS)


def leave_alerts(database: Db) -> None:
    """Make the workers skip the alerts of runs, and return when none is at work, so that the next
    work is timed alone.
    """
    database.outbox.delete_many({"delivered_at": None})
    deadline = time.monotonic() + RUN_SECONDS
    while find_heartbeats(database, [NOTIFIER]):
        assert time.monotonic() < deadline, f"the notifier is at work after {RUN_SECONDS} s"
        time.sleep(POLL_SECONDS)


def run_over_http(api: Api, ticker: str) -> None:
    """Detect one ticker over HTTP, with a request that is answered with the outcome."""
    run = api.post(f"/anomalies/backfill?wait={HTTP_WAIT_SECONDS}", {"ticker": ticker})
    assert run["status"] == "complete", f"run {run['run_id']} is {run['status']}"


def _get_complete(database: Db, run_id: str) -> Document:
    run = runs.get_run(database, run_id)
    assert run["status"] == "complete", f"run {run_id} is {run['status']}: {run['error']}"
    return run
