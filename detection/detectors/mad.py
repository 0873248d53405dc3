"""Median absolute deviation: a return is strange with a modified z-score of more than 3.5.

The modified z-score is .6745 (return - median) / MAD; median and MAD are those of the 60 returns
before the bar, of which up to half may be outliers. Where more than half of them equal the median,
MAD is 0, and the mean absolute deviation from the median times 1.253314 takes the place of
MAD / .6745. It fails on stocks that seldom move, whose every move is strange, and knows nothing of
volume, range or gaps. It costs some hundred steps a bar, and learns nothing. Source: Iglewicz and
Hoaglin, How to Detect and Handle Outliers (1993).
"""

import numpy as np
from numba import njit

from core.arrays import Float32, Float64, Int64
from detection.detectors.trailing import MEASURE, SMALLEST, build_fit, build_load

WINDOW = 60
LIMIT = 3.5
# Of normally distributed values MAD is 0.6745 standard deviations, and the standard deviation is
# 1.253314 mean absolute deviations.
MAD_SHARE = 0.6745
MEAN_DEVIATION_FACTOR = 1.253314
# Up to so many rows apart, updating the sorted returns is faster than sorting all 60 again.
NEAR = WINDOW // 4


@njit(nogil=True, error_model="numpy")
def _put(ordered: Float64, at: int, value: float) -> None:
    """Replace the value at position `at` of the ascending `ordered`, and keep it ascending."""
    while at > 0 and ordered[at - 1] > value:
        ordered[at] = ordered[at - 1]
        at -= 1
    while at < ordered.size - 1 and ordered[at + 1] < value:
        ordered[at] = ordered[at + 1]
        at += 1
    ordered[at] = value


@njit(nogil=True, error_model="numpy")
def _find_median_distance(ordered: Float64, median: float) -> float:
    """Return the median distance from the `median` of an even number of ascending values."""
    left, right = ordered.size // 2 - 1, ordered.size // 2
    last = nearest = 0.0
    # Walk outwards from the median over half of the values and one more, nearest first.
    for _ in range(ordered.size // 2 + 1):
        last = nearest
        if right == ordered.size or (
            left >= 0 and median - ordered[left] <= ordered[right] - median
        ):
            nearest = median - ordered[left]
            left -= 1
        else:
            nearest = ordered[right] - median
            right += 1
    distance: float = (last + nearest) / 2.0
    return distance


@njit(MEASURE, nogil=True, cache=True, error_model="numpy")
def modify_zscores(returns: Float32, rows: Int64) -> Float64:
    """Return each row's modified z-score, without its sign.

    The 60 returns before a row are kept sorted; for the next row one is removed and one inserted.
    """
    found = np.empty(rows.size)
    ordered, after = np.empty(WINDOW), 0
    for i in range(rows.size):
        row = rows[i]
        if i > 0 and row - after <= NEAR:
            for come in range(after, row):
                gone = int(np.searchsorted(ordered, np.float64(returns[come - WINDOW])))
                _put(ordered, gone, returns[come])
        else:
            ordered[:] = np.inf
            for back in range(WINDOW):
                _put(ordered, WINDOW - 1, returns[row - 1 - back])
        after = row
        median = (ordered[WINDOW // 2 - 1] + ordered[WINDOW // 2]) / 2.0
        deviation = _find_median_distance(ordered, median) / MAD_SHARE
        if deviation == 0.0:
            mean = 0.0
            for value in ordered:
                mean += abs(value - median)
            deviation = mean / WINDOW * MEAN_DEVIATION_FACTOR
        found[i] = abs(returns[row] - median) / max(deviation, SMALLEST)
    return found


fit = build_fit(LIMIT)
load = build_load(modify_zscores)
