"""The sweeper with a real broker: what it sends again, what it gives up, and what it leaves
alone.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import redis

from core.errors import LeaseLost
from core.settings import Settings
from records.database import Db, Document
from records.work import batches, endings, runs
from records.work.requests import RunRequest, insert_run
from tasks import names
from tasks.engine.accept import publish_run
from tasks.engine.planning import start
from tasks.engine.sweeper import sweep
from tasks.process.broker import build_celery, find_waiting
from tasks.process.holders import sign
from tasks.process.worker import Worker

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def broker(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as client:
        yield client


def make_run(database: Db, *batches_of: tuple[str, ...], task: str = "backfill") -> str:
    """Insert a run in progress with a batch of each group of tickers."""
    tickers = tuple(ticker for group in batches_of for ticker in group)
    run = insert_run(database, RunRequest(task, "backfill", tickers, market="US"), NOW)
    plan = [
        batches.build_batch(run["_id"], f"{n:05d}", group, "US", NOW)
        for n, group in enumerate(batches_of)
    ]
    assert runs.start_run(database, run["_id"], plan, NOW)
    return run["_id"]


def claim(
    database: Db, batch_id: str, *, lease_seconds: float = 60, owner: str = "w1"
) -> batches.Batch:
    batch = batches.claim_batch(
        database, batch_id, owner, lease_seconds=lease_seconds, max_attempts=5
    )
    assert batch is not None
    return batch


def fail_batch(database: Db, batch_id: str, times: int) -> None:
    for _ in range(times):
        batches.release_batch(database, claim(database, batch_id), "ValueError: it failed")


def finish(database: Db, batch: batches.Batch) -> None:
    with database.client.start_session() as session, session.start_transaction():
        batches.finish_batch(
            database, batch, session, result={"tickers_done": len(batch.tickers)}, now=NOW
        )


def forget_messages(database: Db) -> None:
    """Set the sending times of all messages far back."""
    long_ago = {"$set": {"published_at": NOW}}
    database.batches.update_many({}, long_ago)
    database.detection_runs.update_many({}, long_ago)


def get_batch(database: Db, batch_id: str) -> Document:
    batch = database.batches.find_one({"_id": batch_id})
    assert batch is not None
    return batch


def test_a_batch_whose_message_was_lost_is_sent_once_however_often_the_sweeper_comes(
    worker: Worker, broker: redis.Redis
) -> None:
    run_id = make_run(worker.database, ("AAPL",), ("MSFT",))
    assert sweep(worker) == {"batch_sent_again": 2}
    for _ in range(3):
        forget_messages(worker.database)
        assert sweep(worker) == {}
    assert broker.llen(names.BACKFILL_QUEUE) == 2
    assert find_waiting(worker.celery) == {f"{run_id}:00000", f"{run_id}:00001"}


def test_a_lost_message_is_sent_again_though_others_wait_in_the_queue(
    worker: Worker, broker: redis.Redis
) -> None:
    run_id = make_run(worker.database, ("AAPL",), ("MSFT",), ("IBM",))
    sweep(worker)
    broker.lpop(names.BACKFILL_QUEUE)
    forget_messages(worker.database)
    assert sweep(worker) == {"batch_sent_again": 1}
    assert find_waiting(worker.celery) == {f"{run_id}:{n:05d}" for n in range(3)}


def test_a_queued_run_whose_message_was_lost_is_sent_again_once(
    worker: Worker, broker: redis.Redis
) -> None:
    run = insert_run(worker.database, RunRequest("backfill", "backfill", ("AAPL",)), NOW)
    assert sweep(worker) == {"run_sent_again": 1}
    forget_messages(worker.database)
    assert sweep(worker) == {}
    assert find_waiting(worker.celery) == {run["_id"]}
    broker.flushdb()
    assert sweep(worker) == {"run_sent_again": 1}


def test_a_message_just_sent_is_given_time_to_be_taken(worker: Worker, broker: redis.Redis) -> None:
    run = insert_run(worker.database, RunRequest("backfill", "backfill", ("AAPL",)), NOW)
    publish_run(worker.database, worker.celery, run)
    broker.flushdb()
    patient = worker.settings.model_copy(update={"sweep_seconds": 3_600})
    assert sweep(replace(worker, settings=patient)) == {}


def test_foreign_messages_in_the_queues_do_not_stop_the_sweeper(
    worker: Worker, broker: redis.Redis
) -> None:
    make_run(worker.database, ("AAPL",))
    for rubbish in (
        b"\xff\x00",
        b"[]",
        b'{"body": 7}',
        b'{"body": "AAAA"}',
        b'{"body": "W1tdXQ=="}',
        b"[" * 50_000,
    ):
        broker.rpush(names.BACKFILL_QUEUE, rubbish)
    assert sweep(worker) == {"batch_sent_again": 1}


def test_an_expired_lease_is_freed_and_its_holder_can_write_no_more(worker: Worker) -> None:
    run_id = make_run(worker.database, ("AAPL",))
    held = claim(worker.database, f"{run_id}:00000", lease_seconds=0)
    time.sleep(0.05)
    assert sweep(worker) == {"lease_ended": 1, "batch_sent_again": 1}
    with pytest.raises(LeaseLost):
        finish(worker.database, held)
    finish(worker.database, claim(worker.database, held.id))


def sign_as(worker: Worker, pid: int) -> str:
    """Return the signature that a process of this machine would have."""
    return f"{sign(worker).rpartition(':')[0]}:{pid}"


def test_the_lease_of_a_dead_process_of_this_machine_is_freed_at_once(worker: Worker) -> None:
    run_id = make_run(worker.database, ("AAPL",), ("MSFT",))
    with subprocess.Popen(["true"]) as unwaited, subprocess.Popen(["true"]) as ended:
        ended.wait()
        os.waitid(os.P_PID, unwaited.pid, os.WEXITED | os.WNOWAIT)
        for label, pid in (("00000", ended.pid), ("00001", unwaited.pid)):
            claim(worker.database, f"{run_id}:{label}", owner=sign_as(worker, pid))
        assert sweep(worker) == {"lease_ended": 2, "batch_sent_again": 2}


def test_a_holder_that_is_alive_or_elsewhere_keeps_its_lease(worker: Worker) -> None:
    run_id = make_run(worker.database, ("AAPL",), ("MSFT",))
    claim(worker.database, f"{run_id}:00000", owner=sign(worker))
    claim(worker.database, f"{run_id}:00001", owner="another-machine/host:1")
    assert sweep(worker) == {}


def test_a_batch_of_several_that_failed_twice_is_left_to_be_split(worker: Worker) -> None:
    run_id = make_run(worker.database, ("AAPL", "MSFT"))
    fail_batch(worker.database, f"{run_id}:00000", 2)
    assert (
        batches.claim_batch(
            worker.database, f"{run_id}:00000", "w1", lease_seconds=60, max_attempts=5
        )
        is None
    )


def test_a_batch_that_failed_twice_is_split_and_the_progress_does_not_fall(worker: Worker) -> None:
    run_id = make_run(worker.database, ("AAPL", "MSFT"), ("IBM",))
    batch_id = f"{run_id}:00000"
    held = claim(worker.database, batch_id)
    batches.renew_lease(worker.database, held, lease_seconds=60, progress=0.6)
    batches.release_batch(worker.database, held, "it failed")
    fail_batch(worker.database, batch_id, 1)
    before = runs.get_run(worker.database, run_id)["progress"]
    forget_messages(worker.database)
    worker.celery.control.purge()
    assert sweep(worker)["batch_split"] == 1
    after = runs.get_run(worker.database, run_id)["progress"]
    assert after["percent"] == before["percent"] == 40.0
    assert after["tickers_total"] == before["tickers_total"] == 3
    assert {f"{batch_id}.0", f"{batch_id}.1"} <= find_waiting(worker.celery)


def test_a_batch_whose_lease_expired_is_split_at_once(worker: Worker) -> None:
    """One of its tickers may have taken the host down, and each further attempt would cost another
    lease.
    """
    run_id = make_run(worker.database, ("AAPL", "MSFT"))
    claim(worker.database, f"{run_id}:00000", lease_seconds=0)
    time.sleep(0.05)
    assert sweep(worker) == {"lease_ended": 1, "batch_split": 1}
    parts = list(worker.database.batches.find({"run_id": run_id, "state": "pending"}))
    assert [(part["tickers"], part["attempts"]) for part in parts] == [(["AAPL"], 2), (["MSFT"], 2)]


def test_a_batch_at_its_maximum_of_attempts_is_given_up_and_its_run_names_it(
    worker: Worker,
) -> None:
    run_id = make_run(worker.database, ("AAPL",), ("MSFT",))
    fail_batch(worker.database, f"{run_id}:00000", 5)
    finish(worker.database, claim(worker.database, f"{run_id}:00001"))
    assert sweep(worker) == {"batch_buried": 1, "run_finished": 1}
    run = runs.get_run(worker.database, run_id)
    assert run["status"] == "partial"
    assert [(failure["ticker"], failure["reason"]) for failure in run["failures"]] == [
        ("AAPL", "attempts_exhausted")
    ]
    assert "5 attempts" in run["error"]
    assert "it failed" in run["error"]
    audit = worker.database.detection_runs.find_one({"_id": f"{run_id}:AAPL"})
    assert audit is not None
    assert audit["status"] == "failed"


def test_an_error_of_one_batch_does_not_stop_the_sweep_of_others(worker: Worker) -> None:
    broken, sound = make_run(worker.database, ("AAPL",)), make_run(worker.database, ("MSFT",))
    worker.database.detection_runs.update_one({"_id": broken}, {"$unset": {"task": ""}})
    assert sweep(worker) == {"batch_sent_again": 1}
    assert find_waiting(worker.celery) == {f"{sound}:00000"}


def test_an_abandoned_batch_of_a_cancelled_run_is_cancelled_not_sent(worker: Worker) -> None:
    run_id = make_run(worker.database, ("AAPL",), ("MSFT",))
    claim(worker.database, f"{run_id}:00000", lease_seconds=0)
    endings.request_cancel(worker.database, run_id, NOW)
    time.sleep(0.05)
    assert sweep(worker) == {"lease_ended": 1, "batch_cancelled": 1, "run_finished": 1}
    assert runs.get_run(worker.database, run_id)["status"] == "cancelled"
    assert find_waiting(worker.celery) == set()


def test_a_training_that_was_cancelled_ends_cancelled(worker: Worker) -> None:
    run = insert_run(worker.database, RunRequest("train", "manual", market="US"), NOW)
    batch = batches.build_batch(run["_id"], "00000", [], "US", NOW)
    runs.start_run(worker.database, run["_id"], [batch], NOW)
    assert endings.request_cancel(worker.database, run["_id"], NOW)["status"] == "cancelled"


def test_a_run_whose_planning_kills_its_worker_each_time_is_failed(worker: Worker) -> None:
    run = insert_run(worker.database, RunRequest("backfill", "backfill", ("AAPL",)), NOW)
    for _ in range(5):
        assert (
            runs.claim_run(worker.database, run["_id"], lease_seconds=0, max_attempts=5) is not None
        )
        time.sleep(0.01)
    assert start(worker, run["_id"]) is None
    assert sweep(worker) == {"run_failed": 1}
    ended = runs.get_run(worker.database, run["_id"])
    assert ended["status"] == "failed"
    assert "5 attempts" in ended["error"]
    assert worker.database.outbox.count_documents({"run_id": run["_id"]}) == 1


def test_a_run_that_is_being_planned_is_left_alone(worker: Worker) -> None:
    run = insert_run(worker.database, RunRequest("backfill", "backfill", ("AAPL",)), NOW)
    assert runs.claim_run(worker.database, run["_id"], lease_seconds=60, max_attempts=5) is not None
    assert runs.claim_run(worker.database, run["_id"], lease_seconds=60, max_attempts=5) is None
    assert sweep(worker) == {}


def test_runs_are_finished_without_a_broker(settings: Settings, worker: Worker) -> None:
    run_id = make_run(worker.database, ("AAPL",))
    finish(worker.database, claim(worker.database, f"{run_id}:00000"))
    make_run(worker.database, ("MSFT",))
    nobody = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    cut_off = Worker(nobody, worker.database, build_celery(nobody), "test")
    assert sweep(cut_off) == {"run_finished": 1}
    assert sweep(worker) == {"batch_sent_again": 1}


def test_of_many_sweepers_at_once_one_finishes_the_run(worker: Worker) -> None:
    run_id = make_run(worker.database, ("AAPL",))
    finish(worker.database, claim(worker.database, f"{run_id}:00000"))
    swept: list[dict[str, int]] = []
    threads = [threading.Thread(target=lambda: swept.append(sweep(worker))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(s.get("run_finished", 0) for s in swept) == [0, 0, 0, 1]
    assert worker.database.outbox.count_documents({"run_id": run_id}) == 1
