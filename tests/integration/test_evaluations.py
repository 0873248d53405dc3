"""Model versions evaluated and compared on a stretch of bars: requested, computed by a run, and
read.
"""

import json
from functools import partial
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pymongo import MongoClient, monitoring

from api.http.state import get_state
from core.settings import Settings
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from market.markets import SHIPPED
from records.database import Db, in_transaction
from records.models.bar_scores import build_bar_scores, write_bar_scores
from tasks.engine import planning
from tasks.engine.execution import execute_batch
from tasks.process.worker import Worker
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, make_bars, run, store

BARS, SHOCKS = 500, (200, 300, 420)


@pytest.fixture
def worker(app: APIFlask, settings: Settings, database: Db) -> Worker:
    return Worker(settings, database, get_state(app).celery, "test:1")


@pytest.fixture
def versions(database: Db, once: Once) -> list[str]:
    """A forest, which is the champion, and a z-score detector, of a US market of two series."""

    def make() -> None:
        for seed, ticker in enumerate(("AAA", "BBB"), 1):
            store(database, ticker, make_bars(BARS, seed, shocks=SHOCKS))
        for detector in ("isolation_forest", "zscore"):
            options = {"detector": detector}
            plan = TrainingPlan.from_options("US", markets=SHIPPED, options=options)
            train_model(database, plan, now=NOW)

    once(make)
    return sorted(database.models.distinct("_id"))


def ask(client: FlaskClient, worker: Worker, body: dict[str, Any]) -> dict[str, Any]:
    accepted = client.post("/py/models/evaluate", json=body)
    assert accepted.status_code == 202, accepted.text
    planning.start(worker, accepted.json["run_id"])  # This also executes its only batch.
    ended = client.get(f"/py/detection-runs/{accepted.json['run_id']}").json
    assert ended["status"] == "complete", ended["error"]
    found = client.get(f"/py/evaluations/{ended['options']['evaluation']}")
    assert found.status_code == 200
    result: dict[str, Any] = found.json
    return result


def test_two_versions_are_compared_and_none_promoted(
    client: FlaskClient, worker: Worker, database: Db, versions: list[str]
) -> None:
    pointers = list(database.champions.find())
    result = ask(client, worker, {"versions": versions})
    forest, zscore = result["judgements"]
    assert [forest["version"], zscore["version"]] == versions
    assert forest["bars"] == 2 * (BARS - 61)
    assert zscore["bars"] == 2 * (BARS - 81)
    assert result["agreement"]["bars"] == 2 * (BARS - 81)
    assert result["agreement"]["flagged_by_both"] >= len(SHOCKS)
    # On its own training bars a model has not drifted.
    assert forest["drift"]["reasons"] == zscore["drift"]["reasons"] == []
    assert forest["drift"]["stability_index"] < 0.01
    assert list(database.champions.find()) == pointers
    assert database.anomalies.count_documents({}) == 0
    assert database.detection_metadata.count_documents({}) == 0


def test_alarms_are_those_that_a_backfill_finds(
    client: FlaskClient, worker: Worker, database: Db, versions: list[str]
) -> None:
    result = ask(client, worker, {"versions": versions[:1], "keep_scores": True})
    run(database, "backfill", "AAA", "BBB")
    (judged,) = result["judgements"]
    # A wrong bar is stored as a fault, whatever the model's score is.
    stored = list(database.anomalies.find({"Ticker": "AAA", "kind": "event"}))
    assert judged["alarms"] >= database.anomalies.count_documents({"kind": "event"}) > len(SHOCKS)
    path = f"/py/evaluations/{result['_id']}/scores?ticker=AAA&version={versions[0]}"
    kept = client.get(path).json
    scores = dict(zip(kept["times"], kept["scores"], strict=True))
    assert len(scores) == BARS - 61
    for anomaly in stored:
        assert (
            scores[anomaly["Datetime"].strftime("%Y-%m-%dT%H:%M:%SZ")] == anomaly["anomaly_score"]
        )
    assert sum(score < judged["threshold"] for score in scores.values()) >= len(stored)
    first = client.get(f"{path}&limit=10").json
    then = client.get(f"{path}&limit=500&start={first['next_start']}").json
    assert first["scores"] + then["scores"] == kept["scores"]


