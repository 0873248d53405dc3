"""What each fault test promises, and how long its recoveries took."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.faults.stack import Stack
from tests.faults.trial import Results, Trial, reset


@dataclass(frozen=True, slots=True)
class Row:
    """The promise of one fault test, and its recovery time in seconds; None if the fault needed no
    recovery.
    """

    fault: str
    promise: str
    seconds: float | None


ROWS = pytest.StashKey[list[Row]]()


@contextmanager
def run_trial(stack: Stack, reference: Results, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """Restore the service to full strength, watch it for the length of a `with`, and keep the
    measurements.
    """
    reset(stack)
    failed = request.session.testsfailed
    trial = Trial(stack, reference)
    yield trial
    trial.stop_watching()
    if request.session.testsfailed == failed:
        _note(request, trial)


def _note(request: pytest.FixtureRequest, trial: Trial) -> None:
    """Add a test to the final table; the test's docstring is the promise."""
    promise = " ".join((request.function.__doc__ or "").split())
    recoveries = trial.recoveries or {
        request.function.__name__.removeprefix("test_").replace("_", " "): None
    }
    rows = request.config.stash.setdefault(ROWS, [])
    rows += [Row(fault, promise, seconds) for fault, seconds in recoveries.items()]
