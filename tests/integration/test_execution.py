"""Executing a batch: what is stored if its bars are damaged, its holders die, or a step after its
commit fails.
"""

import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from gridfs import GridFSBucket

from core.errors import LeaseLost
from detection.pipeline import detect as pipeline
from market.bars.arriving import write_split
from market.bars.reading import read_bars
from records.database import Db, get_server_time
from records.market.series import get_series
from records.market.uploads import store_upload
from records.work import batches, counters, runs
from records.work.batches import Batch
from records.work.documents import RunDocument
from records.work.requests import RunRequest, insert_run
from tasks.engine.execution import execute_batch
from tasks.engine.sweeper import sweep
from tasks.kinds import parts
from tasks.kinds.bar_fetch import fetch_bars
from tasks.kinds.bar_import import import_bars
from tasks.kinds.correction import correct
from tasks.process.broker import find_waiting
from tasks.process.holders import free_abandoned, sign
from tasks.process.worker import Worker
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, make_bars, run, store, train
from tests.integration.stored import tear_bars

TICKERS = ("AAA", "BBB", "CCC")
BARS = 800
SECOND = timedelta(seconds=1)
# The time that README and docs/operations.md promise, and the part of it that the work itself may
# take.
PROMISED_SECONDS = 90
WORK_SECONDS = 10
SOUND = {"state": "done", "result": {"tickers_done": 1, "tickers_failed": 0, "failures": []}}


@pytest.fixture
def stocked(database: Db, once: Once) -> None:
    """Three series without their last bar, which is a shock, and the market's champion."""

    def make() -> None:
        for seed, ticker in enumerate(TICKERS):
            store(database, ticker, make_bars(BARS, seed, shocks=(BARS - 1,)).iloc[:-1])
        train(database)

    once(make)


def start_run(
    database: Db, *tickers: str, task: str = "backfill", trigger: str = "backfill"
) -> str:
    """Insert a run in progress with one batch; return the batch's id."""
    asked = insert_run(database, RunRequest(task, trigger, tickers, period="max", market="US"), NOW)
    batch = batches.build_batch(asked["_id"], "00000", tickers, "US", NOW)
    assert runs.start_run(database, asked["_id"], [batch], NOW)
    return str(batch["_id"])


def count_claims(database: Db, run_id: str, ticker: str) -> int:
    """Return how often a ticker was claimed in a run; each claim raises its batch's fence by
    one.
    """
    return sum(
        batch["fence"] for batch in database.batches.find({"run_id": run_id, "tickers": ticker})
    )


def work(worker: Worker) -> None:
    """Execute all queued work, as workers do, until the queues are empty."""
    while waiting := find_waiting(worker.celery):
        worker.celery.control.purge()
        for batch_id in sorted(waiting):
            execute_batch(worker, batch_id)


def sign_dead(worker: Worker) -> str:
    """Return the signature of a process of this machine that has ended."""
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    return f"{sign(worker).rpartition(':')[0]}:{ended.pid}"


def die_with(worker: Worker, batch_id: str) -> None:
    """Free the batch from a dead holder, if it has one, and claim it for another dead process."""
    free_abandoned(worker.database, batch_id)
    limits = {"lease_seconds": 60, "max_attempts": worker.settings.max_attempts}
    assert batches.claim_batch(worker.database, batch_id, sign_dead(worker), **limits) is not None


@pytest.mark.usefixtures("stocked")
def test_a_ticker_that_always_fails_is_split_off_and_given_up_without_extra_sweeps(
    worker: Worker,
) -> None:
    """A sweep is needed only to send it again after a failure; the failure that splits its batch,
    and the last one, need none.
    """
    tear_bars(worker.database, {"ticker": "BBB"})
    run_id = start_run(worker.database, *TICKERS).partition(":")[0]
    sweeps = 0
    while not runs.has_ended(worker.database, run_id):
        assert sweep(worker) == {"batch_sent_again": 1}
        work(worker)
        sweeps += 1
    assert sweeps == worker.settings.max_attempts - 1
    ended = runs.get_run(worker.database, run_id)
    assert ended["status"] == "partial"
    assert [(failure["ticker"], failure["reason"]) for failure in ended["failures"]] == [
        ("BBB", "attempts_exhausted")
    ]
    assert count_claims(worker.database, run_id, "BBB") == worker.settings.max_attempts
    assert count_claims(worker.database, run_id, "AAA") == batches.SPLIT_AFTER_ATTEMPTS + 1


