"""Feedback on alerts and its effects: mutes, suggested thresholds and weights, and the returns that
followed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from flask.testing import FlaskClient

from alerts.learned import choose_grade, measure
from detection.detectors.weights import MEMBERS, parse_weights
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from market.imports.importing import import_frame
from market.markets import SHIPPED
from records.database import Db
from records.models.champions import Scope
from records.models.thresholds import set_threshold
from tasks.engine import planning
from tasks.periodic.notifications import notify
from tasks.process.worker import Worker
from tests.commands import Command
from tests.integration.alerting import NOW, SESSIONS, build_anomaly, end_run
from tests.integration.detecting import make_bars, run, store
from tests.integration.stored import add_list, add_series
from tests.receiver import Receiver

SOON = (datetime.now(UTC) + timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")


def find_alerts(client: FlaskClient, **query: Any) -> dict[str, Any]:
    items = client.get("/py/alerts", query_string=query).json["items"]
    return {alert["entity_id"]: alert for alert in items}


def test_alerts_like_an_expected_one_are_muted_for_a_while_and_counted(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT")
    rule = {"channel": receiver.channel, "min_grade": 0}
    assert client.put("/py/notifications/rules/me", json=rule).status_code == 200
    end_run(database, ("AAPL", SESSIONS[0]), watchlist="tech")
    notify(worker)
    path = f"/py/alerts/{find_alerts(client)['AAPL']['_id']}/resolve"
    said = {"mute_until": SOON, "resolution_notes": "a buyback, all month"}
    assert client.patch(path, json={**said, "feedback": "confirmed"}).status_code == 422
    too_long = {"feedback": "expected", "mute_until": "2099-01-01T00:00:00Z"}
    assert client.patch(path, json=too_long).status_code == 422
    assert database.mutes.count_documents({}) == 0
    assert client.patch(path, json={**said, "feedback": "expected"}).status_code == 200
    rise = {"moved": 0.09}
    end_run(database, ("AAPL", SESSIONS[8]), ("MSFT", SESSIONS[8]), watchlist="tech")
    notify(worker)
    end_run(database, ("AAPL", SESSIONS[10], rise), watchlist="tech")
    notify(worker)
    notify(worker)
    told = [[alert["entity_id"] for alert in each["alerts"]] for each in receiver.messages]
    assert told == [["AAPL"], ["MSFT"], ["AAPL"]]
    (muted,) = client.get("/py/alerts?muted=true").json["items"]
    assert (muted["state"], muted["resolved_by"], muted["direction"]) == (
        "resolved",
        "system",
        "down",
    )
    assert muted["resolution_notes"] == "muted by open access: a buyback, all month"
    assert len(client.get("/py/alerts?muted=false").json["items"]) == 3
    (mute,) = client.get("/py/mutes?active=true").json["items"]
    assert (mute["silenced"], mute["ticker"], mute["direction"]) == (1, "AAPL", "down")
    assert mute["_id"] == muted["muted_by"]
    assert client.delete(f"/py/mutes/{mute['_id']}").status_code == 204
    again = client.delete(f"/py/mutes/{mute['_id']}")
    assert (again.status_code, again.json["state"]) == (409, "ended")
    assert client.delete("/py/mutes/nothing").status_code == 404
    steps = client.get("/py/audit").json["items"]
    of_mutes = [s["step"] for s in steps if s["step"] in {"mute", "unmute"}]
    assert sorted(of_mutes) == ["mute", "mute", "unmute"]
    assert client.get("/py/mutes?active=false").json["items"][0]["silenced"] == 1


def test_a_mute_needs_a_subject_and_an_end(client: FlaskClient, worker: Worker) -> None:
    """A mute of a whole market also resolves its tickers' alerts, and a second run over the same
    bars counts nothing twice.
    """
    database = worker.database
    names = [f"T{number:02}" for number in range(12)]
    add_list(database, "wide", *names)
    for wrong in (
        {"until": SOON, "reason": "x"},
        {"market": "US", "reason": "x"},
        {"market": "US", "until": "2020-01-01T00:00:00Z", "reason": "x"},
        {"market": "XX", "until": SOON, "reason": "x"},
    ):
        assert client.post("/py/mutes", json=wrong).status_code == 422, wrong
    missing = {"watchlist": "nowhere", "until": SOON, "reason": "x"}
    assert client.post("/py/mutes", json=missing).status_code == 404
    body = {"market": "us", "direction": "down", "until": SOON, "reason": "the sell-off"}
    assert client.post("/py/mutes", json=body).json["market"] == "US"
    end_run(database, *((name, SESSIONS[0]) for name in names), watchlist="wide")
    notify(worker)
    database.outbox.update_many({}, {"$set": {"delivered_at": None}})
    notify(worker)
    assert {alert["state"] for alert in find_alerts(client).values()} == {"resolved"}
    (mute,) = client.get("/py/mutes").json["items"]
    assert mute["silenced"] == 13


def judge(database: Db, ticker: str, day: int, grade: float, *, is_true: bool) -> None:
    """Store an anomaly, its alert on the watchlist `tech`, and a label."""
    bar = datetime(2025, 12, day, tzinfo=UTC)
    anomaly = build_anomaly("r", ticker, bar, grade=grade)
    anomaly["members"] = [
        {"detector": "mad", "weight": 1.0, "score": -1.0, "grade": 90.0, "missing": None},
        {"detector": "zscore", "weight": 1.0, "score": -1.0, "grade": grade - 40, "missing": None},
    ]
    database.anomalies.insert_one(anomaly)
    alert = {"_id": f"tech::{anomaly['_id']}", "watchlist": "tech", "entity_type": "ticker"}
    alert |= {"grade": grade, "created_at": datetime.now(UTC), "anomaly_ids": [anomaly["_id"]]}
    database.alerts.insert_one({**alert, "entity_id": ticker})
    label = {"_id": f"l{anomaly['_id']}", "anomaly_id": anomaly["_id"], "ticker": ticker}
    label |= {"interval": "1d", "grade": grade, "is_true_anomaly": is_true, "labelled_at": NOW}
    label["predicted_score"] = anomaly["anomaly_score"]
    database.labels.insert_one(label)


def test_labels_suggest_a_threshold_that_a_person_applies(
    client: FlaskClient, database: Db, flask: Command
) -> None:
    add_list(database, "tech", "AAPL", "MSFT")
    path = "/py/watchlists/tech/suggested-threshold"
    nothing = client.get(path).json
    assert (nothing["suggested"], nothing["labels"]) == (None, 0)
    assert "at least 10 are needed" in nothing["reason"]
    for day in range(1, 7):
        judge(database, "AAPL", day, 76.0 + day / 10, is_true=day == 6)
        judge(database, "MSFT", day, 80.0 + day, is_true=True)
    found = client.get(path).json
    # Of the grades from 76.1 to 76.6 only the last is labelled true, and all from 81 on are: no
    # alarm from 76.6 on is false.
    assert (found["suggested"], found["true"], found["false"]) == (76.6, 7, 5)
    assert found["then"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert found["now"]["precision"] == pytest.approx(7 / 12)
    assert (found["alerts_lost"], found["alerts_gained"]) == (5, 0)
    assert database.watchlists.find_one({})["threshold"] is None  # type: ignore[index]
    applied = client.put(path, json={"grade": 85.0})
    assert applied.json["current"] == {"kind": "grade", "value": 85.0}
    (step,) = client.get("/py/audit?step=threshold").json["items"]
    assert (step["subject"], step["details"]["after"]["value"]) == ("watchlist tech", 85.0)
    # If the current threshold is a share (.0005 is grade 82.5) or a score, the anomalies that pass
    # it now are counted too.
    scope = Scope("watchlist", "tech")
    for name, value, passing in (("contamination", 0.0005, 4), ("score", -0.845, 2)):
        set_threshold(database, scope, name, value, NOW)  # type: ignore[arg-type]  # of its words
        assert client.get(path).json["now"]["recall"] == pytest.approx(passing / 7)
    client.put(path, json={"grade": 85.0})
    # Anomalies without an alert that would pass the suggested threshold:
    database.alerts.delete_one({"_id": "tech::MSFT::1d::2025-12-03T00:00:00Z"})
    database.anomalies.update_many({}, {"$set": {"Datetime": datetime.now(UTC)}})
    again = client.get(path).json
    assert again["gained"] == ["MSFT::1d::2025-12-03T00:00:00Z"]
    # Those with less confidence than the watchlist requires would raise no alert.
    database.watchlists.update_one({}, {"$set": {"min_confidence": 0.5}})
    database.anomalies.update_many({}, {"$set": {"confidence": 0.4}})
    assert client.get(path).json["gained"] == []
    assert (
        client.put("/py/watchlists/none/suggested-threshold", json={"grade": 1}).status_code == 404
    )
    assert "5 alerts fewer" in flask("alerts", "suggest-threshold", "tech", "--apply").output
    assert database.watchlists.find_one({})["threshold"]["value"] == 76.6  # type: ignore[index]
    refused = flask("alerts", "suggest-weights", "--market", "US")
    assert refused.exit_code == 2
    said = " ".join(refused.output.split())
    assert "12 anomalies that an ensemble found in 1d bars of US are labelled" in said
    assert "7 true and 5 false alarms: at least 20 of either kind" in said
    done = flask("alerts", "mute", "--ticker", "aapl", "--for", "14d", "--reason", "known")
    assert done.exit_code == 0, done.output
    mute_id = done.output.split()[-1]
    assert "AAPL" in flask("alerts", "mutes").output
    assert flask("alerts", "unmute", mute_id).exit_code == 0
    assert flask("alerts", "unmute", mute_id).exit_code == 1


def test_precision_and_recall_equal_scikit_learns() -> None:
    """Compared with scikit-learn's metrics."""
    from sklearn.metrics import f1_score, precision_score, recall_score  # noqa: PLC0415

    judged = [(70.0, False), (75.0, True), (80.0, False), (85.0, True), (90.0, True)]
    truth = [is_true for _, is_true in judged]
    for threshold in (70.0, 75.0, 80.0, 90.0):
        said = [grade >= threshold for grade, _ in judged]
        found = measure(judged, threshold)
        assert found["precision"] == pytest.approx(precision_score(truth, said))
        assert found["recall"] == pytest.approx(recall_score(truth, said))
        assert found["f1"] == pytest.approx(f1_score(truth, said))
    assert choose_grade(judged) is None
    assert choose_grade([(grade, True) for grade, _ in judged] * 3) is None


