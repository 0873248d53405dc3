"""Alerts from the end of a run to the history: over HTTP, on the command line and in messages."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any
from zipfile import ZipFile

import pandas as pd
import pytest
from flask.testing import FlaskClient

from alerts.evidence import check_evidence
from alerts.follow_up import find_followed
from alerts.raising import build_alert
from api.schemas.alerts import AlertPage
from api.schemas.anomalies import Anomaly, AnomalyPage
from core.errors import BadInput
from core.settings import Settings
from detection.features.compute import compute_features
from detection.features.feature_sets import get_feature_set
from detection.market_days import read_days
from market.bars.store import ALL_BARS, load_panel
from market.imports.importing import import_frame
from market.imports.sources.demo import read_demo
from records.alerts.alerts import ACTIVE_STATES, ORDERS, build_query
from records.database import Db
from records.indexes import ensure_indexes
from records.keys import add_key
from records.work.documents import RunDocument
from records.work.runs import find_bare_run
from tasks.periodic import root_causes
from tasks.periodic.alerting import MarketBars, settle_run
from tasks.periodic.notifications import has_work, notify
from tasks.periodic.root_causes import explain_run
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.commands import Command, read_json
from tests.integration.alerting import (
    NOW,
    SESSIONS,
    age,
    end_run,
    set_last_bar,
)
from tests.integration.detecting import make_bars, run, store, train
from tests.integration.stored import add_list
from tests.receiver import Receiver

FALL, RISE = {"moved": -0.09}, {"moved": 0.09}
MANY = [f"T{number:02}" for number in range(12)]


@pytest.fixture
def one(client: FlaskClient, worker: Worker) -> str:
    """The id of an active alert of AAPL, on the watchlist `tech`."""
    add_list(worker.database, "tech", "AAPL", "MSFT")
    end_run(worker.database, ("AAPL", SESSIONS[0]), watchlist="tech")
    notify(worker)
    (alert,) = listed(client)
    return str(alert["_id"])


def listed(client: FlaskClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/py/alerts", query_string=query)
    assert answer.status_code == 200, answer.json
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def resolve(client: FlaskClient, alert_id: str, **said: Any) -> Any:
    return client.patch(f"/py/alerts/{alert_id}/resolve", json=said)


def raise_wide(database: Db, worker: Worker) -> None:
    """Store and raise a fall of four of twelve tickers, which is market-wide."""
    add_list(database, "wide", *MANY)
    found = [(ticker, SESSIONS[0], FALL) for ticker in MANY[:4]]
    end_run(database, *found, watchlist="wide", tickers=MANY)
    notify(worker)


def test_bars_within_three_are_one_alert_and_later_or_opposite_ones_are_not(
    client: FlaskClient, worker: Worker
) -> None:
    """From the 16th to the 20th is a distance of one bar: a weekend and a holiday lie between."""
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT")
    for position, moved in ((0, FALL), (3, FALL), (4, RISE), (7, FALL), (9, FALL), (10, FALL)):
        grade = {"grade": 90.0} if position == 3 else {}
        end_run(database, ("AAPL", SESSIONS[position], moved | grade), watchlist="tech")
        notify(worker)
    found = {
        (a["direction"], a["bar_time"][:10], a["last_bar"][:10]): (a["count"], a["grade"])
        for a in listed(client)
    }
    assert found == {
        ("down", "2026-01-05", "2026-01-08"): (2, 90.0),
        ("up", "2026-01-09", "2026-01-09"): (1, 80.0),
        ("down", "2026-01-14", "2026-01-20"): (3, 80.0),
    }


def test_every_watchlist_with_the_ticker_has_an_alert_whoever_scanned(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    add_list(database, "a", "AAPL")
    add_list(database, "b", "AAPL", "MSFT")
    add_list(database, "choosy", "AAPL")
    strict = {"threshold": {"kind": "grade", "value": 99.0}}
    database.watchlists.update_one({"_id": "choosy"}, {"$set": strict})
    add_list(database, "sure", "AAPL")
    database.watchlists.update_one({"_id": "sure"}, {"$set": {"min_confidence": 0.7}})
    found = [("AAPL", SESSIONS[0], {"confidence": 0.6}), ("IBM", SESSIONS[0])]
    end_run(database, *found, watchlist="a")
    notify(worker)
    assert {(a["watchlist"], a["entity_id"]) for a in listed(client)} == {
        ("a", "AAPL"),
        ("b", "AAPL"),
        (None, "IBM"),
    }


def test_backfills_raise_only_when_asked_and_an_event_that_comes_again_raises_nothing(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    end_run(database, ("AAPL", SESSIONS[0]), task="backfill")
    notify(worker)
    assert listed(client) == []
    run_id = end_run(
        database, ("MSFT", SESSIONS[0]), task="backfill", options={"raise_alerts": True}
    )
    notify(worker)
    (alert,) = listed(client)
    assert (alert["entity_id"], alert["run_id"]) == ("MSFT", run_id)
    database.outbox.update_many({}, {"$set": {"delivered_at": None}})
    notify(worker)
    assert listed(client) == [alert]
    accepted = client.post("/py/anomalies/backfill", json={"ticker": "AAPL", "raise_alerts": "yes"})
    assert accepted.status_code == 422


def warned(client: FlaskClient, run_id: str) -> list[str]:
    """Return what a run warns of once its alerts are raised."""
    warnings: list[str] = client.get(f"/py/detection-runs/{run_id}").json["warnings"]
    return warnings


def test_a_scan_raises_no_alert_of_a_bar_of_long_ago_and_says_how_many_it_left(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    """As after a promotion or a correction, or with the first scan of a long history."""
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT")
    set_last_bar(database, SESSIONS[0], "AAPL", "MSFT")
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel})
    limit = SESSIONS[0] - timedelta(days=30)
    years_ago = [datetime(year, 6, 1, tzinfo=UTC) for year in range(2005, 2025)]
    old = [*years_ago, limit - timedelta(days=1)]
    run_id = end_run(database, *(("AAPL", bar) for bar in old), watchlist="tech")
    notify(worker)
    assert (listed(client), receiver.messages) == ([], [])
    (warning,) = warned(client, run_id)
    assert warning == (
        "21 new anomalies raised no alerts, as their bars are more than 30 days older than the last"
        " bar of the series; they are listed with the other anomalies"
    )
    shown = client.get("/py/anomalies", query_string={"run_id": run_id}).json["items"]
    assert len(shown) == 21
    run_id = end_run(
        database, ("MSFT", limit), ("MSFT", years_ago[0]), ("MSFT", SESSIONS[0]), watchlist="tech"
    )
    notify(worker)
    assert {alert["bar_time"][:10] for alert in listed(client)} == {"2025-12-06", "2026-01-05"}
    (message,) = receiver.messages
    assert message["title"] == "tech: 2 anomalies in 1d bars"
    (warning,) = warned(client, run_id)
    assert warning.startswith(
        "1 new anomaly raised no alert, as its bar is more than 30 days older"
    )
    ended = find_bare_run(database, run_id)
    assert ended is not None
    settle_run(database, ended, NOW)  # as after a kill
    assert warned(client, run_id) == [warning]
    # Of a backfill they were asked for.
    asked = {"raise_alerts": True}
    run_id = end_run(
        database, ("AAPL", datetime(2003, 6, 2, tzinfo=UTC)), task="backfill", options=asked
    )
    notify(worker)
    assert "2003-06-02" in {alert["bar_time"][:10] for alert in listed(client)}
    assert warned(client, run_id) == []


def test_what_a_threshold_keeps_from_a_watchlist_is_not_counted_as_left(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    add_list(database, "choosy", "AAPL")
    strict = {"threshold": {"kind": "grade", "value": 99.0}}
    database.watchlists.update_one({"_id": "choosy"}, {"$set": strict})
    set_last_bar(database, SESSIONS[0], "AAPL")
    run_id = end_run(database, ("AAPL", datetime(2005, 6, 1, tzinfo=UTC)))
    notify(worker)
    assert (listed(client), warned(client, run_id)) == ([], [])


def test_all_bars_of_an_outage_of_three_weeks_raise_alerts_however_late(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL")
    missed = [SESSIONS[at] for at in (0, 4, 8)]
    set_last_bar(database, datetime(2026, 1, 26, tzinfo=UTC), "AAPL")
    run_id = end_run(database, *(("AAPL", bar) for bar in missed), watchlist="tech")
    notify(worker)
    assert len(listed(client)) == 3
    assert warned(client, run_id) == []


def test_an_open_alert_of_old_bars_is_extended_and_ended_without_a_message(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL")
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel, "min_grade": 90})
    end_run(database, ("AAPL", SESSIONS[4], {"grade": 80.0}), watchlist="tech")
    notify(worker)
    (before,) = listed(client)
    set_last_bar(database, SESSIONS[4] + timedelta(days=60), "AAPL")
    # Those before it are reached only from one another.
    near = [(SESSIONS[at], {"grade": 95.0}) for at in (0, 2, 7)]
    run_id = end_run(database, *(("AAPL", *each) for each in near), watchlist="tech")
    notify(worker)
    (alert,) = listed(client)
    assert (alert["count"], alert["grade"], alert["state"]) == (4, 95.0, "active")
    assert (alert["bar_time"][:10], alert["last_bar"][:10]) == ("2026-01-05", "2026-01-14")
    assert alert["run_id"] == before["run_id"]
    assert (receiver.messages, warned(client, run_id)) == ([], [])
    steps = [step["step"] for step in client.get(f"/py/alerts/{alert['_id']}").json["trail"]]
    assert steps == ["raise", "extend", "extend", "extend"]
    superseded = {"$set": {"status": "superseded"}}
    database.anomalies.update_many({"_id": {"$in": alert["anomaly_ids"]}}, superseded)
    end_run(database, tickers=("AAPL",), watchlist="tech")
    notify(worker)
    (alert,) = listed(client)
    assert (alert["state"], alert["resolved_by"]) == ("resolved", "system")
    database.anomalies.update_one({"_id": alert["anomaly_ids"][0]}, {"$set": {"status": "new"}})
    end_run(database, tickers=("AAPL",), watchlist="tech")
    notify(worker)
    assert listed(client)[0]["state"] == "active"
    assert receiver.messages == []


def test_a_bar_is_told_though_a_stranger_old_one_was_added_to_its_alert_without_a_message(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    """The channel was not told of the old one, but the alert counted as known to it."""
    database = worker.database
    add_list(database, "tech", "AAPL")
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel, "min_grade": 90})
    end_run(database, ("AAPL", SESSIONS[3], {"grade": 80.0}), watchlist="tech")
    notify(worker)
    set_last_bar(database, SESSIONS[7] + timedelta(days=31), "AAPL")
    end_run(database, ("AAPL", SESSIONS[5], {"grade": 95.0}), watchlist="tech")
    notify(worker)
    assert receiver.messages == []
    found = ((SESSIONS[at], {"grade": 94.0}) for at in (7, 8))
    end_run(database, *(("AAPL", *each) for each in found), watchlist="tech")
    notify(worker)
    (message,) = receiver.messages
    assert message["title"] == "tech: 1 anomaly in 1d bars"
    assert message["message"].startswith("AAPL 2026-01-15")
    end_run(database, ("AAPL", SESSIONS[10], {"grade": 99.0}), watchlist="tech")
    notify(worker)
    assert len(receiver.messages) == 1
    (alert,) = listed(client)
    assert (alert["count"], alert["last_bar"][:10]) == (5, "2026-01-20")


def test_a_later_bar_of_the_alerts_of_several_watchlists_is_not_told_again(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    for name in ("tech", "funds"):
        add_list(database, name, "AAPL")
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel})
    for bar in SESSIONS[:2]:
        end_run(database, ("AAPL", bar))
        notify(worker)
        (message,) = receiver.messages
    assert (message["alerts_total"], [alert["count"] for alert in listed(client)]) == (2, [2, 2])


def test_a_market_wide_bar_of_long_ago_raises_no_alert(client: FlaskClient, worker: Worker) -> None:
    """Not even where a ticker's recent alert reaches back to it."""
    database = worker.database
    add_list(database, "wide", *MANY)
    set_last_bar(database, SESSIONS[0] + timedelta(days=35), *MANY)
    found = [(ticker, SESSIONS[3], FALL) for ticker in MANY[:6]]
    recent = (MANY[0], SESSIONS[5], FALL)
    run_id = end_run(database, *found, recent, watchlist="wide", tickers=MANY)
    notify(worker)
    (alert,) = listed(client)
    assert (alert["entity_type"], alert["entity_id"]) == ("ticker", MANY[0])
    assert (alert["bar_time"][:10], alert["last_bar"][:10]) == ("2026-01-08", "2026-01-12")
    (warning,) = warned(client, run_id)
    assert warning.startswith("5 new anomalies")