@pytest.mark.usefixtures("stocked")
def test_a_ticker_that_always_kills_its_process_is_given_up_without_any_sweep(
    worker: Worker,
) -> None:
    """The worker that gets the dead process's message acts at once: it tries the batch again,
    splits it, or gives it up.
    """
    batch_id = start_run(worker.database, "AAA", "BBB")
    run_id, killer = batch_id.partition(":")[0], f"{batch_id}.1"
    for _ in range(batches.SPLIT_AFTER_ATTEMPTS):
        die_with(worker, batch_id)
    execute_batch(worker, batch_id)
    assert find_waiting(worker.celery) == {f"{batch_id}.0", killer}
    while count_claims(worker.database, run_id, "BBB") < worker.settings.max_attempts:
        die_with(worker, killer)
    work(worker)
    ended = runs.get_run(worker.database, run_id)
    assert ended["status"] == "partial"
    assert [failure["ticker"] for failure in ended["failures"]] == ["BBB"]
    assert count_claims(worker.database, run_id, "BBB") == worker.settings.max_attempts


def test_a_ticker_that_always_takes_its_host_down_is_given_up_within_the_promised_time(
    worker: Worker, database: Db
) -> None:
    """No process sees such a holder die. Its leases expire, and their lengths together are the only
    wait.
    """
    waited, settings = 0.0, worker.settings
    batch_id = start_run(database, "AAA", "BBB")
    run_id = batch_id.partition(":")[0]
    lost = batch_id
    while not runs.has_ended(database, run_id):
        claimed = batches.claim_batch(
            database,
            lost,
            "elsewhere/host:7",
            lease_seconds=settings.lease_seconds,
            max_attempts=settings.max_attempts,
        )
        assert claimed is not None
        waited += claimed.lease_seconds + settings.tick_seconds
        database.batches.update_one(
            {"_id": lost}, {"$set": {"lease_until": get_server_time(database) - SECOND}}
        )
        assert batches.has_expired(database)
        worker.celery.control.purge()  # The message was lost with its worker.
        sweep(worker)
        lost = f"{batch_id}.1"
        database.batches.update_one({"_id": f"{batch_id}.0"}, {"$set": SOUND})
    ended = runs.get_run(database, run_id)
    assert ended["status"] == "partial"
    assert [(failure["ticker"], failure["reason"]) for failure in ended["failures"]] == [
        ("BBB", "attempts_exhausted")
    ]
    assert count_claims(database, run_id, "BBB") == 3
    assert waited < PROMISED_SECONDS - WORK_SECONDS


@pytest.mark.slow
@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize(
    "kind", [{"attempts": batches.SPLIT_AFTER_ATTEMPTS}, {"heavy": True}], ids=["suspect", "heavy"]
)
def test_the_lease_of_a_suspect_or_heavy_batch_is_renewed_while_the_work_goes_on(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, kind: dict[str, Any]
) -> None:
    """After a host was lost, a sound ticker of the batch may take longer than the short lease, and
    a step of heavy work longer than any lease. Nobody may free the batch meanwhile.
    """
    batch_id = start_run(worker.database, "AAA")
    worker.database.batches.update_one({"_id": batch_id}, {"$set": kind})
    monkeypatch.setattr(batches, "SHORTEST_LEASE_SECONDS", 1)
    worker = replace(worker, settings=worker.settings.model_copy(update={"lease_seconds": 2}))
    expired = []
    load = pipeline.detect_and_commit

    def take_long(*args: Any) -> Any:
        for _ in range(12):
            sleep(0.25)
            expired.append(batches.has_expired(worker.database))
        return load(*args)

    monkeypatch.setattr(pipeline, "detect_and_commit", take_long)
    (result,) = execute_batch(worker, batch_id)
    assert result["rows_processed"] > 0
    assert expired == [False] * 12
    assert count_claims(worker.database, batch_id.partition(":")[0], "AAA") == 1


