"""Logs of a process: JSON for machines, lines for people on a terminal, and never a password."""

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.conftest import ROOT

URL = "mongodb://ops:p%40ss/word@db.example:27017/?replicaSet=tapewatch"
PROGRAM = f"""
import logging, structlog
from core.logs import configure_logs
configure_logs("info")
log = structlog.get_logger("tasks.engine.sweeper")
structlog.contextvars.bind_contextvars(run_id="r1")
log.info("swept", runs=3)
log.debug("not_shown")
logging.getLogger("kombu").warning("cannot reach %s", "{URL}")
logging.getLogger("pymongo").debug("not shown")
try:
    raise ValueError("{URL} cannot be used")
except ValueError:
    log.exception("failed")
"""
COMMAND = [sys.executable, "-c", PROGRAM]


@pytest.fixture(scope="module")
def logged() -> str:
    answer = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout == ""
    return answer.stderr


@pytest.fixture(scope="module")
def shown() -> str:
    """The same process's output on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(COMMAND, cwd=ROOT, stderr=theirs) as process:
        process.wait()
    os.close(theirs)
    written = os.read(ours, 65_536).decode()
    os.close(ours)
    return written


def test_every_line_is_a_json_object_whichever_library_logged_it(logged: str) -> None:
    lines = [json.loads(line) for line in logged.splitlines()]
    said = [(line["logger"], line["level"], line["event"], line["run_id"]) for line in lines]
    assert said == [
        ("tasks.engine.sweeper", "info", "swept", "r1"),
        (
            "kombu",
            "warning",
            "cannot reach mongodb://***@db.example:27017/?replicaSet=tapewatch",
            "r1",
        ),
        ("tasks.engine.sweeper", "error", "failed", "r1"),
    ]
    assert lines[0]["runs"] == 3
    assert lines[0]["timestamp"].endswith("Z")
    assert "ValueError" in lines[2]["exception"]


def test_a_terminal_shows_lines_for_people(shown: str) -> None:
    assert "swept" in shown
    assert "Traceback" in shown
    assert not any(line.startswith("{") for line in shown.splitlines())


def test_passwords_are_in_neither_json_nor_lines(logged: str, shown: str) -> None:
    assert "word@" not in logged + shown
    assert "ops:" not in logged + shown
