"""A batch of many tickers, which is written part by part while the next part is computed, in one
transaction.
"""

import threading
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from pymongo.client_session import ClientSession

from core.errors import LeaseLost
from detection.models.manager import ModelManager
from detection.pipeline import detect as pipeline
from detection.pipeline.commit import MOST_TRIES, Finish, commit
from detection.pipeline.job import Job
from records.database import Db, Document
from records.work.audits import find_audits, find_audits_of, find_scored_spans
from tests.integration.conftest import Once
from tests.integration.detecting import detect, make_bars, read_anomalies, store, train

BARS = 600
TICKERS = ("AAA", "BBB", "CCC", "DDD", "EEE")
WRITTEN = ("anomalies", "detection_metadata", "detection_runs")


@pytest.fixture
def market(database: Db, once: Once, monkeypatch: pytest.MonkeyPatch) -> Db:
    """A US market of five series with a planted shock, and its champion; parts are of two
    tickers.
    """

    def make() -> None:
        for seed, ticker in enumerate(TICKERS, 1):
            store(database, ticker, make_bars(BARS, seed, shocks=(500,)))
        train(database)

    once(make)
    for name in ("SCAN_TICKERS", "BACKFILL_TICKERS"):
        monkeypatch.setattr(pipeline, name, 2)
    monkeypatch.setattr("detection.pipeline.commit.NOTED_AT_ONCE", 2)
    return database


def build_job(run_id: str, task: str = "backfill", tickers: tuple[str, ...] = TICKERS) -> Job:
    return Job(run_id, task, task, "US", tickers, "1d", "max", datetime.now(UTC))


def run(database: Db, job: Job, finish: Finish = lambda *_: None) -> list[Document]:
    outcomes, results = pipeline.detect_and_commit(
        database, ModelManager(database), job, lambda _: None, finish
    )
    assert (
        [outcome.ticker for outcome in outcomes]
        == [result["ticker"] for result in results]
        == [*job.tickers]
    )
    return results


def read_watermarks(database: Db) -> dict[str, Document]:
    """Return the watermarks by `_id`, without the fields that differ by clock."""
    return {
        mark.pop("_id"): mark for mark in database.detection_metadata.find({}, {"updated_at": 0})
    }


@pytest.mark.parametrize("planned", [2, 4])
def test_detection_in_parts_finds_the_same_as_in_one_piece(
    market: Db, monkeypatch: pytest.MonkeyPatch, planned: int
) -> None:
    monkeypatch.setattr(pipeline, "SCAN_TICKERS", planned)
    job = build_job("run-1", tickers=(*TICKERS, "NONE"))
    results = run(market, job)
    anomalies, watermarks = {t: read_anomalies(market, t) for t in TICKERS}, read_watermarks(market)
    assert all(anomalies.values())
    for name in WRITTEN:
        market[name].delete_many({})
    for name in ("SCAN_TICKERS", "BACKFILL_TICKERS"):
        monkeypatch.setattr(pipeline, name, 100)
    assert run(market, job) == results
    assert results[-1]["reason"] == "no_bars"
    assert {t: read_anomalies(market, t) for t in TICKERS} == anomalies
    assert read_watermarks(market) == watermarks
    assert len(watermarks) == len(TICKERS)


def test_a_scan_stores_an_outcome_for_each_series(market: Db) -> None:
    run(market, build_job("run-1"))
    before = read_watermarks(market)
    last = max(mark["last_detected_timestamp"] for mark in before.values())
    earlier = make_bars(BARS, 1)["date"].iloc[-2].to_pydatetime().replace(tzinfo=UTC)
    market.detection_metadata.update_many(
        {"ticker": {"$ne": "CCC"}}, {"$set": {"last_detected_timestamp": earlier}}
    )
    results = run(market, build_job("run-2", "incremental"))
    assert {r["ticker"]: r["rows_processed"] for r in results} == dict.fromkeys(TICKERS, 1) | {
        "CCC": 0
    }
    for mark_id, mark in read_watermarks(market).items():
        assert mark_id == f"detection_meta::{mark['ticker']}::1d"
        assert mark["last_detected_timestamp"] == last
        assert mark["first_detected_timestamp"] == before[mark_id]["first_detected_timestamp"]
        assert mark["last_detection_run"] == ("run-1" if mark["ticker"] == "CCC" else "run-2")


