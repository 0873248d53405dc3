"""A command that lists up to a limit says if there is more, outside the list itself."""

import inspect
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from cli import register_commands
from cli.common import OneValueCommand
from core.settings import Settings, get_settings
from records.database import Db
from tests.integration.detecting import make_bars, run, store, train
from tests.integration.stored import add_run
from tests.integration.test_cli_terminal import COMMANDS
from tests.processes import PATIENCE_SECONDS, ROOT

LISTING = sorted(
    name
    for name, command in COMMANDS.items()
    if any("--limit" in parameter.opts for parameter in command.params)
)
ARGUMENTS = {"bars show": ["AAPL"]}
# The database below holds two or more documents for these commands.
STORED = {"anomalies list", "bars imports", "bars quality", "bars show", "runs list"}


@pytest.fixture
def app(settings: Settings, database: Db, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    for name in ("mongo_url", "redis_url", "mongo_database"):
        monkeypatch.setenv(name.upper(), getattr(settings, name))
    get_settings.cache_clear()
    for ticker in ("AAPL", "MSFT"):
        store(database, ticker, make_bars(420, shocks=(400, 410)))
    train(database)
    run(database, "backfill", "AAPL")
    for ticker in ("AAPL", "MSFT"):
        add_run(database, ticker)
    app = Flask("commands")
    register_commands(app)
    yield app
    get_settings.cache_clear()


def read_items(said: Any) -> list[Any]:
    """Return the items that a command lists; they may stand in an object that also says what they
    belong to.
    """
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    return found if isinstance(found, list) else next(iter(reversed(found.values())))


def test_a_list_that_ends_at_its_limit_says_that_there_is_more(app: Flask) -> None:
    runner = app.test_cli_runner()
    cut = set()
    for name in LISTING:
        words = [*name.split(), *ARGUMENTS.get(name, ()), "--json", "--limit"]
        if name in STORED:
            whole = runner.invoke(args=[*words, "500"])
            one = runner.invoke(args=[*words, "1"])
            assert len(read_items(whole)) > 1, name
            assert len(read_items(one)) == 1, name
            assert "there are more than the 1 that are listed" in one.stderr, name
            assert "there are more" not in whole.stderr, name
            cut.add(name)
        assert "keep_listed(" in inspect.getsource(inspect.unwrap(COMMANDS[name].callback)), name
    assert cut == STORED


def test_runs_are_listed_with_why_they_wait(app: Flask) -> None:
    runner = app.test_cli_runner()
    found = read_items(runner.invoke(args=["runs", "list", "--json"]))
    assert [(one["status"], one["waits"]["reason"]) for one in found] == [
        ("queued", "no_worker"),
        ("queued", "no_worker"),
    ]
    listed = runner.invoke(args=["runs", "list"]).stdout
    assert f"{found[0]['_id']} waits: no worker that answers" in listed
    shown = runner.invoke(args=["runs", "show", found[0]["_id"], "--json"])
    assert json.loads(shown.stdout)["waits"] == found[0]["waits"]


def test_a_watch_that_ctrl_c_ends_says_that_the_run_goes_on(app: Flask, database: Db) -> None:
    """It said `Aborted!`, as if the run were; and a shell's loop went on with its next command."""
    (run, *_) = database.detection_runs.find({"status": "queued"})
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "runs", "watch", run["_id"]]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        assert watching.stderr.readline().startswith("It waits: no worker that answers")
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=PATIENCE_SECONDS)
    assert f"Stopped: the run goes on; `flask runs watch {run['_id']}` follows it" in said
    assert watching.returncode == -signal.SIGINT


def test_an_option_with_one_value_is_refused_if_given_twice(app: Flask) -> None:
    runner = app.test_cli_runner()
    twice = runner.invoke(args=["runs", "list", "--ticker", "AAPL", "--ticker", "MSFT"])
    assert twice.exit_code == 2
    assert "--ticker is given 2 times, and takes one value" in twice.stderr
    # Where an option takes several values, they are accepted.
    words = ["anomalies", "list", "--ticker", "AAPL", "--ticker", "MSFT", "--json", "--json"]
    assert read_items(runner.invoke(args=words))


def test_every_command_refuses_an_option_given_twice() -> None:
    free = [name for name, command in COMMANDS.items() if type(command) is not OneValueCommand]
    assert free == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bars", "import", ""], "PATHS is empty"),
        (["bars", "delete", ""], "TICKER is empty"),
        (["scan", "run", "AAPL", "--market", ""], "--market is empty"),
        (["runs", "list", "--ticker="], "--ticker is empty"),
    ],
)
def test_an_empty_value_is_refused(app: Flask, words: list[str], said: str) -> None:
    refused = app.test_cli_runner().invoke(args=words)
    assert refused.exit_code == 2
    assert f"{said}: give it a value, or leave it out" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [["alerts", "mute"], ["notify", "set", "ops", "json://host"], ["notify", "change", "a"]],
)
def test_an_error_of_an_option_s_value_is_one_line(app: Flask, words: list[str]) -> None:
    refused = app.test_cli_runner().invoke(args=[*words, "--ticker", "no ticker"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: 'no ticker' is no ticker")


def test_a_mute_of_an_unknown_interval_is_refused(app: Flask) -> None:
    """It would have muted nothing."""
    words = ["alerts", "mute", "--ticker", "AAPL", "--for", "4h", "--reason", "x"]
    refused = app.test_cli_runner().invoke(args=[*words, "--interval", "2d"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: '2d' is no interval that is known: choose one of 1m,")
