"""Bars deleted, renamed, and imports taken back: the findings stay, and `flask db check` finds no
disagreement.
"""

import getpass
import json
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import pytest
from flask.testing import FlaskClient

from core.errors import Transient
from detection.pipeline.commit import commit
from detection.pipeline.job import Outcome
from market.bars import deleting, undoing, writing
from market.bars.deleting import delete_bars, rename_bars
from market.bars.reading import read_bars
from market.bars.session_exceptions import remove_exception
from market.bars.undoing import undo_import
from market.imports.importing import import_frame
from market.markets import SHIPPED
from records.consistency import find_disagreements
from records.database import Db
from records.findings.anomalies import find_fallen, mark_bars_gone
from records.findings.anomaly_queries import build_query, count_by_series, iterate_anomalies
from records.keys import add_key
from records.market.series import find_one_series
from records.tenancy import add_tenant, of_tenant
from tasks.engine import planning
from tasks.process.worker import Worker
from tests.commands import Command, read_json
from tests.integration.conftest import Once
from tests.integration.detecting import detect, make_bars, read_anomalies, run, store, train
from tests.integration.stored import add_list, add_run, add_series
from tests.slow import slow_but_first

NOW = datetime(2026, 1, 6, tzinfo=UTC)
SHOCKS = (300, 420, 560)


@pytest.fixture
def detected(database: Db, once: Once) -> Db:
    """Bars of AAPL with three anomalies, found by a backfill, and bars of MSFT."""

    def make() -> None:
        store(database, "AAPL", make_bars(600, shocks=SHOCKS))
        store(database, "MSFT", make_bars(600, seed=2))
        train(database)
        run(database, "backfill", "AAPL", "MSFT")

    once(make)
    return database


def write(folder: Path, ticker: str, frame: pd.DataFrame) -> Path:
    path = folder / f"{ticker}.csv"
    frame.to_csv(path, index=False)
    return path


def tell_series(database: Db, ticker: str) -> dict[str, Any] | None:
    """Return all fields of a series that its bars determine."""
    series = find_one_series(database, ticker, "1d")
    names = (
        "bars",
        "first_bar",
        "last_bar",
        "counts",
        "digests",
        "splits",
        "fingerprint",
        "coverage",
    )
    return None if series is None else {name: series[name] for name in names}


def check(database: Db) -> list[str]:
    """Return the disagreements that are found, except those about audits: these detections had no
    runs.
    """
    return [str(found) for found in find_disagreements(database, NOW) if "audit" not in str(found)]


def test_the_anomalies_of_deleted_bars_stay(flask: Command, detected: Db) -> None:
    found = read_anomalies(detected, "AAPL")
    assert len(found) >= len(SHOCKS)
    answer = flask("bars", "delete", "aapl", "--yes")
    assert answer.stdout == "600 1d bars of AAPL deleted; anomalies, models and runs stay\n"
    assert tell_series(detected, "AAPL") is None
    assert detected.bars.count_documents({"ticker": "AAPL"}) == 0
    kept = read_anomalies(detected, "AAPL")
    told = {"status", "bars_gone_at"}
    assert [{n: v for n, v in anomaly.items() if n not in told} for anomaly in kept] == [
        {n: v for n, v in anomaly.items() if n not in told} for anomaly in found
    ]
    assert all("bars_gone_at" in anomaly for anomaly in kept)
    assert {anomaly["status"] for anomaly in kept} == {"bars_gone"}
    assert detected.models.count_documents({}) == 1
    assert check(detected) == []
    assert tell_series(detected, "MSFT") is not None
    (revision,) = detected.bar_revisions.find({"ticker": "AAPL", "kind": "deleted"})
    assert revision["bars"] == 600
    # The bars are imported again: then they are no longer gone, and the anomalies are found again.
    store(detected, "AAPL", make_bars(600, shocks=SHOCKS))
    run(detected, "incremental", "AAPL")
    assert [anomaly["Datetime"] for anomaly in read_anomalies(detected, "AAPL")] == [
        a["Datetime"] for a in found
    ]
    assert not any("bars_gone_at" in anomaly for anomaly in read_anomalies(detected, "AAPL"))
    assert check(detected) == []


