"""Median absolute deviation: strange is a modified z-score of a return of more than 3.5.

It is .6745 (return - median) / MAD, of the 60 returns before the bar, which is not among them; half
of these may be outliers. Where more than half of them are the median, MAD is 0, and the mean
absolute deviation from the median times 1.253314 takes the place of MAD / .6745. It fails on stocks
that seldom move, whose every move is strange, and knows nothing of volume, range or gaps. It costs
two sorts of 60 numbers a bar, and nothing is learned. Source: Iglewicz and Hoaglin, How to Detect
and Handle Outliers (1993).
"""

import numpy as np
from numba import njit

from core.arrays import Float32, Float64, Int64
from detection.detectors.trailing import MEASURE, SMALLEST, build_fit, build_load

WINDOW = 60
LIMIT = 3.5
# What MAD and mean absolute deviation of normally distributed values are to their deviation.
MAD_SHARE = 0.6745
MEAN_DEVIATION_FACTOR = 1.253314


@njit(nogil=True, error_model="numpy")
def _find_median(values: Float64) -> float:
    """Return the median of an even number of values, which are left in ascending order."""
    for i in range(1, values.size):
        value, at = values[i], i
        while at > 0 and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value
    middle = values.size // 2
    median: float = (values[middle - 1] + values[middle]) / 2.0
    return median


@njit(MEASURE, nogil=True, cache=True, error_model="numpy")
def modify_zscores(returns: Float32, rows: Int64) -> Float64:
    """Return each row's modified z-score, without its sign."""
    found = np.empty(rows.size)
    last = np.empty(WINDOW)
    for i in range(rows.size):
        row = rows[i]
        for back in range(WINDOW):
            last[back] = returns[row - 1 - back]
        median = _find_median(last)
        mean = 0.0
        for back in range(WINDOW):
            last[back] = abs(last[back] - median)
            mean += last[back]
        deviation = _find_median(last) / MAD_SHARE
        if deviation == 0.0:
            deviation = mean / WINDOW * MEAN_DEVIATION_FACTOR
        found[i] = abs(returns[row] - median) / max(deviation, SMALLEST)
    return found


fit = build_fit(LIMIT)
load = build_load(modify_zscores)
