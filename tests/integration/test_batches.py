"""The contract of a batch: claimed once, held by a lease, committed under its fence; progress is
counted from the batches and never incremented.
"""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import Cancelled, LeaseLost
from records.database import Db, Document, get_server_time
from records.work import batches, endings, runs
from records.work.progress import count_progress
from records.work.requests import RunRequest, insert_run

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def make_run(database: Db, tickers: tuple[str, ...] = ("AAPL", "MSFT")) -> tuple[str, list[str]]:
    """Insert a run in progress with one batch a ticker."""
    run = insert_run(database, RunRequest("backfill", "backfill", tickers), NOW)
    plan = [
        batches.build_batch(run["_id"], f"{n:05d}", [ticker], "US", NOW)
        for n, ticker in enumerate(tickers)
    ]
    assert runs.start_run(database, run["_id"], plan, NOW)
    return run["_id"], [batch["_id"] for batch in plan]


def claim(
    database: Db, batch_id: str, *, lease_seconds: int = 60, owner: str = "w1"
) -> batches.Batch | None:
    return batches.claim_batch(
        database, batch_id, owner, lease_seconds=lease_seconds, max_attempts=3
    )


def finish(database: Db, batch: batches.Batch, result: Document | None = None) -> None:
    with database.client.start_session() as session, session.start_transaction():
        batches.finish_batch(
            database, batch, session, result=result or {"tickers_done": 1}, now=NOW
        )


def test_a_batch_that_is_held_cannot_be_claimed(database: Db) -> None:
    _, (batch_id, _) = make_run(database)
    assert claim(database, batch_id) is not None
    assert claim(database, batch_id, owner="w2") is None


