"""Watchlists and the scheduler's switch over HTTP. No worker runs here."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from api import create_app
from api.http.state import get_state
from core.settings import Settings
from detection.models import registry
from detection.models.plan import ThresholdPolicy
from records.database import Db
from records.models.champions import Scope
from records.models.thresholds import find_threshold, set_threshold
from tests.integration.modelling import add_model
from tests.integration.stored import NOW, add_series

LISTS = "/py/watchlists"
TECH: dict[str, Any] = {"name": "tech", "tickers": ["aapl", "MSFT", "AAPL"]}


def test_a_watchlist_is_made_read_changed_and_removed(client: FlaskClient) -> None:
    made = client.post(LISTS, json=TECH)
    assert made.status_code == 201
    assert made.headers["ETag"] == '"1"'
    assert made.headers["Location"] == f"{LISTS}/tech"
    expected = {
        "name": "tech",
        "markets": ["US"],
        "tickers": ["AAPL", "MSFT"],
        "interval": "1d",
        "schedule": "after_close",
        "threshold": None,
        "enabled": True,
        "version": 1,
    }
    assert expected.items() <= made.json.items()
    assert client.get(f"{LISTS}/tech").json == made.json
    changed = client.put(f"{LISTS}/tech", json={"tickers": ["IBM"], "enabled": False})
    assert (changed.json["tickers"], changed.json["enabled"], changed.headers["ETag"]) == (
        ["IBM"],
        False,
        '"2"',
    )
    assert client.delete(f"{LISTS}/tech").status_code == 204
    assert client.get(f"{LISTS}/tech").status_code == 404


def test_a_name_in_use_is_409(client: FlaskClient) -> None:
    client.post(LISTS, json=TECH)
    assert client.post(LISTS, json=TECH).status_code == 409


def test_a_change_with_an_old_etag_is_412_and_changes_nothing(client: FlaskClient) -> None:
    read = client.post(LISTS, json=TECH).headers["ETag"]
    mine = {"tickers": ["IBM"]}
    assert client.put(f"{LISTS}/tech", json=mine, headers={"If-Match": read}).status_code == 200
    refused = client.put(f"{LISTS}/tech", json={"tickers": ["FB"]}, headers={"If-Match": read})
    assert (refused.status_code, refused.json["reason"]) == (412, "version_moved")
    assert client.delete(f"{LISTS}/tech", headers={"If-Match": read}).status_code == 412
    assert client.get(f"{LISTS}/tech").json["tickers"] == ["IBM"]


def test_an_etag_that_a_proxy_made_weak_is_accepted(client: FlaskClient) -> None:
    client.post(LISTS, json=TECH)
    assert (
        client.put(
            f"{LISTS}/tech", json={"tickers": ["IBM"]}, headers={"If-Match": 'W/"1"'}
        ).status_code
        == 200
    )
    assert (
        client.put(
            f"{LISTS}/tech", json={"tickers": ["FB"]}, headers={"If-Match": 'W/"1"'}
        ).status_code
        == 412
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"tickers": []},
        {"tickers": ["AAPL", "7203"]},
        {"tickers": ["A A"]},
        {"schedule": "now and then"},
        {"schedule": "61 * * * *"},
        {"interval": "2d"},
        {"threshold": 101},
        {"threshold": {"kind": "score", "value": 1.0}},
        {"threshold": {"kind": "luck", "value": 1.0}},
        {"name": "../x"},
        {"unknown": 1},
    ],
)
def test_unusable_fields_are_422(client: FlaskClient, changes: dict[str, Any]) -> None:
    assert client.post(LISTS, json=TECH | changes).status_code == 422
    assert client.get(LISTS).json["items"] == []


def test_lists_are_paged_by_name(client: FlaskClient) -> None:
    for name in ("c", "a", "b"):
        client.post(LISTS, json=TECH | {"name": name, "schedule": "0 18 * * 1-5"})
    first = client.get(f"{LISTS}?limit=2").json
    second = client.get(f"{LISTS}?limit=2&cursor={first['next_cursor']}").json
    assert [item["name"] for item in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None


def test_a_watchlists_own_threshold_is_used_in_detection(client: FlaskClient, database: Db) -> None:
    scope = Scope("watchlist", "tech")
    client.post(LISTS, json=TECH | {"threshold": 60})
    found = find_threshold(database, scope)
    assert found is not None
    assert (found["kind"], found["value"]) == ("grade", 60)
    assert client.get(f"{LISTS}/tech").json["threshold"] == 60
    client.put(f"{LISTS}/tech", json={"tickers": ["AAPL"]})
    assert find_threshold(database, scope) is None
    policy = {"kind": "grade", "value": 60.0}
    told = client.get("/py/audit?step=threshold").json["items"]
    assert [(entry["subject"], entry["by"]) for entry in told] == [
        ("watchlist tech", "open access")
    ] * 2
    assert [entry["details"] for entry in told] == [
        {"before": policy, "after": None},
        {"before": None, "after": policy},
    ]
    (changed,) = client.get("/py/audit?step=change").json["items"]
    assert changed["details"]["tickers"] == {"added": [], "removed": ["MSFT"]}


def test_saving_a_page_does_not_undo_a_threshold_set_on_the_command_line(
    client: FlaskClient, database: Db
) -> None:
    """A page sends back the watchlist that it read, which may have changed meanwhile."""
    shown = client.post(LISTS, json=TECH)
    set_threshold(database, Scope("watchlist", "tech"), "contamination", 0.05, NOW)
    stale = {name: shown.json[name] for name in ("tickers", "interval", "threshold")} | {
        "enabled": False
    }
    seen = {"If-Match": shown.headers["ETag"]}
    assert client.put(f"{LISTS}/tech", json=stale, headers=seen).status_code == 412
    read = client.get(f"{LISTS}/tech")
    assert read.json["threshold"] == {"kind": "contamination", "value": 0.05}
    click = stale | {"threshold": read.json["threshold"]}
    changed = client.put(f"{LISTS}/tech", json=click, headers={"If-Match": read.headers["ETag"]})
    assert (changed.status_code, changed.json["threshold"]) == (200, read.json["threshold"])
    found = find_threshold(database, Scope("watchlist", "tech"))
    assert found == {"kind": "contamination", "value": 0.05}


def test_a_score_that_nothing_would_pass_is_refused_wherever_it_is_set(
    client: FlaskClient, database: Db
) -> None:
    add_model(database)
    add_series(database, "AAPL")
    silent = {"threshold": {"kind": "score", "value": -1.0}}
    client.post(LISTS, json=TECH)
    for method, path, body in (
        ("put", "/py/tickers/AAPL/threshold", silent),
        ("post", LISTS, TECH | silent | {"name": "other"}),
        ("put", f"{LISTS}/tech", {"tickers": ["AAPL"], "interval": "1d"} | silent),
    ):
        refused = client.open(path, method=method, json=body)
        assert (refused.status_code, refused.json["reason"]) == (409, "implausible_threshold"), path
        assert "Ask for a share of the bars, as contamination 0.01 does" in refused.json["detail"]
    assert database.thresholds.count_documents({}) == 0
    # A score that was plausible when it was set does not block later changes.
    database.watchlists.update_one({"_id": "tech"}, {"$set": silent})
    changed = {"tickers": ["AAPL", "MSFT"], "interval": "1d"} | silent
    assert client.put(f"{LISTS}/tech", json=changed).status_code == 200


def test_a_score_is_checked_against_the_champions_of_a_watchlist_s_interval(
    client: FlaskClient, database: Db
) -> None:
    add_model(database, interval="5m")
    add_series(database, "AAPL")
    silent = {"threshold": {"kind": "score", "value": -1.0}}
    for interval, status in (("1d", 201), ("5m", 409)):
        body = {"name": f"of-{interval}", "tickers": ["AAPL"], "interval": interval} | silent
        assert client.post(LISTS, json=body).status_code == status
    policy = ThresholdPolicy("score", -0.99)
    registry.set_threshold(database, Scope("watchlist", "of-1d"), policy, NOW)


def test_a_detection_of_a_watchlist_covers_those_of_its_tickers_that_have_bars(
    client: FlaskClient, database: Db
) -> None:
    add_series(database, "AAPL")
    assert client.post(LISTS, json=TECH).json["without_bars"] == ["MSFT"]
    accepted = client.post("/py/anomalies/backfill", json={"watchlist": "tech"})
    assert accepted.json["tickers"] == ["AAPL"]
    assert client.get(accepted.headers["Location"]).json["options"]["without_bars"] == ["MSFT"]
    assert client.get(accepted.headers["Location"]).json["watchlist"] == "tech"
    assert client.post("/py/anomalies/incremental", json={"watchlist": "nobody"}).status_code == 404


def test_a_requested_scan_becomes_the_last_scan(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL", "MSFT")
    made = client.post(LISTS, json=TECH).json
    assert (made["last_scan"], made["last_run_id"]) == (None, None)
    client.post("/py/anomalies/backfill", json={"watchlist": "tech"})
    assert client.get(f"{LISTS}/tech").json["last_scan"] is None, "a backfill is no scan"
    key = {"Idempotency-Key": "first"}
    accepted = [
        client.post("/py/anomalies/incremental", json={"watchlist": "tech"}, headers=h).json
        for h in (key, {})
    ]
    for _ in range(2):
        shown = client.get(f"{LISTS}/tech").json
        assert shown["last_run_id"] == accepted[1]["run_id"]
        assert (
            shown["last_scan"]
            == client.get(f"/py/detection-runs/{accepted[1]['run_id']}").json["requested_at"]
        )
        assert shown["version"] == made["version"], "nobody changed it"
        client.post(
            "/py/anomalies/incremental", json={"watchlist": "tech"}, headers=key
        )  # The first scan, reported again.
    listed = client.get("/py/scheduler").json["watchlists"]
    assert listed[0]["last_run_id"] == accepted[1]["run_id"]


def test_a_scan_of_a_market_is_the_last_scan_of_watchlists_whose_tickers_it_looks_at(
    client: FlaskClient, database: Db
) -> None:
    """They said that they were never scanned."""
    add_series(database, "AAPL", "MSFT")
    lists = {"tech": (["AAPL", "MSFT"], "1d"), "one": (["MSFT"], "1d"), "hours": (["AAPL"], "1h")}
    lists["wider"] = (["AAPL", "IBM"], "1d")
    for name, (tickers, interval) in lists.items():
        made = {"name": name, "tickers": tickers, "interval": interval}
        assert client.post(LISTS, json=made).status_code == 201
    looked = {"market": "US", "store": False}
    assert client.post("/py/anomalies/detect", json=looked).status_code == 202
    assert [client.get(f"{LISTS}/{name}").json["last_scan"] for name in lists] == [None] * 4
    run_id = client.post("/py/anomalies/incremental", json={"market": "US"}).json["run_id"]
    scanned = {name: client.get(f"{LISTS}/{name}").json["last_run_id"] for name in lists}
    assert scanned == {"tech": run_id, "one": run_id, "hours": None, "wider": None}


def test_the_scheduler_switch_survives_a_restart(client: FlaskClient, settings: Settings) -> None:
    client.post(LISTS, json=TECH)
    assert client.get("/py/scheduler").json["enabled"] is True
    assert client.post("/py/scheduler/toggle", json={}).json["enabled"] is False
    assert client.post("/py/scheduler/toggle", json={"enabled": False}).json["enabled"] is False
    restarted = create_app(settings)
    told = restarted.test_client().get("/py/scheduler").json
    get_state(restarted).close()
    assert told["enabled"] is False
    assert [scans["name"] for scans in told["watchlists"]] == ["tech"]


def test_no_next_scan_is_told_while_periodic_scans_are_off(
    client: FlaskClient, database: Db
) -> None:
    client.post(LISTS, json=TECH)
    planned = datetime(2026, 1, 5, 21, 5, tzinfo=UTC)
    database.watchlists.update_one({"_id": "tech"}, {"$set": {"next_scan": planned}})

    def find_next() -> list[str | None]:
        one, listed = client.get(f"{LISTS}/tech").json, client.get(LISTS).json["items"]
        scheduled = client.get("/py/scheduler").json["watchlists"]
        return [each["next_scan"] for each in (one, *listed, *scheduled)]

    assert find_next() == ["2026-01-05T21:05:00Z"] * 3
    client.post("/py/scheduler/toggle", json={"enabled": False})
    assert find_next() == [None] * 3


def test_a_folder_is_a_source_only_below_the_watched_folder(
    make_app: Callable[[Settings], APIFlask], settings: Settings, database: Db, tmp_path: Path
) -> None:
    client = make_app(settings.model_copy(update={"watched_folder": str(tmp_path)})).test_client()
    for folder in ("../etc", "/etc", None):
        assert (
            client.post(LISTS, json=TECH | {"source": "folder", "folder": folder}).status_code
            == 422
        )
    assert (
        client.post(LISTS, json=TECH | {"source": "yahoo", "folder": "prices"}).status_code == 422
    )
    made = client.post(LISTS, json=TECH | {"source": "folder", "folder": "prices"}).json
    assert (made["source"], made["folder"]) == ("folder", "prices")


def test_no_folder_is_a_source_if_none_is_watched(client: FlaskClient) -> None:
    refused = client.post(LISTS, json=TECH | {"source": "folder", "folder": "prices"})
    assert refused.status_code == 422
    assert "WATCHED_FOLDER" in refused.json["detail"]


def test_a_watchlist_may_have_tickers_of_two_markets(client: FlaskClient) -> None:
    made = client.post(LISTS, json=TECH | {"tickers": ["AAPL", "7203.jp", "BTC-USD"]})
    assert made.status_code == 201
    assert (made.json["tickers"], made.json["markets"]) == (
        ["AAPL", "7203.T", "BTC-USD"],
        ["US", "JP", "CRYPTO"],
    )