def test_a_message_links_to_its_alert_or_to_the_list_of_alerts(
    client: FlaskClient, settings: Settings, database: Db, receiver: Receiver
) -> None:
    here = settings.model_copy(update={"public_url": "https://tapewatch.example.com/desk/"})
    worker = Worker(here, database, build_celery(here), "test")
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel})
    add_list(database, "tech", "AAPL", "MSFT", "IBM")
    end_run(database, ("AAPL", SESSIONS[0]), watchlist="tech")
    notify(worker)
    end_run(database, ("MSFT", SESSIONS[0]), ("IBM", SESSIONS[0]), watchlist="tech")
    notify(worker)
    first, second = (message["message"].splitlines() for message in receiver.messages)
    root = "https://tapewatch.example.com/desk/#/alerts"
    assert f"{root}/tech%3A%3AAAPL%3A%3A1d%3A%3A2026-01-05T00%3A00%3A00Z" in first
    assert root in second


@pytest.mark.parametrize("url", ["tapewatch.example.com", "javascript:alert(1)", "https://a?b"])
def test_an_address_from_which_no_link_can_be_built_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        Settings(_env_file=None, public_url=url)


def test_a_market_wide_bar_is_one_alert_with_children_and_one_message(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel})
    raise_wide(database, worker)
    alerts = listed(client)
    (parent,) = (alert for alert in alerts if alert["entity_type"] == "market")
    assert (parent["entity_id"], parent["direction"]) == ("US", "down")
    assert parent["breadth"] == {"strange": 4, "of": 12}
    assert {a["parent_id"] for a in alerts if a["entity_type"] == "ticker"} == {parent["_id"]}
    (message,) = receiver.messages
    assert message["title"] == "wide: the market US moved"
    assert "4 of 12 tickers" in message["message"]
    # Another of its tickers that is found strange later joins the alert, and no further message is
    # sent.
    end_run(database, (MANY[7], SESSIONS[0], FALL), watchlist="wide", tickers=MANY)
    notify(worker)
    assert len(receiver.messages) == 1
    detail = client.get(f"/py/alerts/{parent['_id']}").json
    assert {child["entity_id"] for child in detail["children"]} == {*MANY[:4], MANY[7]}
    assert (detail["children_cursor"], detail["trail_cursor"]) == (None, None)
    # A step on the market-wide alert is also taken on its children.
    assert client.patch(f"/py/alerts/{parent['_id']}/acknowledge", json={}).status_code == 200
    assert {alert["state"] for alert in listed(client)} == {"acknowledged"}