def test_of_many_claims_at_once_one_succeeds(database: Db) -> None:
    _, (batch_id, _) = make_run(database)
    won: list[batches.Batch] = []
    barrier = threading.Barrier(8)

    def try_to_claim(owner: str) -> None:
        barrier.wait()
        if batch := claim(database, batch_id, owner=owner):
            won.append(batch)

    threads = [threading.Thread(target=try_to_claim, args=(f"w{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [batch.fence for batch in won] == [1]


def test_an_expired_lease_is_taken_over_and_its_old_holder_writes_nothing(database: Db) -> None:
    _, (batch_id, _) = make_run(database)
    stale = claim(database, batch_id, lease_seconds=0)
    time.sleep(0.05)
    fresh = claim(database, batch_id, owner="w2")
    assert stale is not None
    assert fresh is not None
    assert fresh.fence == stale.fence + 1
    with pytest.raises(LeaseLost, match="fence 1"):
        finish(database, stale)
    with pytest.raises(LeaseLost):
        batches.renew_lease(database, stale, lease_seconds=60)
    finish(database, fresh)
    assert database.batches.find_one({"_id": batch_id})["state"] == "done"


def test_a_batch_is_not_claimed_beyond_its_maximum_of_attempts(database: Db) -> None:
    _, (batch_id, _) = make_run(database)
    for _ in range(3):
        batch = claim(database, batch_id)
        assert batch is not None
        batches.release_batch(database, batch, "it failed")
    assert claim(database, batch_id) is None
    assert database.batches.find_one({"_id": batch_id})["attempts"] == 3


def test_a_worker_clock_hours_off_changes_no_lease(database: Db) -> None:
    _, (batch_id, _) = make_run(database)
    lease, rounding = timedelta(seconds=60), timedelta(milliseconds=1)
    before = get_server_time(database)
    assert claim(database, batch_id, lease_seconds=60) is not None
    lease_until = database.batches.find_one({"_id": batch_id})["lease_until"]
    assert before + lease - rounding <= lease_until <= get_server_time(database) + lease + rounding


def test_progress_never_falls_when_a_second_attempt_starts_over(database: Db) -> None:
    run_id, (batch_id, _) = make_run(database)
    batch = claim(database, batch_id, lease_seconds=0)
    assert batch is not None
    batches.renew_lease(database, batch, lease_seconds=0, progress=0.8)
    time.sleep(0.05)
    again = claim(database, batch_id)
    assert again is not None
    batches.renew_lease(database, again, lease_seconds=60, progress=0.1)
    assert runs.get_run(database, run_id)["progress"]["percent"] == 40.0


def test_progress_is_counted_from_the_batches(database: Db) -> None:
    run_id, (first, second) = make_run(database)
    batch = claim(database, first)
    assert batch is not None
    finish(
        database,
        batch,
        {"tickers_done": 1, "rows_loaded": 10, "rows_processed": 7, "anomalies_found": 2},
    )
    progress = runs.get_run(database, run_id)["progress"]
    assert progress | {"eta_seconds": 0, "rows_per_second": 0} == {
        "batches_total": 2,
        "batches_done": 1,
        "tickers_total": 2,
        "tickers_done": 1,
        "tickers_failed": 0,
        "rows_loaded": 10,
        "rows_preprocessed": 0,
        "rows_processed": 7,
        "anomalies_found": 2,
        "new_anomalies": 0,
        "percent": 50.0,
        "eta_seconds": 0,
        "rows_per_second": 0,
    }
    assert endings.finish_run(database, run_id, NOW) is None, f"{second} is still pending"


def test_a_run_finishes_once_with_one_event(database: Db) -> None:
    run_id, batch_ids = make_run(database)
    for batch_id in batch_ids:
        batch = claim(database, batch_id)
        assert batch is not None
        finish(database, batch)
    finished = [endings.finish_run(database, run_id, NOW) for _ in range(3)]
    assert [run["status"] for run in finished if run] == ["complete"]
    assert database.outbox.count_documents({"run_id": run_id, "event": "run_completed"}) == 1


def test_a_failed_ticker_makes_the_run_partial_and_is_named(database: Db) -> None:
    run_id, (good, bad) = make_run(database)
    failure = {
        "ticker": "MSFT",
        "reason": "bad_bars",
        "error": "MSFT has a bar that is not a number",
    }
    for batch_id, result in (
        (good, {"tickers_done": 1, "tickers_failed": 0, "failures": []}),
        (bad, {"tickers_done": 0, "tickers_failed": 1, "failures": [failure]}),
    ):
        batch = claim(database, batch_id)
        assert batch is not None
        finish(database, batch, result)
    endings.finish_run(database, run_id, NOW)
    run = runs.get_run(database, run_id)
    assert run["status"] == "partial"
    assert run["failures"] == [failure]
    assert "MSFT" in run["error"]


def test_splitting_a_batch_makes_one_batch_a_ticker(database: Db) -> None:
    run = insert_run(database, RunRequest("backfill", "backfill", ("A", "B", "C")), NOW)
    runs.start_run(
        database,
        run["_id"],
        [batches.build_batch(run["_id"], "00000", ["A", "B", "C"], "US", NOW)],
        NOW,
    )
    document = database.batches.find_one({"run_id": run["_id"]})
    assert document is not None
    parts = batches.split_batch(database, document, NOW)
    assert batches.split_batch(database, document, NOW) == [], (
        "a second sweeper finds it split already"
    )
    assert sorted(t for p in parts for t in database.batches.find_one({"_id": p})["tickers"]) == [
        "A",
        "B",
        "C",
    ]
    assert count_progress(database, run["_id"])["tickers_total"] == 3


def test_batches_that_are_claimed_while_they_are_counted_count_once_each(database: Db) -> None:
    """One that moved in the index that they were counted by was passed over, or counted twice: on a
    busy machine, where MongoDB pauses in a count, the progress of a run fell.
    """
    tickers = tuple(f"T{n:02d}" for n in range(40))
    run_id, _ = make_run(database, tickers)
    pauses, over = "internalQueryExecYieldIterations", threading.Event()
    admin = database.client.admin
    usual = admin.command("getParameter", 1, **{pauses: 1})[pauses]

    def claim_and_release() -> None:
        while not over.is_set():
            for state in ("leased", "pending"):
                database.batches.update_many({"run_id": run_id}, {"$set": {"state": state}})

    thread = threading.Thread(target=claim_and_release)
    thread.start()
    try:
        admin.command("setParameter", 1, **{pauses: 1})
        counted = {count_progress(database, run_id)["batches_total"] for _ in range(200)}
    finally:
        admin.command("setParameter", 1, **{pauses: usual})
        over.set()
        thread.join()
    assert counted == {len(tickers)}


def test_cancelling_ends_pending_batches_and_stops_held_ones(database: Db) -> None:
    run_id, (held_id, pending_id) = make_run(database)
    held = claim(database, held_id)
    assert held is not None
    endings.request_cancel(database, run_id, NOW)
    assert claim(database, pending_id) is None
    with pytest.raises(Cancelled):
        runs.get_active(database, run_id)
    batches.cancel_batch(database, held, NOW)
    endings.finish_run(database, run_id, NOW)
    assert runs.get_run(database, run_id)["status"] == "cancelled"


def test_a_queued_run_is_cancelled_at_once(database: Db) -> None:
    run = insert_run(database, RunRequest("backfill", "backfill", ("AAPL",)), NOW)
    assert endings.request_cancel(database, run["_id"], NOW)["status"] == "cancelled"
    assert runs.start_run(database, run["_id"], [], NOW) is False


def test_a_batch_that_was_never_sent_and_an_expired_one_are_found(database: Db) -> None:
    _, (never_sent, held) = make_run(database)
    assert claim(database, held, lease_seconds=0) is not None
    time.sleep(0.05)
    assert [b["_id"] for b in batches.find_lost(database, 3600, ())] == [never_sent]
    assert batches.free_expired(database) == 1
    assert {b["_id"] for b in batches.find_lost(database, 3600, ())} == {never_sent, held}
    assert [b["_id"] for b in batches.find_lost(database, 3600, {never_sent})] == [held]
    batches.mark_published(database, [never_sent, held])
    assert batches.find_lost(database, 3600, ()) == []
