"""What the detectors of returns share: a statistic of a bar's return and of those before it.

The score is -s / (s + limit), s being how far the return lies from the usual: -0.5 is the limit of
the statistic's source, whichever statistic it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import boolean, float32, float64, int64, njit, types
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64
from core.errors import BadInput
from detection.detectors.rows import SeriesRows, freeze

# Returns are in percent. A deviation counts as at least one basis point: flat prices stay finite.
SMALLEST = 0.01
# So many neighbouring rows stay in the first-level cache with what is known of them.
SIDE_BY_SIDE = 512
COLUMN = types.Array(float32, 1, "C", readonly=True)
ROWS = types.Array(int64, 1, "C", readonly=True)
MEASURE = float64[::1](COLUMN, ROWS)

_SPREAD = float64[:, ::1](COLUMN, ROWS, int64, boolean)

# From returns (n,) and wanted rows (m,) to how far each lies from the usual, shape (m,), from 0 on.
Measure = Callable[[Float32, Int64], Float64]


@njit(_SPREAD, nogil=True, cache=True, error_model="numpy")
def measure_spread(
    returns: Float32,
    rows: Int64,
    window: int,
    squared: bool,  # noqa: FBT001 - what is compiled has no arguments by name only
) -> Float64:
    """Return, shape (2, m), how far each row's return lies from the mean of the `window` before it,
    and the sum of how far these do, or of the squares of that.

    Rows that follow each other go side by side, each with its own additions in its own order.
    """
    measured, means = np.zeros((2, rows.size)), np.empty(SIDE_BY_SIDE)
    far, spread = measured
    start = 0
    while start < rows.size:
        first, count = rows[start], 1
        while count < min(SIDE_BY_SIDE, rows.size - start) and rows[start + count] == first + count:
            count += 1
        means[:count] = 0.0
        for back in range(1, window + 1):
            before = returns[first - back : first - back + count]
            for i in range(count):
                means[i] += before[i]
        for i in range(count):
            means[i] /= window
        found = spread[start : start + count]
        for back in range(1, window + 1):
            before = returns[first - back : first - back + count]
            if squared:
                for i in range(count):
                    off = before[i] - means[i]
                    found[i] += off * off
            else:
                for i in range(count):
                    found[i] += abs(before[i] - means[i])
        for i in range(count):
            far[start + i] = abs(returns[first + i] - means[i])
        start += count
    return measured


@dataclass(frozen=True, slots=True)
class Trailing:
    """A statistic of trailing returns, ready to score."""

    measure: Measure
    limit: float

    def score_series(self, rows: SeriesRows, *, below: float | Float64 = 0.0) -> Float64:  # noqa: ARG002 - all are as quickly scored
        """Return the score of each wanted row, shape (m,), in (-1, 0]; lower is stranger."""
        found = self.measure(freeze(rows.inputs[:, 0]), freeze(rows.wanted))
        scores: Float64 = 0.0 - found / (found + self.limit)
        return scores

    def attribute_series(self, rows: SeriesRows) -> Float64:
        """Return ones, shape (m, 1): there is but one column, the return."""
        return np.ones((len(rows.wanted), 1))


def fit_limit(rows: SeriesRows, limit: float) -> dict[str, NDArray[Any]]:
    """Return what is stored of a statistic: its limit, since nothing of it is learned.

    Raises BadInput where it is shown other columns than the return, or no two rows.
    """
    if rows.inputs.shape[1] != 1 or len(rows.wanted) < 2:
        raise BadInput(
            f"asked for a statistic of returns of {rows.inputs.shape[1]} columns and"
            f" {len(rows.wanted)} rows; give one column, and at least two rows past the warm-up"
        )
    return {"limit": np.array(limit)}


class Fit(Protocol):
    """Fits a statistic as the catalogue's detectors are."""

    def __call__(
        self, rows: SeriesRows, *, seed: int, checkpoint: Callable[[float], None] = ...
    ) -> dict[str, NDArray[Any]]:
        """Return the limit. Raises BadInput where there are no rows to be judged."""


def build_fit(limit: float) -> Fit:
    """Return what fits a statistic with this limit."""

    def fit(
        rows: SeriesRows,
        *,
        seed: int,  # noqa: ARG001 - nothing is drawn
        checkpoint: Callable[[float], None] = lambda _fraction: None,
    ) -> dict[str, NDArray[Any]]:
        checkpoint(1.0)
        return fit_limit(rows, limit)

    return fit


def build_load(measure: Measure) -> Callable[[Mapping[str, NDArray[Any]]], Trailing]:
    """Return what makes a statistic of its stored limit, ready to score."""
    return lambda fitted: Trailing(measure, float(fitted["limit"]))