def test_a_market_wide_alert_is_reopened_with_what_was_resolved_with_it(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    raise_wide(database, worker)
    (parent,) = (alert for alert in listed(client) if alert["entity_type"] == "market")
    (first,) = listed(client, ticker=MANY[0])
    resolve(client, first["_id"], feedback="confirmed")
    resolve(client, parent["_id"])
    resolve(client, parent["_id"], is_resolved=False)
    end_run(database, ("AAPL", SESSIONS[8], RISE))
    notify(worker)
    states = {alert["entity_id"]: alert["state"] for alert in listed(client)}
    active = dict.fromkeys(["US", *MANY[1:4], "AAPL"], "active")
    assert states == {**active, MANY[0]: "resolved"}
    assert [label["ticker"] for label in client.get("/py/labels").json["items"]] == [MANY[0]]


def test_a_market_wide_alert_whose_tickers_were_resolved_first_is_reopened_after_them(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    raise_wide(database, worker)
    (parent,) = (alert for alert in listed(client) if alert["entity_type"] == "market")
    children = [alert["_id"] for alert in listed(client) if alert["entity_type"] == "ticker"]
    for child in children:
        resolve(client, child)
    end_run(database, ("AAPL", SESSIONS[8], RISE))
    notify(worker)
    refused = resolve(client, parent["_id"], is_resolved=False)
    assert (refused.status_code, refused.json["reason"]) == (409, "wrong_step")
    assert "reopen theirs first" in refused.json["detail"]
    path = f"/py/alerts/{parent['_id']}"
    assert client.get(path).json["state"] == "resolved"
    body = {"ids": [parent["_id"], children[0]], "action": "reopen"}
    assert client.post("/py/alerts/bulk", json=body).json["failed"] == []
    end_run(database, ("IBM", SESSIONS[8], RISE))
    notify(worker)
    assert client.get(path).json["state"] == "active"


def test_a_bar_is_market_wide_if_enough_tickers_pass_the_watchlists_own_threshold(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    for name, grade in (("all", None), ("few", 90.0)):
        add_list(database, name, *MANY)
        policy = grade and {"kind": "grade", "value": grade}
        database.watchlists.update_one({"_id": name}, {"$set": {"threshold": policy}})
    found = [(ticker, SESSIONS[0], {"grade": 60.0}) for ticker in MANY[:3]]
    end_run(database, *found, (MANY[3], SESSIONS[0], {"grade": 95.0}), watchlist="all")
    notify(worker)
    alerts = [(each["watchlist"], each["entity_type"]) for each in listed(client)]
    assert sorted(alerts) == [("all", "market"), *[("all", "ticker")] * 4, ("few", "ticker")]
    # Tickers that only pass other watchlists' thresholds do not count in this one.
    end_run(database, (MANY[4], SESSIONS[0], {"grade": 60.0}), watchlist="few")
    notify(worker)
    own = [each["entity_type"] for each in listed(client) if each["watchlist"] == "few"]
    assert own == ["ticker"] * 2


def test_no_message_is_sent_of_a_market_wide_bar_all_of_whose_tickers_are_muted(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    add_list(database, "wide", *MANY)
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel})
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for ticker in MANY[:4]:
        client.post("/py/mutes", json={"ticker": ticker, "until": soon, "reason": "known"})
    found = [(ticker, SESSIONS[0], FALL) for ticker in MANY[:4]]
    end_run(database, *found, watchlist="wide", tickers=MANY)
    notify(worker)
    assert {alert["state"] for alert in listed(client)} == {"resolved"}
    assert receiver.messages == []


def test_steps_and_children_beyond_those_shown_are_read_from_a_list(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    add_list(database, "wide", *MANY)
    end_run(database, *((t, SESSIONS[0], FALL) for t in MANY[:4]), watchlist="wide", tickers=MANY)
    notify(worker)
    (parent,) = (alert for alert in listed(client) if alert["entity_type"] == "market")
    (step,) = database.alert_trail.find({"alert_id": parent["_id"]})
    more = [step | {"_id": f"s{n}", "at": NOW + timedelta(minutes=n // 2)} for n in range(130)]
    database.alert_trail.insert_many(more)
    child = database.alerts.find_one({"parent_id": parent["_id"]})
    assert child is not None
    database.alerts.insert_many(child | {"_id": f"c{n}"} for n in range(130))
    for name, path, total in (
        ("trail", f"/py/audit?alert_id={parent['_id']}", 131),
        ("children", f"/py/alerts?parent_id={parent['_id']}", 134),
    ):
        detail = client.get(f"/py/alerts/{parent['_id']}").json
        seen, cursor = [each["_id"] for each in detail[name]], detail[f"{name}_cursor"]
        assert len(seen) == 100
        rest = client.get(f"{path}&cursor={cursor}").json
        seen += [each["_id"] for each in rest["items"]]
        assert rest["next_cursor"] is None
        assert (len(seen), len(set(seen))) == (total, total), name
    times = [each["at"] for each in detail["trail"]]
    assert times == sorted(times)


def test_steps_of_the_same_moment_are_listed_in_their_order(
    client: FlaskClient, worker: Worker
) -> None:
    found = [(ticker, day, FALL) for ticker in MANY for day in SESSIONS[:3]]
    end_run(worker.database, *found)
    notify(worker)
    for ticker in MANY:
        (alert,) = listed(client, ticker=ticker)
        trail = client.get(f"/py/alerts/{alert['_id']}").json["trail"]
        assert len({step["at"] for step in trail}) == 1
        assert [step["step"] for step in trail] == ["raise", "extend", "extend"]
        bars = [step["details"]["found"] for step in trail]
        assert bars == sorted(bars)


def test_the_same_fault_in_many_tickers_is_one_finding_about_the_vendor(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    add_list(database, "wide", *MANY)
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel})
    stale = {"kind": "fault", "fault": "stale"}
    found = [(ticker, SESSIONS[0], stale) for ticker in MANY[:4]]
    found += [(MANY[4], SESSIONS[0], FALL)]
    end_run(database, *found, watchlist="wide", tickers=MANY)
    # The day after, the market itself moves, which is another finding.
    moved = [(ticker, SESSIONS[1], FALL) for ticker in MANY[:4]]
    end_run(database, *moved, watchlist="wide", tickers=MANY)
    notify(worker)
    parents = [alert for alert in listed(client) if alert["entity_type"] == "market"]
    wrong, market = sorted(parents, key=lambda alert: alert["bar_time"])
    assert wrong["reasons"] == [
        "the same fault (stale) in 4 of 12 tickers on this bar: the vendor's, not the market's"
    ]
    assert (wrong["scope"], market["scope"]) == (None, "market")
    # The second finding's tickers are those of the first, whose alerts are open.
    assert (wrong["state"], market["state"]) == ("active", "active")
    # A mute of alerts like the first would also silence all other moves of this market.
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    refused = resolve(client, wrong["_id"], feedback="expected", mute_until=soon)
    assert (refused.status_code, client.get("/py/mutes").json["items"]) == (422, [])
    assert "fault of the vendor is not muted" in refused.json["detail"]
    assert wrong["breadth"] == {"strange": 5, "of": 12}
    titles = [message["title"] for message in receiver.messages]
    assert sorted(titles) == [
        "wide: the market US moved",
        "wide: the same fault in many tickers of US",
    ]
    # A fault that only a few of those tickers share is not reported as the vendor's.
    mixed = [(MANY[0], SESSIONS[10], stale), *((t, SESSIONS[10], FALL) for t in MANY[1:4])]
    end_run(database, *mixed, watchlist="wide", tickers=MANY)
    notify(worker)
    latest = max(
        (a for a in listed(client) if a["entity_type"] == "market"), key=lambda a: a["last_bar"]
    )
    assert latest["scope"] == "market"


@pytest.mark.parametrize(("strange", "of"), [(3, 11), (3, 9)])
def test_fewer_than_three_in_ten_tickers_or_fewer_than_ten_in_all_make_no_market_wide_bar(
    client: FlaskClient, worker: Worker, strange: int, of: int
) -> None:
    add_list(worker.database, "wide", *MANY[:of])
    found = [(ticker, SESSIONS[0]) for ticker in MANY[:strange]]
    end_run(worker.database, *found, watchlist="wide")
    notify(worker)
    assert [alert["entity_type"] for alert in listed(client)] == ["ticker"] * strange


def test_an_alert_is_sent_once_when_it_becomes_strange_enough(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel, "min_grade": 75})
    for position, grade, messages in ((0, 60.0, 0), (1, 80.0, 1), (2, 95.0, 1)):
        end_run(database, ("AAPL", SESSIONS[position], {"grade": grade}))
        notify(worker)
        assert len(receiver.messages) == messages, grade


# Written from the documented states of an alert, not from the code's table.
LEADS_TO = {
    ("active", "acknowledge"): "acknowledged",
    ("snoozed", "acknowledge"): "acknowledged",
    ("active", "resolve"): "resolved",
    ("acknowledged", "resolve"): "resolved",
    ("snoozed", "resolve"): "resolved",
    ("expired", "resolve"): "resolved",
    ("active", "snooze"): "snoozed",
    ("acknowledged", "snooze"): "snoozed",
    ("snoozed", "snooze"): "snoozed",
    ("active", "assign"): "active",
    ("acknowledged", "assign"): "acknowledged",
    ("snoozed", "assign"): "snoozed",
    ("resolved", "reopen"): "active",
    **{
        (state, "comment"): state
        for state in ("active", "acknowledged", "snoozed", "resolved", "expired")
    },
}
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "acknowledge": ("PATCH", "acknowledge", {}),
    "resolve": ("PATCH", "resolve", {"resolution_notes": "seen"}),
    "reopen": ("PATCH", "resolve", {"is_resolved": False}),
    "snooze": ("POST", "snooze", {"until": "SOON"}),
    "assign": ("POST", "assign", {"owner": "mia"}),
    "comment": ("POST", "comments", {"text": "hm"}),
}


@pytest.mark.parametrize("step", ASKED)
def test_each_step_is_taken_and_noted_in_its_states_and_refused_in_all_others(
    client: FlaskClient, database: Db, one: str, step: str
) -> None:
    method, path, body = ASKED[step]
    if "until" in body:
        body = {"until": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    for state in ("active", "acknowledged", "snoozed", "resolved", "expired"):
        since = datetime.now(UTC)
        database.alerts.update_one({"_id": one}, {"$set": {"state": state, "resolved_at": since}})
        database.alert_trail.delete_many({})
        answer = client.open(f"/py/alerts/{one}/{path}", method=method, json=body)
        (*entries,) = database.alert_trail.find({})
        expected = LEADS_TO.get((state, step))
        if expected is None:
            assert (answer.status_code, answer.json["reason"]) == (409, "wrong_step"), state
            assert answer.json["state"] == state
            assert f"is {state}" in answer.json["detail"]
            assert entries == []
            continue
        assert (answer.status_code, answer.json["state"]) == (200, expected), answer.json
        (entry,) = entries
        assert (entry["step"], entry["by"]) == (step, "open access")
        assert (entry["from_state"], entry["to_state"]) == (state, expected)


def test_an_alert_is_reopened_only_within_seven_days_and_its_labels_are_removed(
    client: FlaskClient, database: Db, one: str
) -> None:
    assert resolve(client, one, feedback="confirmed").status_code == 200
    assert len(client.get("/py/labels").json["items"]) == 1
    age(database, one, resolved_at=6.9)
    assert resolve(client, one, is_resolved=False).json["state"] == "active"
    assert client.get("/py/labels").json["items"] == []
    resolve(client, one)
    age(database, one, resolved_at=7.1)
    late = resolve(client, one, is_resolved=False)
    assert (late.status_code, late.json["reason"]) == (409, "too_late")


@pytest.mark.parametrize(
    ("feedback", "is_true"),
    [("confirmed", True), ("expected", True), ("new_trend", True), ("false_alarm", False)],
)
def test_feedback_writes_a_label_of_each_anomaly(
    client: FlaskClient, one: str, feedback: str, *, is_true: bool
) -> None:
    resolve(client, one, feedback=feedback, cause="earnings", resolution_notes="results")
    (label,) = client.get("/py/labels").json["items"]
    assert (label["feedback"], label["is_true_anomaly"], label["was_correct"]) == (
        feedback,
        is_true,
        is_true,
    )
    assert (label["cause"], label["predicted_score"]) == ("earnings", -0.8)
    assert label["features"] == {"return_1": -0.09}
    assert client.get("/py/alerts/statistics").json["precision"] == float(is_true)
    path = "/py/alerts/statistics?watchlist="
    assert client.get(f"{path}tech").json["precision"] == float(is_true)
    assert client.get(f"{path}te").json["precision"] is None
    assert client.get("/py/labels?feedback=expected").json["items"] == (
        [label] if feedback == "expected" else []
    )


def test_an_alert_that_a_later_run_no_longer_finds_is_resolved_by_the_system_and_can_come_back(
    client: FlaskClient, worker: Worker, one: str
) -> None:
    database = worker.database
    database.anomalies.update_many({}, {"$set": {"status": "superseded"}})
    end_run(database, tickers=["AAPL"], task="backfill")
    notify(worker)
    alert = client.get(f"/py/alerts/{one}").json
    assert (alert["state"], alert["resolved_by"]) == ("resolved", "system")
    assert "superseded" in alert["resolution_notes"]
    database.anomalies.update_many({}, {"$set": {"status": "new"}})
    end_run(database, tickers=["AAPL"], task="backfill")
    notify(worker)
    alert = client.get(f"/py/alerts/{one}").json
    assert alert["state"] == "active"
    assert [entry["step"] for entry in alert["trail"]] == ["raise", "supersede", "return"]


def test_an_alert_of_bars_that_were_taken_back_is_resolved_by_the_system_and_can_come_back(
    client: FlaskClient, worker: Worker, one: str
) -> None:
    database = worker.database
    database.anomalies.update_many({}, {"$set": {"status": "bars_gone"}})
    end_run(database, tickers=["AAPL"], task="incremental")
    notify(worker)
    alert = client.get(f"/py/alerts/{one}").json
    assert (alert["state"], alert["resolved_by"]) == ("resolved", "system")
    assert "its bar is gone" in alert["resolution_notes"]
    database.anomalies.update_many({}, {"$set": {"status": "new"}})
    end_run(database, tickers=["AAPL"], task="incremental")
    notify(worker)
    assert client.get(f"/py/alerts/{one}").json["state"] == "active"


def test_an_alert_of_a_deleted_series_is_resolved_though_no_run_of_it_ends_any_more(
    client: FlaskClient, worker: Worker, one: str
) -> None:
    store(worker.database, "AAPL", make_bars(20))
    assert client.delete("/py/tickers/AAPL").status_code == 204
    alert = client.get(f"/py/alerts/{one}").json
    assert (alert["state"], alert["resolved_by"]) == ("resolved", "system")
    assert "its bar is gone" in alert["resolution_notes"]


def test_alerts_are_woken_expired_and_archived_as_time_passes(
    client: FlaskClient, worker: Worker, one: str
) -> None:
    database = worker.database
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    client.post(f"/py/alerts/{one}/snooze", json={"until": soon})
    assert client.get("/py/alerts/active").json["items"] == []
    assert not has_work(database)
    age(database, one, snoozed_until=1.1)
    assert has_work(database)
    notify(worker)
    assert [a["_id"] for a in client.get("/py/alerts/active").json["items"]] == [one]
    age(database, one, updated_at=90.1)
    notify(worker)
    assert [a["_id"] for a in listed(client, state="expired")] == [one]
    resolve(client, one, feedback="confirmed")
    age(database, one, resolved_at=90.1, created_at=90.2)
    notify(worker)
    assert listed(client) == []
    (ended,) = client.get("/py/alerts/history").json["items"]
    assert (ended["_id"], ended["resolution_action"]) == (one, "confirmed")
    assert ended["resolution_time_minutes"] == pytest.approx(0.1 * 24 * 60, abs=1.0)
    shown = client.get(f"/py/alerts/{one}").json
    assert shown["archived"]
    assert [entry["step"] for entry in shown["trail"]] == [
        "raise",
        "snooze",
        "wake",
        "expire",
        "resolve",
    ]


def test_an_alert_in_the_history_is_not_raised_again_and_blocks_no_other(
    client: FlaskClient, worker: Worker, one: str
) -> None:
    database = worker.database
    resolve(client, one)
    age(database, one, resolved_at=91)
    ended = {**database.alerts.find_one({"_id": one})}
    notify(worker)
    # The bar's anomaly is deleted and found again.
    database.anomalies.delete_many({})
    end_run(database, ("AAPL", SESSIONS[0]), watchlist="tech")
    notify(worker)
    assert listed(client) == []
    # If a document with this id is in both collections, as an earlier version could leave it, the
    # one that was resolved last is kept.
    database.alerts.insert_one({**ended, "resolution_notes": "the later one"})
    end_run(database, ("MSFT", SESSIONS[0]), watchlist="tech")
    notify(worker)
    assert [alert["entity_id"] for alert in listed(client)] == ["MSFT"]
    (kept,) = client.get("/py/alerts/history").json["items"]
    assert (kept["_id"], kept["resolution_notes"]) == (one, "the later one")


def test_a_market_wide_bar_in_the_history_is_not_raised_again(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    raise_wide(database, worker)
    (parent,) = (alert for alert in listed(client) if alert["entity_type"] == "market")
    resolve(client, parent["_id"])
    for alert in listed(client):
        age(database, alert["_id"], resolved_at=91)
    notify(worker)
    assert listed(client) == []
    # The bar of one more ticker, which came late, is strange too.
    end_run(database, (MANY[4], SESSIONS[0], FALL), watchlist="wide", tickers=MANY)
    notify(worker)
    assert [alert["entity_id"] for alert in listed(client)] == [MANY[4]]


def test_an_alert_that_cannot_be_archived_does_not_delay_others(
    client: FlaskClient, worker: Worker, one: str
) -> None:
    database = worker.database
    resolve(client, one)
    age(database, one, resolved_at=91)
    database.alerts.update_one({"_id": one}, {"$unset": {"interval": ""}})
    end_run(database, ("MSFT", SESSIONS[0]), watchlist="tech")
    notify(worker)
    assert {alert["entity_id"] for alert in database.alerts.find()} == {"AAPL", "MSFT"}


def test_the_history_has_the_returns_that_followed_in_minute_bars_round_the_clock(
    client: FlaskClient, worker: Worker
) -> None:
    database = worker.database
    minutes = pd.date_range("2025-12-10", periods=22 * 1_440, freq="1min", tz=UTC)
    closes = [100.0 + 7 * number % 11 for number in range(len(minutes))]
    frame = pd.DataFrame({"date": minutes, "volume": 1.0})
    frame[["open", "high", "low", "close"]] = pd.DataFrame(dict.fromkeys("ohlc", closes))
    import_frame(database, frame, interval="1m", source="test", ticker="BTC-USD", now=NOW)
    after = find_followed(database, "BTC-USD", "1m", minutes[20].to_pydatetime())
    assert after == pytest.approx([closes[20 + n] / closes[20] - 1 for n in (1, 5, 20)])


def test_the_history_has_the_returns_that_followed_in_daily_bars(
    client: FlaskClient, worker: Worker
) -> None:
    database, frame = worker.database, make_bars(60)
    store(database, "AAPL", frame)
    bar = frame["date"][20].to_pydatetime().replace(tzinfo=UTC)
    end_run(database, ("AAPL", bar))
    notify(worker)
    (alert,) = listed(client)
    resolve(client, alert["_id"])
    age(database, alert["_id"], resolved_at=91)
    notify(worker)
    (ended,) = client.get("/py/alerts/history").json["items"]
    closes = frame["close"].tolist()
    for ahead in (1, 5, 20):
        expected = closes[20 + ahead] / closes[20] - 1
        assert ended[f"return_after_{ahead}"] == pytest.approx(expected), ahead
    profile = client.get("/py/tickers/AAPL/profile").json
    after = profile["followed"]["down"]["after_5"]
    assert (after["count"], after["median"]) == (1, pytest.approx(closes[25] / closes[20] - 1))
    assert profile["followed"]["up"]["after_1"]["median"] is None


def test_a_bulk_step_is_taken_where_possible_and_says_why_not_elsewhere(
    client: FlaskClient, worker: Worker, one: str
) -> None:
    end_run(worker.database, ("MSFT", SESSIONS[0]), watchlist="tech")
    notify(worker)
    (other,) = listed(client, ticker="MSFT")
    resolve(client, one)
    body = {"ids": [one, other["_id"], "nowhere"], "action": "acknowledge"}
    answer = client.post("/py/alerts/bulk", json=body).json
    assert answer["success"] == [other["_id"]]
    refused = {each["id"]: (each["reason"], each["state"]) for each in answer["failed"]}
    assert refused == {one: ("wrong_step", "resolved"), "nowhere": ("not_found", None)}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"action": "assign"}, "assign needs owner"),
        ({"action": "snooze"}, "snooze needs until"),
        ({"action": "comment"}, "comment needs text"),
        ({"action": "acknowledge", "feedback": "confirmed"}, "does not take feedback"),
        ({"action": "comment", "text": "x", "resolution_notes": "y"}, "not take resolution_notes"),
    ],
)
def test_a_bulk_step_refuses_fields_that_it_lacks_or_does_not_read(
    client: FlaskClient, one: str, said: dict[str, str], told: str
) -> None:
    client.post(f"/py/alerts/{one}/assign", json={"owner": "mia"})
    answer = client.post("/py/alerts/bulk", json={"ids": [one], **said})
    assert answer.status_code == 422
    assert told in str(answer.json)
    assert client.get(f"/py/alerts/{one}").json["owner"] == "mia"


def test_reopening_an_alert_takes_no_feedback(client: FlaskClient, one: str) -> None:
    resolve(client, one)
    answer = resolve(client, one, is_resolved=False, feedback="confirmed")
    assert answer.status_code == 422
    assert "leave feedback out" in str(answer.json)
    assert resolve(client, one, is_resolved=False).status_code == 200


def test_lists_are_filtered_and_come_page_by_page(client: FlaskClient, worker: Worker) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT", "IBM")
    grades = {"AAPL": 100.0, "MSFT": 80.0, "IBM": 60.0, "GE": 60.0}
    end_run(database, *((t, SESSIONS[0], {"grade": g}) for t, g in grades.items()))
    notify(worker)

    def tickers(query: str) -> list[str]:
        return sorted(a["entity_id"] for a in client.get(f"/py/alerts/{query}").json["items"])

    assert tickers("active?severity=medium") == ["GE", "IBM"]
    assert tickers("active?severity=medium&watchlist=tech") == ["IBM"]
    assert tickers("active?ticker=MSFT&interval=1d&market=US") == ["MSFT"]
    assert tickers("active?start=2026-01-06") == []
    first = client.get("/py/alerts/active?limit=3").json
    second = client.get(f"/py/alerts/active?limit=3&cursor={first['next_cursor']}").json
    found = [alert["entity_id"] for alert in first["items"] + second["items"]]
    assert sorted(found) == sorted(grades)
    assert second["next_cursor"] is None
    counts = client.get("/py/alerts/statistics").json
    assert (counts["total_alerts"], counts["unresolved_count"]) == (4, 4)
    assert (counts["critical_count"], counts["high_count"], counts["medium_count"]) == (1, 1, 2)
    assert counts["most_common_entity_type"] == "ticker"
    # The share of strange bars of a watchlist is computed from its own scans only.
    end_run(database, ("GE", SESSIONS[9]), watchlist="tech")
    for watchlist, found in (("tech", 3), (None, 50)):
        done = {"rows_processed": 100, "anomalies_found": found, "started_at": datetime.now(UTC)}
        database.detection_runs.update_one({"watchlist": watchlist}, {"$set": done})
    for asked, share in (({}, 0.265), ({"watchlist": "tech"}, 0.03), ({"watchlist": "no"}, None)):
        counts = client.get("/py/alerts/statistics", query_string=asked).json
        assert counts["detection_rate_last_24h"] == share, asked
    (day,) = client.get("/py/alerts/trends").json["days"]
    assert (day["total"], day["by_severity"]["medium"]) == (4, 2)


def test_alerts_can_be_sorted_by_strangeness_with_the_newest_first_among_equals(
    client: FlaskClient, worker: Worker, flask: Command
) -> None:
    """Newest first used to be the only order, and critical alerts were listed below later ones."""
    database = worker.database
    grades = {"AAPL": 80.0, "IBM": 110.0, "MSFT": 55.0, "KO": 80.0, "ZION": 60.0}
    end_run(database, *((t, SESSIONS[0], {"grade": g}) for t, g in grades.items()))
    notify(worker)
    for place, ticker in enumerate(grades):
        raised = {"$set": {"created_at": NOW + timedelta(minutes=place)}}
        database.alerts.update_one({"entity_id": ticker}, raised)
    newest, strangest = [*reversed(grades)], ["IBM", "KO", "AAPL", "ZION", "MSFT"]
    for path in ("/py/alerts", "/py/alerts/active"):
        for sort, order in ((None, newest), ("-grade", strangest)):
            query: dict[str, Any] = {"limit": 2} | ({"sort": sort} if sort else {})
            found: list[str] = []
            while query.get("cursor", "") is not None:
                page = client.get(path, query_string=query).json
                found += [alert["entity_id"] for alert in page["items"]]
                query["cursor"] = page["next_cursor"]
            assert found == order
    cursor = client.get("/py/alerts?limit=2").json["next_cursor"]
    other = client.get(f"/py/alerts?limit=2&sort=-grade&cursor={cursor}")
    assert (other.status_code, "another order" in other.json["detail"]) == (422, True)
    assert client.get("/py/alerts?sort=severity").status_code == 422
    high = listed(client, sort="-grade", severity="high")
    assert [alert["entity_id"] for alert in high] == ["KO", "AAPL"]
    told = read_json(flask("alerts", "list", "--strangest", "--json"))
    assert [alert["entity_id"] for alert in told] == strangest


def test_every_order_of_alerts_is_read_from_an_index(database: Db) -> None:
    ensure_indexes(database)
    for states in (None, ACTIVE_STATES):
        for order in ORDERS.values():
            found = database.alerts.find(build_query(states=states)).sort(order.sort).limit(10)
            assert "'stage': 'SORT'" not in str(found.explain()["queryPlanner"]["winningPlan"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("snooze", {"until": "2020-01-01T00:00:00Z"}),
        ("snooze", {"until": "2999-01-01T00:00:00Z"}),
        ("snooze", {}),
        ("comments", {"text": "   "}),
        ("comments", {"text": "x" * 2_001}),
        ("assign", {}),
    ],
)
def test_impossible_requests_are_refused_and_change_nothing(
    client: FlaskClient, one: str, path: str, body: dict[str, Any]
) -> None:
    before = client.get(f"/py/alerts/{one}").json
    assert client.post(f"/py/alerts/{one}/{path}", json=body).status_code == 422
    assert resolve(client, one, cause="earnings").status_code == 422
    assert resolve(client, one, feedback="perhaps").status_code == 422
    assert client.get(f"/py/alerts/{one}").json == before
    assert client.post(f"/py/alerts/nowhere/{path}", json=body).status_code in {404, 422}
    assert client.patch("/py/alerts/nowhere/acknowledge", json={}).status_code == 404


def test_steps_need_their_own_scope_and_the_trail_has_the_keys_name(
    client: FlaskClient, database: Db, one: str
) -> None:
    reader, writer, person = (
        {"X-API-Key": add_key(database, name, [scope], NOW)}  # type: ignore[list-item]
        for name, scope in (("reader", "read"), ("writer", "enqueue"), ("mia", "respond"))
    )
    path = f"/py/alerts/{one}/acknowledge"
    assert client.patch(path, json={}, headers=reader).status_code == 403
    assert client.patch(path, json={}, headers=writer).status_code == 403
    assert client.patch(path, json={}, headers=person).json["acknowledged_by"] == "mia"
    (entry,) = client.get("/py/audit?by=mia", headers=reader).json["items"]
    assert (entry["alert_id"], entry["step"]) == (one, "acknowledge")
    assert client.get("/py/alerts", headers=person).status_code == 403


def test_the_command_line_lists_shows_and_takes_steps(
    database: Db, worker: Worker, one: str, flask: Command
) -> None:
    (alert,) = json.loads(flask("alerts", "list", "--json").output)
    assert alert["_id"] == one
    assert flask("alerts", "ack", one).output == f"{one} is acknowledged\n"
    again = flask("alerts", "ack", one)
    assert (again.exit_code, again.output) == (
        1,
        f"Error: alert {one} is acknowledged; acknowledge is for one that is active or snoozed\n",
    )
    assert flask("alerts", "comment", one, "results after the close").exit_code == 0
    assert flask("alerts", "assign", one, "--to", "mia").exit_code == 0
    assert flask("alerts", "snooze", one, "--for", "2h").output == f"{one} is snoozed\n"
    assert flask("alerts", "snooze", one, "--for", "soon").exit_code == 2
    assert flask("alerts", "list").output.count("AAPL") == 0
    assert "AAPL" in flask("alerts", "list", "--state", "all").output
    done = flask(
        "alerts", "resolve", one, "--feedback", "confirmed", "--cause", "earnings", "--json"
    )
    assert json.loads(done.output)[0]["cause"] == "earnings"
    shown = flask("alerts", "show", one).output
    assert "results after the close" in shown
    assert re.search(r"snooze .* until \d{4}-\d\d-\d\d \d\d:\d\d\b", shown)
    assert re.search(r"resolve .* feedback confirmed, cause earnings", shown)
    assert f"reasons  {'; '.join(alert['reasons'])}\n" in shown
    assert not re.search(r"(?m)[\[\]{}]|grade before|\+00:00|^ +[a-z]+_", shown), shown
    assert flask("alerts", "reopen", one).output == f"{one} is active\n"
    assert flask("alerts", "show", "nowhere").exit_code == 2
    # For a ticker on no watchlist the alert's id begins with a dash, like an option.
    end_run(database, ("GE", SESSIONS[0], {"grade": 60.0}))
    notify(worker)
    other = "-::GE::1d::2026-01-05T00:00:00Z"
    assert "GE" in flask("alerts", "show", other).output
    said = flask("alerts", "comment", other, "--", "- so be it")
    assert said.output == f"{other} is active\n"
    assert flask("alerts", "snooze", other, one, "--for", "2h").output.count("is snoozed") == 2
    assert flask("alerts", "ack", one, "--nobody").exit_code == 2
    listed = flask("anomalies", "list", "--json", "--min-grade", "75")
    assert [a["_id"] for a in json.loads(listed.output)] == ["AAPL::1d::2026-01-05T00:00:00Z"]
    assert "fell 9.0 %" in flask("anomalies", "list", "--ticker", "aapl").output


def test_anomalies_and_alerts_say_whose_move_it_was(client: FlaskClient, worker: Worker) -> None:
    """The demo's real bars: a day on which the whole market moved, and one with news of one
    company.
    """
    database = worker.database
    frame = read_demo()
    frame.columns = frame.columns.str.lower()
    report = import_frame(database, frame, interval="1d", source="demo", now=NOW)
    assert report.series
    lehman, warning = (datetime(*day, tzinfo=UTC) for day in ((2008, 9, 29), (2006, 4, 28)))
    end_run(
        database,
        *((ticker, lehman) for ticker in ("AAPL", "MSFT", "GOOG", "^GSPC")),
        ("MSFT", warning),
    )
    notify(worker)
    scopes = {
        (a["Ticker"], a["Datetime"][:4]): a["scope"]
        for a in client.get("/py/anomalies?limit=10").json["items"]
    }
    assert scopes == {
        ("AAPL", "2008"): "mixed",  # Two analysts downgraded it on that day.
        ("MSFT", "2008"): "market",
        ("GOOG", "2008"): "market",
        ("^GSPC", "2008"): "market",
        ("MSFT", "2006"): "own",
    }
    (alert,) = client.get("/py/alerts/active?scope=own").json["items"]
    (sentence,) = alert["root_causes"]
    assert sentence.startswith("Its own: -")
    assert sentence.endswith("; -11.4 % in all")
    (microsoft,) = listed(client, ticker="MSFT", scope="market")
    assert "Inherited from index ^GSPC" in microsoft["root_causes"][0]
    # The model's inputs are most of an alert's bytes, and only the answer for a single alert has
    # them.
    assert "inputs" not in microsoft
    assert client.get(f"/py/alerts/{microsoft['_id']}").json["inputs"]
    inherited, own = microsoft["root_cause"], alert["root_cause"]
    assert inherited["sector"] == "Technology"
    assert inherited["z_market"] < -2.5
    assert "AAPL" in inherited["impact"]
    # One of the demo's seven tickers did not trade yet.
    assert (inherited["flagged"], inherited["of"]) == (4, 6)
    assert (own["flagged"], own["of"]) == (1, 6)
    assert {a["entity_id"] for a in listed(client, text="inherited ^gspc")} == {
        "AAPL",
        "MSFT",
        "GOOG",
    }
    assert listed(client, text="inherited nonsense") == []
    # Lists answer the stored documents unchanged; they must equal what the schema makes of them.
    page = client.get("/py/alerts?limit=2").json
    assert AlertPage.model_validate(page).model_dump(mode="json", by_alias=True) == page
    found = client.get("/py/anomalies").json
    assert AnomalyPage.model_validate(found).model_dump(mode="json", by_alias=True) == found
    assert isinstance(AnomalyPage.model_validate(found).items[0], Anomaly)


def test_groups_are_imported_by_file_and_over_http_and_problems_are_named(
    client: FlaskClient,
    database: Db,
    flask: Command,
    tmp_path: Path,
) -> None:
    file = tmp_path / "groups.csv"
    file.write_text(
        "Symbol,Sector,Industry,Market\nAAPL,Technology,Phones,US\nXOM,Energy,Oil,\n"
        ",Energy,Oil,US\nXOM,Utilities,,US\n7203.T,Autos,Cars,Mars\n"
    )
    done = flask("groups", "import", file, "--json")
    assert done.exit_code == 0, done.output
    problems = " | ".join(json.loads(done.output)["problems"])
    assert "line 4: it has no symbol" in problems
    assert "line 6" in problems
    assert "XOM is in Oil and Utilities; Oil counts" in problems
    stored = {(g["child"], g["parent"]) for g in client.get("/py/groups").json["items"]}
    said = flask("groups", "import", file).stdout  # members, of which there are more than groups
    assert f"{len(stored)} members of groups are stored" in said
    assert {("AAPL", "Phones"), ("Phones", "Technology"), ("Technology", "US")} <= stored
    (tmp_path / "bad.csv").write_text("name,colour\nA,red\n")
    assert flask("groups", "import", tmp_path / "bad.csv").exit_code == 2
    edges = [
        {"child": "A", "child_type": "ticker", "parent": "B", "parent_type": "sector"},
        {"child": "B", "child_type": "sector", "parent": "C", "parent_type": "sector"},
        {"child": "C", "child_type": "sector", "parent": "B", "parent_type": "sector"},
    ]
    answer = client.put("/py/groups", json={"groups": edges})
    assert answer.json == {"groups": 3, "problems": ["B -> C -> B is a circle"]}
    assert len(client.get("/py/groups").json["items"]) == 3
    # A graph with a circle can still be listed.
    assert "circle" in flask("groups", "list").output


def test_an_explanation_has_what_the_model_read_beside_what_is_usual(
    client: FlaskClient, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_causes, "WRITTEN_AT_ONCE", 1)
    database, frame = worker.database, make_bars(900, shocks=(700,))
    store(database, "AAPL", frame)
    train(database)
    run(database, "backfill", "AAPL", run_id="r")
    strange = frame["date"][700].to_pydatetime().replace(tzinfo=UTC)
    parts = 1
    while not explain_run(database, {"_id": "r", "interval": "1d"}, 0.0):  # type: ignore[typeddict-item]
        parts += 1
    assert parts == database.anomalies.count_documents({"root_cause": {"$ne": None}}) > 1
    assert database.anomalies.count_documents({"inputs": {"$exists": False}}) == 0
    (found,) = client.get(
        "/py/anomalies", query_string={"start": strange.isoformat(), "end": strange.isoformat()}
    ).json["items"]
    shares = {each["name"]: each["share"] for each in found["inputs"]}
    assert shares == found["attribution"]
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    # The same values from one pass over the whole series, and quantiles by pandas.
    panel = load_panel(database, "1d", {"AAPL": ALL_BARS})
    feature_set = get_feature_set(found["feature_set"])
    days = read_days(database, "US", "1d") if feature_set.sees_market else None
    features = compute_features(panel, panel.offsets[:-1], feature_set, days)
    inputs = pd.DataFrame(features.inputs, index=features.rows, columns=feature_set.columns)
    for told in found["inputs"]:
        # All columns of the default set are roots of how many usual ranges.
        column = inputs[told["name"]].astype(float) ** 2
        usual = column.loc[450:699].quantile([0.05, 0.5, 0.95])
        assert told["actual"] == pytest.approx(column.loc[700])
        assert [told["low"], told["median"], told["high"]] == pytest.approx(usual.tolist())
        assert told["label"]
    assert found["inputs"][0]["actual"] > found["inputs"][0]["high"]


def test_a_large_run_is_explained_in_several_rounds_of_tickers(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_causes, "WRITTEN_AT_ONCE", 1)
    monkeypatch.setattr(root_causes, "MOST_NAMED", 1)
    database = worker.database
    for seed, ticker in enumerate(("AAPL", "MSFT"), 1):
        store(database, ticker, make_bars(900, seed, shocks=(600, 700)))
    train(database)
    run(database, "backfill", "AAPL", "MSFT", run_id="r")
    wanted: RunDocument = {"_id": "r", "interval": "1d"}  # type: ignore[typeddict-item]
    assert not explain_run(database, wanted, 0.0)
    assert database.anomalies.distinct("Ticker", {"inputs": {"$exists": True}}) == ["AAPL"]
    while not explain_run(database, wanted, 0.0):
        pass
    lacking = [{"inputs": {"$exists": False}}, {"root_cause": {"$exists": False}}]
    assert database.anomalies.count_documents({"$or": lacking}) == 0
    assert database.anomalies.distinct("Ticker", {"root_cause": {"$ne": None}}) == ["AAPL", "MSFT"]


def test_bars_that_stopped_coming_are_one_alert_until_they_come(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT")
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel, "min_grade": 80})
    for tickers in (["AAPL"], ["AAPL", "MSFT"]):
        stale = {"tickers": len(tickers), "named": tickers}
        end_run(database, tickers=["AAPL", "MSFT"], watchlist="tech", options={"stale": stale})
        notify(worker)
    (alert,) = listed(client)
    assert (alert["entity_type"], alert["watchlist"], alert["state"]) == ("feed", "tech", "active")
    assert (alert["severity"], alert["count"], alert["anomaly_score"]) == ("critical", 2, None)
    assert alert["reasons"] == ["2 of 2 tickers have no 1d bar of the last session: AAPL, MSFT"]
    # A scan of another watchlist changes nothing; a scan in which no ticker lacks the bar resolves
    # the alert.
    add_list(database, "others", "IBM")
    for name, state in (("others", "active"), ("tech", "resolved")):
        end_run(database, tickers=["AAPL", "MSFT"], watchlist=name)
        notify(worker)
        (alert,) = listed(client)
        assert alert["state"] == state
    assert alert["resolution_notes"] == "the bars of the last session came"
    steps = [step["step"] for step in client.get(f"/py/alerts/{alert['_id']}").json["trail"]]
    assert steps == ["raise", "extend", "supersede"]
    assert [message["title"] for message in receiver.messages] == ["tech: bars stopped coming"]