@pytest.mark.usefixtures("stocked")
def test_a_lease_is_renewed_while_a_batch_is_detected_again(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = start_run(worker.database, "AAA")
    worker.database.batches.update_one(
        {"_id": batch_id}, {"$set": {"attempts": batches.SPLIT_AFTER_ATTEMPTS}}
    )
    monkeypatch.setattr(batches, "SHORTEST_LEASE_SECONDS", 1)
    worker = replace(worker, settings=worker.settings.model_copy(update={"lease_seconds": 2}))
    expired: list[bool] = []
    load, finish = pipeline.load, batches.finish_batch

    def take_long(*args: Any) -> Any:
        for _ in range(8):
            sleep(0.25)
            expired.append(batches.has_expired(worker.database))
        return load(*args)

    def meet_another(database: Db, batch: batches.Batch, *args: Any, **words: Any) -> None:
        if len(expired) == 8:  # A write outside the first transaction makes MongoDB repeat it.
            batches.renew_lease(database, batch, lease_seconds=batch.lease_seconds)
        finish(database, batch, *args, **words)

    monkeypatch.setattr(pipeline, "load", take_long)
    monkeypatch.setattr(batches, "finish_batch", meet_another)
    (result,) = execute_batch(worker, batch_id)
    assert result["rows_processed"] > 0
    assert len(expired) >= 16  # There are more if a renewal conflicts with the transaction too.
    assert not any(expired)


@pytest.mark.slow
@pytest.mark.usefixtures("stocked")
def test_a_batch_whose_lease_is_renewed_between_its_parts_is_written_at_the_second_attempt(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each attempt its parts take longer than the time without a renewal may be."""
    batch_id = start_run(worker.database, *TICKERS)
    for module in (pipeline, parts):
        monkeypatch.setattr(module, "BACKFILL_TICKERS", 1)
    worker = replace(worker, settings=worker.settings.model_copy(update={"lease_seconds": 3}))
    load, loads = pipeline.load, 0

    def take_long(*args: Any) -> Any:
        nonlocal loads
        loads += 1
        if loads > 2 * len(TICKERS):
            raise TimeoutError("a third try")
        sleep(1.2)
        return load(*args)

    monkeypatch.setattr(pipeline, "load", take_long)
    results = execute_batch(worker, batch_id)
    assert results is not None
    assert [result["ticker"] for result in results] == [*TICKERS]


@pytest.mark.usefixtures("stocked")
def test_work_that_always_takes_too_long_is_reported_in_plain_words(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = start_run(worker.database, "AAA")
    worker = replace(worker, settings=worker.settings.model_copy(update={"max_attempts": 1}))

    def take_too_long(*_: Any) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(pipeline, "load", take_too_long)
    assert execute_batch(worker, batch_id) is None
    (failure,) = runs.get_run(worker.database, batch_id.partition(":")[0])["failures"]
    assert failure["error"] == (
        "given up after 1 attempts: it was not done within 240 s: ask for less at once (fewer"
        " tickers or bars, a smaller file)"
    )


@pytest.mark.usefixtures("stocked")
def test_a_batch_is_committed_though_its_latency_cannot_be_counted(worker: Worker) -> None:
    """A batch is committed and its run ends, though the latency of its anomalies cannot be
    computed.
    """
    run(worker.database, "backfill", "AAA")
    store(worker.database, "AAA", make_bars(BARS, 0, shocks=(BARS - 1,)))
    # A date that does not exist, as a typing error in the database's shell leaves it.
    worker.database.session_overrides.insert_one(
        {"market": "US", "day": "2018-02-30", "opens": None, "closes": None}
    )
    batch_id = start_run(worker.database, "AAA", task="incremental", trigger="scheduler")
    (result,) = execute_batch(worker, batch_id)
    assert result["new_anomalies"] == 1
    assert runs.get_run(worker.database, batch_id.partition(":")[0])["status"] == "complete"
    assert counters.LATENCY not in counters.read_counts(worker.database)


def take_twice(worker: Worker, request: RunRequest) -> tuple[RunDocument, Batch, Batch]:
    """Accept a run of one batch, and claim it for a worker that freezes until its lease has run
    out, and then for another; return the run and what each of them holds.
    """
    database = worker.database
    asked = insert_run(database, request, NOW)
    batch = batches.build_batch(asked["_id"], "00000", request.tickers, "US", NOW)
    assert runs.start_run(database, asked["_id"], [batch], NOW)
    held = []
    for owner in ("frozen", "another"):
        limits = {"lease_seconds": 60, "max_attempts": 5}
        claimed = batches.claim_batch(database, batch["_id"], owner, **limits)
        assert claimed is not None
        held.append(claimed)
        database.batches.update_one({"owner": "frozen"}, {"$set": {"lease_until": NOW}})
    return runs.get_active(database, asked["_id"]), held[0], held[1]


def read_closes(database: Db) -> list[float]:
    return [bar.close for bar in read_bars(database, "AAA", "1d", start=None, end=None, limit=999)]


def test_an_import_that_was_frozen_does_not_write_over_later_bars(worker: Worker) -> None:
    database, frame = worker.database, make_bars(50)
    content = frame.to_csv(index=False).encode()
    options = {
        "upload_id": store_upload(database, "AAA.csv", content),
        "filename": "AAA.csv",
        "ticker": "AAA",
    }
    request = RunRequest("import", "manual", ("AAA",), options=options)
    run_, frozen, held = take_twice(worker, request)
    import_bars(worker, run_, held)
    store_upload_again(database, options["upload_id"], content)
    frame.loc[20, "close"] = frame.loc[20, "low"]
    store(database, "AAA", frame)
    with pytest.raises(LeaseLost):
        import_bars(worker, run_, frozen)
    assert read_closes(database) == frame["close"].tolist()


def store_upload_again(database: Db, upload_id: str, content: bytes) -> None:
    """Store an upload under its id, as the frozen worker has read it by then."""
    GridFSBucket(database, "uploads").upload_from_stream_with_id(upload_id, "AAA.csv", content)


def test_a_fetch_that_was_frozen_does_not_write_over_later_bars(
    worker: Worker, tmp_path: Path
) -> None:
    database, frame = worker.database, make_bars(50)
    worker = replace(
        worker, settings=worker.settings.model_copy(update={"watched_folder": str(tmp_path)})
    )
    (tmp_path / "daily").mkdir()
    frame.to_csv(tmp_path / "daily" / "AAA.csv", index=False)
    options = {"source": "folder", "folder": "daily"}
    run_, frozen, held = take_twice(
        worker, RunRequest("fetch", "scheduler", ("AAA",), options=options)
    )
    fetch_bars(worker, run_, held)
    database.watched_files.drop()
    frame.loc[20, "close"] = frame.loc[20, "low"]
    store(database, "AAA", frame)
    with pytest.raises(LeaseLost):
        fetch_bars(worker, run_, frozen)
    assert read_closes(database) == frame["close"].tolist()


def test_a_correction_that_was_frozen_does_not_record_a_split_that_was_taken_back(
    worker: Worker,
) -> None:
    database, frame = worker.database, make_bars(50)
    store(database, "AAA", frame)
    day = frame["date"][20].date()
    options = {"split": {"session": day.isoformat(), "factor": 2.0}}
    run_, frozen, held = take_twice(
        worker, RunRequest("correct", "manual", ("AAA",), options=options)
    )
    correct(worker, run_, held)
    assert get_series(database, "AAA", "1d")["splits"]
    write_split(database, "AAA", "1d", day, 1.0, NOW)
    with pytest.raises(LeaseLost):
        correct(worker, run_, frozen)
    assert get_series(database, "AAA", "1d")["splits"] == []
