"""From a run's end to a channel: a real HTTP receiver gets what apprise sends."""

import json
import threading
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from alerts.choosing import News
from alerts.messages import find_due
from core.settings import Settings
from records.alerts import deliveries, notification_rules
from records.database import Db, Document
from records.findings.anomalies import find_fallen
from records.tenancy import add_tenant, get_tenant, of_tenant
from records.work import endings, runs
from records.work.batches import build_batch
from records.work.heartbeats import NOTIFIER, take_turn
from records.work.requests import RunRequest, insert_run
from runner.servers import free_port
from tasks.periodic import notifications
from tasks.periodic.later_messages import plan_escalation
from tasks.periodic.notifications import has_work, notify
from tasks.process.worker import Worker
from tests.commands import Command
from tests.receiver import Receiver

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
RULES = "/py/notifications/rules"
TOLD: dict[str, Any] = {"run_id": None, "title": "a title", "body": "", "due_at": NOW, "now": NOW}


def set_rule(client: FlaskClient, receiver: Receiver, name: str = "me", **fields: object) -> None:
    answer = client.put(f"{RULES}/{name}", json={"channel": receiver.channel} | fields)
    assert answer.status_code == 200, answer.json


def finish_scan(
    database: Db, *found: tuple[str, float], task: str = "incremental", watchlist: str | None = None
) -> str:
    """Store an ended scan that found anomalies of these tickers and grades; return its id."""
    request = RunRequest(
        task, "scheduler", tuple({t for t, _ in found}) or ("AAPL",), watchlist=watchlist
    )  # type: ignore[arg-type]
    run_id: str = insert_run(database, request, NOW)["_id"]
    runs.start_run(database, run_id, [], NOW)
    for number, (ticker, grade) in enumerate(found):
        database.anomalies.insert_one(build_anomaly(run_id, ticker, grade, number))
    assert endings.finish_run(database, run_id, NOW) is not None
    return run_id


def build_anomaly(run_id: str, ticker: str, grade: float, number: int) -> Document:
    return {
        "_id": f"{ticker}::1d::{number}::{run_id}",
        "Ticker": ticker,
        "Datetime": datetime(2026, 1, 2, tzinfo=UTC),
        "interval": "1d",
        "market": "US",
        "detection_run_id": run_id,
        "kind": "event",
        "detection_timestamp": NOW,
        "model_version": "US_model-0.1.0",
        "features": {"return_1": -0.09},
        "attribution": {"return_fast": 1.0},
        "threshold": -0.4,
        "anomaly_score": -grade / 100,
        "grade": grade,
        "severity": "high",
        "reasons": ["fell 9.0 %, 4.1 times its usual range"],
        "status": "new",
        "sent": False,
    }


def make_due(database: Db) -> None:
    database.deliveries.update_many({}, {"$set": {"due_at": NOW}})