def test_labels_give_precision_and_recall(
    client: FlaskClient, worker: Worker, versions: list[str]
) -> None:
    days = make_bars(BARS, 1)["date"]
    labels = [
        {"ticker": "AAA", "time": f"{days[day]:%Y-%m-%d}", "is_anomaly": True} for day in SHOCKS
    ] + [
        {"ticker": "AAA", "time": f"{days[day]:%Y-%m-%d}", "is_anomaly": False}
        for day in (250, 330)
    ]
    result = ask(client, worker, {"versions": versions[:1], "labels": labels})
    (judged,) = result["judgements"]
    assert judged["labels"]["recall"] == 1.0
    assert judged["labels"]["not_scored"] == 0
    assert judged["tickers"] == 1
    assert judged["bars"] == SHOCKS[-1] - SHOCKS[0] + 1
    assert result["start"] == f"{days[SHOCKS[0]]:%Y-%m-%d}T00:00:00Z"


def test_a_label_may_name_its_bar_by_any_time_within_it(
    client: FlaskClient, worker: Worker, versions: list[str]
) -> None:
    days = make_bars(BARS, 1)["date"]
    times = [
        f"{days[day]:%Y-%m-%d}T{clock}Z"
        for day, clock in zip(SHOCKS, ("20:00:00", "14:30:00"), strict=False)
    ]
    labels = [{"ticker": "AAA", "time": time, "is_anomaly": True} for time in times]
    labels.append(
        {"ticker": "AAA", "time": f"{days[250]:%Y-%m-%d}T09:30:00-04:00", "is_anomaly": False}
    )
    result = ask(client, worker, {"versions": versions[:1], "labels": labels})
    (judged,) = result["judgements"]
    assert judged["labels"]["not_scored"] == 0
    assert judged["labels"]["true_alarms"] == len(times)
    assert result["start"] == f"{min(times)[:10]}T00:00:00Z"


def test_scores_of_a_stretch_equal_those_of_the_whole_history(
    client: FlaskClient, worker: Worker, versions: list[str]
) -> None:
    body = {"versions": [versions[1]], "keep_scores": True}
    whole = ask(client, worker, body)
    cut = ask(client, worker, body | {"start": "2016-01-04", "tickers": ["BBB"]})
    found = [
        client.get(f"/py/evaluations/{r['_id']}/scores?ticker=BBB&version={versions[1]}").json
        for r in (whole, cut)
    ]
    assert 0 < len(found[1]["scores"]) < len(found[0]["scores"])
    assert found[0]["scores"][-len(found[1]["scores"]) :] == found[1]["scores"]


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"versions": ["US_model-9.9.9"]}, 404, "there is no model"),
        ({"start": "2020-01-02", "end": "2020-01-01"}, 422, "ends (2020-01-01) before it starts"),
        (
            {"labels": [{"ticker": "AAA", "time": "2016-01-04", "is_anomaly": True}]},
            422,
            "a precision takes both",
        ),
        (
            {
                "start": "2020-01-02",
                "labels": [
                    {"ticker": "AAA", "time": f"2016-01-0{day}", "is_anomaly": day == 4}
                    for day in (4, 5)
                ],
            },
            422,
            "labels are of bars within it",
        ),
        (
            {
                "labels": [
                    {"ticker": "AAA", "time": f"2016-01-0{day}T15:30", "is_anomaly": day == 4}
                    | ({"interval": interval} if interval else {})
                    for day, interval in ((4, "15m"), (5, "1d"), (6, None))
                ],
            },
            422,
            "1 label of 3 are of other than 1d bars (the first of 15m)",
        ),
        ({"tickers": ["NONE"]}, 422, "no 1d bars of NONE are stored"),
        ({"versions": []}, 422, "versions"),
    ],
)
def test_an_impossible_evaluation_is_refused_and_no_run(
    client: FlaskClient,
    database: Db,
    versions: list[str],
    changes: dict[str, Any],
    status: int,
    said: str,
) -> None:
    refused = client.post("/py/models/evaluate", json={"versions": versions, **changes})
    assert refused.status_code == status
    assert said in refused.text
    assert database.detection_runs.count_documents({}) == 0
    assert database.evaluations.count_documents({}) == 0