def test_evidence_is_complete_and_changes_to_it_are_named(
    client: FlaskClient, worker: Worker, tmp_path: Path
) -> None:
    database = worker.database
    store(database, "AAPL", make_bars(420, shocks=(400,)))
    train(database)
    run(database, "backfill", "AAPL")
    anomaly = database.anomalies.find_one({"kind": "event"}, sort=[("Datetime", -1)])
    assert anomaly is not None
    alert = build_alert("tech", anomaly, "run-1", NOW)  # type: ignore[arg-type]  # as stored
    database.alerts.insert_one(alert)
    answer = client.get(f"/py/alerts/{alert['_id']}/evidence")
    assert (answer.status_code, answer.mimetype) == (200, "application/octet-stream")
    path = tmp_path / "evidence.zip"
    path.write_bytes(answer.data)
    with ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert sorted(held) == [
        "alert.json",
        "anomalies.json",
        "bars.csv",
        "chart.svg",
        "manifest.json",
        "models.json",
        "trail.json",
        "verifications.json",
    ]
    (found,) = json.loads(held["anomalies.json"])
    assert found["anomaly_score"] == anomaly["anomaly_score"]
    assert json.loads(held["models.json"])[0]["sha256"] == anomaly["model_hash"]
    last = held["bars.csv"].decode().splitlines()[-1].split(",")
    assert last[0] == f"{anomaly['Datetime']:%Y-%m-%dT%H:%M:%SZ}"
    assert float(last[4]) == anomaly["Close"]
    assert b"<circle" in held["chart.svg"]
    assert check_evidence(path) == []
    held["bars.csv"] = held["bars.csv"].replace(b"1", b"2", 1)
    del held["trail.json"]
    with ZipFile(tmp_path / "changed.zip", "w") as archive:
        for name, content in {**held, "more.txt": b"x"}.items():
            archive.writestr(name, content)
    assert check_evidence(tmp_path / "changed.zip") == [
        "trail.json is missing",
        "more.txt is not in the manifest",
        "bars.csv was changed: its hash is not the manifest's",
    ]
    assert client.get("/py/alerts/nobody/evidence").status_code == 404
    bad = tmp_path / "bad.zip"
    for content in (b"", b"no zip", answer.data[:200]):
        bad.write_bytes(content)
        with pytest.raises(BadInput):
            check_evidence(bad)
    # A change of any compressed byte is found. Tiny files are left out: some of their bits only
    # pad.
    with ZipFile(path) as archive:
        for info in (each for each in archive.infolist() if each.file_size > 100):
            for part in (1, 2, 3):
                at = info.header_offset + 30 + len(info.filename) + part * info.compress_size // 4
                flipped = bytearray(answer.data)
                flipped[at] ^= 0x10
                bad.write_bytes(flipped)
                with suppress(BadInput):
                    assert check_evidence(bad), (info.filename, part)
    # Of two files with the same name, different programs may read different ones.
    bad.write_bytes(answer.data)
    with ZipFile(bad, "a") as archive:
        bars = archive.read("bars.csv")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("bars.csv", bars)
    assert check_evidence(bad) == ["bars.csv is in it 2 times"]