def test_a_scan_sends_one_summary_with_the_strangest_first_and_marks_them_sent(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    set_rule(client, receiver)
    run_id = finish_scan(database, ("AAPL", 80.0), ("MSFT", 99.0), ("IBM", 60.0), watchlist="tech")
    assert has_work(database)
    assert notify(worker) == {"sent": 1, "not_sent": 0, "unfinished": 0}
    (message,) = receiver.messages
    assert message["title"] == "tech: 2 anomalies in 1d bars"
    lines = message["message"].splitlines()
    assert lines[0] == "MSFT 2026-01-02: high (grade 99), fell 9.0 %, 4.1 times its usual range"
    assert lines[1].startswith("AAPL 2026-01-02")
    assert run_id in lines[-1]
    assert {a["Ticker"]: a["sent"] for a in database.anomalies.find()} == {
        "AAPL": True,
        "MSFT": True,
        "IBM": False,
    }
    assert not has_work(database)
    assert notify(worker) == {"sent": 0, "not_sent": 0, "unfinished": 0}
    assert len(receiver.messages) == 1


def test_a_scan_that_found_nothing_sends_nothing(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    set_rule(client, receiver)
    finish_scan(worker.database, ("AAPL", 50.0))
    notify(worker)
    assert receiver.messages == []
    assert worker.database.deliveries.count_documents({}) == 0


def test_backfills_send_nothing_unless_asked(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    set_rule(client, receiver)
    finish_scan(worker.database, ("AAPL", 90.0), task="backfill")
    notify(worker)
    assert receiver.messages == []
    set_rule(client, receiver, backfills=True)
    finish_scan(worker.database, ("AAPL", 90.0), task="backfill")
    notify(worker)
    assert len(receiver.messages) == 1


def test_a_rule_of_a_watchlist_is_sent_only_its_tickers(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    client.post("/py/watchlists", json={"name": "tech", "tickers": ["AAPL"]})
    set_rule(client, receiver, watchlist="tech")
    finish_scan(worker.database, ("AAPL", 90.0), ("IBM", 99.0))
    notify(worker)
    (message,) = receiver.messages
    assert "AAPL" in message["message"]
    assert "IBM" not in message["message"]


def test_a_rule_of_a_watchlist_is_not_sent_tickers_on_no_watchlist(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    client.post("/py/watchlists", json={"name": "hours", "tickers": ["AAPL"], "interval": "1h"})
    set_rule(client, receiver, watchlist="hours", backfills=True)
    finish_scan(worker.database, ("AAPL", 99.0))
    finish_scan(worker.database, ("AAPL", 98.0), task="backfill")
    # Ten or more tickers that are strange on one bar would be one market-wide alert.
    finish_scan(worker.database, *((f"T{number}", 90.0) for number in range(12)))
    notify(worker)
    assert receiver.messages == []


def test_a_failed_run_is_reported_with_its_error(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    set_rule(client, receiver)
    set_rule(client, receiver, "quiet about failures", failures=False)
    run = insert_run(worker.database, RunRequest("incremental", "scheduler", ("AAPL",)), NOW)
    runs.start_run(
        worker.database, run["_id"], [build_batch(run["_id"], "00000", ["AAPL"], "US", NOW)], NOW
    )
    failure = {
        "ticker": "AAPL",
        "reason": "bad_bars",
        "error": "AAPL has a bar that is not a number",
    }
    result = {"tickers_done": 0, "tickers_failed": 1, "failures": [failure]}
    worker.database.batches.update_one(
        {"run_id": run["_id"]}, {"$set": {"state": "done", "result": result}}
    )
    endings.finish_run(worker.database, run["_id"], NOW)
    notify(worker)
    (message,) = receiver.messages
    assert message["title"] == "AAPL: incremental failed"
    assert "not a number" in message["message"]


def finish_import(database: Db, failed: str, error: str) -> None:
    """Store an ended import of which one ticker failed."""
    request = RunRequest("import", "manual", options={"filename": "prices.csv"})
    fail_one(database, request, failed, error)


def fail_one(database: Db, request: RunRequest, failed: str, error: str) -> None:
    """Store an ended run whose one batch is about no single tickers, and names what failed."""
    run = insert_run(database, request, NOW)
    batch = build_batch(run["_id"], "00000", [], None, NOW)
    runs.start_run(database, run["_id"], [batch], NOW)
    failure = {"ticker": failed, "reason": "bad_input", "error": error}
    result = {"tickers_done": 0, "tickers_failed": 1, "failures": [failure]}
    database.batches.update_one(
        {"run_id": run["_id"]}, {"$set": {"state": "done", "result": result}}
    )
    endings.finish_run(database, run["_id"], NOW)


def test_a_failed_import_is_named_by_its_file(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    set_rule(client, receiver)
    finish_import(worker.database, "EURUSD", "EURUSD is a pair")
    notify(worker)
    (message,) = receiver.messages
    assert message["title"] == "prices.csv: import failed"


def test_a_rule_of_a_watchlist_is_told_only_of_failures_of_its_tickers(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    """It used to be told of all: of imports of anything, and of scans of other watchlists."""
    client.post("/py/watchlists", json={"name": "tech", "tickers": ["AAPL", "MSFT"]})
    client.post("/py/watchlists", json={"name": "old", "tickers": ["IBM", "MSFT"]})
    set_rule(client, receiver, "tech", watchlist="tech")
    set_rule(client, receiver, "one", ticker="AAPL")
    set_rule(client, receiver, "all")
    database = worker.database

    def told() -> list[str]:
        notify(worker)
        names = sorted(message["rule"] for message in receiver.messages)
        receiver.messages.clear()
        return names

    finish_import(database, "EURUSD", "EURUSD is a pair")
    assert told() == ["all"]
    finish_import(database, "MSFT", "it has no close")
    assert told() == ["all", "tech"]
    finish_import(database, "AAPL", "it has no close")
    assert told() == ["all", "one", "tech"]
    request = RunRequest("incremental", "scheduler", ("IBM", "MSFT"), watchlist="old")
    run_id = insert_run(database, request, NOW)["_id"]
    endings.fail_run(database, run_id, "abandoned", "no worker took it", NOW)
    assert told() == ["all"]


@pytest.mark.parametrize("failed", ["fetch", "tech.csv"])
def test_a_failed_fetch_that_names_no_ticker_is_told_to_rules_of_its_tickers(
    client: FlaskClient, worker: Worker, receiver: Receiver, failed: str
) -> None:
    """A batch that failed as a whole is named by its task, and what failed of a folder by its file.
    Rules of the watchlist itself were not told.
    """
    client.post("/py/watchlists", json={"name": "tech", "tickers": ["AAPL", "MSFT"]})
    set_rule(client, receiver, "tech", watchlist="tech")
    set_rule(client, receiver, "one", ticker="AAPL")
    set_rule(client, receiver, "other", ticker="IBM")
    fetch = RunRequest("fetch", "scheduler", ("AAPL", "MSFT"), watchlist="tech")
    fail_one(worker.database, fetch, failed, "the folder cannot be read")
    notify(worker)
    assert sorted(message["rule"] for message in receiver.messages) == ["one", "tech"]


def test_a_delivery_that_a_channel_refuses_is_shown_and_retried_until_it_succeeds(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    set_rule(client, receiver)
    finish_scan(database, ("AAPL", 90.0))
    receiver.status = 503
    assert notify(worker) == {"sent": 0, "not_sent": 1, "unfinished": 0}
    (shown,) = client.get("/py/notifications/deliveries").json["items"]
    assert (shown["state"], shown["attempts"]) == ("pending", 1)
    assert "503" in shown["error"]
    assert "secret" not in json.dumps(shown)
    assert not deliveries.has_due(database), "it waits before the next try"
    receiver.status = 200
    make_due(database)
    assert notify(worker) == {"sent": 1, "not_sent": 0, "unfinished": 0}
    assert len(receiver.messages) == 1
    (shown,) = client.get("/py/notifications/deliveries?state=sent").json["items"]
    assert shown["error"] is None


def test_the_cause_of_a_failed_delivery_is_shown_without_secrets(
    client: FlaskClient, database: Db, receiver: Receiver
) -> None:
    """The cause is the channel's answer or, if it was not reached, the network's error."""
    set_rule(client, receiver)
    receiver.status, receiver.answer = 403, b'{"message": "the room of the key Secret is closed"}'
    told = client.post(f"{RULES}/me/test").json
    assert told["sent"] is False
    assert "the room of the key *** is closed" in told["error"]
    channel = f"json://someone:secret@127.0.0.1:{free_port()}/hooks/T0K3N?to=person"
    client.put(f"{RULES}/me", json={"channel": channel})
    told = client.post(f"{RULES}/me/test").json
    assert "Connection refused" in told["error"]
    for word in ("secret", "someone:"):
        assert word not in told["error"]


def test_a_channel_that_always_refuses_is_given_up(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    set_rule(client, receiver)
    finish_scan(worker.database, ("AAPL", 90.0))
    receiver.status = 500
    for _ in range(deliveries.MOST_ATTEMPTS):
        notify(worker)
        make_due(worker.database)
    assert not has_work(worker.database)
    (shown,) = client.get("/py/notifications/deliveries?state=failed").json["items"]
    assert shown["attempts"] == deliveries.MOST_ATTEMPTS
    assert worker.database.anomalies.count_documents({"sent": True}) == 0


def test_a_message_that_ends_each_of_its_senders_is_given_up(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    """A sender that is killed says nothing of the message, which is due again after a minute."""
    database = worker.database
    set_rule(client, receiver)
    receiver.status = 500
    finish_scan(database, ("AAPL", 90.0))
    notify(worker)
    for _ in range(deliveries.MOST_ATTEMPTS - 1):
        make_due(database)
        assert deliveries.claim_due(database) is not None
    make_due(database)
    assert deliveries.claim_due(database) is None
    assert not has_work(database)
    (shown,) = client.get("/py/notifications/deliveries").json["items"]
    assert (shown["state"], shown["attempts"]) == ("failed", deliveries.MOST_ATTEMPTS)
    assert shown["error"] == deliveries.LOST


def test_a_webhook_gets_words_of_any_script_in_its_headers(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    channel = (
        receiver.channel.replace("someone:secret", "jos%C3%A9:%E2%82%AC") + "?%2BX-Of=%E2%82%AC"
    )
    set_rule(client, receiver, channel=channel)
    assert client.post(f"{RULES}/me/test").json["sent"] is True
    finish_scan(worker.database, ("AAPL", 90.0))
    assert notify(worker)["sent"] == 1
    headers, _ = receiver.requests[-1]
    assert headers["X-Of"].encode("latin-1").decode() == "€"
    credentials = b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    assert credentials == "josé:€"


def test_a_pending_delivery_uses_the_present_channel_of_its_rule_and_ends_with_it(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database, nobody = worker.database, f"json://127.0.0.1:{free_port()}/"
    for name in ("mended", "removed", "disabled"):
        assert client.put(f"{RULES}/{name}", json={"channel": nobody}).status_code == 200
    finish_scan(database, ("AAPL", 90.0))
    assert notify(worker)["not_sent"] == 3
    assert client.patch(f"{RULES}/mended", json={"channel": receiver.channel}).status_code == 200
    assert client.delete(f"{RULES}/removed").status_code == 204
    assert client.patch(f"{RULES}/disabled", json={"enabled": False}).status_code == 200
    make_due(database)
    assert notify(worker) == {"sent": 1, "not_sent": 0, "unfinished": 0}
    assert [message["rule"] for message in receiver.messages] == ["mended"]
    shown = client.get("/py/notifications/deliveries").json["items"]
    assert {one["rule"]: (one["state"], one["attempts"]) for one in shown} == {
        "mended": ("sent", 2),
        "removed": ("not_needed", 1),
        "disabled": ("not_needed", 1),
    }


def fail_once(client: FlaskClient, worker: Worker, receiver: Receiver) -> None:
    """Have a message refused by its channel once, and make it due again."""
    set_rule(client, receiver)
    receiver.status = 500
    finish_scan(worker.database, ("AAPL", 90.0))
    notify(worker)
    make_due(worker.database)


def test_a_delivery_that_fails_after_its_rule_was_removed_is_not_retried(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    fail_once(client, worker, receiver)
    claimed = deliveries.claim_due(worker.database)
    assert claimed is not None
    assert client.delete(f"{RULES}/me").status_code == 204
    deliveries.mark_failed(worker.database, claimed, "no answer")
    assert not has_work(worker.database)


def test_a_notifier_at_work_is_not_taken_for_lost(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    """A second notifier beside it would leave no process for detection."""
    fail_once(client, worker, receiver)
    worker.database.heartbeats.delete_many({})
    assert notify(worker)["not_sent"] == 1
    assert not take_turn(worker.database, NOTIFIER, 60)


def test_a_tenant_with_slow_channels_does_not_delay_the_others_for_ever(
    client: FlaskClient, worker: Worker, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round may end before all tenants are served, because a task's time is limited; the next one
    begins with others.
    """
    database = worker.database
    for name in ("acme", "globex"):
        add_tenant(database, name, NOW)
    rule: Any = {"_id": "me", "channel": receiver.channel, "shown_channel": "json"}
    owners = [of_tenant(database, name) for name in (None, "acme", "globex")]
    for own in owners:
        told = TOLD | {"title": str(get_tenant(own))}
        deliveries.add_deliveries(own, [deliveries.build_delivery("x", rule, **told)])
    monkeypatch.setattr(notifications, "ROUNDS_SECONDS", 0.0)
    monkeypatch.setattr(deliveries, "MOST_ATTEMPTS", 100)
    receiver.status = 500
    for _ in range(60):
        for own in owners:
            own.deliveries.update_many({}, {"$set": {"due_at": NOW, "state": "pending"}})
        assert notify(worker) == {"sent": 0, "not_sent": 1, "unfinished": 0}
    tried = [own.deliveries.find_one({"_id": "x"})["attempts"] for own in owners]
    assert sum(tried) == 60
    assert min(tried) > 0


def test_many_notifiers_at_once_send_each_message_once(
    client: FlaskClient, worker: Worker, receiver: Receiver, settings: Settings
) -> None:
    set_rule(client, receiver)
    for number in range(12):
        finish_scan(worker.database, (f"T{number}", 90.0))
    others = [Worker(settings, worker.database, worker.celery, f"sender {n}") for n in range(4)]
    threads = [threading.Thread(target=notify, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    notify(worker)
    assert sorted(m["message"].split()[0] for m in receiver.messages) == sorted(
        f"T{n}" for n in range(12)
    )


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-05T12:59", "2026-01-05T12:59"),
        ("2026-01-05T13:00", "2026-01-05T22:00"),
        ("2026-01-05T20:00", "2026-01-05T22:00"),
        ("2026-01-05T22:00", "2026-01-05T22:00"),
    ],
)
def test_a_message_in_quiet_hours_waits_for_their_end(now: str, due: str) -> None:
    rule = {"quiet_from": "22:00", "quiet_until": "07:00", "timezone": "Asia/Tokyo"}
    moments = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, due))
    assert find_due(rule, next(moments)) == next(moments)


def test_a_message_that_waits_for_the_end_of_quiet_hours_is_not_sent(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    now = datetime.now(UTC)
    quiet = (f"{now - timedelta(hours=1):%H:%M}", f"{now + timedelta(hours=1):%H:%M}")
    set_rule(client, receiver, quiet_from=quiet[0], quiet_until=quiet[1])
    finish_scan(worker.database, ("AAPL", 90.0))
    assert notify(worker) == {"sent": 0, "not_sent": 0, "unfinished": 0}
    assert client.get("/py/notifications/deliveries?state=pending").json["items"] != []


def test_rules_are_listed_without_secrets_tested_and_removed(
    client: FlaskClient, database: Db, receiver: Receiver
) -> None:
    set_rule(client, receiver)
    (shown,) = client.get(RULES).json["items"]
    assert shown["shown_channel"] == "json"
    assert "secret" not in json.dumps(shown)
    assert client.post(f"{RULES}/me/test").json == {"sent": True, "error": None}
    receiver.status = 403
    assert client.post(f"{RULES}/me/test").json["sent"] is False
    assert client.delete(f"{RULES}/me").status_code == 204
    assert client.delete(f"{RULES}/me").status_code == 404
    assert notification_rules.find_rules(database) == []


def test_rules_are_listed_page_by_page(
    client: FlaskClient, database: Db, receiver: Receiver
) -> None:
    for name in ("b", "a", "c"):
        set_rule(client, receiver, name)
    first = client.get(f"{RULES}?limit=2").json
    second = client.get(f"{RULES}?limit=2&cursor={first['next_cursor']}").json
    assert [rule["name"] for rule in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None


def test_the_command_line_sets_tests_lists_and_removes_rules(
    database: Db, receiver: Receiver, flask: Command
) -> None:
    assert (
        flask(
            "notify",
            "set",
            "ops",
            receiver.channel,
            "--quiet",
            "22:00",
            "7:00",
            "--timezone",
            "UTC",
        ).exit_code
        == 0
    )
    assert flask("notify", "test", "ops").exit_code == 0
    assert [message["title"] for message in receiver.messages] == ["Tapewatch"]
    listed = json.loads(flask("notify", "list", "--json").output)
    assert (listed[0]["quiet_from"], listed[0]["quiet_until"]) == ("22:00", "07:00")
    assert "secret" not in json.dumps(listed)
    delivery = deliveries.build_delivery("x", listed[0] | {"_id": "ops", "channel": "c"}, **TOLD)
    deliveries.add_deliveries(database, [delivery])
    assert (
        json.loads(flask("notify", "sent", "--json", "--state", "pending").output)[0]["title"]
        == "a title"
    )
    receiver.status = 500
    assert flask("notify", "test", "ops").exit_code == 1
    assert flask("notify", "set", "ops", "nonsense").exit_code == 2
    assert (
        flask("notify", "set", "ops", receiver.channel, "--timezone", "Mars/Olympus").exit_code == 2
    )
    assert flask("notify", "set", "ops", receiver.channel, "--watchlist", "nobody").exit_code == 2
    assert flask("notify", "remove", "ops").exit_code == 0
    assert flask("notify", "remove", "ops").exit_code == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"channel": "nonsense"},
        {"channel": "json://[::1/x"},
        {"channel": "json://127.0.0.1/", "timezone": "Mars/Olympus"},
        {"channel": "json://127.0.0.1/", "quiet_from": "22:00"},
        {"channel": "json://127.0.0.1/", "quiet_from": "25:00", "quiet_until": "07:00"},
        {"channel": "json://127.0.0.1/", "quiet_from": "22:00", "quiet_until": "22:00"},
        {"channel": "json://127.0.0.1/", "watchlist": "nobody"},
        {"channel": "json://127.0.0.1/", "min_grade": 101},
        {"channel": "json://127.0.0.1/", "min_confidence": 1.1},
    ],
)
def test_an_unusable_rule_is_refused(client: FlaskClient, fields: dict[str, Any]) -> None:
    assert client.put(f"{RULES}/me", json=fields).status_code in {404, 422}
    assert client.get(RULES).json["items"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"channel": "json://127.0.0.1/", "secret": "hunter2"},
        {"channel": "json://127.0.0.1/", "next_chanel": "mailtos://me:hunter2@example.com"},
        {"channel": "json://127.0.0.1/", "next_channel": "hunter2 "},
        {"channel": "\x00hunter2"},
        {"channel": "json://me:hunter2\u2100@127.0.0.1/"},
        {"channel": "json://me:p?hunter2@127.0.0.1/"},
    ],
)
def test_a_refused_rule_does_not_repeat_what_is_secret(
    client: FlaskClient, fields: dict[str, Any]
) -> None:
    answer = client.put(f"{RULES}/me", json=fields)
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


def test_very_many_anomalies_and_alerts_can_be_told_and_followed(database: Db) -> None:
    """As of a backfill of a market's minutes: its event was tried again for ever."""
    ids = [f"TICKER{n:06}::1m::2026-01-05T00:00:00Z" for n in range(400_000)]
    assert find_fallen(database, ids) == set(ids)
    own = {"next_channel": "c", "quiet_from": None, "quiet_until": None}
    rule: Any = {"_id": "r", "channel": "c", "shown_channel": "c"} | own
    told = TOLD | {"anomaly_ids": ids}
    message = deliveries.build_delivery("message", rule, **told)
    digests = [deliveries.build_delivery("digest", rule, **told, kind="digest") for _ in range(2)]
    escalation = plan_escalation(rule, message, News((), (), (), ids), "", NOW)
    deliveries.add_deliveries(database, [message, *digests, *escalation])
    assert database.deliveries.count_documents({}) == 3
