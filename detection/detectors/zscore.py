"""Rolling z-score: strange is a return more than 3 deviations from the mean of the last 60.

Mean and sample deviation are those of the 60 returns before the bar, which is not among them. One
shock among these widens the deviation, and hides the next for 60 bars; in a slow rise of unrest it
sounds late. It knows nothing of volume, range or gaps. It costs some 120 additions a bar, and
nothing is learned. Source: the Shewhart control chart (Shewhart 1931) on a moving window.
"""

import numpy as np
from numba import njit

from core.arrays import Float32, Float64, Int64
from detection.detectors.trailing import MEASURE, SMALLEST, build_fit, build_load

WINDOW = 60
LIMIT = 3.0


@njit(MEASURE, nogil=True, cache=True, error_model="numpy")
def count_deviations(returns: Float32, rows: Int64) -> Float64:
    """Return how many deviations each row's return lies from the mean of the 60 before it."""
    found = np.empty(rows.size)
    for i in range(rows.size):
        row = rows[i]
        mean = squares = 0.0
        for back in range(1, WINDOW + 1):
            mean += returns[row - back]
        mean /= WINDOW
        for back in range(1, WINDOW + 1):
            off = returns[row - back] - mean
            squares += off * off
        deviation = np.sqrt(squares / (WINDOW - 1))
        found[i] = abs(returns[row] - mean) / max(deviation, SMALLEST)
    return found


fit = build_fit(LIMIT)
load = build_load(count_deviations)
