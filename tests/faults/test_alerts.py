"""Alerts are raised once and sent once, wherever the process that raises them is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.settings import Settings
from records.alerts import notification_rules
from records.database import Db
from tasks.periodic.notifications import notify
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.conftest import ROOT
from tests.integration.alerting import NOW, SESSIONS, end_run
from tests.integration.stored import add_list
from tests.receiver import Receiver, run_receiver

pytestmark = pytest.mark.faults

TICKERS = [f"T{number:02}" for number in range(12)]
STRANGE = TICKERS[:4]
# A notifier is killed before each of its commands to MongoDB. This covers every point at which it
# can die, because it stores nothing between two commands.
NOTIFIER = """
import os, signal, sys
from pymongo import monitoring

class Killer(monitoring.CommandListener):
    commands = 0
    def started(self, event):
        Killer.commands += 1
        if Killer.commands == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
    def succeeded(self, event):
        pass
    failed = succeeded

monitoring.register(Killer())
from core.settings import get_settings
from records.database import open_database
from tasks.periodic.notifications import notify
from tasks.process.broker import build_celery
from tasks.process.worker import Worker

settings = get_settings()
notify(Worker(settings, open_database(settings), build_celery(settings), "test"))
print(Killer.commands)
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def short_transactions(database: Db) -> Iterator[None]:
    """End a killed client's open transactions after 3 s; MongoDB's default is a minute."""
    limit = "transactionLifetimeLimitSeconds"
    admin = database.client.admin
    usual = admin.command("getParameter", 1, **{limit: 1})[limit]
    admin.command("setParameter", 1, **{limit: 3})
    yield
    admin.command("setParameter", 1, **{limit: usual})


def run_notifier(environment: dict[str, str], killed_at: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NOTIFIER, str(killed_at)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def prepare(database: Db, receiver: Receiver) -> None:
    """Create a watchlist and a rule, and nothing else."""
    for name in database.list_collection_names():
        if name != "settings":
            database[name].delete_many({})
    receiver.messages.clear()
    add_list(database, "wide", *TICKERS)
    notification_rules.set_rule(
        database,
        "me",
        {
            "channel": receiver.channel,
            "shown_channel": "json",
            "watchlist": None,
            "min_grade": 75.0,
            "quiet_from": None,
            "quiet_until": None,
            "timezone": "UTC",
            "backfills": False,
            "failures": True,
            "enabled": True,
        },
        NOW,
    )


def describe(database: Db, receiver: Receiver) -> str:
    """Return, as text, everything that must be the same wherever the notifier was killed."""
    own = {"created_at", "updated_at", "run_id", "resolved_at", "detection_timestamp"}
    alerts = [
        {name: value for name, value in alert.items() if name not in own}
        for alert in database.alerts.find().sort("_id", 1)
    ]
    trail = sorted(f"{e['alert_id']} {e['step']}" for e in database.alert_trail.find())
    told = [(m["title"], m["message"].splitlines()[:-1]) for m in receiver.messages]
    return json.dumps([alerts, trail, told], default=str, indent=1)


def begin(worker: Worker, receiver: Receiver) -> None:
    """Store an open alert, and a run that ended: it adds to this alert, supersedes another one, and
    found a market-wide bar.
    """
    database = worker.database
    prepare(database, receiver)
    end_run(database, (TICKERS[0], SESSIONS[0]), (TICKERS[9], SESSIONS[0]), tickers=TICKERS)
    notify(worker)
    receiver.messages.clear()
    database.anomalies.update_many({"Ticker": TICKERS[9]}, {"$set": {"status": "superseded"}})
    found = [(ticker, SESSIONS[1]) for ticker in STRANGE]
    end_run(database, *found, watchlist="wide", tickers=TICKERS)


def test_alerts_are_raised_and_told_once_wherever_the_notifier_is_killed(
    database: Db, settings: Settings, environment: dict[str, str], receiver: Receiver
) -> None:
    worker = Worker(settings, database, build_celery(settings), "test")
    begin(worker, receiver)
    commands = int(run_notifier(environment, -1).stdout)
    expected = describe(database, receiver)
    line = "market US 2026-01-06: high (grade 80), 4 of 12 tickers are strange on this bar"
    assert json.loads(expected)[2] == [["wide: the market US moved", [line]]]
    assert commands > 20
    for killed_at in range(1, commands + 1):
        begin(worker, receiver)
        killed = run_notifier(environment, killed_at)
        if killed.returncode == 0:
            # MongoDB had asked the undisturbed notifier to repeat a transaction, and did not ask
            # this one.
            assert 20 < int(killed.stdout) < killed_at, killed.stderr
            assert describe(database, receiver) == expected
            break
        assert killed.returncode == -signal.SIGKILL, (killed_at, killed.stderr)
        # The killed notifier holds the delivery until its claim expires.
        database.deliveries.update_many({"state": "pending"}, {"$set": {"due_at": NOW}})
        # If it is killed between the channel's answer and the note of it, the message is sent
        # twice. Deliveries promise no more than that.
        first = len(receiver.messages)
        notify(worker)
        if first:
            assert receiver.messages[1:] in ([], receiver.messages[:1])
            del receiver.messages[1:]
        assert describe(database, receiver) == expected, killed_at
