"""Rolling z-score: strange is a return more than 3 deviations from the mean of the last 60.

Mean and sample deviation are those of the 60 returns before the bar, which is not among them. One
shock among these widens the deviation, and hides the next for 60 bars; in a slow rise of unrest it
sounds late. It knows nothing of volume, range or gaps. It costs some 120 additions a bar, and
nothing is learned. Source: the Shewhart control chart (Shewhart 1931) on a moving window.
"""

import numpy as np
from numba import njit

from core.arrays import Float32, Float64, Int64
from detection.detectors.trailing import MEASURE, SIDE_BY_SIDE, SMALLEST, build_fit, build_load

WINDOW = 60
LIMIT = 3.0


@njit(MEASURE, nogil=True, cache=True, error_model="numpy")
def count_deviations(returns: Float32, rows: Int64) -> Float64:
    """Return how many deviations each row's return lies from the mean of the 60 before it.

    Rows that follow each other go side by side, each with its own additions in its own order.
    """
    found, means, squares = np.empty(rows.size), np.empty(SIDE_BY_SIDE), np.empty(SIDE_BY_SIDE)
    start = 0
    while start < rows.size:
        first, count = rows[start], 1
        while count < min(SIDE_BY_SIDE, rows.size - start) and rows[start + count] == first + count:
            count += 1
        means[:count] = 0.0
        squares[:count] = 0.0
        for back in range(1, WINDOW + 1):
            before = returns[first - back : first - back + count]
            for i in range(count):
                means[i] += before[i]
        for i in range(count):
            means[i] /= WINDOW
        for back in range(1, WINDOW + 1):
            before = returns[first - back : first - back + count]
            for i in range(count):
                off = before[i] - means[i]
                squares[i] += off * off
        for i in range(count):
            deviation = np.sqrt(squares[i] / (WINDOW - 1))
            found[start + i] = abs(returns[first + i] - means[i]) / max(deviation, SMALLEST)
        start += count
    return found


fit = build_fit(LIMIT)
load = build_load(count_deviations)