def test_the_audit_says_who_deleted_renamed_or_undid_bars(
    client: FlaskClient, flask: Command, detected: Db
) -> None:
    brought = import_later(detected, make_bars(620, shocks=SHOCKS)[600:])
    assert brought is not None
    assert flask("bars", "undo", brought).exit_code == 0
    assert flask("bars", "rename", "AAPL", "AAPLX").exit_code == 0
    assert flask("bars", "delete", "AAPLX", "--yes").exit_code == 0
    assert client.delete("/py/tickers/MSFT").status_code == 204
    told = [
        (entry["by"], entry["step"], entry["subject"], entry["details"])
        for entry in client.get("/py/audit").json["items"]
    ]
    me = getpass.getuser()
    assert told == [
        ("open access", "remove", "1d bars of MSFT", {"bars": 600}),
        (me, "remove", "1d bars of AAPLX", {"bars": 600}),
        (
            me,
            "change",
            "1d bars of AAPL",
            {"bars": 600, "ticker": {"before": "AAPL", "after": "AAPLX"}},
        ),
        (
            me,
            "change",
            "1d bars of AAPL",
            {"bars": 620, "undone": brought, "removed": 20, "restored": 0},
        ),
    ]


def test_the_audit_says_who_recorded_a_split(
    client: FlaskClient, flask: Command, worker: Worker, detected: Db
) -> None:
    day = f"{make_bars(101)['date'].iloc[-1]:%Y-%m-%d}"
    for _ in range(2):  # the second time nothing changes
        accepted = client.post("/py/tickers/AAPL/splits", json={"session": day, "factor": 2})
        planning.start(worker, accepted.json["run_id"])
    assert flask("bars", "split", "AAPL", day, "1").exit_code == 0
    told = [
        (entry["by"], entry["step"], entry["subject"], entry["details"])
        for entry in client.get("/py/audit").json["items"]
    ]
    name, of = f"split on {day}", "1d bars of AAPL"
    assert told == [
        (getpass.getuser(), "change", of, {"bars": 600, name: {"before": 2.0, "after": 1.0}}),
        ("open access", "change", of, {"bars": 600, name: {"before": 1.0, "after": 2.0}}),
    ]


def test_the_audit_of_a_split_is_that_of_the_tenant_that_recorded_it(
    client: FlaskClient, worker: Worker, detected: Db
) -> None:
    add_tenant(detected, "acme", NOW)
    key = add_key(of_tenant(detected, "acme"), "mia", ["enqueue", "read"], NOW)
    client.environ_base["HTTP_X_API_KEY"] = key
    split = {"session": f"{make_bars(101)['date'].iloc[-1]:%Y-%m-%d}", "factor": 2}
    accepted = client.post("/py/tickers/AAPL/splits", json=split)
    planning.start(worker, accepted.json["run_id"])
    (told,) = client.get("/py/audit?by=mia").json["items"]
    assert told["subject"] == "1d bars of AAPL"
    assert detected.alert_trail.count_documents({"by": "mia"}) == 0


def test_the_audit_says_who_set_a_session(
    client: FlaskClient, flask: Command, worker: Worker, detected: Db
) -> None:
    shut = {"day": "2025-01-09", "session": "shut", "note": "mourning"}
    for _ in range(2):  # the second time nothing changes
        accepted = client.post("/py/markets/US/sessions", json=shut)
        planning.start(worker, accepted.json["run_id"])
    for words in (("open", "US", "2025-01-09", "09:30", "13:00"), ("forget", "US", "2025-01-09")):
        assert flask("sessions", *words).exit_code == 0
    told = [
        (entry["by"], entry["subject"], entry["details"]["hours"])
        for entry in client.get("/py/audit").json["items"]
    ]
    me, day, calendar = getpass.getuser(), "session 2025-01-09 of US", "as the calendar says"
    assert told == [
        (me, day, {"before": "09:30 to 13:00", "after": calendar}),
        (me, day, {"before": "shut", "after": "09:30 to 13:00"}),
        ("open access", day, {"before": calendar, "after": "shut"}),
    ]