def test_the_returns_that_followed_are_those_after_similar_anomalies_of_all_tickers(
    client: FlaskClient, worker: Worker
) -> None:
    """Compared with pandas over the stored bars."""
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT")
    bars = {name: make_bars(400, seed=seed) for name, seed in (("AAPL", 1), ("MSFT", 2))}
    returns: dict[int, list[float]] = {1: [], 5: [], 20: []}
    for name, frame in bars.items():
        import_frame(database, frame, interval="1d", source="made", ticker=name, now=NOW)
        for place in (300, 350, 390):
            bar = pd.Timestamp(frame["date"].iloc[place]).tz_localize("UTC").to_pydatetime()
            for moved in (-0.09, 0.09):
                anomaly = build_anomaly("r", name, bar, moved=moved)
                anomaly["_id"] += str(moved)
                database.anomalies.insert_one({**anomaly, "scope": "own"})
            for ahead, found in returns.items():
                if place + ahead < len(frame):
                    change = frame["close"].pct_change(ahead).iloc[place + ahead]
                    found.append(float(change))
    end_run(database, ("AAPL", SESSIONS[0]), watchlist="tech")
    explained = {"scope": "own", "inputs": [], "root_cause": None}
    database.anomalies.update_many({"detection_run_id": {"$ne": "r"}}, {"$set": explained})
    notify(worker)
    alert = find_alerts(client)["AAPL"]
    told = client.get(f"/py/alerts/{alert['_id']}/followed").json
    assert (told["like"]["tickers"], told["like"]["anomalies"]) == (2, 6)
    for ahead, found in returns.items():
        assert told["followed"][f"after_{ahead}"]["count"] == len(found)
        median = sorted(found)
        middle = (median[(len(found) - 1) // 2] + median[len(found) // 2]) / 2
        assert told["followed"][f"after_{ahead}"]["median"] == pytest.approx(middle)


def test_changes_of_people_are_in_the_audit_and_failed_ones_are_not(
    client: FlaskClient, worker: Worker
) -> None:
    add_list(worker.database, "tech", "AAPL")
    add_series(worker.database, "AAPL")
    group = {"child": "AAPL", "child_type": "ticker", "parent": "Tech", "parent_type": "sector"}
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("put", "/py/tickers/AAPL/threshold", {"threshold": {"kind": "grade", "value": 75}}),
        ("put", "/py/tickers/AAPL/threshold", {"threshold": None}),
        ("put", "/py/groups", {"groups": [{**group, "source": "me"}]}),
        ("post", "/py/scheduler/toggle", {"enabled": False}),
        ("put", "/py/markets/US/tickers/ABCX", {}),
        ("delete", "/py/watchlists/tech", {}),
    ]
    for method, path, body in changes:
        answer = client.open(path, method=method, json=body)
        assert answer.status_code < 300, (path, answer.json)
    assert client.delete("/py/watchlists/nowhere").status_code == 404
    assert client.delete("/py/markets/JP").status_code == 404
    told = [(entry["step"], entry["subject"]) for entry in client.get("/py/audit").json["items"]]
    assert told[::-1] == [
        ("threshold", "ticker AAPL"),
        ("threshold", "ticker AAPL"),
        ("change", "groups"),
        ("change", "scheduler"),
        ("change", "ticker ABCX"),
        ("remove", "watchlist tech"),
    ]


def test_weights_are_learned_from_labels_if_that_is_an_improvement(
    client: FlaskClient, worker: Worker, database: Db
) -> None:
    for seed, ticker in enumerate(("AAA", "BBB", "CCC"), 1):
        store(database, ticker, make_bars(900, seed))
    # Without the member whose training needs an optional package.
    weights_of_all = ",".join(f"{member}=1" for member in MEMBERS if member != "lstm")
    options = {"detector": "ensemble", "weights": weights_of_all, "contamination": 0.05}
    train_model(
        database, TrainingPlan.from_options("US", markets=SHIPPED, options=options), now=NOW
    )
    run(database, "backfill", "AAA", "BBB", "CCC")
    asked = {"market": "US", "detector": "ensemble", "weights": "measured", "promote": False}
    refused = client.post("/py/models/train", json=asked)
    assert (refused.status_code, refused.json["reason"]) == (404, "too_few_labels")
    found = [
        anomaly
        for anomaly in database.anomalies.find({"kind": "event"}).sort("_id", 1)
        if all(vote["grade"] is not None for vote in anomaly["members"])
    ]
    grades = [{vote["detector"]: vote["grade"] for vote in anomaly["members"]} for anomaly in found]
    assert len(found) >= 60

    def say(is_true: Sequence[bool]) -> None:
        database.labels.delete_many({})
        database.labels.insert_many(
            {
                "_id": f"l{anomaly['_id']}",
                "anomaly_id": anomaly["_id"],
                "is_true_anomaly": bool(true),
                "labelled_at": NOW,
            }
            for anomaly, true in zip(found, is_true, strict=True)
        )

    # A label is true if the z-score's vote exceeds by more than usual that of the half-space trees,
    # on which the default weights rely.
    more = [own["zscore"] - own["half_space_trees"] for own in grades]
    say([own > sorted(more)[len(more) // 2] for own in more])
    accepted = client.post("/py/models/train", json=asked).json
    planning.start(worker, accepted["run_id"])
    ended = client.get(f"/py/detection-runs/{accepted['run_id']}").json
    assert ended["status"] == "complete", ended["error"]
    stored = database.models.find_one({"_id": ended["model_version"]})["parameters"]["weights"]
    weights = parse_weights("weights", stored)
    assert max(weights, key=lambda member: weights[member]) in {"zscore", "mad", "moving_average"}
    # Labels that no member's votes predict give no improvement.
    say([number % 2 == 0 for number in range(len(found))])
    accepted = client.post("/py/models/train", json=asked).json
    planning.start(worker, accepted["run_id"])
    ended = client.get(f"/py/detection-runs/{accepted['run_id']}").json
    assert ended["status"] == "failed"
    assert "labels are no gain" in ended["error"]
