"""Champions are watched for drift, challenged and replaced, by real runs on a real database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient

from core.settings import Settings
from core.words import Retrain
from detection.features.feature_sets import TWO_YARDSTICKS
from detection.models.plan import TrainingPlan
from detection.models.registry import check_promotable, promote
from detection.models.training import train_model
from market.markets import SHIPPED
from records.alerts.notification_rules import find_rules
from records.database import Db
from records.models.artefacts import delete_artefact
from records.models.champions import Scope
from records.models.thresholds import set_threshold
from tasks.engine import planning
from tasks.periodic import model_watch, notifications
from tasks.periodic.model_watch import watch_models
from tasks.process.worker import Worker
from tests.commands import Command
from tests.integration.detecting import NOW, make_bars, store

BARS, LEARNED = 1_300, 400
SLOT = timedelta(minutes=5)


def set_retrain(worker: Worker, retrain: Retrain) -> Worker:
    return replace(worker, settings=worker.settings.model_copy(update={"retrain": retrain}))


def make_market(database: Db, *, wilder: float = 1.0, window_end: int | None = LEARNED) -> str:
    """Store five series, train a champion on their first bars, and return its version."""
    for seed, ticker in enumerate(("AAA", "BBB", "CCC", "DDD", "EEE"), 21):
        frame = make_bars(BARS, seed, shocks=(300, 700, 1_200))
        if wilder != 1.0:
            frame = make_wicked(frame, seed, wilder)
        store(database, ticker, frame)
    days = make_bars(BARS, 1)["date"]
    end = None if window_end is None else f"{days[window_end]:%Y-%m-%d}"
    plan = TrainingPlan.from_options(
        "US", markets=SHIPPED, options={"window_end": end, "trees": 50, "seed": 5}
    )
    return train_model(database, plan, now=NOW)["version"]


def make_wicked(frame: pd.DataFrame, seed: int, wilder: float) -> pd.DataFrame:
    """Return bars of which every other one, from LEARNED on, has a wider range than before."""
    wide = np.zeros(len(frame))
    wide[LEARNED:] = np.random.default_rng(seed).exponential(wilder, len(frame) - LEARNED)
    wide *= np.arange(len(frame)) % 2
    return frame.assign(
        high=frame["high"] * (1 + 0.01 * wide), low=frame["low"] / (1 + 0.01 * wide)
    )


def go_on(worker: Worker, now: datetime) -> list[str]:
    """Watch the models once and execute the accepted runs; return their kinds."""
    done = []
    for run_id in watch_models(worker, now):
        planning.start(worker, run_id)
        ended = worker.database.detection_runs.find_one({"_id": run_id})
        assert ended["status"] == "complete", ended["error"]
        done.append(ended["task"])
    return done


@pytest.fixture
def rule(client: FlaskClient, database: Db) -> str:
    """A rule that also asks for failures."""
    said = client.put(
        "/py/notifications/rules/ops", json={"channel": "json://127.0.0.1:9/x", "failures": True}
    )
    assert said.status_code in {200, 201}, said.text
    assert find_rules(database, enabled=True)
    return "ops"


@pytest.mark.parametrize(("before", "messages"), [(["distribution_moved", "old"], 0), ([], 1)])
def test_a_drift_is_reported_for_a_new_reason_and_not_for_one_that_ended(
    worker: Worker, database: Db, rule: str, before: list[str], messages: int
) -> None:
    """A figure near its bound would otherwise be reported every other session."""
    champion, now = make_market(database), datetime(2026, 1, 5, 12, tzinfo=UTC)
    day = make_bars(BARS)["date"].iloc[-2]
    noted = {"market": "US", "interval": "1d", "version": champion, "session": f"{day:%Y-%m-%d}"}
    figures = {"reasons": before, "stability_index": 0.1, "at": now}
    database.drifts.insert_one({"_id": f"US::1d::{day:%Y-%m-%d}", **noted, **figures})
    assert go_on(set_retrain(worker, "propose"), now) == ["evaluate"]
    (drift,) = database.drifts.find({"session": {"$gt": noted["session"]}})
    assert drift["reasons"] == ["old"]
    notifications.notify(worker)
    assert database.deliveries.count_documents({"kind": "model"}) == messages


def test_a_rule_is_told_only_of_models_that_score_its_tickers_at_its_interval(
    worker: Worker, database: Db, client: FlaskClient
) -> None:
    make_market(database)
    store(database, "SAP.DE", make_bars(60))
    lists = {"days": ("AAA", "1d"), "quarters": ("AAA", "15m"), "german": ("SAP.DE", "1d")}
    for name, (ticker, interval) in lists.items():
        made = {"name": name, "tickers": [ticker], "interval": interval}
        assert client.post("/py/watchlists", json=made).status_code == 201
    rules = {name: {"watchlist": name} for name in lists}
    rules |= {"all": {}, "one": {"ticker": "AAA"}, "other": {"ticker": "SAP.DE"}}
    for name, of in rules.items():
        asked = {"channel": "json://127.0.0.1:9/x", "failures": True, **of}
        assert client.put(f"/py/notifications/rules/{name}", json=asked).status_code < 300
    go_on(set_retrain(worker, "propose"), datetime(2026, 1, 5, 12, tzinfo=UTC))
    notifications.notify(worker)
    assert sorted(database.deliveries.distinct("rule")) == ["all", "days", "one"]


def test_a_drifted_champion_is_reported_challenged_and_replaced(
    worker: Worker,
    database: Db,
    client: FlaskClient,
    rule: str,
    flask: Command,
) -> None:
    worker = set_retrain(worker, "promote")
    champion = make_market(database)
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert go_on(worker, now) == ["evaluate"]
    assert go_on(worker, now) == [], "this slot was looked after"
    (drift,) = client.get("/py/drifts").json["items"]
    assert drift["_id"] == f"US::1d::{make_bars(BARS)['date'].iloc[-1]:%Y-%m-%d}"
    assert drift["reasons"] == ["old"]
    assert drift["age_days"] > 180
    assert drift["inputs"].keys() == set(database.models.find_one({"_id": champion})["columns"])
    notifications.notify(worker)
    told = database.deliveries.find_one({"kind": "model"})
    assert told["rule"] == rule
    assert "has drifted: old" in told["title"]

    # A challenger with the same plan, whose window moved so that a year is left for the comparison.
    assert go_on(worker, now + SLOT) == ["train"]
    (waiting,) = client.get("/py/challengers").json["items"]
    assert (waiting["state"], waiting["champion"]) == ("training", champion)
    assert go_on(worker, now + 2 * SLOT) == ["evaluate"]
    records = {model["_id"]: model for model in database.models.find()}
    version = (records.keys() - {champion}).pop()
    old, new = records[champion], records[version]
    assert old["parameters"] == new["parameters"]
    assert old["feature_set"] == new["feature_set"]
    last = make_bars(BARS)["date"].iloc[-1].to_pydatetime().replace(tzinfo=UTC)
    assert last - new["window_end"] == timedelta(days=365) < (last - old["window_end"]) / 2
    report = database.evaluations.find_one({"versions": [champion, version]})
    assert report["start"] > new["window_end"]
    assert report["judgements"][0]["bars"] == report["judgements"][1]["bars"] > 1_000
    for judgement in report["judgements"]:
        assert judgement["faults_planted"] == 140
        assert 0.9 * 140 <= judgement["faults_found"] <= 140

    assert go_on(worker, now + 3 * SLOT) == []
    (judged,) = client.get("/py/challengers").json["items"]
    assert [gate["name"] for gate in judged["gates"] if not gate["passed"]] == []
    assert judged["passed"]
    assert judged["promoted_at"] is not None
    assert database.champions.find_one({"_id": "champion::US::1d"})["version"] == version
    said = flask("models", "challengers", "--market", "US").output
    assert f"{version} beside {champion} (old): passed all gates, is in use" in said
    assert "passed unseen:" in said
    assert "of 140 planted faults found beside the champion's" in " ".join(said.split())
    assert "old" in flask("models", "drift").output
    back = client.post("/py/models/rollback", json={"market": "US"})
    assert back.json["version"] == champion
    notifications.notify(worker)
    assert database.deliveries.find_one({"title": {"$regex": f"{version} is in use"}})

    # The next one may come in a week, and only if there are new bars whose drift is a reason: of
    # the same bars each week would train the same.
    soon = now + timedelta(days=6)
    assert go_on(worker, now + timedelta(days=8)) == []
    store(database, "AAA", make_bars(BARS + 1, 21).iloc[-1:].reset_index(drop=True))
    assert [go_on(worker, soon + n * SLOT) for n in range(2)] == [["evaluate"], []]
    assert go_on(worker, now + timedelta(days=9)) == ["train"]


def test_moved_scores_count_as_drift_from_the_second_session_on(
    worker: Worker, database: Db
) -> None:
    worker = set_retrain(worker, "propose")
    make_market(database, wilder=8.0)
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert go_on(worker, now) == ["evaluate"]
    (first,) = database.drifts.find()
    assert first["stability_index"] > 0.25
    assert "scores_moved" not in first["reasons"]
    assert {"distribution_moved", "flags_too_much"} <= set(first["reasons"])
    assert max(first["inputs"].values()) > 0.25
    # A bar of the next session.
    frame = make_bars(BARS + 1, 21, shocks=(300, 700, 1_200)).iloc[-1:]
    store(database, "AAA", frame.reset_index(drop=True))
    assert go_on(worker, now + SLOT) == ["evaluate"]
    second = database.drifts.find_one(sort=[("session", -1)])
    assert second["session"] > first["session"]
    assert "scores_moved" in second["reasons"]
    assert go_on(worker, now + 2 * SLOT) == [], "it is only proposed"
    told = [event["payload"]["body"] for event in database.outbox.find({"event": "model_news"})]
    assert len(told) == 2
    assert "`flask models train --market US --interval 1d` trains anew" in told[0]


@pytest.mark.parametrize(
    ("retrain", "window_end"),
    [("train", LEARNED), ("promote", BARS - 2)],
    ids=["unasked", "unproven"],
)
def test_a_challenger_is_not_promoted_unasked_or_unproven(
    worker: Worker, database: Db, retrain: Retrain, window_end: int
) -> None:
    worker = set_retrain(worker, retrain)
    champion = make_market(database, window_end=window_end)
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    go_on(worker, now)
    # As if it had drifted because of tickers that it never saw.
    database.drifts.update_one({}, {"$set": {"reasons": ["unknown_tickers"]}})
    for step in range(1, 4):
        go_on(worker, now + step * SLOT)
    (judged,) = database.challengers.find()
    assert judged["state"] == "judged"
    assert judged["passed"] is (retrain == "train")
    unseen = {gate["name"]: gate["passed"] for gate in judged["gates"]}["unseen"]
    assert unseen is (retrain == "train")
    assert database.champions.find_one({"_id": "champion::US::1d"})["version"] == champion


def test_a_champion_is_not_challenged_before_bars_come_that_it_did_not_learn_from(
    worker: Worker, database: Db
) -> None:
    worker = set_retrain(worker, "train")
    make_market(database, window_end=None)
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    go_on(worker, now)
    database.drifts.update_one({}, {"$set": {"reasons": ["distribution_moved"]}})
    assert go_on(worker, now + SLOT) == []
    assert database.challengers.count_documents({}) == 0


@pytest.mark.parametrize("hindrance", ["lost", "silent"])
def test_a_challenger_that_cannot_be_opened_or_would_flag_nothing_is_not_promoted(
    worker: Worker, database: Db, hindrance: str
) -> None:
    worker = set_retrain(worker, "promote")
    champion = make_market(database)
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    for step in range(3):
        go_on(worker, now + step * SLOT)
    version = database.models.find_one({"_id": {"$ne": champion}})["_id"]
    if hindrance == "lost":
        delete_artefact(database, version)
    else:
        set_threshold(database, Scope("market", "US"), "score", -1.0, now)
    assert go_on(worker, now + 3 * SLOT) == []
    (judged,) = database.challengers.find()
    assert (judged["state"], judged["passed"], judged["promoted_at"]) == ("judged", True, None)
    assert version in judged["error"]
    assert database.champions.find_one({"_id": "champion::US::1d"})["version"] == champion
    (told,) = database.outbox.find({"_id": {"$regex": judged["_id"]}, "event": "model_news"})
    assert "was not put in use" in told["payload"]["body"]


def test_a_challenger_does_not_replace_a_champion_that_was_promoted_at_the_same_moment(
    worker: Worker, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was held against the champion before."""
    worker = set_retrain(worker, "promote")
    champion = make_market(database)
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    for step in range(3):
        go_on(worker, now + step * SLOT)
    options = {"trees": 60, "promote": False}
    plan = TrainingPlan.from_options("US", markets=SHIPPED, options=options)
    another = train_model(database, plan, now=NOW)["version"]

    def promote_another(*about: Any) -> None:
        promote(database, another, now)
        check_promotable(*about)

    monkeypatch.setattr(model_watch, "check_promotable", promote_another)
    go_on(worker, now + 3 * SLOT)
    (judged,) = database.challengers.find()
    assert (judged["state"], judged["passed"], judged["promoted_at"]) == ("judged", True, None)
    assert judged["error"] == f"{champion} is no longer the champion; {another} is"
    assert database.champions.find_one({"_id": "champion::US::1d"})["version"] == another


