"""Migrations: a new database is up to date, an old one says that it is not, and several processes
may upgrade at once.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from apiflask import APIFlask

from core.errors import DatabaseUnfit
from core.settings import Settings
from records.database import Db
from records.indexes import INDEXES
from records.migrations import (
    MIGRATIONS,
    Migration,
    check_version,
    find_version,
    prepare_database,
    upgrade,
)
from tests.commands import Command
from tests.conftest import ROOT
from tests.integration.stored import add_run

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LATEST = MIGRATIONS[-1].number
VALUES = ("actual", "low", "median", "high")
UPGRADE = (sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade")


@pytest.fixture
def fresh(database: Db) -> Iterator[Db]:
    """A database for this test only with nothing in it, not even an index."""
    fresh = database.client[f"{database.name}_fresh"]
    yield fresh
    database.client.drop_database(fresh.name)


def list_indexes(database: Db) -> dict[str, set[str]]:
    return {name: set(database[name].index_information()) for name in INDEXES}


def test_migrations_are_numbered_without_gaps() -> None:
    assert [migration.number for migration in MIGRATIONS] == list(range(1, LATEST + 1))


def test_a_new_database_needs_no_upgrade(fresh: Db) -> None:
    prepare_database(fresh, NOW)
    check_version(fresh)
    assert find_version(fresh) == LATEST


def test_a_database_with_data_of_an_earlier_version_is_not_ready(
    make_app: Callable[[Settings], APIFlask], settings: Settings, database: Db
) -> None:
    add_run(database, "AAPL")
    client = make_app(settings).test_client()
    refused = client.get("/readyz")
    assert refused.status_code == 503
    assert refused.json["reason"] == "database_unfit"
    assert "flask db upgrade" in refused.json["detail"]
    assert client.get("/py/tickers").status_code == 200
    upgrade(database, NOW)
    assert client.get("/readyz").status_code == 200


def test_an_upgrade_creates_every_index_and_is_applied_once(fresh: Db) -> None:
    add_run(fresh, "AAPL")
    assert [migration.number for migration in upgrade(fresh, NOW)] == [m.number for m in MIGRATIONS]
    for collection, indexes in INDEXES.items():
        assert {index.document["name"] for index in indexes} < list_indexes(fresh)[collection]
    assert upgrade(fresh, NOW) == []


@pytest.mark.slow
def test_simultaneous_upgrades_are_applied_once(fresh: Db, environment: dict[str, str]) -> None:
    add_run(fresh, "AAPL")
    processes = [
        subprocess.Popen(
            UPGRADE,
            cwd=ROOT,
            env=environment | {"MONGO_DATABASE": fresh.name},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert all(answer.endswith(f"the database is at version {LATEST}\n") for answer in answers), (
        answers
    )
    assert all(len(names) > 1 for names in list_indexes(fresh).values())


def test_unused_indexes_of_anomalies_are_dropped(fresh: Db) -> None:
    fresh.anomalies.create_index(
        ["Ticker", "interval", "Datetime"], name="natural_key", unique=True
    )
    unread = [
        fresh.anomalies.create_index(keys)
        for keys in (
            [("anomaly_score", -1)],
            [("anomaly_score", 1), ("_id", 1)],
            [("sent", 1), ("Datetime", -1)],
            [("created_at", -1)],
        )
    ]
    add_run(fresh, "AAPL")
    upgrade(fresh, NOW)
    assert not {"natural_key", *unread} & list_indexes(fresh)["anomalies"]


def test_batches_and_unfinished_runs_do_not_expire_after_an_upgrade(fresh: Db) -> None:
    fresh.batches.create_index("finished_at", expireAfterSeconds=60)
    fresh.detection_runs.create_index("started_at", name="finished_runs_ttl", expireAfterSeconds=60)
    add_run(fresh, "AAPL")
    upgrade(fresh, NOW)
    expiring = {
        (name, *index["key"])
        for name in ("batches", "detection_runs")
        for index in fresh[name].list_indexes()
        if "expireAfterSeconds" in index
    }
    assert expiring == {("detection_runs", "completed_at")}


def test_records_of_old_imports_expire_after_an_upgrade_too(fresh: Db) -> None:
    fresh.bar_imports.create_index([("at", -1)])
    add_run(fresh, "AAPL")
    upgrade(fresh, NOW)
    indexes = fresh.bar_imports.index_information()
    assert "at_-1" not in indexes
    assert indexes["at_1"]["expireAfterSeconds"] == 90 * 86_400


def test_a_database_of_newer_code_is_reported(flask: Command, database: Db) -> None:
    """Such as a restored backup beside older code. It used to be reported as up to date."""
    assert flask("db", "upgrade").exit_code == 0
    database.settings.update_one({"_id": "schema"}, {"$set": {"version": 999}}, upsert=True)
    told = flask("db", "upgrade")
    assert "this code knows version" in told.stderr


def test_rejected_rows_of_open_bars_expire(fresh: Db) -> None:
    """Each request to a live source added one for each ticker."""
    upgrade(fresh, NOW)
    ttl = fresh.rejected_bars.index_information()["not_closed_ttl"]
    assert ttl["expireAfterSeconds"] == 7 * 86_400
    assert ttl["partialFilterExpression"] == {"reason": "not_closed"}


def test_anomalies_whose_bars_are_gone_say_so_in_their_status(fresh: Db) -> None:
    fresh.anomalies.insert_many(
        [
            {"_id": "there", "status": "new"},
            {"_id": "gone", "status": "new", "bars_gone_at": NOW},
            {"_id": "both", "status": "superseded", "bars_gone_at": NOW},
        ]
    )
    upgrade(fresh, NOW)
    said = {anomaly["_id"]: anomaly["status"] for anomaly in fresh.anomalies.find()}
    assert said == {"there": "new", "gone": "bars_gone", "both": "superseded"}


def test_only_currencies_are_measured_by_another_week(fresh: Db) -> None:
    coverage = {"bars_held": 1}
    fresh.series.insert_many(
        [{"_id": code, "market": code, "coverage": coverage} for code in ("FX", "US")]
    )
    fresh.markets.insert_many(
        [{"_id": code, "calendar": "24/5", "currency": "EUR"} for code in ("FX", "OWN")]
    )
    fresh.watchlists.insert_one({"_id": "pairs", "markets": ["US", "FX"], "next_scan": NOW})
    upgrade(fresh, NOW, [migration for migration in MIGRATIONS if migration.number == 20])
    assert list(fresh.markets.find().sort("_id", 1)) == [
        {"_id": "FX", "calendar": "FX", "currency": "EUR"},
        {"_id": "OWN", "calendar": "24/5", "currency": "EUR"},
    ]
    assert fresh.watchlists.distinct("next_scan") == [None]
    assert [series.get("coverage") for series in fresh.series.find().sort("_id", 1)] == [
        None,
        coverage,
    ]


def test_what_models_read_is_told_in_usual_ranges_once(fresh: Db) -> None:
    def read(name: str, label: str, *values: float) -> dict[str, object]:
        told = dict(zip(VALUES, values, strict=True))
        return {"name": name, "label": label, **told, "share": 0.5}

    before = [
        read("gap_fast", "gap at the open, in usual ranges of the last weeks", 3.0, 0.1, 0.5, 1.0),
        read(
            "clock_return_fast",
            "return, for its time of day, in usual ranges of the last weeks",
            *(2.0, 1.0, 1.0, 1.5),
        ),
        read("RSI", "RSI", 70.0, 30.0, 50.0, 60.0),
    ]
    after = [
        read("gap_fast", "gap at the open in usual ranges of the last weeks", 9.0, 0.01, 0.25, 1.0),
        read(
            "clock_return_fast",
            "return in usual returns of its time of day and of the last 20 bars",
            *(4.0, 1.0, 1.0, 2.25),
        ),
        read("RSI", "RSI", 70.0, 30.0, 50.0, 60.0),
    ]
    first = {"metric_name": "gap_fast", "actual_value": 3.0, "expected_value": 0.5}
    fresh.anomalies.insert_one({"_id": "a", "inputs": before})
    fresh.alerts.insert_one({"_id": "a", "inputs": before, **first})
    fresh.alerts.insert_one({"_id": "series", "inputs": [], "actual_value": 3.0})
    fresh.alert_history.insert_one({"_id": "a", "inputs": before, **first})
    for _ in range(2):
        upgrade(fresh, NOW, [migration for migration in MIGRATIONS if migration.number == 21])
        fresh.settings.delete_many({})
    told = [{**each, **{k: pytest.approx(each[k]) for k in VALUES}} for each in after]
    assert fresh.anomalies.find_one()["inputs"] == told
    for alerts in (fresh.alerts, fresh.alert_history):
        alert = alerts.find_one({"_id": "a"})
        assert alert["inputs"] == told
        assert (alert["actual_value"], alert["expected_value"]) == (9.0, 0.25)
    assert fresh.alerts.find_one({"_id": "series"})["actual_value"] == 3.0


def test_futures_and_currencies_are_measured_by_their_evenings(fresh: Db) -> None:
    codes, coverage = ("FUT", "FX", "OWN", "US"), {"bars_held": 1}
    fresh.series.insert_many(
        [{"_id": code, "market": code, "coverage": coverage} for code in codes]
    )
    fresh.markets.insert_one({"_id": "OWN", "calendar": "CMES"})
    fresh.session_days.insert_many([{"_id": code} for code in codes])
    fresh.watchlists.insert_many(
        [{"_id": code, "markets": [code], "next_scan": NOW} for code in codes]
    )
    upgrade(fresh, NOW, [migration for migration in MIGRATIONS if migration.number == 22])
    assert fresh.series.distinct("_id", {"coverage": coverage}) == ["US"]
    assert fresh.session_days.distinct("_id") == ["US"]
    assert fresh.watchlists.distinct("_id", {"next_scan": NOW}) == ["US"]


@pytest.mark.parametrize("number", [24, 26])
def test_series_with_bars_before_1970_are_measured_anew(fresh: Db, number: int) -> None:
    for year in (1962, 1970):
        first = {"first_bar": datetime(year, 1, 2, tzinfo=UTC), "coverage": {"bars_held": 1}}
        fresh.series.insert_one({"_id": str(year), **first})
    upgrade(fresh, NOW, [migration for migration in MIGRATIONS if migration.number == number])
    assert fresh.series.distinct("_id", {"coverage": {"$exists": True}}) == ["1970"]


@pytest.mark.parametrize("number", [23, 25])
def test_hours_around_lunch_breaks_and_four_hours_of_futures_are_measured_anew(
    fresh: Db, number: int
) -> None:
    coverage = {"bars_held": 1}
    fresh.series.insert_many(
        {"_id": f"{code} {interval}", "market": code, "interval": interval, "coverage": coverage}
        for code in ("JP", "FUT", "US")
        for interval in ("15m", "1h", "4h")
    )
    upgrade(fresh, NOW, [migration for migration in MIGRATIONS if migration.number == number])
    measured = fresh.series.distinct("_id", {"coverage": coverage})
    others = ["FUT 15m", "FUT 1h", "JP 15m", "JP 4h", "US 15m", "US 1h", "US 4h"]
    assert measured == others


@pytest.mark.parametrize("number", [27, 28])
def test_bars_of_half_an_hour_and_more_are_measured_anew(fresh: Db, number: int) -> None:
    coverage = {"bars_held": 1}
    fresh.series.insert_many(
        {"_id": f"{code} {interval}", "market": code, "interval": interval, "coverage": coverage}
        for code in ("CRYPTO", "US")
        for interval in ("15m", "30m", "1h", "4h", "1d")
    )
    upgrade(fresh, NOW, [migration for migration in MIGRATIONS if migration.number == number])
    measured = fresh.series.distinct("_id", {"coverage": coverage})
    assert measured == ["CRYPTO 15m", "CRYPTO 1d", "US 15m", "US 1d"]


def test_the_fifth_migration_moves_the_thresholds_of_watchlists_into_their_documents(
    fresh: Db,
) -> None:
    watchlists = {"a": 60.0, "b": None, "c": 70.0, "d": None}
    fresh.watchlists.insert_many(
        {"_id": name, "threshold": grade} for name, grade in watchlists.items()
    )
    kept = {
        ("watchlist", "a"): ("grade", 60.0),
        ("watchlist", "b"): ("contamination", 0.05),
        ("market", "US"): ("grade", 50.0),
    }
    fresh.thresholds.insert_many(
        {
            "_id": f"threshold::{scope}::{name}",
            "scope": scope,
            "name": name,
            "kind": kind,
            "value": value,
        }
        for (scope, name), (kind, value) in kept.items()
    )
    upgrade(fresh, NOW)
    moved = {each["_id"]: each["threshold"] for each in fresh.watchlists.find()}
    assert moved.pop("a") == {"kind": "grade", "value": 60.0}
    assert moved.pop("b") == {"kind": "contamination", "value": 0.05}
    assert moved == {
        "c": None,
        "d": None,
    }  # Detection read the threshold from the other collection, which had none of these.
    assert [each["scope"] for each in fresh.thresholds.find()] == ["market"]


def test_migrations_are_applied_in_order_after_the_last_one_applied(fresh: Db) -> None:
    applied: list[int] = []
    steps = [Migration(n, f"step {n}", lambda _database, n=n: applied.append(n)) for n in (1, 2, 3)]
    upgrade(fresh, NOW, steps[:1])
    with pytest.raises(DatabaseUnfit, match="at version 1, and this code needs 3"):
        check_version(fresh, steps)
    upgrade(fresh, NOW, steps)
    assert applied == [1, 2, 3]
    check_version(fresh, steps[:2])


def test_a_migration_that_fails_is_tried_again(fresh: Db) -> None:
    def fail(_database: Db) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        upgrade(fresh, NOW, [*MIGRATIONS, Migration(LATEST + 1, "fails", fail)])
    assert find_version(fresh) == LATEST


def test_duplicate_buckets_are_reported_and_not_removed(fresh: Db) -> None:
    """In data of an earlier version, whose buckets had a year in place of a span."""
    years = [{"ticker": "AAPL", "interval": "1d", "year": year} for year in (2023, 2024)]
    fresh.bars.insert_many(years)
    with pytest.raises(DatabaseUnfit, match=r"index of bars cannot be made.*Remove nothing yet"):
        prepare_database(fresh, NOW)
    assert fresh.bars.count_documents({}) == len(years)


def test_a_different_index_is_named_with_what_to_do(fresh: Db) -> None:
    fresh.bars.create_index(["ticker", "interval", "span"])
    with pytest.raises(DatabaseUnfit, match=r"index of bars cannot be made.*db\.bars\.dropIndex"):
        prepare_database(fresh, NOW)
