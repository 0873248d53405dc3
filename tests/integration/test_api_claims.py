"""A series has at most one open backfill, however many are requested at the same moment. No worker
runs here.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from records.database import Db
from records.work import endings, runs
from records.work.batches import build_batch
from tests.integration.serving import at_once, post
from tests.integration.stored import NOW, add_run, add_series

BACKFILL = "/py/anomalies/backfill"
ASKED = 6


def find_open(database: Db) -> list[str]:
    return [
        run["_id"]
        for run in database.detection_runs.find({"status": "queued", "cancel_requested": False})
    ]


def test_of_simultaneous_backfills_one_is_accepted_and_the_others_are_told_its_run(
    served: str, database: Db
) -> None:
    tickers = [f"T{number}" for number in range(10)]
    add_series(database, *tickers)
    for ticker in tickers:
        answers = at_once([partial(post, served + BACKFILL, {"ticker": ticker})] * ASKED)
        assert Counter(status for status, _ in answers) == {202: 1, 409: ASKED - 1}
        assert len({answer["run_id"] for _, answer in answers}) == 1
    assert database.detection_runs.count_documents({}) == len(tickers)


def test_selections_that_share_one_series_exclude_each_other(served: str, database: Db) -> None:
    add_series(database, "A", "B", "C")
    for _ in range(5):
        pairs = (["A", "B"], ["B", "C"], ["C", "A"])
        answers = at_once([partial(post, served + BACKFILL, {"tickers": pair}) for pair in pairs])
        assert Counter(status for status, _ in answers) == {202: 1, 409: 2}
        endings.request_cancel(database, find_open(database)[0], NOW)


def test_of_simultaneous_forced_backfills_the_last_one_is_left(served: str, database: Db) -> None:
    add_series(database, "A")
    for _ in range(5):
        answers = at_once([partial(post, served + BACKFILL, {"ticker": "A", "force": True})] * 3)
        assert [status for status, _ in answers] == [202] * 3
        assert len(find_open(database)) == 1


@pytest.mark.parametrize("task", ["backfill", "train", "incremental"])
def test_a_run_that_is_retried_twice_at_once_starts_one_run(
    served: str, database: Db, task: str
) -> None:
    """Two simultaneous retries of a training used to train two models."""
    add_series(database, "A")
    failed = add_run(database, "A", task=task)
    endings.fail_run(database, failed, "no_bars", "no luck", NOW)
    retry = partial(post, f"{served}/py/detection-runs/{failed}/retry", {})
    for _ in range(2):
        answers = at_once([retry] * ASKED)
        assert Counter(status for status, _ in answers) == {202: 1, 409: ASKED - 1}
        assert len({answer["run_id"] for _, answer in answers}) == 1
        endings.request_cancel(database, find_open(database)[0], NOW)
    known = [partial(retry, **{"Idempotency-Key": f"again-{task}"})] * ASKED
    answers = at_once(known)
    assert [status for status, _ in answers] == [202] * ASKED
    assert len({answer["run_id"] for _, answer in answers}) == 1


def test_simultaneous_requests_with_one_key_are_one_run(served: str, database: Db) -> None:
    add_series(database, "A")
    body: dict[str, Any] = {"ticker": "A"}
    answers = at_once(
        [partial(post, served + BACKFILL, body, **{"Idempotency-Key": "monday"})] * ASKED
    )
    assert [status for status, _ in answers] == [202] * ASKED
    assert len({answer["run_id"] for _, answer in answers}) == 1


def start(database: Db, run_id: str) -> str:
    batch = build_batch(run_id, "00000", ["A"], "US", NOW)
    runs.start_run(database, run_id, [batch], NOW)
    return str(batch["_id"])


def complete(database: Db, run_id: str) -> None:
    result = {"tickers_done": 1, "tickers_failed": 0, "failures": []}
    database.batches.update_one(
        {"_id": start(database, run_id)}, {"$set": {"state": "done", "result": result}}
    )
    endings.finish_run(database, run_id, NOW)


def give_up(database: Db, run_id: str) -> None:
    failure = {"ticker": "A", "reason": "attempts_exhausted", "error": "given up"}
    result = {"tickers_done": 0, "tickers_failed": 1, "failures": [failure]}
    database.batches.update_one(
        {"_id": start(database, run_id)}, {"$set": {"state": "dead", "result": result}}
    )
    endings.finish_run(database, run_id, NOW)


def cancel_at_work(database: Db, run_id: str) -> None:
    database.batches.update_one({"_id": start(database, run_id)}, {"$set": {"state": "leased"}})
    endings.request_cancel(database, run_id, NOW)


ENDS: list[Callable[[Db, str], object]] = [
    complete,
    give_up,
    cancel_at_work,
    lambda database, run_id: endings.request_cancel(database, run_id, NOW),
    lambda database, run_id: endings.fail_run(database, run_id, "no_bars", "was not split", NOW),
    lambda database, run_id: database.detection_runs.delete_one({"_id": run_id}),
]


@pytest.mark.parametrize("end", ENDS)
def test_a_series_can_be_backfilled_again_however_its_backfill_ended(
    client: FlaskClient, database: Db, end: Callable[[Db, str], object]
) -> None:
    add_series(database, "A")
    run_id = client.post(BACKFILL, json={"ticker": "A"}).json["run_id"]
    assert client.post(BACKFILL, json={"ticker": "A"}).status_code == 409
    end(database, run_id)
    assert client.post(BACKFILL, json={"ticker": "A"}).status_code == 202


def test_force_cancels_every_backfill_in_the_way(client: FlaskClient, database: Db) -> None:
    add_series(database, "A", "B")
    others = [client.post(BACKFILL, json={"ticker": ticker}).json["run_id"] for ticker in "AB"]
    kept = client.post(BACKFILL, json={"tickers": ["A", "B"], "force": True}).json["run_id"]
    assert find_open(database) == [kept]
    assert all(runs.get_run(database, run_id)["status"] == "cancelled" for run_id in others)


def test_another_interval_is_another_series(client: FlaskClient, database: Db) -> None:
    add_series(database, "A")
    add_series(database, "A", interval="1h")
    for interval in ("1d", "1h"):
        assert client.post(BACKFILL, json={"ticker": "A", "interval": interval}).status_code == 202