def test_as_many_labels_as_a_file_may_have_are_accepted_over_http(
    client: FlaskClient, database: Db, versions: list[str]
) -> None:
    labels = [
        {
            "ticker": "AAA",
            "time": f"2016-01-04T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}+00:00",
            "is_anomaly": second % 2 == 0,
        }
        for second in range(20_001)
    ]
    # Indented, as some tools write JSON.
    body = json.dumps({"versions": versions, "labels": labels[:20_000]}, indent=4)
    assert len(body) > 2 * 2**20
    post = partial(client.post, "/py/models/evaluate", content_type="application/json")
    assert post(data=body).status_code == 202
    (asked,) = database.evaluations.find()
    assert len(asked["labels"]) == 20_000
    refused = post(data=json.dumps({"versions": versions, "labels": labels}))
    assert (refused.status_code, "at most 20,000 are taken" in refused.text) == (422, True)
    large = post(data=body + " " * 2**23)
    assert (large.status_code, large.json["reason"]) == (413, "request_entity_too_large")
    assert "may have 8388608 bytes at most" in large.json["detail"]


def test_versions_of_other_intervals_are_not_compared(
    client: FlaskClient, database: Db, versions: list[str]
) -> None:
    database.models.update_one({"_id": versions[1]}, {"$set": {"interval": "1h"}})
    refused = client.post("/py/models/evaluate", json={"versions": versions})
    assert refused.status_code == 422
    assert "cannot be compared" in refused.json["detail"]


def test_scores_that_were_not_kept_are_404(
    client: FlaskClient, worker: Worker, versions: list[str]
) -> None:
    result = ask(client, worker, {"versions": versions[:1]})
    path = f"/py/evaluations/{result['_id']}/scores?ticker=AAA&version={versions[0]}"
    missing = client.get(path)
    assert missing.status_code == 404
    assert "ask for them with keep_scores" in missing.json["detail"]
    assert client.get("/py/evaluations/none").status_code == 404


def test_a_bad_ticker_is_named_and_does_not_affect_the_others(
    client: FlaskClient, worker: Worker, database: Db, versions: list[str]
) -> None:
    result = ask(client, worker, {"versions": versions[:1], "tickers": ["AAA", "NONE"]})
    assert result["judgements"][0]["tickers"] == 1
    assert "NONE has no stored 1d bars" in result["errors"]["NONE"]


def test_an_evaluation_loads_each_version_once(
    client: FlaskClient, worker: Worker, versions: list[str]
) -> None:
    before = worker.models.get_cache_stats()["loads"]
    ask(client, worker, {"versions": versions})
    ask(client, worker, {"versions": versions})
    assert worker.models.get_cache_stats()["loads"] == before + 2


def test_a_backfill_keeps_the_scores_that_an_evaluation_gives(
    client: FlaskClient, worker: Worker, database: Db, versions: list[str]
) -> None:
    ask(client, worker, {"versions": versions[:1], "keep_scores": True})
    judged = {one["ticker"]: one for one in database.bar_scores.find()}
    database.bar_scores.delete_many({})
    body = {"market": "US", "max_period": "max", "keep_scores": True}
    accepted = client.post("/py/anomalies/backfill", json=body)
    planning.start(worker, accepted.json["run_id"])
    for batch in database.batches.find({"state": "pending"}):
        execute_batch(worker, batch["_id"])
    kept = {one["ticker"]: one for one in database.bar_scores.find()}
    assert kept.keys() == {"AAA", "BBB"}
    for ticker, one in kept.items():
        assert one["run_id"] == accepted.json["run_id"]
        assert one["count"] == BARS - 61
        assert [one[name] for name in ("version", "interval", "times", "scores")] == [
            judged[ticker][name] for name in ("version", "interval", "times", "scores")
        ]


class Updates(monitoring.CommandListener):
    """Counts the updates that a client sends."""

    def __init__(self) -> None:
        self.sent = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent += event.command_name == "update"

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def test_scores_of_a_market_are_written_in_bulk(settings: Settings, database: Db) -> None:
    """MongoDB ends a transaction after 20 s, which is too short for ten thousand single writes."""
    updates = Updates()
    documents = [
        part
        for number in range(500)
        for part in build_bar_scores(
            "run", "US-1", f"T{number}", "1d", times=bytes(8), scores=bytes(8), now=NOW
        )
    ]
    client: MongoClient[Any] = MongoClient(settings.mongo_url, event_listeners=[updates])
    with client:
        counted = client[database.name]
        for _ in range(2):  # The second time as if the batch were done again.
            in_transaction(counted, partial(write_bar_scores, counted, documents))
    assert (updates.sent, database.bar_scores.count_documents({})) == (2, 500)
