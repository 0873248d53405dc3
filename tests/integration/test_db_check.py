"""`flask db check`: no output if all agrees, and a line for each change that was made without the
service.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.settings import Settings
from detection.models.single_series import fit_series, read_fit
from detection.pipeline.commit import commit
from market.bars.checking import find_changed_bars, find_damaged_buckets
from market.bars.deleting import delete_bars, rename_bars
from records.consistency import find_disagreements
from records.database import Db, open_database
from records.indexes import ensure_indexes
from records.tenancy import add_tenant, erase_tenant
from records.work import batches, endings, runs
from records.work.requests import RunRequest, insert_run
from runner.servers import Servers
from tasks.engine.planning import start
from tasks.kinds.parts import build_finish
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.commands import run_flask
from tests.integration.detecting import detect, make_bars, run, store, train
from tests.integration.stored import change_bars

TICKERS = ("AAA", "BBB")
OF_AAA = {"ticker": "AAA"}
AUDIT = {"ticker": "AAA", "run_id": {"$gt": ""}}
Change = Callable[[Db], Any]


@pytest.fixture(scope="module")
def prepared(servers: Servers) -> Iterator[Db]:
    """Two series and the ended run that detected them, in a database for this file only."""
    settings = Settings(
        _env_file=None, mongo_url=servers.mongo_url, mongo_database=f"check_{uuid.uuid4().hex[:12]}"
    )
    database = open_database(settings)
    ensure_indexes(database)
    backfill(database)
    compute_metrics(settings, database)
    for values in ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0]):
        request = read_fit("AAA", [1, 2, 3, 4], values, least_points=3)
        fit_series(database, request, datetime.now(UTC))
    yield database
    database.client.drop_database(database.name)
    database.client.close()


@pytest.fixture
def detected(prepared: Db) -> Iterator[Db]:
    """The same database, restored, whatever earlier tests changed."""
    saved = {name: list(prepared[name].find()) for name in prepared.list_collection_names()}
    yield prepared
    for name, documents in saved.items():
        prepared[name].delete_many({})
        if documents:
            prepared[name].insert_many(documents)


def backfill(database: Db) -> None:
    for seed, ticker in enumerate(TICKERS):
        store(database, ticker, make_bars(800, seed, shocks=(500, 640)))
    train(database)
    now = datetime.now(UTC)
    run_id = insert_run(database, RunRequest("backfill", "backfill", TICKERS), now)["_id"]
    runs.start_run(
        database, run_id, [batches.build_batch(run_id, "00000", TICKERS, "US", now)], now
    )
    batch = batches.claim_batch(database, f"{run_id}:00000", "w1", lease_seconds=60, max_attempts=5)
    assert batch is not None
    job, outcomes = detect(database, "backfill", *TICKERS, run_id=run_id)
    commit(database, job, lambda: nullcontext([outcomes]), build_finish(database, batch))
    assert endings.finish_run(database, run_id, datetime.now(UTC))


def compute_metrics(settings: Settings, database: Db) -> None:
    request = RunRequest("analytics", "manual", TICKERS, market="US", options={"bars": 1})
    run_id = insert_run(database, request, datetime.now(UTC))["_id"]
    with build_celery(settings) as celery:
        start(Worker(settings, database, celery, "test:1"), run_id)
    assert runs.get_run(database, run_id)["status"] == "complete"


def check(database: Db, now: datetime | None = None) -> list[str]:
    return [str(found) for found in find_disagreements(database, now or datetime.now(UTC))]


def move_anomaly(database: Db) -> None:
    anomaly = database.anomalies.find_one({"Ticker": "AAA"})
    assert anomaly is not None
    database.anomalies.update_one(
        {"_id": anomaly["_id"]}, {"$set": {"Datetime": anomaly["Datetime"] + timedelta(hours=1)}}
    )


def add_anomaly(database: Db) -> None:
    anomaly = database.anomalies.find_one({"Ticker": "AAA"})
    assert anomaly is not None
    time = datetime(2017, 1, 4, 5, tzinfo=UTC)
    database.anomalies.insert_one(
        anomaly | {"_id": "AAA::1d::2017-01-04T05:00:00Z", "Datetime": time}
    )


def move_watermark(time: datetime) -> Change:
    return lambda database: database.detection_metadata.update_one(
        OF_AAA, {"$set": {"last_detected_timestamp": time}}
    )


def test_an_undisturbed_database_agrees(detected: Db) -> None:
    assert check(detected) == []


def test_later_corrections_and_scans_agree(detected: Db) -> None:
    frame = make_bars(820, 0, shocks=(500, 640, 810))
    frame.loc[600, ["high", "close"]] *= 1.5
    store(detected, "AAA", frame)
    run(detected, "incremental", *TICKERS)
    run(detected, "backfill", "AAA")
    assert check(detected) == []


@pytest.mark.parametrize(
    ("change", "found", "advice"),
    [
        (
            lambda d: d.anomalies.delete_one({"Ticker": "AAA"}),
            "is not stored",
            "flask backfill run AAA --interval 1d",
        ),
        (
            lambda d: d.detection_metadata.delete_one(OF_AAA),
            "has no watermark",
            "flask backfill run AAA",
        ),
        (
            lambda d: d.detection_runs.delete_one(AUDIT),
            "has no audit of this ticker",
            "flask backfill run AAA",
        ),
        (
            lambda d: d.detection_runs.delete_one(AUDIT),
            "in its audits together",
            "restore its audits",
        ),
        (
            lambda d: d.detection_metadata.update_one(OF_AAA, {"$inc": {"rows_processed": 1}}),
            "rows_processed is",
            "AAA",
        ),
        (
            lambda d: d.detection_runs.update_one(AUDIT, {"$inc": {"anomalies_found": 1}}),
            "and lists",
            "AAA",
        ),
        (lambda d: d.series.delete_one(OF_AAA), "no bars are stored", "flask bars import"),
        (
            move_watermark(datetime(2030, 1, 2, tzinfo=UTC)),
            "after the last bar",
            "flask bars import",
        ),
        (
            move_watermark(datetime(2016, 1, 4, tzinfo=UTC)),
            "never detected at",
            "flask backfill run AAA",
        ),
        (move_anomaly, "its bar is AAA 1d", "restore it from a backup"),
        (add_anomaly, "does not list it", "flask verify ticker AAA"),
        (
            lambda d: d.batches.update_one({}, {"$set": {"state": "pending"}}),
            "still to end",
            "flask runs retry",
        ),
        (
            lambda d: d.analytics.delete_one(OF_AAA),
            "the snapshot that they are shown from",
            "flask analytics run AAA",
        ),
        (
            lambda d: d.analytics_overview.update_one(OF_AAA, {"$set": {"regime": "calm"}}),
            "regime differ from snapshot AAA::1d::",
            "flask analytics run AAA",
        ),
        (
            lambda d: d.analytics_overview.update_one(OF_AAA, {"$inc": {"bars_revision": 1}}),
            "and the bars end at",
            "flask analytics run AAA",
        ),
        (lambda d: d.series.delete_one(OF_AAA), "they are shown", "flask analytics run AAA"),
        (
            lambda d: d.series_points.delete_many({}),
            "model AAA::1: its history, fit",
            "fit the series again",
        ),
        (
            lambda d: d.series_models.delete_one({"version": 1}),
            "its latest version is 2, and 1 are there",
            "flask series delete AAA",
        ),
    ],
)
def test_each_disagreement_is_named_with_what_to_do(
    detected: Db, change: Change, found: str, advice: str
) -> None:
    change(detected)
    lines = check(detected)
    assert any(found in line and advice in line for line in lines), lines
    assert not any("BBB" in line for line in lines), lines


def test_metrics_of_bars_that_were_changed_without_a_revision_are_named(detected: Db) -> None:
    """The metrics' fingerprint says which bars they were computed from."""
    assert list(find_changed_bars(detected)) == []
    change_bars(detected, OF_AAA, "close", 0, 1_000.125)
    (line,) = map(str, find_changed_bars(detected))
    assert line.startswith("metrics of AAA 1d: its bars up to ")
    assert "flask analytics run AAA" in line


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda packed: packed[:-8], "torn"),
        (lambda packed: packed[:-1] + bytes([packed[-1] ^ 1]), "not those that were written"),
    ],
)
def test_damaged_bars_are_named(detected: Db, damage: Callable[[bytes], bytes], said: str) -> None:
    assert list(find_damaged_buckets(detected)) == []
    bucket = detected.bars.find_one(OF_AAA)
    assert bucket is not None
    change = {"$set": {"columns": damage(bucket["columns"])}}
    detected.bars.update_one({"_id": bucket["_id"]}, change)
    (line,) = map(str, find_damaged_buckets(detected))
    assert line.startswith(f"bars {bucket['_id']}: ")
    assert said in line