def test_a_session_is_measured_although_the_attempt_that_forgot_it_died(
    client: FlaskClient, worker: Worker, database: Db
) -> None:
    store(database, "AAPL", make_bars(600))
    holiday = {"day": "2015-07-03", "session": "open", "opens": "09:30", "closes": "13:00"}

    def count_missing() -> int:
        series = find_one_series(database, "AAPL", "1d")
        assert series is not None
        return series["coverage"]["missing"]

    def die() -> None:
        raise Transient("the worker died")

    accepted = client.post("/py/markets/US/sessions", json=holiday)
    planning.start(worker, accepted.json["run_id"])
    assert count_missing() == 1
    again = {"day": holiday["day"], "session": "calendar"}
    accepted = client.post("/py/markets/US/sessions", json=again)
    with pytest.raises(Transient):
        remove_exception(database, SHIPPED.choose("US"), date(2015, 7, 3), now=NOW, on_series=die)
    assert count_missing() == 1
    planning.start(worker, accepted.json["run_id"])
    assert count_missing() == 0


def test_a_session_that_was_not_set_can_be_retried_whoever_asked(
    client: FlaskClient, database: Db
) -> None:
    """Runs whose options say by whom they were done were done at the command line."""
    key = add_key(database, "command line", ["admin"], NOW)
    client.environ_base["HTTP_X_API_KEY"] = key
    shut = {"day": "2025-01-09", "session": "shut"}
    run_id = client.post("/py/markets/US/sessions", json=shut).json["run_id"]
    failed = {"$set": {"status": "failed", "completed_at": NOW}}
    options = database.detection_runs.find_one_and_update({"_id": run_id}, failed)["options"]
    assert options["session"]["by"] == "command line"
    # The page offers no retry where the options have this.
    assert "by" not in options
    assert client.post(f"/py/detection-runs/{run_id}/retry").status_code == 202


def test_bars_are_deleted_over_http(client: FlaskClient, detected: Db) -> None:
    assert client.delete("/py/tickers/AAPL?interval=1h").status_code == 404
    assert client.delete("/py/tickers/aapl").status_code == 204
    assert client.get("/py/tickers/AAPL/status").json["reason"] == "no_bars"
    assert client.delete("/py/tickers/AAPL").status_code == 404
    assert client.get("/py/anomalies?ticker=AAPL").json["items"] == []
    anomaly, *_ = client.get("/py/anomalies?ticker=AAPL&status=bars_gone").json["items"]
    assert anomaly["bars_gone_at"] is not None


def test_anomalies_whose_bars_are_gone_are_counted_only_after_these_come_again(
    client: FlaskClient, detected: Db
) -> None:
    ids = detected.anomalies.distinct("_id", {"Ticker": "AAPL"})
    old = {"status": "superseded", "superseded_by": "run-0", "superseded_at": NOW}
    detected.anomalies.update_one({"_id": ids[0]}, {"$set": old})
    span = "start=1990-01-01&end=2030-01-01&bins=1"

    def count() -> list[int]:
        (spans,) = client.get(f"/py/anomalies/histogram?ticker=AAPL&{span}").json["spans"] or [{}]
        return [
            len(client.get("/py/anomalies?ticker=AAPL&limit=200").json["items"]),
            client.get("/py/anomalies/summary?ticker=AAPL").json["total"],
            sum(spans.get("by_severity", {}).values()),
            sum(count_by_series(detected, ["AAPL"]).get("AAPL::1d", {}).values()),
            iterate_anomalies(
                detected, tickers=["AAPL"], interval="1d", start=None, end=None, fields=["_id"]
            )[0],
        ]

    assert count() == [len(ids) - 1] * 5
    assert client.delete("/py/tickers/AAPL?interval=1d").status_code == 204
    assert count() == [0] * 5
    assert find_fallen(detected, ids) == set(ids)
    store(detected, "AAPL", make_bars(600, shocks=SHOCKS))
    # The superseded anomaly stays superseded.
    assert count() == [len(ids) - 1] * 5
    assert find_fallen(detected, ids) == {ids[0]}


def test_counts_of_anomalies_are_read_from_an_index(detected: Db) -> None:
    stages = [
        {"$match": build_query(market="US")},
        {"$group": {"_id": "$severity", "count": {"$sum": 1}}},
    ]
    pipeline = {"aggregate": "anomalies", "pipeline": stages, "cursor": {}}
    plan = str(detected.command("explain", pipeline, verbosity="queryPlanner"))
    assert ("IXSCAN" in plan, "'stage': 'FETCH'" in plan) == (True, False)


