"""Content, recipients and times of messages: webhooks, next channels, digests, changes of rules."""

import json
import re
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from alerts.channels import check_channel
from alerts.messages import find_digest
from records.database import Db
from records.work.runs import find_bare_run
from tasks.periodic.alerting import settle_run
from tasks.periodic.notifications import has_work, notify
from tasks.process.worker import Worker
from tests.commands import Command
from tests.conftest import ROOT
from tests.integration.alerting import SESSIONS, end_run
from tests.integration.stored import add_list
from tests.receiver import Receiver

RULES = "/py/notifications/rules"
SECRET = "a secret of the webhook"
FALL = {"grade": 120.0}


def set_rule(client: FlaskClient, name: str, **fields: Any) -> None:
    answer = client.put(f"{RULES}/{name}", json=fields)
    assert answer.status_code == 200, answer.json


def pass_time(database: Db, **earlier: float) -> None:
    """Make pending deliveries due this much earlier."""
    for each in database.deliveries.find({"state": "pending"}):
        due = each["due_at"] - timedelta(**earlier)
        database.deliveries.update_one({"_id": each["_id"]}, {"$set": {"due_at": due}})


def test_a_webhook_gets_the_documented_json_with_a_signature_that_the_documented_code_accepts(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    text = (ROOT / "docs" / "webhooks.md").read_text()
    documented = json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    scope: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], scope)  # noqa: S102 - the document's
    is_from_tapewatch = scope["is_from_tapewatch"]
    add_list(worker.database, "tech", "AAPL", "MSFT")
    set_rule(client, "hook", channel=receiver.channel, secret=SECRET, min_grade=0)
    end_run(worker.database, ("AAPL", SESSIONS[0]), watchlist="tech")
    notify(worker)
    ((headers, body),) = receiver.requests
    message = json.loads(body)
    assert message.keys() == documented.keys()
    assert message["alerts"][0].keys() == documented["alerts"][0].keys()
    told = {name: message["alerts"][0][name] for name in ("id", "grade", "direction", "bar_time")}
    assert told == {name: documented["alerts"][0][name] for name in told}
    assert (message["type"], message["alerts_total"], message["title"]) == (
        "alerts",
        1,
        documented["title"],
    )
    header = headers["Tapewatch-Signature"]
    assert is_from_tapewatch(header, body, SECRET)
    assert not is_from_tapewatch(header, body + b" ", SECRET)
    assert not is_from_tapewatch(header, body, "another secret")
    later = re.sub(r"t=(\d+)", lambda found: f"t={int(found[1]) + 1}", header)
    assert not is_from_tapewatch(later, body, SECRET)
    assert not is_from_tapewatch(header, body, SECRET, most_seconds=-1)
    shown = client.get(RULES).text + client.get("/py/notifications/deliveries").text
    assert SECRET not in shown
    assert client.get(RULES).json["items"][0]["signed"] is True
    receiver.status, receiver.answer = 503, b"down for a while, says someone:secret"
    tried = client.post(f"{RULES}/hook/test").json
    assert tried["error"].endswith(" 503 Service Unavailable: down for a while, says ***:***")


