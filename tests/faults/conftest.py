"""One service for all fault tests, restored before each, and the table of recovery times."""

import os
from collections.abc import Iterator

import pytest

from tests.faults.recoveries import ROWS, run_trial
from tests.faults.stack import LEASE_SECONDS, SERVICE, SWEEP_SECONDS, Stack, run_stack
from tests.faults.stock import stock
from tests.faults.trial import Results, Trial, make_reference


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The running service with bars of 64 tickers and a champion.

    If SWEEPER=off is in the environment, beat is not started. Then nothing that is lost is ever
    sent again.
    """
    with run_stack(tmp_path_factory.mktemp("stack")) as stack:
        if os.environ.get("SWEEPER") == "off":
            del stack.programs["beat"]
        stack.start_servers()
        stock(stack.database)
        stack.start(*(name for name in SERVICE if name in stack.programs))
        yield stack


@pytest.fixture(scope="package")
def reference(stack: Stack) -> Results:
    """The results that a backfill of all tickers stores if nothing goes wrong."""
    return make_reference(stack)


@pytest.fixture
def trial(stack: Stack, reference: Results, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A trial on the idle service."""
    with run_trial(stack, reference, request) as trial:
        yield trial


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the promises and how long each recovery took, as a table in Markdown."""
    rows = dict.fromkeys(config.stash.get(ROWS, []))
    if not rows:
        return
    terminalreporter.section(f"recovery (lease {LEASE_SECONDS} s, sweep every {SWEEP_SECONDS} s)")
    terminalreporter.write_line("| fault | promised | recovery |\n|---|---|---|")
    for row in rows:
        recovery = "none needed" if row.seconds is None else f"{row.seconds:.1f} s"
        terminalreporter.write_line(f"| {row.fault} | {row.promise} | {recovery} |")