def test_a_model_says_which_of_its_training_bars_are_gone(
    client: FlaskClient, flask: Command, detected: Db
) -> None:
    def list_gone() -> list[tuple[str, str, int]]:
        shown = client.get("/py/models/US_model-0.1.0").json["bars_gone"]
        return [(gone["ticker"], gone["kind"], gone["bars"]) for gone in shown]

    def show() -> str:
        return flask("models", "show", "US_model-0.1.0").output

    assert list_gone() == []
    assert "bars gone" not in show()
    # Bars that came after the model was trained are none of its training bars.
    later = make_bars(620, shocks=SHOCKS)[600:]
    brought = import_later(detected, later)
    assert brought is not None
    assert flask("bars", "undo", brought).exit_code == 0
    assert list_gone() == []
    assert client.delete("/py/tickers/AAPL").status_code == 204
    assert flask("bars", "rename", "MSFT", "MSFTX").exit_code == 0
    assert list_gone() == [("AAPL", "deleted", 600), ("MSFT", "renamed", 600)]
    assert "AAPL (deleted on" in show()
    import_later(detected, make_bars(600, shocks=SHOCKS))
    assert list_gone() == [("MSFT", "renamed", 600)]


def import_later(database: Db, frame: pd.DataFrame) -> str | None:
    """Import bars of AAPL at the real present time, at which imports are taken back."""
    return import_frame(
        database, frame, interval="1d", source="test", ticker="AAPL", now=datetime.now(UTC)
    ).import_id


def test_bars_are_not_deleted_while_a_run_reads_them(
    client: FlaskClient, flask: Command, database: Db
) -> None:
    add_series(database, "AAPL")
    run_id = add_run(database, "AAPL")
    refused = client.delete("/py/tickers/AAPL")
    assert (refused.status_code, refused.json["run_id"]) == (409, run_id)
    assert run_id in flask("bars", "delete", "AAPL", "--yes").output
    assert database.series.count_documents({}) == 1


