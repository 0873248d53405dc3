"""A command whose output is closed, or goes to a full disk."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.slow import slow_but_first

FULL = Path("/dev/full")


def run_shell(environment: dict[str, str], command: str) -> subprocess.CompletedProcess[str]:
    line = f'exec "$0" -m flask --app wsgi {command}'
    return subprocess.run(
        ["sh", "-c", line, sys.executable],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", slow_but_first([">&- 2>&- <&-", ">&-", "2>&-"]))
@pytest.mark.parametrize("option", ["", "--json"])
def test_a_command_with_closed_output_succeeds(
    environment: dict[str, str], closed: str, option: str
) -> None:
    done = run_shell(environment, f"markets list {option} {closed}")
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("option", ["", "--json"])
def test_output_that_does_not_fit_on_the_disk_is_reported_in_a_line(
    environment: dict[str, str], option: str
) -> None:
    done = run_shell(environment, f"markets list {option} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "Error: No space left on device: make room where this command writes, then call it again"
    )
