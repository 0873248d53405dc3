"""Metrics under faults: processes die or freeze, or messages come twice, and each document is still
stored once.
"""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from celery import Celery

from records.database import Document
from records.work.runs import get_run
from tasks import names
from tasks.engine.accept import send
from tasks.engine.kind import KINDS
from tasks.process.broker import build_celery
from tasks.requests.analytics import request_analytics
from tasks.requests.selection import Selection
from tests.faults.trial import TICKERS, Trial
from tests.processes import wait_until

pytestmark = pytest.mark.faults

STORED = ("analytics", "analytics_overview", "analytics_markets")
# Run and time always differ; the grade may, because a scan may have found something meanwhile.
OWN = ("run_id", "computed_at", "anomaly_grade")
# Enough work of each batch for a fault to strike in the middle of it, and little enough to be
# written within a lease while other work takes the processor.
BARS = 80


@pytest.fixture
def celery(trial: Trial) -> Iterator[Celery]:
    """A client of the trial's broker."""
    celery = build_celery(trial.stack.settings)
    yield celery
    celery.close()


@pytest.fixture
def expected(trial: Trial, celery: Celery) -> Iterator[dict[str, Document]]:
    """The documents that an undisturbed run stores. They are deleted again, and all tickers are
    detected, because the trial's check needs their detections.
    """
    trial.backfill()
    ask(trial, celery)
    trial.wait_for_end()
    stored = read_all(trial)
    assert len(stored) == len(TICKERS) * BARS + len(TICKERS) + BARS
    forget(trial)
    yield stored
    forget(trial)


def ask(trial: Trial, celery: Celery) -> str:
    """Request the metrics of all tickers and return the run's id."""
    (run,) = request_analytics(
        trial.database, celery, Selection(TICKERS), interval="1d", bars=BARS, now=datetime.now(UTC)
    )
    trial.run_ids.append(run["_id"])
    return str(run["_id"])


def read_all(trial: Trial) -> dict[str, Document]:
    """Return all documents without the fields that differ by run or clock."""
    found = {}
    for name in STORED:
        for document in trial.database[name].find():
            own = {field: value for field, value in document.items() if field not in OWN}
            found[f"{name}:{document['_id']}"] = own
    return found


def forget(trial: Trial) -> None:
    for name in STORED:
        trial.database[name].delete_many({})


def assert_same(trial: Trial, expected: dict[str, Document]) -> None:
    found = read_all(trial)
    assert found.keys() == expected.keys()
    for key, document in found.items():
        assert document == expected[key], key


def test_a_worker_killed_as_it_computes_loses_and_doubles_no_metric(
    trial: Trial, celery: Celery, expected: dict[str, Document]
) -> None:
    """A worker killed with -9 stores nothing of its batch; another worker stores it, once."""
    held = trial.freeze_holder(ask(trial, celery))
    with trial.recovering("worker killed (-9) as it computes metrics"):
        trial.stack.kill(trial.stack.name_of(held.pid))
    assert_same(trial, expected)
    trial.check()


def test_a_frozen_worker_that_wakes_up_after_its_lease_stores_no_metric(
    trial: Trial, celery: Celery, expected: dict[str, Document]
) -> None:
    """The batch that another worker did meanwhile stays as it is, with that worker's fence."""
    held = trial.freeze_holder(ask(trial, celery))
    worker = trial.stack.name_of(held.pid)
    with (
        trial.recovering("worker frozen as it computes metrics, then woken"),
        trial.stack.frozen(worker),
    ):
        trial.wait_for_end(held.run_id)
    os.kill(held.pid, signal.SIGCONT)
    wait_until(lambda: "lease_lost" in trial.stack.said(worker), "the frozen worker noticed")
    assert_same(trial, expected)
    trial.check()


def test_metrics_asked_for_five_times_over_are_the_same(
    trial: Trial, celery: Celery, expected: dict[str, Document]
) -> None:
    """The messages of the run and of its batches come five times: each is done once."""
    run_id = ask(trial, celery)
    for _ in range(4):
        send(celery, KINDS["analytics"].name, run_id, names.INTERACTIVE_QUEUE, task_id=run_id)
    trial.wait_for_end(run_id)
    for batch in trial.database.batches.find({"run_id": run_id}):
        for _ in range(4):
            send(celery, names.RUN_BATCH, batch["_id"], names.INTERACTIVE_QUEUE)
        assert batch["fence"] == 1
    assert get_run(trial.database, run_id)["status"] == "complete"
    assert_same(trial, expected)
    trial.check()
