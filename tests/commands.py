"""Runs `flask ...` in this process, because starting another process takes a second."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from cli import register_commands
from core.settings import get_settings

Command = Callable[..., Result]
COMMANDS = Flask("commands")
register_commands(COMMANDS)


def run_flask(environment: Mapping[str, str], *words: object, given: str | None = None) -> Result:
    """Return the outcome of `flask WORDS`, run with these environment variables and this standard
    input.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        try:
            return COMMANDS.test_cli_runner().invoke(args=[*map(str, words)], input=given)
        finally:
            get_settings.cache_clear()


def read_json(answer: Result) -> Any:
    """Return the standard output of a command, parsed as JSON; the command must have succeeded."""
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def read_table(text: str) -> list[list[str]]:
    """Return the cells of a table's rows, as rich draws it or as Markdown has it."""
    rows = [re.split("[|│]", line)[1:-1] for line in text.splitlines() if line[:1] in {"|", "│"}]
    return [[cell.strip() for cell in row] for row in rows]
