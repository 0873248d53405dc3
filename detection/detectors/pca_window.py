"""Subsequence PCA: a bar is strange where the shape of its last 20 bars does not explain it.

Windows of 20 bars x all columns are points. The leading principal components of the training
windows, those that explain half of their variance, describe what is usual, such as volatility that
rises and falls. The score is how far the window's last bar lies above its reconstruction from these
components, in deviations of the training bars: columns are sizes in yardsticks, and a smaller bar
than expected is not strange. It fails where columns depend on each other in a non-linear way, and a
strange bar among the 19 before counts as a part of the shape. It is fitted in closed form, and
costs 20 d^2 multiplications a bar for d columns. Source: principal components of sliding windows,
as Sub-PCA in the TSB-AD benchmark (Liu and Paparrizos 2024); the residual is that of Jackson and
Mudholkar (1979).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import float32, float64, int64, njit, types
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64, freeze
from core.errors import BadInput
from detection.detectors.rows import SeriesRows, score_squares, share_squares

WINDOW = 20
EXPLAINED = 0.5
# So many neighbouring rows fit into the first-level cache.
SIDE_BY_SIDE = 512
# The components are computed from so many windows, drawn at random where there are more.
MOST_WINDOWS = 50_000
# A score of -0.5 is a bar so many deviations off.
LIMIT = 3.0


@dataclass(frozen=True, slots=True)
class WindowResidual:
    """The residual of a window's last bar as a linear function of the window.

    Attributes:
        weights: shape (d, 20 d), of each column's residual, in deviations; the oldest bar first.
        shifts: shape (d,), subtracted from each residual.
    """

    weights: Float64
    shifts: Float64

    def score_series(self, rows: SeriesRows, *, below: float | Float64 = 0.0) -> Float64:  # noqa: ARG002 - all are as quickly scored
        """Return the score of each wanted row, shape (m,), in (-1, 0]; lower is stranger."""
        return score_squares(np.square(self._compute(rows)), LIMIT)

    def attribute_series(self, rows: SeriesRows) -> Float64:
        """Return the share of each column in the squared residual, shape (m, d); equal shares where
        no column exceeds its reconstruction.
        """
        return share_squares(np.square(self._compute(rows)))

    def _compute(self, rows: SeriesRows) -> Float64:
        residuals: Float64 = compute_residuals(
            freeze(rows.inputs), freeze(rows.wanted), self.weights, self.shifts
        )
        return np.maximum(residuals, 0.0, out=residuals)


def fit(
    rows: SeriesRows, *, seed: int, checkpoint: Callable[[float], None] = lambda _fraction: None
) -> dict[str, NDArray[Any]]:
    """Return weights and shifts (see `WindowResidual`).

    Raises BadInput where fewer than two rows have a window.
    """
    chosen = draw_rows(rows, seed)
    if len(chosen) < 2:
        raise BadInput(
            f"asked for the components of windows of {WINDOW} bars from {len(chosen)} windows; give"
            " at least two"
        )
    windows = cut_windows(rows, chosen)
    checkpoint(0.5)
    width = rows.inputs.shape[1]
    mean, scale = windows.mean(axis=0), windows.std(axis=0)
    scale[scale == 0.0] = 1.0
    windows = (windows - mean) / scale
    variances, vectors = np.linalg.eigh(windows.T @ windows / len(windows))
    leading = vectors[:, count_left_out(variances) :]
    left = np.eye(windows.shape[1])[-width:] - leading[-width:] @ leading.T
    deviations = (windows @ left.T).std(axis=0)
    deviations[deviations == 0.0] = 1.0
    weights = left / deviations[:, None] / scale
    checkpoint(1.0)
    return {"weights": weights, "shifts": weights @ mean}


def load(fitted: Mapping[str, NDArray[Any]]) -> WindowResidual:
    """Return the detector of the stored arrays, ready to score."""
    weights, shifts = (np.ascontiguousarray(fitted[n], np.float64) for n in ("weights", "shifts"))
    return WindowResidual(weights, shifts)


def draw_rows(rows: SeriesRows, seed: int, most: int = MOST_WINDOWS) -> Int64:
    """Return the wanted rows, or `most` of them drawn at random, in their order."""
    if len(rows.wanted) <= most:
        return rows.wanted
    chosen: Int64 = np.random.default_rng(seed).choice(rows.wanted, most, replace=False)
    return np.sort(chosen)


def cut_windows(rows: SeriesRows, chosen: Int64) -> Float64:
    """Return the windows that end with the rows `chosen` (m,), flat, shape (m, 20 d)."""
    within = chosen[:, None] + np.arange(1 - WINDOW, 1)
    windows: Float64 = rows.inputs[within].reshape(len(chosen), -1).astype(np.float64)
    return windows


def count_left_out(variances: Float64) -> int:
    """Return how many components, by ascending variance, are not needed to explain half of the
    total variance.
    """
    explained = np.cumsum(variances[::-1]) / variances.sum()
    needed = int(np.searchsorted(explained, EXPLAINED)) + 1
    return len(variances) - min(needed, len(variances) - 1)


_matrix = types.Array(float32, 2, "C", readonly=True)
_vector = types.Array(int64, 1, "C", readonly=True)


@njit(
    float64[:, ::1](_matrix, _vector, float64[:, ::1], float64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def compute_residuals(inputs: Float32, wanted: Int64, weights: Float64, shifts: Float64) -> Float64:
    """Return the residual of each wanted row, in deviations, shape (m, d).

    Neighbouring rows are computed side by side. The additions for a row follow the order of its
    window, whatever other rows there are.
    """
    width = inputs.shape[1]
    columns = np.empty((width, inputs.shape[0]), np.float32)
    for row in range(inputs.shape[0]):
        for column in range(width):
            columns[column, row] = inputs[row, column]
    found, totals = np.empty((wanted.size, width)), np.empty(SIDE_BY_SIDE)
    start = 0
    while start < wanted.size:
        first, count = wanted[start] - WINDOW + 1, 1
        while (
            count < min(SIDE_BY_SIDE, wanted.size - start)
            and wanted[start + count] == wanted[start] + count
        ):
            count += 1
        for column in range(width):
            totals[:count] = -shifts[column]
            for at in range(WINDOW * width):
                row, weight = first + at // width, weights[column, at]
                values = columns[at % width, row : row + count]
                for i in range(count):
                    totals[i] += weight * values[i]
            found[start : start + count, column] = totals[:count]
        start += count
    return found
