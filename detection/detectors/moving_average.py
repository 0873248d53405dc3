"""Moving average: strange is a return more than 3 usual distances from the average of the last 60.

The usual distance is the mean absolute one of the 60 returns before the bar from their average, so
that an old shock counts by its size and not by its square, as in the z-score. It fails where the
usual distance has grown for other reasons, as in a crisis, and knows nothing of volume, range or
gaps. It costs some 120 additions a bar, and nothing is learned. Source: the mean absolute deviation
about a moving average, as in Brown, Statistical Forecasting for Inventory Control (1959).
"""

import numpy as np
from numba import njit

from core.arrays import Float32, Float64, Int64
from detection.detectors.trailing import MEASURE, SIDE_BY_SIDE, SMALLEST, build_fit, build_load

WINDOW = 60
LIMIT = 3.0


@njit(MEASURE, nogil=True, cache=True, error_model="numpy")
def count_distances(returns: Float32, rows: Int64) -> Float64:
    """Return how many usual distances each row's return lies from the average before it.

    Rows that follow each other go side by side, each with its own additions in its own order.
    """
    found, means, usual = np.empty(rows.size), np.empty(SIDE_BY_SIDE), np.empty(SIDE_BY_SIDE)
    start = 0
    while start < rows.size:
        first, count = rows[start], 1
        while count < min(SIDE_BY_SIDE, rows.size - start) and rows[start + count] == first + count:
            count += 1
        means[:count] = 0.0
        usual[:count] = 0.0
        for back in range(1, WINDOW + 1):
            before = returns[first - back : first - back + count]
            for i in range(count):
                means[i] += before[i]
        for i in range(count):
            means[i] /= WINDOW
        for back in range(1, WINDOW + 1):
            before = returns[first - back : first - back + count]
            for i in range(count):
                usual[i] += abs(before[i] - means[i])
        for i in range(count):
            far = abs(returns[first + i] - means[i])
            found[start + i] = far / max(usual[i] / WINDOW, SMALLEST)
        start += count
    return found


fit = build_fit(LIMIT)
load = build_load(count_distances)
