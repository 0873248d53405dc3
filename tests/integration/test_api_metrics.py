"""The figures for Prometheus: what they count, and that a scrape does not read large
collections.
"""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from flask.testing import FlaskClient

from core.settings import Settings
from detection.pipeline.commit import commit
from detection.pipeline.work_counts import add_detection
from market.imports.importing import import_frame
from records.database import Db
from records.keys import add_key
from records.work import counters, endings
from records.work.requests import RunRequest, insert_run
from tasks.engine.sweeper import sweep
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.conftest import ROOT
from tests.integration.detecting import detect, make_bars, run, store, train
from tests.integration.stored import NOW, add_run
from tests.scraping import read_samples

BARS = 800
BUCKET = "tapewatch_detection_latency_seconds_bucket"


def scrape(client: FlaskClient) -> dict[tuple[object, ...], float]:
    return read_samples(client.get("/metrics").text)


def count_latency(database: Db, frame: pd.DataFrame, trigger: str, after_close: timedelta) -> None:
    """Store the last bar and detect it this long after New York closed, at 21:00 UTC in winter."""
    store(database, "AAA", frame)
    job, outcomes = detect(database, "incremental", "AAA")
    seen, results = commit(database, job, lambda: nullcontext([outcomes]), lambda *_: None)
    close = frame["date"].iloc[-1].to_pydatetime().replace(hour=21, tzinfo=UTC)
    scanned = replace(job, trigger=trigger)
    add_detection(database, scanned, seen, results, close + after_close)


@pytest.fixture
def detected(database: Db) -> Iterator[pd.DataFrame]:
    """A series that was detected up to the bar before its last, which is a shock on a day in
    winter.
    """
    frame = make_bars(BARS, shocks=(BARS - 1,))
    assert frame["date"].iloc[-1] == datetime(2018, 3, 7)  # noqa: DTZ001 - pandas' sessions have no zone
    store(database, "AAA", frame.iloc[:-1])
    train(database)
    run(database, "backfill", "AAA")
    return frame


def test_runs_are_counted_by_trigger_and_status(client: FlaskClient, database: Db) -> None:
    add_run(database, "AAPL")
    cancelled = insert_run(database, RunRequest("train", "manual", market="US"), NOW)
    endings.request_cancel(database, cancelled["_id"], NOW)
    samples = scrape(client)
    assert samples["tapewatch_open_runs", ("status", "queued"), ("trigger", "backfill")] == 1
    assert samples["tapewatch_open_runs", ("status", "queued"), ("trigger", "manual")] == 0
    assert (
        samples["tapewatch_runs_ended_total", ("status", "cancelled"), ("trigger", "manual")] == 1
    )
    assert (
        samples["tapewatch_runs_ended_total", ("status", "failed"), ("trigger", "scheduler")] == 0
    )


def test_what_the_sweeper_does_is_counted(
    client: FlaskClient, settings: Settings, database: Db
) -> None:
    add_run(database, "AAPL")
    worker = Worker(settings, database, build_celery(settings), "test")
    before = scrape(client)["tapewatch_sweeper_actions_total", ("action", "run_sent_again")]
    assert sweep(worker) == {"run_sent_again": 1}
    assert (
        scrape(client)["tapewatch_sweeper_actions_total", ("action", "run_sent_again")]
        == before + 1
    )


def test_every_action_of_the_sweeper_has_a_counter_before_it_is_taken() -> None:
    source = "".join(
        (ROOT / "tasks" / "engine" / name).read_text() for name in ("sweeper.py", "recovery.py")
    )
    assert set(re.findall(r'done\["(\w+)"\]', source)) == set(counters.SWEEPER_ACTIONS)


def test_rejected_rows_are_counted_by_reason(client: FlaskClient, database: Db) -> None:
    frame = make_bars(10)
    frame.loc[3, "high"] = frame.loc[3, "low"] / 2
    frame.loc[5:6, "close"] = -1.0
    import_frame(database, frame, interval="1d", source="test", ticker="AAA", now=NOW)
    samples = scrape(client)
    assert samples["tapewatch_bars_imported_total", ("outcome", "new")] == 7
    assert samples["tapewatch_rows_rejected_total", ("reason", "high_below_low")] == 1
    assert samples["tapewatch_rows_rejected_total", ("reason", "non_positive_price")] == 2
    assert samples["tapewatch_rows_rejected_total", ("reason", "not_closed")] == 0


