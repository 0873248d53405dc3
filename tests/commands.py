"""`flask ...` as a user types it, in this process: another takes a second to start."""

from collections.abc import Mapping

import pytest
from click.testing import Result
from flask import Flask

from cli import register_commands
from core.settings import get_settings

COMMANDS = Flask("commands")
register_commands(COMMANDS)


def run_flask(environment: Mapping[str, str], *words: str, given: str | None = None) -> Result:
    """Return how `flask WORDS` ended with these variables, and with this on its standard input."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        try:
            return COMMANDS.test_cli_runner().invoke(args=words, input=given)
        finally:
            get_settings.cache_clear()
