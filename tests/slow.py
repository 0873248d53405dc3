"""Which cases `make test` leaves to `make slow`."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_but_first(cases: Iterable[Any]) -> list[Any]:
    """Return the values of a parameter, all but the first marked as slow: each takes long, and
    further ones show the same for rarer cases.
    """
    whole = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [
        pytest.param(*values, marks=[pytest.mark.slow] if number else [])
        for number, values in enumerate(whole)
    ]