def test_latency_runs_from_the_close_of_the_bar(
    client: FlaskClient, database: Db, detected: pd.DataFrame
) -> None:
    count_latency(database, detected, "scheduler", timedelta(seconds=90))
    samples = scrape(client)
    assert samples["tapewatch_detection_latency_seconds_sum",] == 90
    assert samples["tapewatch_detection_latency_seconds_count",] == 1
    assert (
        samples[BUCKET, ("le", "60")],
        samples[BUCKET, ("le", "120")],
        samples[BUCKET, ("le", "+Inf")],
    ) == (0, 1, 1)


def test_only_new_bars_of_scheduled_scans_count_in_the_latency(
    client: FlaskClient, database: Db, detected: pd.DataFrame
) -> None:
    count_latency(database, detected, "manual", timedelta(seconds=90))
    corrected = detected.copy()
    corrected.loc[BARS - 100, ["high", "close"]] *= 1.5
    count_latency(database, corrected, "scheduler", timedelta(seconds=90))
    assert database.anomalies.count_documents({"Datetime": corrected["date"].iloc[BARS - 100]}) == 1
    assert scrape(client)["tapewatch_detection_latency_seconds_count",] == 0


def test_a_counter_that_cannot_be_written_does_no_harm(settings: Settings, database: Db) -> None:
    database.counters.insert_one({"_id": counters.SWEEPER, "run_failed": "not a number"})
    counters.add_counts(
        database, {counters.SWEEPER: {"run_failed": 1}, counters.IMPORTED: {"new": 2}}
    )
    assert counters.read_counts(database)[counters.IMPORTED] == {"new": 2}


def test_an_unknown_http_method_becomes_no_label(client: FlaskClient) -> None:
    client.open("/py/tickers", method="MADEUP")
    assert not any(("method", "MADEUP") in sample for sample in scrape(client))


def test_a_champion_s_age_is_that_of_the_last_bar_that_it_may_have_learned_from(
    client: FlaskClient, database: Db, detected: pd.DataFrame
) -> None:
    """The champion was trained just now, from bars that end in 2018."""
    ages = [
        value for name, value in scrape(client).items() if "tapewatch_model_age_seconds" in name
    ]
    record = database.models.find_one()
    assert record is not None
    passed = datetime.now(UTC) - detected["date"].iloc[-1].to_pydatetime().replace(tzinfo=UTC)
    assert record["window_end"] <= detected["date"].iloc[-1].to_pydatetime().replace(tzinfo=UTC)
    assert len(ages) == 1
    assert passed.total_seconds() - 60 < ages[0] < (passed + timedelta(days=7)).total_seconds()


def test_a_key_with_the_scope_read_may_scrape(client: FlaskClient, database: Db) -> None:
    key = add_key(database, "prometheus", ["read"], NOW)
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_a_scrape_does_not_read_large_collections(client: FlaskClient, database: Db) -> None:
    # Audits of 2,000 tickers, and as many ended batches.
    run_id = add_run(database, "AAPL")
    audit = {"status": "complete", "trigger": "scheduler", "started_at": NOW, "completed_at": NOW}
    database.detection_runs.insert_many(
        {"_id": f"x:{n}", "run_id": "x", "ticker": "A", **audit} for n in range(2_000)
    )
    database.batches.insert_many(
        {"_id": f"x:{n}", "run_id": run_id, "state": "done"} for n in range(2_000)
    )
    client.get("/metrics")
    database.command("profile", 2)
    try:
        assert client.get("/metrics").status_code == 200
    finally:
        database.command("profile", 0)
    read = list(
        database["system.profile"].find(
            {"ns": {"$ne": f"{database.name}.system.profile"}, "nreturned": {"$gte": 0}}
        )
    )
    assert {entry["ns"].partition(".")[2] for entry in read} >= {
        "detection_runs",
        "batches",
        "counters",
    }
    assert max(entry["docsExamined"] + entry["keysExamined"] for entry in read) < 20
    database["system.profile"].drop()
