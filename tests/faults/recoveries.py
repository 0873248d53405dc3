"""What each fault test promises, and how long its recoveries took."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.faults.stack import Stack
from tests.faults.trial import Results, Trial, reset


@dataclass(frozen=True, slots=True)
class Row:
    """What one fault promises and how long it took to recover;
    None where there was nothing to recover from.
    """

    fault: str
    promise: str
    seconds: float | None


ROWS = pytest.StashKey[list[Row]]()


@contextmanager
def run_trial(stack: Stack, reference: Results, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """Bring the service to full strength, watch it for the length of a `with`,
    and keep what was measured.
    """
    reset(stack)
    failed = request.session.testsfailed
    trial = Trial(stack, reference)
    yield trial
    trial.stop_watching()
    if request.session.testsfailed == failed:
        _note(request, trial)


def _note(request: pytest.FixtureRequest, trial: Trial) -> None:
    """Add a test to the table at the end: its docstring is what is promised."""
    promise = " ".join((request.function.__doc__ or "").split())
    recoveries = trial.recoveries or {
        request.function.__name__.removeprefix("test_").replace("_", " "): None
    }
    rows = request.config.stash.setdefault(ROWS, [])
    rows += [Row(fault, promise, seconds) for fault, seconds in recoveries.items()]