def test_alerts_are_sent_again_to_a_client_that_has_them_only_after_a_change(
    client: FlaskClient, one: str
) -> None:
    for path in ("/py/alerts/active", "/py/alerts", f"/py/alerts/{one}"):
        first = client.get(path)
        known = {"If-None-Match": first.headers["ETag"]}
        again = client.get(path, headers=known)
        assert (again.status_code, again.data) == (304, b"")
        # Without this header a browser keeps no copy, and so has nothing to compare.
        assert again.headers["Cache-Control"] == "private, no-cache"
        client.post(f"/py/alerts/{one}/comments", json={"text": path})
        changed = client.get(path, headers=known)
        assert (changed.status_code, changed.json != first.json) == (200, True)
    assert client.get("/py/alerts/none", headers=known).status_code == 404


def test_bars_between_the_many_anomalies_of_a_first_scan_are_counted_at_once(
    database: Db,
) -> None:
    """Each count listed the closes between two anomalies: the notifier was ended at its time limit,
    again and again, and the workers did little else.
    """
    between = MarketBars(database, "15m").of("CRYPTO")
    strange = [NOW - timedelta(minutes=15 * bars * bars) for bars in range(300)]
    begun = process_time()
    counts = [[between(first, later) for first in strange[at:]] for at, later in enumerate(strange)]
    assert process_time() - begun < 10
    assert counts == [[bars * bars - at * at for bars in range(at, 300)] for at in range(300)]


def test_bars_since_an_alert_of_some_hours_ago_are_counted_without_listing_years(
    database: Db,
) -> None:
    """Each scan of one-minute bars that raised alerts listed those of two years."""
    for market in ("CRYPTO", "US"):
        between = MarketBars(database, "1m").of(market)
        between(NOW, NOW)  # loads the calendar
        between = MarketBars(database, "1m").of(market)
        begun = process_time()
        between(NOW - timedelta(hours=5), NOW)
        assert process_time() - begun < 0.1
