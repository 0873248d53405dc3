"""Every `flask` command shows names that others wrote, and the terminal obeys no control sequence
in them.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask

from cli import GROUPS, load_group, register_commands
from core.settings import Settings, get_settings
from records.database import Db
from records.keys import add_key
from records.work import endings
from tests.integration.detecting import make_bars, run, store, train
from tests.integration.stored import add_list, add_run
from tests.processes import ROOT

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
# A window title, a line break, and an 8-bit command that clears the screen.
HOSTILE = "x\x1b]0;owned\x07\r\x9b2J\x1b[31m"
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Fields that people and files of others have written, wherever they are stored.
FREE = frozenset(
    {"error", "errors", "name", "title", "shown_channel", "filename", "file", "warnings", "notes"}
    | {"note", "cause", "reasons", "phrases", "detector", "ticker", "rule", "created_by"}
)
# It imports its own bars, and takes no names.
WITHOUT_NAMES = {"bars demo"}


def walk(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = {
    " ".join(path): command
    for group in map(load_group, GROUPS)
    for path, command in walk(group, (str(group.name),))
    if " ".join(path) not in WITHOUT_NAMES
}


@pytest.fixture
def app(settings: Settings, database: Db, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An application with the commands, over a database in which all names contain control
    sequences.
    """
    for name in ("mongo_url", "redis_url", "mongo_database"):
        monkeypatch.setenv(name.upper(), getattr(settings, name))
    for group in map(load_group, GROUPS):
        monkeypatch.setattr(group, "callback", None)  # It would configure the logs of this process.
    get_settings.cache_clear()
    fill(database)
    app = Flask("commands")
    register_commands(app)
    yield app
    get_settings.cache_clear()


def fill(database: Db) -> None:
    """Store a document in most collections; all free text in it contains control sequences."""
    store(database, "AAPL", make_bars(420, shocks=(400,)))
    train(database)
    run(database, "backfill", "AAPL")
    add_list(database, "tech", "AAPL")
    add_key(database, "tester", ["read"], NOW)
    endings.fail_run(database, add_run(database, "AAPL"), "bad_input", "no", NOW)
    database.notification_rules.insert_one(
        {"_id": "ops", "name": "ops", "channel": "json://x/", "shown_channel": "json"}
        | {"watchlist": None, "min_grade": 75.0, "quiet_from": None, "quiet_until": None}
        | {"timezone": "UTC", "backfills": False, "failures": True, "enabled": True}
    )
    for collection in database.list_collection_names():
        for document in database[collection].find({}):
            poisoned = poison(document, "")
            if poisoned != document:
                database[collection].replace_one({"_id": document["_id"]}, poisoned)


def poison(value: Any, name: str) -> Any:
    """Return a value in which each free text ends with control sequences."""
    if isinstance(value, dict):
        return {key: poison(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [poison(one, name) for one in value]
    return value + HOSTILE if isinstance(value, str) and name in FREE else value


def build_words(command: click.Command, folder: Path) -> list[str]:
    """Return arguments for a command: one with control sequences for each that it takes."""
    words = build_patience(command)
    for parameter in command.params:
        kind = parameter.type
        if isinstance(kind, click.Choice):
            value = str(kind.choices[0])
        elif isinstance(kind, click.Path | click.File):
            value = str(folder / f"{HOSTILE}.csv")
        elif kind.name == "datetime":
            value = "2013-03-01"
        elif kind.name in {"float", "integer"}:
            value = "2"
        else:
            value = HOSTILE
        if isinstance(parameter, click.Argument):
            words += [value] * max(1, parameter.nargs)
        elif parameter.required:
            words += [parameter.opts[0], value]
    return words


def build_patience(command: click.Command) -> list[str]:
    """Return options that keep a command from waiting for a worker; none runs."""
    options = (option for parameter in command.params for option in parameter.opts)
    return [option for option in options if option == "--no-wait"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file whose name and content contain control sequences."""
    text = f"date,open,high,low,close,volume\n{HOSTILE},1,1,1,1,1\n2013-03-01,1,1,1,{HOSTILE},1\n"
    (tmp_path / f"{HOSTILE}.csv").write_text(text)
    return tmp_path


def test_no_command_lets_the_terminal_obey_a_name(
    app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    runner = app.test_cli_runner()
    obeyed, crashed = [], []
    for path, command in COMMANDS.items():
        for words in (build_patience(command), build_words(command, folder)):
            said = runner.invoke(args=[*path.split(), *words], input="y\n")
            if not isinstance(said.exception, SystemExit | None):
                crashed.append((path, repr(said.exception)))
            if OBEYED.search(said.output.replace("\r\n", "\n")):
                obeyed.append((path, words, said.output[-300:]))
    assert not crashed
    assert not obeyed


def test_text_is_printed_only_by_the_function_that_removes_control_sequences() -> None:
    for path in sorted((ROOT / "cli").glob("*.py")):
        found = re.findall(r"click\.(?:echo|secho|style)|(?<![\w.])print\(", path.read_text())
        # The exception is JSON, which escapes them.
        assert found == (["click.echo"] * 2 if path.name == "common.py" else []), path.name