def test_a_failed_training_of_a_challenger_is_reported(worker: Worker, database: Db) -> None:
    worker = set_retrain(worker, "train")
    make_market(database)
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    go_on(worker, now)
    (run_id,) = watch_models(worker, now + SLOT)
    ended: dict[str, Any] = {"status": "failed", "error": "no memory", "completed_at": now}
    database.detection_runs.update_one({"_id": run_id}, {"$set": ended})
    assert watch_models(worker, now + 2 * SLOT) == []
    (challenger,) = database.challengers.find()
    assert (challenger["state"], challenger["error"]) == ("failed", "no memory")


def test_a_champion_with_columns_that_its_detector_no_longer_uses_is_challenged(
    worker: Worker, database: Db
) -> None:
    worker = set_retrain(worker, "train")
    for seed, ticker in enumerate(("AAA", "BBB"), 1):
        store(database, ticker, make_bars(BARS, seed))
    end = f"{make_bars(BARS)['date'][2 * LEARNED]:%Y-%m-%d}"
    options = {"detector": "half_space_trees", "window_end": end}
    plan = TrainingPlan.from_options("US", markets=SHIPPED, options=options)
    champion = train_model(database, replace(plan, feature_set=TWO_YARDSTICKS), now=NOW)
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert [go_on(worker, now + slot * SLOT) for slot in range(3)] == [
        ["evaluate"],
        ["train"],
        ["evaluate"],
    ]
    trained = database.models.find_one({"_id": {"$ne": champion["version"]}})
    assert (champion["feature_set"], trained["feature_set"]) == ("two_yardsticks/5", "events/6")


def test_models_are_not_watched_if_retraining_is_off(
    worker: Worker, settings: Settings, database: Db
) -> None:
    make_market(database)
    assert settings.retrain == "off"
    assert watch_models(worker, NOW) == []
    assert database.drifts.count_documents({}) == 0
