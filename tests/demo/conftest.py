"""`make demo` twice in one folder: until the table of anomalies, and then while it serves."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import (
    BEHIND_PROXY,
    PATIENCE_SECONDS,
    Runner,
    run_runner,
    start_runner,
    wait_until,
)

SERVES_SECONDS = 240


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="package")
def first(folder: Path) -> subprocess.CompletedProcess[str]:
    """The demo from an empty folder to the table, with variables that set a proxy."""
    return run_runner(folder, "demo", "--once", **BEHIND_PROXY)


@pytest.fixture(scope="package")
def again(folder: Path, first: subprocess.CompletedProcess[str]) -> Iterator[Runner]:
    """The demo started again with all its files there, and stopped as by Ctrl-C."""
    with start_runner(folder, "demo") as runner:
        wait_until(lambda: "Serving" in runner.said(), "serves", SERVES_SECONDS)
        yield runner
        runner.process.send_signal(signal.SIGINT)
        assert runner.process.wait(PATIENCE_SECONDS) == 0
        assert runner.pids() == []
