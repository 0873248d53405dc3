"""Which scopes can put a model, a threshold or a rule in force, by whichever route: every write is
listed with its scope.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pymongo import monitoring

from api import create_app
from api.http.state import get_state
from api.views.groups import EXAMPLE as GROUPS
from api.views.markets import EXAMPLE as MARKET
from core.settings import Settings
from records.database import Db, open_database
from records.indexes import INDEXES
from records.keys import add_key
from records.migrations import prepare_database
from records.models.champions import Scope
from records.models.thresholds import set_threshold
from records.work.batches import OPEN_STATES
from records.work.requests import RunRequest, insert_run
from records.work.scan_switch import SWITCH
from tasks.engine import planning
from tasks.engine.execution import execute_batch
from tasks.process.worker import Worker
from tests.conftest import empty
from tests.integration.detecting import make_bars, store
from tests.integration.modelling import add_model
from tests.integration.stored import add_list
from tests.processes import ROOT
from tests.receiver import run_receiver

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
# Collections that decide what is an anomaly, who is notified, who has access, and when anything is
# scanned.
IN_FORCE = {
    "champions",
    "groups",
    "markets",
    "ticker_markets",
    "thresholds",
    "notification_rules",
    "settings",
    "session_overrides",
    "api_keys",
    "tenants",
}
# Collections of what happened and of work to be done. Models are only used once they are champions,
# and models of single series judge only what their caller sends them.
FACTS = {
    "alert_history",
    "alert_trail",
    "alerts",
    "mutes",
    "analytics",
    "analytics_failures",
    "analytics_markets",
    "analytics_overview",
    "analytics_sets",
    "analytics_versions",
    "anomalies",
    "bar_imports",
    "bar_scores",
    "challengers",
    "change_counts",
    "bar_revisions",
    "bars",
    "batches",
    "counters",
    "deliveries",
    "depth",
    "detection_metadata",
    "detection_runs",
    "drifts",
    "evaluations",
    "exports.chunks",
    "exports.files",
    "gaps",
    "feed_positions",
    "funding",
    "heartbeats",
    "labels",
    "latencies",
    "market_days",
    "model_artefacts.chunks",
    "model_artefacts.files",
    "models",
    "outbox",
    "part_states",
    "rejected_bars",
    "rejected_records",
    "series",
    "series_models",
    "series_points",
    "series_predictions",
    "session_days",
    "single_series",
    "trade_series",
    "trades",
    "uploads.chunks",
    "uploads.files",
    "verifications",
    "watched_files",
    "watchlists",
}
ID = re.compile("<(?:path:)?([a-z_]+)>")
SCOPES = ("read", "enqueue", "respond", "admin")
WRITES = {"insert", "update", "delete", "findAndModify"}

# All writes, with the scopes that reach them. A collection in IN_FORCE may be written only by
# admins.
EXPECTED = {
    ("groups", "groups.replace_groups"): {"admin"},
    ("champions", "models.train_model"): {"admin"},
    ("champions", "models.promote_model"): {"admin"},
    ("champions", "models.roll_model_back"): {"admin"},
    ("champions", "runs.retry_detection_run"): {"admin"},
    ("thresholds", "watchlists.add_watchlist"): {"admin"},
    ("thresholds", "watchlists.replace_watchlist"): {"admin"},
    ("thresholds", "watchlists.remove_watchlist"): {"admin"},
    ("thresholds", "mutes.apply_suggested_threshold"): {"admin"},
    ("notification_rules", "notifications.set_rule"): {"admin"},
    ("notification_rules", "notifications.change_rule"): {"admin"},
    ("notification_rules", "notifications.remove_rule"): {"admin"},
    ("session_overrides", "corrections.set_session_exception"): {"admin"},
    ("thresholds", "corrections.set_ticker_threshold"): {"admin"},
    ("settings", "watchlists.toggle_scheduler"): {"admin"},
    ("markets", "markets.add_market"): {"admin"},
    ("markets", "markets.change_market"): {"admin"},
    ("ticker_markets", "markets.set_ticker_market"): {"admin"},
}


class Writes(monitoring.CommandListener):
    """Notes the collections that are written to; commands that change no document do not count."""

    def __init__(self) -> None:
        self.active = False
        self.collections: set[str] = set()
        self._asked: dict[int, str] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if not self.active or event.command_name not in WRITES:
            return
        collection = event.command[event.command_name]
        # Of the collection `settings` only the switch decides anything; the service notes the
        # others for itself.
        if collection != "settings" or SWITCH in str(event.command):
            self._asked[event.request_id] = collection

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        collection = self._asked.pop(event.request_id, None)
        if collection and (
            event.reply.get("n") or (event.reply.get("lastErrorObject") or {}).get("n")
        ):
            self.collections.add(collection)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._asked.pop(event.request_id, None)


LISTENER = Writes()


@pytest.fixture(scope="module", autouse=True)
def listener() -> Writes:
    monitoring.register(LISTENER)
    return LISTENER


@pytest.fixture
def app(settings: Settings, database: Db) -> Iterator[APIFlask]:
    app = create_app(settings)
    yield app
    get_state(app).close()


@pytest.fixture
def worker(app: APIFlask, settings: Settings) -> Iterator[Worker]:
    """A worker of this process, so that its writes are noticed."""
    database = open_database(settings)
    yield Worker(settings, database, get_state(app).celery, "test:1")
    database.client.close()


def prepare(database: Db) -> dict[str, str]:
    """Store something for every route to act on; return the ids that the paths need."""
    empty(database, but=("settings", "bars", "series"))
    if not database.series.find_one({}):
        store(database, "AAPL", make_bars(500))
    first, second = add_model(database), add_model(database)
    database.champions.update_one(
        {"_id": "champion::US::1d"}, {"$push": {"history": moved(database, second)}}
    )
    database.champions.update_one({"_id": "champion::US::1d"}, {"$set": {"version": second}})
    add_list(database, "tech", "AAPL")
    set_threshold(database, Scope("watchlist", "tech"), "grade", 60.0, NOW)
    run_id = add_failed_training(database)
    return {"version": first, "name": "tech", "run_id": run_id, "ticker": "AAPL"} | {
        "anomaly_id": "AAPL::1d::x",
        "alert_id": "tech::AAPL::1d::x",
        "mute_id": "x",
        "series_id": "sensor",
        "code": "JP",
        "timestamp": "1705000010",
    }


def moved(database: Db, version: str) -> dict[str, Any]:
    record = database.models.find_one({"_id": version})
    assert record is not None
    return {"version": version, "sha256": record["sha256"], "action": "promoted", "at": NOW}


def add_failed_training(database: Db) -> str:
    """Store a failed training that an admin requested; return its id."""
    options = {"promote": True, "trees": 5, "seed": 3}
    run_id: str = insert_run(
        database, RunRequest("train", "manual", market="US", options=options), NOW
    )["_id"]
    database.detection_runs.update_one(
        {"_id": run_id}, {"$set": {"status": "failed", "completed_at": NOW}}
    )
    return run_id


def bodies(channel: str) -> dict[str, list[dict[str, Any]]]:
    """Return at least one body for each route; a new route must be added here."""
    lists = {"tickers": ["AAPL"], "interval": "1d"}
    multipart = {"data": {"interval": "1d", "ticker": "AAPL"}}
    whose: dict[str, Any] = {"ticker": "AAPL", "venue": "XNAS"}
    point = {"timestamp": "1705000010", "value": 13.0}
    lines = {
        "data": '{"timestamp": "1705000010", "value": 13.0}\n',
        "content_type": "application/x-ndjson",
    }
    single: dict[str, list[dict[str, Any]]] = {
        "single_series.fit_series_model": [
            {"json": {"timestamps": [1, 2, 3, 4], "values": [1.0, 1.2, 0.9, 1.1]}}
        ],
        "single_series.delete_single_series": [{}],
        "series_predictions.predict_series": [{"json": point}],
        "series_predictions.predict_stream": [lines],
        "series_predictions.label_prediction": [{"json": {"feedback": "confirmed"}}],
    }
    return {
        **single,
        **{f"root_{endpoint}": asked for endpoint, asked in single.items()},
        "alerts.acknowledge_alert": [{"json": {}}],
        "alerts.resolve_alert": [{"json": {"feedback": "false_alarm"}}],
        "alerts.comment_alert": [{"json": {"text": "hm"}}],
        "alerts.snooze_alert": [{"json": {"until": "2026-01-12T08:00:00Z"}}],
        "alerts.assign_alert": [{"json": {"owner": "mia"}}],
        "alerts.change_many_alerts": [{"json": {"ids": ["tech::x"], "action": "acknowledge"}}],
        "groups.replace_groups": [{"json": GROUPS}],
        "bars.preview_file": [multipart],
        "corrections.record_split": [{"json": {"session": "2024-03-06", "factor": 2}}],
        "corrections.set_session_exception": [{"json": {"day": "2024-03-07", "session": "shut"}}],
        "corrections.set_ticker_threshold": [
            {"json": {"threshold": {"kind": "grade", "value": 99.0}}}
        ],
        "bars.delete_ticker": [{}],
        "markets.add_market": [{"json": {"code": "BR", **MARKET}}],
        "markets.change_market": [{"json": MARKET}],
        "markets.remove_market": [{}],
        "markets.set_ticker_market": [{}],
        "bars.push_candles": [{"json": {"ticker": "AAPL", "candles": [candle()]}}],
        "bars.import_file": [multipart],
        "data_quality.fill_gaps": [{"json": {"tickers": ["AAPL"], "source": "folder"}}],
        "data_quality.accept_gaps": [{"json": {"gaps": ["AAPL::1d::x"], "reason": "halt"}}],
        "analytics.compute_metrics": [{"json": {"ticker": "AAPL"}}],
        "detections.detect": [
            {"json": {"tickers": ["AAPL"]}},
            {"json": {"tickers": ["AAPL"], "store": False}},
        ],
        "ticks.push_trades": [
            {"json": whose | {"trades": [{"time": 1, "id": 1, "price": 1, "amount": 1}]}}
        ],
        "ticks.push_depth": [{"json": whose | {"depth": [{"time": 1, "bids": [[1, 1]]}]}}],
        "ticks.push_funding": [{"json": whose | {"funding": [{"time": 1, "rate": 0.1}]}}],
        "detections.start_backfill": [{"json": {"ticker": "AAPL"}}],
        "detections.start_incremental": [
            {"json": {"ticker": "AAPL"}},
            {"json": {"watchlist": "tech"}},
        ],
        "runs.cancel_detection_run": [{}],
        "runs.retry_detection_run": [{}],
        "models.train_model": [
            {"json": {"market": "US", "trees": 5, "promote": True}},
            {"json": {"market": "US", "trees": 5, "promote": None}},
        ],
        "exports.start_export": [{"json": {"table": "bars", "tickers": ["AAPL"]}}],
        "models.evaluate_models": [{"json": {"versions": ["US_model-0.1.0"]}}],
        "models.promote_model": [
            {"json": {}},
            {"json": {"ticker": "AAPL"}},
            {"json": {"watchlist": "tech"}},
        ],
        "models.roll_model_back": [{"json": {"market": "US"}}],
        "models.retire_model": [{}],
        "line.begin_line_login": [{"json": {"rule": "me"}}],
        "line.finish_line_login": [{"json": {"code": "x", "state": "y"}}],
        "notifications.set_rule": [{"json": {"channel": channel}}],
        "notifications.change_rule": [{"json": {"min_grade": 90}}],
        "notifications.remove_rule": [{}],
        "notifications.try_channel": [{}],
        "mutes.add_mute": [
            {"json": {"ticker": "AAPL", "until": "2030-01-01T00:00:00Z", "reason": "x"}}
        ],
        "mutes.end_mute": [{}],
        "mutes.apply_suggested_threshold": [{"json": {"grade": 80.0}}],
        "verifications.verify_anomaly": [{}],
        "verifications.verify_many": [{"json": {"ticker": "AAPL"}}],
        "watchlists.add_watchlist": [{"json": {"name": "other", "threshold": 99.0, **lists}}],
        "watchlists.replace_watchlist": [{"json": {"threshold": 99.0, **lists}}, {"json": lists}],
        "watchlists.remove_watchlist": [{}],
        "watchlists.toggle_scheduler": [{"json": {"enabled": False}}],
    }


def candle() -> dict[str, Any]:
    return {"time": "2013-03-01", "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}


def find_policies(database: Db) -> dict[str, tuple[Any, set[str]]]:
    """Return the own threshold of each watchlist, and its tickers: both are fields of the
    watchlist.
    """
    found = database.watchlists.find({"threshold": {"$ne": None}})
    return {
        watchlist["_id"]: (watchlist["threshold"], set(watchlist["tickers"])) for watchlist in found
    }


def work_off(worker: Worker) -> None:
    """Do the requested work, as workers do."""
    for run in worker.database.detection_runs.find({"status": "queued", "run_id": None}):
        planning.start(worker, run["_id"])
    for batch in worker.database.batches.find({"state": {"$in": list(OPEN_STATES)}}):
        execute_batch(worker, batch["_id"])


def list_routes(app: APIFlask) -> list[tuple[str, str, str]]:
    return [
        (rule.endpoint, rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"})
    ]


def test_collections_that_decide_are_written_only_by_admins(
    app: APIFlask, database: Db, worker: Worker
) -> None:
    prepare_database(database, NOW)
    with run_receiver() as receiver:
        asked = bodies(receiver.channel)
        routes = list_routes(app)
        assert {endpoint for endpoint, *_ in routes} == asked.keys(), (
            "a route has no body here to be tried with"
        )
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for scope in SCOPES:
            stored: dict[str, str] = {}
            for endpoint, path, method in routes:
                for body in asked[endpoint]:
                    if not stored:
                        stored = prepare(database)
                        database.notification_rules.insert_one(rule(receiver.channel))
                        key = add_key(database, "asks", [scope], NOW)
                    names = dict(stored)
                    if endpoint.startswith("notifications"):
                        names["name"] = "ops"
                    if endpoint == "markets.set_ticker_market":
                        names["ticker"] = "NEWX"  # A ticker with bars cannot be moved.
                    address = ID.sub(lambda name, names=names: names[name[1]], path)
                    before = find_policies(database)
                    LISTENER.collections, LISTENER.active = set(), True
                    answer = app.test_client().open(
                        address, method=method, headers={"X-API-Key": key}, **body
                    )
                    assert answer.status_code < 500, answer.text
                    work_off(worker)
                    LISTENER.active = False
                    if find_policies(database) != before:
                        LISTENER.collections.add("thresholds")
                    assert LISTENER.collections <= IN_FORCE | FACTS, endpoint
                    if LISTENER.collections:
                        stored = {}  # Documents changed, so prepare them again.
                    for collection in LISTENER.collections & IN_FORCE:
                        found[collection, endpoint].add(scope)
    assert found == EXPECTED


def rule(channel: str) -> dict[str, Any]:
    return {
        "_id": "ops",
        "name": "ops",
        "channel": channel,
        "shown_channel": "json",
        "enabled": True,
    } | {
        "watchlist": None,
        "min_grade": 75.0,
        "quiet_from": None,
        "quiet_until": None,
        "timezone": "UTC",
        "backfills": False,
        "failures": True,
        "updated_at": NOW,
    }


Ask = Callable[..., Any]


@pytest.fixture
def ask(client: FlaskClient, database: Db) -> Ask:
    """Send a request with a key that may only enqueue."""
    key = add_key(database, "enqueues", ["read", "enqueue"], NOW)
    return lambda method, path, **sent: client.open(
        path, method=method, headers={"X-API-Key": key}, **sent
    )


def test_a_training_requested_with_the_scope_enqueue_is_never_promoted(
    ask: Ask, database: Db, worker: Worker
) -> None:
    store(database, "AAPL", make_bars(500))
    refused = ask("POST", "/py/models/train", json={"market": "US", "promote": True})
    assert (refused.status_code, refused.json["reason"]) == (403, "scope_missing")
    assert "'admin'" in refused.json["detail"]
    accepted = ask("POST", "/py/models/train", json={"market": "US", "trees": 5, "score": -0.9})
    assert accepted.status_code == 202
    work_off(worker)
    run = ask("GET", accepted.headers["Location"]).json
    assert (run["status"], run["options"]["promote"]) == ("complete", False)
    assert database.models.count_documents({}) == 1
    assert database.champions.count_documents({}) == 0


def test_the_scope_enqueue_can_change_a_watchlist_but_not_its_threshold(
    ask: Ask, database: Db
) -> None:
    plain = {"tickers": ["AAPL"], "interval": "1d"}
    assert ask("POST", "/py/watchlists", json={"name": "a", **plain}).status_code == 201
    assert (
        ask("PUT", "/py/watchlists/a", json=plain | {"tickers": ["AAPL", "MSFT"]}).status_code
        == 200
    )
    assert ask("PUT", "/py/watchlists/a", json=plain | {"threshold": 100.0}).status_code == 403
    set_threshold(database, Scope("watchlist", "a"), "grade", 60.0, NOW)
    same = {"tickers": ["MSFT", "AAPL"], "threshold": 60.0, "interval": "1d"}
    assert ask("PUT", "/py/watchlists/a", json=same | {"delay_minutes": 9}).status_code == 200
    assert (
        ask("PUT", "/py/watchlists/a", json=same | {"tickers": ["AAPL", "IBM"]}).status_code == 403
    )
    assert ask("DELETE", "/py/watchlists/a").status_code == 403
    assert database.watchlists.find_one({"_id": "a"})["threshold"] == {
        "kind": "grade",
        "value": 60.0,
    }


def test_every_collection_is_classified() -> None:
    files = (path.read_text() for path in (ROOT / "records").rglob("*.py"))
    known = {name for text in files for name in re.findall(r"return database\.([a-z_]+)\n", text)}
    assert known | set(INDEXES) <= IN_FORCE | FACTS