def test_a_critical_alert_goes_to_the_next_channel_unless_somebody_acknowledges_it(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT", "IBM")
    following = receiver.channel.replace("/alerts", "/next")
    set_rule(client, "ops", channel=receiver.channel, min_grade=0, next_channel=following)
    end_run(database, ("AAPL", SESSIONS[0], FALL), ("IBM", SESSIONS[0]), watchlist="tech")
    end_run(database, ("MSFT", SESSIONS[0], FALL), watchlist="tech")
    notify(worker)
    assert len(receiver.messages) == 2
    waiting = list(database.deliveries.find({"state": "pending"}))
    assert {each["due_at"] - each["created_at"] for each in waiting} == {timedelta(minutes=15)}
    assert not has_work(database)
    (seen,) = (a for a in client.get("/py/alerts").json["items"] if a["entity_id"] == "MSFT")
    assert client.patch(f"/py/alerts/{seen['_id']}/acknowledge", json={}).status_code == 200
    pass_time(database, minutes=15)
    assert has_work(database)
    notify(worker)
    notify(worker)
    assert len(receiver.messages) == 3
    escalated = receiver.messages[-1]
    assert escalated["title"].startswith("Not acknowledged in 15 minutes: tech: 2 anomalies")
    assert [alert["entity_id"] for alert in escalated["alerts"]] == ["AAPL"]
    states = [d["state"] for d in client.get("/py/notifications/deliveries").json["items"]]
    assert sorted(states) == ["not_needed", "sent", "sent", "sent"]


def test_an_alert_that_becomes_critical_later_goes_to_the_next_channel_of_a_digest_too(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    """The alert goes there although its channel was sent it before, and although a digest waits to
    send it.
    """
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT", "IBM")
    following = receiver.channel.replace("/alerts", "/next")
    fields = {"channel": receiver.channel, "min_grade": 75, "next_channel": following}
    set_rule(client, "ops", **fields)
    later = f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"
    set_rule(client, "daily", **fields, digest="daily", digest_at=later, kind="event")
    wrong = {**FALL, "kind": "fault", "fault": "level"}
    for found in (("AAPL", SESSIONS[0]), ("AAPL", SESSIONS[1], FALL), ("IBM", SESSIONS[1], wrong)):
        end_run(database, found, watchlist="tech")
        notify(worker)
    told = [message["title"] for message in receiver.messages]
    assert told == ["tech: 1 anomaly in 1d bars"] * 2, "of AAPL once, and of IBM"
    (digest,) = database.deliveries.find({"kind": "digest"})
    assert [alert["entity_id"] for alert in digest["alerts"]] == ["AAPL"], "IBM's is a fault"
    pass_time(database, minutes=15)
    notify(worker)
    late = [(each["rule"], each["alerts"][0]["entity_id"]) for each in receiver.messages[2:]]
    assert sorted(late) == [("daily", "AAPL"), ("ops", "AAPL"), ("ops", "IBM")]
    assert {each["type"] for each in receiver.messages[2:]} == {"escalation"}
    # It is sent to the next channel once; failed runs do not wait for a digest.
    end_run(database, ("AAPL", SESSIONS[2], {"grade": 130.0}), watchlist="tech")
    run_id = end_run(database, tickers=["AAPL"], watchlist="tech")
    database.detection_runs.update_one({"_id": run_id}, {"$set": {"status": "failed"}})
    notify(worker)
    pass_time(database, minutes=15)
    notify(worker)
    failures = [(each["rule"], each["type"]) for each in receiver.messages[5:]]
    assert sorted(failures) == [("daily", "failure"), ("ops", "failure")]


@pytest.mark.parametrize(
    ("fields", "other"),
    [
        ({"kind": "event"}, {"kind": "fault", "fault": "level"}),
        ({"min_confidence": 0.5}, {"confidence": 0.2}),
    ],
)
def test_a_bar_that_a_rule_does_not_ask_for_does_not_suppress_later_bars(
    client: FlaskClient,
    worker: Worker,
    receiver: Receiver,
    fields: dict[str, Any],
    other: dict[str, Any],
) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL")
    following = receiver.channel.replace("/alerts", "/next")
    set_rule(client, "me", channel=receiver.channel, next_channel=following, **fields)
    told = []
    strange = ({**other, "grade": 120.0}, {"grade": 80.0}, {"grade": 90.0}, {"grade": 110.0})
    for bar, found in zip(SESSIONS, strange, strict=False):
        end_run(database, ("AAPL", bar, found), watchlist="tech")
        notify(worker)
        told.append(len(receiver.messages))
    # The alert is sent once, with the first bar that the rule asks for; what is critical is sent
    # again by itself.
    assert told == [0, 1, 1, 1]
    pass_time(database, minutes=15)
    notify(worker)
    (late,) = receiver.messages[1:]
    assert (late["type"], "grade 110" in late["message"]) == ("escalation", True)


def test_a_digest_is_one_message_of_all_alerts_since_the_last(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT")
    weekly = {"digest": "weekly", "digest_at": "07:30", "timezone": "Asia/Tokyo"}
    set_rule(client, "me", channel=receiver.channel, min_grade=0, **weekly)
    end_run(database, ("AAPL", SESSIONS[0]), watchlist="tech")
    notify(worker)
    end_run(database, ("MSFT", SESSIONS[0]), watchlist="tech")
    notify(worker)
    assert receiver.messages == []
    (digest,) = database.deliveries.find({})
    due = digest["due_at"].astimezone(ZoneInfo("Asia/Tokyo"))
    assert (due.weekday(), due.hour, due.minute) == (0, 7, 30)
    pass_time(database, days=8)
    notify(worker)
    (message,) = receiver.messages
    assert (message["type"], message["title"]) == ("digest", "2 alerts of a week")
    lines = message["message"].split("\n")
    assert [line.split()[0] for line in lines] == ["AAPL", "MSFT"]


def test_a_rule_that_is_enabled_again_sends_one_digest_of_later_alerts(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database, tickers = worker.database, ("AAPL", "MSFT", "IBM")
    add_list(database, "tech", *tickers)
    later = f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"
    set_rule(client, "me", channel=receiver.channel, digest="daily", digest_at=later)
    for ticker in tickers:
        end_run(database, (ticker, SESSIONS[0]), watchlist="tech")
        notify(worker)
        if ticker == "AAPL":
            (digest,) = database.deliveries.find({})
            assert digest["title"] == "1 alert of a day"
            for enabled in (False, True):
                client.patch("/py/notifications/rules/me", json={"enabled": enabled})
    pass_time(database, days=1)
    notify(worker)
    (message,) = receiver.messages
    assert message["title"] == "2 alerts of a day"
    assert [alert["entity_id"] for alert in message["alerts"]] == ["MSFT", "IBM"]


def test_a_digest_is_due_at_its_local_time_even_when_clocks_change() -> None:
    """Berlin's clocks went forward on Sunday, 29 March 2026; the day after is a Monday."""
    weekly: Any = {"digest": "weekly", "digest_at": "08:00", "timezone": "Europe/Berlin"}
    daily: Any = {**weekly, "digest": "daily"}
    saturday = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert find_digest(weekly, saturday).astimezone(UTC) == datetime(2026, 3, 30, 6, tzinfo=UTC)
    assert find_digest(daily, saturday).astimezone(UTC) == datetime(2026, 3, 29, 6, tzinfo=UTC)
    before = datetime(2026, 3, 28, 6, 59, tzinfo=UTC)
    assert find_digest(daily, before).astimezone(UTC) == datetime(2026, 3, 28, 7, tzinfo=UTC)


def test_a_rule_is_sent_only_alerts_of_its_scope_and_ticker(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    database = worker.database
    add_list(database, "tech", "AAPL", "MSFT")
    base = {"channel": receiver.channel, "min_grade": 0}
    set_rule(client, "own moves", **base, scope="own")
    set_rule(client, "of MSFT", **base, ticker="msft")
    end_run(database, ("AAPL", SESSIONS[0]), ("MSFT", SESSIONS[0]), watchlist="tech")
    database.anomalies.update_one({"Ticker": "AAPL"}, {"$set": {"scope": "own"}})
    breadth = {"root_cause": {"flagged": 6, "of": 39}}
    database.anomalies.update_one({"Ticker": "MSFT"}, {"$set": breadth})
    notify(worker)
    told = {m["rule"]: [a["entity_id"] for a in m["alerts"]] for m in receiver.messages}
    assert told == {"own moves": ["AAPL"], "of MSFT": ["MSFT"]}
    messages = {m["rule"]: m for m in receiver.messages}
    assert "[own]" in messages["own moves"]["message"]
    assert "[6 of 39 flagged on this day]" in messages["of MSFT"]["message"]
    assert messages["of MSFT"]["alerts"][0]["breadth"] == {"strange": 6, "of": 39}


def test_fields_of_a_rule_that_are_not_named_are_kept_including_channel_and_secret(
    client: FlaskClient, database: Db, receiver: Receiver
) -> None:
    quiet = {"quiet_from": "22:00", "quiet_until": "07:00"}
    set_rule(client, "ops", channel=receiver.channel, secret=SECRET, **quiet)
    changed = client.patch(f"{RULES}/ops", json={"min_grade": 90, "timezone": "Europe/Berlin"})
    assert changed.status_code == 200, changed.json
    assert (changed.json["min_grade"], changed.json["quiet_from"]) == (90, "22:00")
    (rule,) = database.notification_rules.find({})
    assert (rule["channel"], rule["secret"]) == (receiver.channel, SECRET)
    for wrong in ({"quiet_from": None}, {"min_grade": None}, {"channel": "slack://nonsense"}):
        assert client.patch(f"{RULES}/ops", json=wrong).status_code == 422, wrong
    assert client.patch(f"{RULES}/nobody", json={"min_grade": 1}).status_code == 404
    assert database.notification_rules.find_one({}) == rule
    cleared = client.patch(f"{RULES}/ops", json={"quiet_from": None, "quiet_until": None})
    assert cleared.json["quiet_from"] is None
    assert client.patch(f"{RULES}/ops", json={"next_channel": receiver.channel}).status_code == 200
    gone = client.patch(f"{RULES}/ops", json={"next_channel": None, "secret": None})
    assert (gone.json["signed"], gone.json["shown_next_channel"]) == (False, None)
    steps = client.get("/py/audit").json["items"]
    assert [entry["subject"] for entry in steps] == ["rule ops"] * 5
    assert steps[0]["details"] == {
        "next_channel": "cleared",
        "secret": "cleared",
        "shown_next_channel": {"before": "json", "after": None},
    }


def test_the_command_line_changes_a_rule(database: Db, receiver: Receiver, flask: Command) -> None:
    made = flask(
        "notify",
        "set",
        "ops",
        receiver.channel,
        "--sign",
        "--quiet",
        "22:00",
        "7:00",
        given=f"{SECRET}\n",
    )
    assert made.exit_code == 0, made.output
    done = flask(
        "notify", "change", "ops", "--min-grade", "90", "--digest", "daily", "--clear", "quiet"
    )
    assert done.exit_code == 0, done.output
    (rule,) = database.notification_rules.find({})
    found = {n: rule[n] for n in ("channel", "secret", "min_grade", "digest", "quiet_from")}
    assert found == {
        "channel": receiver.channel,
        "secret": SECRET,
        "min_grade": 90.0,
        "digest": "daily",
        "quiet_from": None,
    }
    listed = flask("notify", "list", "--json").output
    assert SECRET not in listed
    assert receiver.channel not in listed
    assert flask("notify", "change", "nobody").exit_code == 2
    for refused in ("short", "s" * 201):
        done = flask("notify", "change", "ops", "--sign", given=f"{refused}\n")
        assert done.exit_code == 2
        assert "a secret has 16 to 200 characters" in done.output
    long = f"{receiver.channel}/{'a' * 1_000}"
    assert flask("notify", "change", "ops", "--channel", long).exit_code == 2
    # Rules that were stored before are sent messages as ever.
    check_channel(long, allow_private=True)
    # A rule that the command line stored can also be changed over HTTP, which checks the same
    # limits.
    assert database.notification_rules.find_one({}) == rule


@pytest.mark.slow
def test_a_run_of_many_alerts_is_not_read_whole_to_tell_of_a_few(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    """All alerts were loaded, with what the models saw: half a gigabyte of 20,000."""
    database, many = worker.database, 1_500
    # On many bars, as otherwise they are one alert of the market.
    bars = [SESSIONS[n % len(SESSIONS)] for n in range(many)]
    found = [(f"T{n:04}", bar, {"grade": 80.0 + n / many}) for n, bar in enumerate(bars)]
    run_id = end_run(database, *found)
    ended = find_bare_run(database, run_id)
    assert ended is not None
    assert settle_run(database, ended, datetime.now(UTC))
    seen = [{"label": "x" * 1_000, "share": float(n)} for n in range(30)]
    database.alerts.update_many({}, {"$set": {"inputs": seen}})
    for name, fields in (("now", {}), ("later", {"digest": "daily"})):
        set_rule(client, name, channel=receiver.channel, **fields)
    tracemalloc.start()
    notify(worker)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6
    ((_, body),) = receiver.requests
    message = json.loads(body)
    assert message["alerts_total"] == many
    told = [alert["entity_id"] for alert in message["alerts"]]
    assert told == [f"T{n:04}" for n in range(many - 1, many - 101, -1)]
    assert f"... and {many - 10} more" in message["message"]
    digest = database.deliveries.find_one({"kind": "digest"})
    assert digest is not None
    assert (digest["alerts_total"], len(digest["body"].splitlines())) == (many, 100)
    pass_time(database, days=2)
    notify(worker)
    *_, late = receiver.messages
    assert late["title"] == f"{many:,} alerts of a day"
    assert late["message"].endswith(f"\n... and {many - 100} more")
    assert database.anomalies.count_documents({"sent": True}) == many
