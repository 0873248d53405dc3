"""Settings that cannot be used are named, and nothing starts."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

COMMANDS = {
    "flask": ["-m", "flask", "--app", "wsgi", "doctor"],
    "gunicorn": ["-m", "gunicorn", "wsgi:app", "--bind", "127.0.0.1:0"],
    "celery": ["-m", "celery", "-A", "tasks.app", "worker"],
    "runner": ["-m", "runner", "up"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_setting_that_cannot_be_used_is_named(name: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *COMMANDS[name]],
        cwd=ROOT,
        env={**environment, "PORT": "many", "LEASE_SECONDS": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "the settings cannot be used: PORT: " in said
    assert "LEASE_SECONDS: " in said