@pytest.mark.parametrize("met", [1, MOST_TRIES + 1])
def test_a_transaction_that_is_repeated_writes_every_part_once(
    market: Db, monkeypatch: pytest.MonkeyPatch, met: int
) -> None:
    """However often the transaction conflicts, it does not count as too large for MongoDB's
    cache.
    """
    monkeypatch.setattr("detection.pipeline.commit.FIT_IN_ANY_CACHE", 0)
    market.batches.insert_one({"_id": "run-1:00000", "fence": 1})
    calls: list[None] = []

    def finish(session: ClientSession, _counts: Document) -> None:
        if len(calls) < met:  # Another client writes the batch outside the transaction.
            progress = {"$set": {"progress": len(calls) / 10}}
            market.batches.update_one({"_id": "run-1:00000"}, progress)
        calls.append(None)
        market.batches.update_one(
            {"_id": "run-1:00000"}, {"$set": {"state": "done"}}, session=session
        )

    results = run(market, build_job("run-1"), finish)
    assert len(calls) == met + 1
    assert market.detection_runs.count_documents({"run_id": "run-1"}) == len(TICKERS)
    assert (
        market.anomalies.count_documents({})
        == sum(result["new_anomalies"] for result in results)
        > 0
    )


def test_a_scan_writes_one_audit_document_a_part_that_covers_each_ticker(market: Db) -> None:
    frames = {ticker: make_bars(BARS + 5, seed) for seed, ticker in enumerate(TICKERS)}
    for ticker, frame in frames.items():
        store(market, ticker, frame[:BARS])
    run(market, build_job("run-1"))
    before = find_audits(market, "run-1")
    for added, (ticker, frame) in enumerate(frames.items(), 1):
        store(market, ticker, frame[: BARS + added])
    # Later bars than the others': with six tickers on a day the market's move would be known.
    store(market, "BAD", make_bars(BARS + 100, 9)[-30:])
    job = build_job("run-2", "incremental", (*TICKERS, "BAD", "GONE"))
    run(market, job)
    assert market.detection_runs.count_documents({"run_id": "run-2"}) == 4
    audits = find_audits(market, "run-2")
    told = {audit["ticker"]: audit for audit in audits}
    assert [*told] == sorted(job.tickers)
    assert [told[ticker]["rows_processed"] for ticker in TICKERS] == [1, 2, 3, 4, 5]
    assert (told["GONE"]["status"], told["GONE"]["reason"]) == ("failed", "no_bars")
    assert (told["BAD"]["status"], told["BAD"]["reason"]) == ("complete", "not_enough_bars")
    assert all(audit.keys() - {"_id"} == before[0].keys() - {"_id"} for audit in audits)
    assert {audit["_id"] for audit in audits} == {f"run-2:{ticker}" for ticker in job.tickers}
    assert find_audits(market, "run-2", status="failed") == [told["GONE"]]
    page = find_audits(market, "run-2", after=("BAD",), limit=2)
    assert [audit["ticker"] for audit in page] == ["BBB", "CCC"]
    found = find_audits_of(market, ["run-1", "run-2"], ["DDD"])
    assert found == {"run-1:DDD": before[3], "run-2:DDD": told["DDD"]}
    spans = find_scored_spans(market, "run-2", ["EEE"], "1d")
    assert spans == {"EEE": [(told["EEE"]["scored"][0]["first"], told["EEE"]["scored"][0]["last"])]}


def test_parts_of_a_batch_that_lost_its_lease_leave_nothing(market: Db) -> None:
    def refuse(*_: object) -> None:
        raise LeaseLost("another worker has it")

    with pytest.raises(LeaseLost):
        run(market, build_job("run-1"), refuse)
    assert [market[name].count_documents({}) for name in WRITTEN] == [0, 0, 0]


def test_a_checkpoint_that_raises_ends_the_work_between_two_parts(market: Db) -> None:
    def check(fraction: float) -> None:
        if fraction > 0.5:
            raise LeaseLost("another worker has it")

    with pytest.raises(LeaseLost):
        pipeline.detect_and_commit(
            market, ModelManager(market), build_job("run-1"), check, lambda *_: None
        )
    assert [market[name].count_documents({}) for name in WRITTEN] == [0, 0, 0]


@pytest.mark.parametrize("stage", ["load", "score", "describe"])
def test_an_exception_of_a_stage_is_raised_and_leaves_no_thread(
    market: Db, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    error, calls, step = LeaseLost("another worker has it"), [], getattr(pipeline, stage)

    def refuse(*arguments: object) -> object:
        calls.append(None)
        if len(calls) == 2:
            raise error
        return step(*arguments)

    monkeypatch.setattr(pipeline, stage, refuse)
    before = set(threading.enumerate())
    with pytest.raises(LeaseLost) as raised:
        run(market, build_job("run-1"))
    assert raised.value is error
    left = set(threading.enumerate()) - before
    assert not [one for one in left if "ThreadPool" in one.name]
    assert [market[name].count_documents({}) for name in WRITTEN] == [0, 0, 0]


def test_a_second_commit_of_the_same_tickers_of_a_run_is_refused(market: Db) -> None:
    job, outcomes = detect(market, "backfill", "AAA", run_id="run-1")
    parts = nullcontext([outcomes])
    commit(market, job, lambda: parts, lambda *_: None)
    stored = market.anomalies.count_documents({})
    with pytest.raises(LeaseLost, match="run-1"):
        commit(market, job, lambda: parts, lambda *_: None)
    assert market.anomalies.count_documents({}) == stored