def test_deleted_and_renamed_series_take_their_metrics_along(detected: Db) -> None:
    delete_bars(detected, "AAA", None, datetime.now(UTC))
    rename_bars(detected, "BBB", "CCC", None, datetime.now(UTC))
    assert detected.analytics_overview.count_documents({}) == 0
    assert detected.analytics.count_documents({}) == 0
    assert not [line for line in check(detected) if line.startswith("metrics")]


def test_a_missing_index_is_named(detected: Db) -> None:
    detected.anomalies.drop_index("model_version_1")
    try:
        assert check(detected) == [
            "index model_version_1 of anomalies: is missing; run `flask db upgrade`"
        ]
    finally:
        ensure_indexes(detected)


def test_a_threshold_that_is_stored_outside_its_watchlist_is_named(detected: Db) -> None:
    policy = {"scope": "watchlist", "name": "tech", "kind": "grade", "value": 60.0}
    detected.thresholds.insert_one(policy)
    try:
        (line,) = check(detected)
        assert "threshold of watchlist tech" in line
        assert "flask models threshold --watchlist 'tech' --grade 60" in line
    finally:
        detected.thresholds.drop()


def test_what_an_erased_tenant_had_detected_still_agrees(detected: Db) -> None:
    """Anomalies and watermarks belong to all tenants, and so do the runs that wrote them."""
    add_tenant(detected, "acme", datetime.now(UTC))
    detected.detection_runs.update_many({}, {"$set": {"tenant": "acme"}})
    erase_tenant(detected, "acme", datetime.now(UTC))
    assert detected.detection_runs.count_documents({"run_id": {"$exists": False}}) == 0
    assert list(find_disagreements(detected, datetime.now(UTC))) == []


def test_expired_audits_are_no_disagreement(detected: Db) -> None:
    detected.detection_runs.delete_many({})
    detected.batches.delete_many({})
    assert check(detected, datetime.now(UTC) + timedelta(days=30)) == []


def test_the_command_exits_with_1_where_something_disagrees(
    detected: Db, environment: dict[str, str]
) -> None:
    environment = environment | {"MONGO_DATABASE": detected.name}
    agreed = run_flask(environment, "db", "check")
    assert (agreed.exit_code, agreed.stdout) == (
        0,
        "bars, watermarks, anomalies, audits, runs and metrics agree\n",
    )
    detected.detection_metadata.delete_one(OF_AAA)
    answer = run_flask(environment, "db", "check", "--json")
    assert answer.exit_code == 1
    assert {line["found"] for line in json.loads(answer.stdout)} == {"its series has no watermark"}