def test_an_import_is_not_taken_back_while_a_run_reads_its_bars(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    """The run would store findings of bars that are gone by then."""
    report = read_json(flask("bars", "import", write(tmp_path, "AAPL", make_bars(100)), "--json"))
    before = tell_series(database, "AAPL")
    run_id = add_run(database, "AAPL")
    refused = flask("bars", "undo", report["import_id"])
    assert (refused.exit_code, run_id in refused.output) == (1, True)
    assert tell_series(database, "AAPL") == before


def test_renamed_bars_keep_their_values(flask: Command, detected: Db) -> None:
    before = tell_series(detected, "AAPL")
    shown = read_bars(detected, "AAPL", "1d", start=None, end=None, limit=1_000)
    answer = flask("bars", "rename", "AAPL", "AAPLX")
    assert answer.exit_code == 0, answer.output
    assert tell_series(detected, "AAPL") is None
    assert tell_series(detected, "AAPLX") == before
    assert read_bars(detected, "AAPLX", "1d", start=None, end=None, limit=1_000) == shown
    assert all("bars_gone_at" in anomaly for anomaly in read_anomalies(detected, "AAPL"))
    run(detected, "backfill", "AAPLX")
    times = [anomaly["Datetime"] for anomaly in read_anomalies(detected, "AAPLX")]
    assert times == [anomaly["Datetime"] for anomaly in read_anomalies(detected, "AAPL")]
    assert check(detected) == []


def test_watchlists_that_find_no_bars_after_a_rename_are_named(
    flask: Command, database: Db
) -> None:
    store(database, "FB", make_bars(70, 1))
    add_list(database, "tech", "FB", "AAPL")
    add_list(database, "others", "AAPL")
    said = flask("bars", "rename", "FB", "META").stdout
    assert "watchlists that still hold FB, and find no bars of it: tech\n" in said
    assert "watchlists" not in flask("bars", "delete", "META", "--yes").stdout


def test_a_series_that_gets_its_old_name_back_gets_its_anomalies_back(
    flask: Command, detected: Db
) -> None:
    standing = {"Ticker": "AAPL", "status": "new"}
    before = detected.anomalies.count_documents(standing)
    for old, name in (("AAPL", "AAPLX"), ("AAPLX", "AAPL")):
        assert flask("bars", "rename", old, name).exit_code == 0
    run(detected, "backfill", "AAPL")
    assert before >= len(SHOCKS)
    assert detected.anomalies.count_documents(standing) == before
    assert detected.anomalies.count_documents({"bars_gone_at": {"$exists": True}}) == 0
    assert check(detected) == []


@pytest.mark.parametrize(
    ("name", "said"), [("MSFT", "delete them first"), ("7203.T", "of market JP"), ("AAPL", "this")]
)
def test_a_name_that_is_not_free_is_refused(
    flask: Command, detected: Db, name: str, said: str
) -> None:
    before = tell_series(detected, "AAPL")
    answer = flask("bars", "rename", "AAPL", name)
    assert answer.exit_code in {1, 2}
    assert said in answer.output
    assert tell_series(detected, "AAPL") == before


def test_an_import_is_taken_back_as_if_it_had_never_been(
    flask: Command, detected: Db, tmp_path: Path
) -> None:
    before, found = tell_series(detected, "AAPL"), read_anomalies(detected, "AAPL")
    frame = make_bars(700, shocks=(*SHOCKS, 650))
    frame.loc[100, "close"] = frame.loc[100, "low"]
    report = read_json(flask("bars", "import", write(tmp_path, "AAPL", frame.iloc[50:]), "--json"))
    assert (report["new"] > 50, report["changed"] > 0) == (True, True)
    run(detected, "incremental", "AAPL")
    assert len(read_anomalies(detected, "AAPL")) > len(found)
    listed = read_json(flask("bars", "imports", "--json"))
    assert listed[0]["import_id"] == report["import_id"]
    (undone,) = read_json(flask("bars", "undo", report["import_id"], "--json"))
    assert (undone["removed"], undone["restored"]) == (report["new"], report["changed"])
    assert tell_series(detected, "AAPL") == before
    assert check(detected) == []
    run(detected, "incremental", "AAPL")
    present = [
        a
        for a in read_anomalies(detected, "AAPL")
        if "bars_gone_at" not in a and a["status"] != "superseded"
    ]
    assert [anomaly["Datetime"] for anomaly in present] == [
        anomaly["Datetime"] for anomaly in found
    ]
    assert "there is no import" in flask("bars", "undo", report["import_id"]).output


def test_the_latest_imports_are_listed_whole(flask: Command, detected: Db, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for ticker in ("AAPL", "MSFT", "NVDA"):
        write(folder, ticker, make_bars(720).iloc[50:])
    both = read_json(flask("bars", "import", str(folder), "--json"))
    last = read_json(flask("bars", "import", write(tmp_path, "AAPL", make_bars(740)), "--json"))
    listed = read_json(flask("bars", "imports", "--limit", "2", "--json"))
    assert [(each["import_id"], sorted(each["tickers"]), each["new"]) for each in listed] == [
        (last["import_id"], ["AAPL"], last["new"]),
        (both["import_id"], ["AAPL", "MSFT", "NVDA"], both["new"]),
    ]
    named = read_json(flask("bars", "imports", "--ticker", "MSFT", "--limit", "1", "--json"))
    assert [(each["import_id"], each["tickers"]) for each in named] == [
        (both["import_id"], ["MSFT"])
    ]


def test_anomalies_say_that_their_bars_are_gone_until_these_same_bars_come_again(
    flask: Command, detected: Db, tmp_path: Path
) -> None:
    frame = make_bars(600, shocks=SHOCKS)
    assert flask("bars", "delete", "AAPL", "--yes").exit_code == 0
    gone = {"Ticker": "AAPL", "bars_gone_at": {"$exists": True}}
    before = detected.anomalies.count_documents(gone)
    assert before >= len(SHOCKS)
    shocks = [pd.Timestamp(frame["date"].iloc[at]).tz_localize("UTC") for at in SHOCKS]
    flask("bars", "import", write(tmp_path, "AAPL", frame.drop(index=SHOCKS[1])))
    left = [anomaly["Datetime"] for anomaly in detected.anomalies.find(gone)]
    assert left == [shocks[1].to_pydatetime()]
    flask("bars", "import", write(tmp_path, "AAPL", frame))
    assert detected.anomalies.count_documents(gone) == 0


def test_a_run_that_cannot_see_a_removed_bar_supersedes_nothing(
    flask: Command, detected: Db, tmp_path: Path
) -> None:
    frame, at = make_bars(600, shocks=SHOCKS), SHOCKS[1]
    time = frame["date"].iloc[at].to_pydatetime().replace(tzinfo=UTC)
    store(detected, "HOLE", frame.drop(index=[at - 20, at]))
    run(detected, "backfill", "HOLE")

    def read_status() -> list[tuple[str, int]]:
        run(detected, "incremental", "HOLE")
        found = detected.anomalies.find({"Ticker": "HOLE", "Datetime": time})
        return [(anomaly["status"], len(anomaly["opinions"])) for anomaly in found]

    assert read_status() == []
    report = read_json(flask("bars", "import", write(tmp_path, "HOLE", frame), "--json"))
    assert read_status() == [("new", 0)]
    assert flask("bars", "undo", report["import_id"]).exit_code == 0
    assert read_status() == [("bars_gone", 0)]
    assert flask("bars", "import", write(tmp_path, "HOLE", frame)).exit_code == 0
    assert read_status() == [("new", 0)]
    assert check(detected) == []


def test_metrics_of_a_bar_that_is_taken_back_are_deleted(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    frame = make_bars(100)
    flask("bars", "import", write(tmp_path, "NEWCO", frame.iloc[:99]))
    second = read_json(flask("bars", "import", write(tmp_path, "NEWCO", frame.iloc[99:]), "--json"))
    days = [pd.Timestamp(frame["date"].iloc[at]).tz_localize("UTC") for at in (98, 99)]
    for day in days:
        database.analytics.insert_one(
            {"_id": f"NEWCO::1d::{day}", "ticker": "NEWCO", "interval": "1d", "time": day}
        )
    row = {"_id": "NEWCO::1d", "ticker": "NEWCO", "interval": "1d", "as_of": days[1]}
    database.analytics_overview.insert_one(row)
    for day in days:
        market = {"_id": f"US::1d::{day}", "market": "US", "interval": "1d", "time": day}
        database.analytics_markets.insert_one(market)
    assert flask("bars", "undo", second["import_id"]).exit_code == 0
    (left,) = database.analytics.find()
    assert left["time"] == days[0]
    assert [market["time"] for market in database.analytics_markets.find()] == [days[0]]
    assert database.analytics_overview.count_documents({}) == 0


def test_an_import_of_a_new_ticker_is_taken_back_completely(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    report = read_json(flask("bars", "import", write(tmp_path, "NEWCO", make_bars(100)), "--json"))
    assert read_json(flask("bars", "undo", report["import_id"], "--json"))[0]["left"] == 0
    assert tell_series(database, "NEWCO") is None
    assert database.bars.count_documents({}) == 0
    again = read_json(flask("bars", "import", write(tmp_path, "NEWCO", make_bars(100)), "--json"))
    assert again["new"] == 100


def test_an_import_whose_record_is_about_to_expire_is_not_taken_back(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    done = flask("bars", "import", write(tmp_path, "AAPL", make_bars(5)), "--json")
    import_id = json.loads(done.stdout)["import_id"]
    database.bar_imports.update_one(
        {"import_id": import_id}, {"$set": {"at": datetime.now(UTC) - timedelta(days=86)}}
    )
    refused = flask("bars", "undo", import_id)
    assert refused.exit_code != 0
    assert "none can be undone as a whole" in refused.stderr
    assert database.series.count_documents({}) == 1


def test_a_later_import_that_changed_the_bars_is_taken_back_first(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    frame = make_bars(100)
    first = read_json(flask("bars", "import", write(tmp_path, "NEWCO", frame), "--json"))
    before = tell_series(database, "NEWCO")
    frame.loc[40, "volume"] += 1
    second = read_json(flask("bars", "import", write(tmp_path, "NEWCO", frame), "--json"))
    refused = flask("bars", "undo", first["import_id"])
    assert refused.exit_code == 1
    assert f"undo {second['import_id']} first" in refused.output
    assert flask("bars", "undo", second["import_id"]).exit_code == 0
    assert tell_series(database, "NEWCO") == before
    assert flask("bars", "undo", first["import_id"]).exit_code == 0
    assert tell_series(database, "NEWCO") is None


def test_an_import_of_several_tickers_is_taken_back_completely_or_not_at_all(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    both = pd.concat([make_bars(100).assign(ticker=name) for name in ("NEWA", "NEWB", "NEWC")])
    first = read_json(flask("bars", "import", write(tmp_path, "both", both), "--json"))
    later = make_bars(100).iloc[40:41].assign(volume=7.0)
    second = read_json(flask("bars", "import", write(tmp_path, "NEWB", later), "--json"))
    before = {name: tell_series(database, name) for name in ("NEWA", "NEWB", "NEWC")}
    refused = flask("bars", "undo", first["import_id"])
    assert refused.exit_code == 1
    assert f"nothing was undone; undo {second['import_id']} first" in refused.output
    assert {name: tell_series(database, name) for name in before} == before
    assert flask("bars", "undo", second["import_id"]).exit_code == 0
    assert flask("bars", "undo", first["import_id"]).exit_code == 0
    assert database.series.count_documents({}) == 0


def test_a_split_recorded_later_stays_when_bars_are_taken_back(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    frame = make_bars(100)
    flask("bars", "import", write(tmp_path, "NEWCO", frame.iloc[:90]))
    second = read_json(flask("bars", "import", write(tmp_path, "NEWCO", frame.iloc[90:]), "--json"))
    flask("bars", "import", write(tmp_path, "NEWCO", frame.iloc[95:].assign(volume=7.0)))
    assert (
        f"take back {second['import_id']}" not in flask("bars", "undo", second["import_id"]).output
    )
    session = frame["date"].iloc[50]
    assert flask("bars", "split", "NEWCO", str(session)[:10], "2").exit_code == 0
    third = read_json(flask("bars", "imports", "--json"))[0]["import_id"]
    assert flask("bars", "undo", third).exit_code == 0
    assert flask("bars", "undo", second["import_id"]).exit_code == 0
    series = find_one_series(database, "NEWCO", "1d")
    assert series is not None
    assert (series["bars"], [split["factor"] for split in series["splits"]]) == (90, [2.0])
    assert check(database) == []


def test_all_files_of_one_import_are_taken_back_together(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    frame = make_bars(100)
    folder = tmp_path / "both"
    folder.mkdir()
    for name, rows in (("1", frame), ("2", frame.iloc[40:41].assign(volume=7.0))):
        rows.assign(ticker="NEWCO").to_csv(folder / f"{name}.csv", index=False)
    report = read_json(flask("bars", "import", folder, "--json"))
    assert (report["new"], report["changed"]) == (100, 1)
    assert flask("bars", "undo", report["import_id"]).exit_code == 0
    assert tell_series(database, "NEWCO") is None


def test_real_bars_stay_when_the_earlier_import_of_synthetic_ones_is_taken_back(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    frame = pd.concat([make_bars(100).assign(ticker=name) for name in ("NEWA", "NEWB")])
    made_up = import_frame(
        database, frame, interval="1d", source="seed 1", now=datetime.now(UTC), synthetic=True
    ).import_id
    flask("bars", "import", write(tmp_path, "NEWA", make_bars(80)))
    undone = read_json(flask("bars", "undo", made_up, "--json"))
    assert [one["ticker"] for one in undone] == ["NEWB"]
    shown = read_bars(database, "NEWA", "1d", start=None, end=None, limit=1_000)
    assert [bar.close for bar in shown] == make_bars(80)["close"].tolist()


def test_bars_of_a_later_import_stay_when_an_earlier_one_is_taken_back(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    frame = make_bars(100)
    first = read_json(flask("bars", "import", write(tmp_path, "NEWCO", frame.iloc[:60]), "--json"))
    flask("bars", "import", write(tmp_path, "NEWCO", frame.iloc[60:]))
    assert flask("bars", "undo", first["import_id"]).exit_code == 0
    shown = read_bars(database, "NEWCO", "1d", start=None, end=None, limit=1_000)
    assert [bar.close for bar in shown] == frame["close"].iloc[60:].tolist()


def test_an_interrupted_or_refused_rename_leaves_nothing(
    flask: Command, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, "AAPL", make_bars(600))
    before = tell_series(database, "AAPL")

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("market.bars.deleting._move", end)
        with pytest.raises(KeyboardInterrupt):
            rename_bars(database, "AAPL", "AAPLX", None, NOW)
    assert tell_series(database, "AAPL") == before
    assert database.bars.count_documents({"ticker": "AAPLX"}) == 0
    # A killed rename leaves buckets that belong to no series; the next one removes them.
    left = database.bars.find_one({"ticker": "AAPL"})
    assert left is not None
    database.bars.insert_one(left | {"_id": "AAPLX::1d::1999", "ticker": "AAPLX", "span": "1999"})
    assert flask("bars", "rename", "AAPL", "AAPLX").exit_code == 0
    assert tell_series(database, "AAPLX") == before
    assert database.bars.count_documents({"ticker": "AAPLX", "span": "1999"}) == 0
    store(database, "AAPL", make_bars(300))
    refused = flask("bars", "rename", "AAPL", "AAPLX")
    assert (refused.exit_code, "there are 1d bars of AAPLX" in refused.output) == (1, True)
    assert tell_series(database, "AAPLX") == before
    assert check(database) == []


@pytest.mark.parametrize("removal", ["undone", "replaced", "deleted"])
def test_bars_that_are_removed_during_a_detection_are_detected_when_they_come_again(
    database: Db, removal: str
) -> None:
    """The detection's own commit comes after the removal, with what it found on the bars before."""
    frame, now = make_bars(600, shocks=(590,)), datetime.now(UTC)
    store(database, "MSFT", make_bars(600, seed=2))
    train(database)

    def bring(bars: pd.DataFrame, *, synthetic: bool = False) -> str:
        report = import_frame(
            database, bars, interval="1d", source="x", ticker="AAPL", now=now, synthetic=synthetic
        )
        return str(report.import_id)

    if removal == "undone":
        bring(frame.iloc[:580])
        import_id = bring(frame)
    else:
        bring(frame, synthetic=removal == "replaced")
    job, stale = detect(database, "backfill", "AAPL")
    if removal == "undone":
        undo_import(database, import_id, now)
    elif removal == "replaced":
        bring(frame.iloc[:580])
    else:
        delete_bars(database, "AAPL", "1d", now)
        bring(frame.iloc[:580])

    def end(outcomes: list[Outcome]) -> None:
        commit(database, job, lambda: nullcontext([outcomes]), lambda *_: None)

    with pytest.raises(Transient, match="bars of AAPL were removed"):
        end(stale)
    # A detection that found nothing is no reason to do it again, but must not count as one of the
    # bars that are gone.
    end([outcome._replace(found=(), spans=()) for outcome in stale])
    run(database, "incremental", "AAPL")
    shock = frame["date"][590].to_pydatetime().replace(tzinfo=UTC)
    asked = {"Ticker": "AAPL", "Datetime": {"$gte": shock}, "status": "new"}
    assert database.anomalies.count_documents(asked) == 0
    bring(frame)
    (result,) = run(database, "incremental", "AAPL")
    assert result["rows_processed"] >= 20
    assert database.anomalies.count_documents(asked) >= 1
    mark = database.detection_metadata.find_one({"ticker": "AAPL"})
    series = find_one_series(database, "AAPL", "1d")
    assert mark is not None
    assert series is not None
    assert mark["last_detected_timestamp"] == series["last_bar"]
    assert check(database) == []


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("removal", slow_but_first(["undone", "replaced", "deleted"]))
def test_a_detection_that_is_committed_while_bars_are_removed_stores_no_anomaly_of_them(
    database: Db, monkeypatch: pytest.MonkeyPatch, removal: str, *, is_known: bool
) -> None:
    """The removal's transaction has looked for anomalies of the bars, and is not yet committed."""
    frame, now = make_bars(600, shocks=(590,)), datetime.now(UTC)
    store(database, "MSFT", make_bars(600, seed=2))
    train(database)

    def bring(bars: pd.DataFrame, *, synthetic: bool = removal == "replaced") -> str:
        report = import_frame(
            database, bars, interval="1d", source="x", ticker="AAPL", now=now, synthetic=synthetic
        )
        return str(report.import_id)

    bring(frame.iloc[:580])
    if is_known:
        run(database, "backfill", "AAPL")
    import_id = bring(frame)
    job, found = detect(database, "backfill", "AAPL")

    def end() -> None:
        with suppress(Transient):
            commit(database, job, lambda: nullcontext([found]), lambda *_: None)

    detection = Thread(target=end)

    def mark(*args: Any, **named: Any) -> None:
        mark_bars_gone(*args, **named)
        if detection.ident is None:
            detection.start()
            detection.join(1)

    for module in (deleting, undoing, writing):
        monkeypatch.setattr(module, "mark_bars_gone", mark)
    if removal == "undone":
        undo_import(database, import_id, now)
    elif removal == "replaced":
        bring(frame.iloc[:580], synthetic=False)
    else:
        delete_bars(database, "AAPL", "1d", now)
    detection.join()
    shock = frame["date"][590].to_pydatetime().replace(tzinfo=UTC)
    asked = {"Ticker": "AAPL", "Datetime": {"$gte": shock}, "status": "new"}
    assert database.anomalies.count_documents(asked) == 0
    assert check(database) == []
