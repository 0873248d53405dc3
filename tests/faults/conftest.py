"""One service for all fault tests, brought back to full strength before each; and the table of recovery times."""

import os
from collections.abc import Iterator

import pandas as pd
import pytest

from detection.bars.importing import import_frame
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from detection.records.database import Db
from detection.records.indexes import ensure_indexes
from tests.faults.stack import SERVICE, Stack, run_stack
from tests.faults.trial import TICKERS, Results, Trial, read_results, reset
from tests.integration.detecting import NOW, make_bars

RECOVERIES = pytest.StashKey[list[tuple[str, float]]]()
BARS = 2_500


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The running service with bars of 64 tickers and a champion.

    With SWEEPER=off in the environment beat is not started, so that nothing that gets lost is ever sent again.
    """
    request.config.stash[RECOVERIES] = []
    with run_stack(tmp_path_factory.mktemp("stack")) as stack:
        if os.environ.get("SWEEPER") == "off":
            del stack.programs["beat"]
        stack.start_servers()
        stock(stack.database)
        stack.start(*(name for name in SERVICE if name in stack.programs))
        yield stack


@pytest.fixture(scope="session")
def reference(stack: Stack) -> Results:
    """What a backfill of all tickers stores when nothing goes wrong."""
    reset(stack)
    trial = Trial(stack, [], {})
    try:
        trial.backfill()
        (run,) = trial.wait_for_end()
        assert run["status"] == "complete", run["error"]
        assert run["anomalies_found"] > len(TICKERS)
    finally:
        trial.stop_watching()
    return read_results(stack.database)


@pytest.fixture
def trial(stack: Stack, reference: Results, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A trial on the idle service."""
    reset(stack)
    trial = Trial(stack, request.config.stash[RECOVERIES], reference)
    yield trial
    trial.stop_watching()


def stock(database: Db) -> None:
    """Import the bars and train the champion; nothing runs yet."""
    ensure_indexes(database)
    frames = [make_bars(BARS, seed=n, shocks=(700, 1_500)).assign(ticker=name) for n, name in enumerate(TICKERS)]
    report = import_frame(database, pd.concat(frames), interval="1d", source="test", now=NOW, synthetic=True)
    assert not any(series.rejected for series in report.series)
    train_model(database, TrainingPlan("US"), now=NOW)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how long each recovery took."""
    recoveries = config.stash.get(RECOVERIES, [])
    if recoveries:
        terminalreporter.section("recovery (lease 3 s, sweep every second)")
    for fault, seconds in recoveries:
        terminalreporter.write_line(f"{seconds:6.1f} s  {fault}")
