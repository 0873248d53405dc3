"""What the detectors of returns share: a statistic of a bar's return and of the returns before it.

The score is -s / (s + limit), where s is how far the return lies from the usual, and `limit` the
limit that the statistic's source gives: at the limit each statistic has the score -0.5.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import boolean, float32, float64, int64, njit, types
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64, freeze
from core.errors import BadInput
from detection.detectors.rows import SeriesRows

# In percent, as returns are. A deviation counts as at least one basis point, so that values of flat
# prices stay finite.
SMALLEST = 0.01
# So many neighbouring rows, with their sums, fit into the first-level cache.
SIDE_BY_SIDE = 512
COLUMN = types.Array(float32, 1, "C", readonly=True)
ROWS = types.Array(int64, 1, "C", readonly=True)
MEASURE = float64[::1](COLUMN, ROWS)

_SPREAD = float64[:, ::1](COLUMN, ROWS, int64, boolean)

# Takes returns (n,) and wanted rows (m,), and returns how far each row's return lies from the
# usual, shape (m,), at least 0.
Measure = Callable[[Float32, Int64], Float64]


@njit(_SPREAD, nogil=True, cache=True, error_model="numpy")
def measure_spread(
    returns: Float32,
    rows: Int64,
    window: int,
    squared: bool,  # noqa: FBT001 - what is compiled has no arguments by name only
) -> Float64:
    """Return two values of each row, shape (2, m): the distance of its return from the mean of the
    `window` returns before it, and the sum of the distances of these returns, or of their squares,
    from that mean.

    Neighbouring rows are computed side by side; the order of a row's additions is the same always.
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
        """Return ones, shape (m, 1), as there is one column only, the return."""
        return np.ones((len(rows.wanted), 1))


def fit_limit(rows: SeriesRows, limit: float) -> dict[str, NDArray[Any]]:
    """Return the stored arrays of a statistic: its limit only, as nothing is learned.

    Raises BadInput where the rows have more columns than the return, or fewer than two are wanted.
    """
    if rows.inputs.shape[1] != 1 or len(rows.wanted) < 2:
        raise BadInput(
            f"asked for a statistic of returns of {rows.inputs.shape[1]} columns and"
            f" {len(rows.wanted)} rows; give one column, and at least two rows past the warm-up"
        )
    return {"limit": np.array(limit)}


class Fit(Protocol):
    """The `fit` of a statistic, as the contract of detectors has it."""

    def __call__(
        self, rows: SeriesRows, *, seed: int, checkpoint: Callable[[float], None] = ...
    ) -> dict[str, NDArray[Any]]:
        """Return the limit. Raises as `fit_limit` does."""


def build_fit(limit: float) -> Fit:
    """Return the `fit` of a statistic with this limit."""

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
    """Return the `load` of a statistic: it makes a `Trailing` of the stored limit."""
    return lambda fitted: Trailing(measure, float(fitted["limit"]))
