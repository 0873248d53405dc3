"""Moving average: a return is strange more than 3 usual distances from the average of the last 60.

The usual distance is the mean absolute distance of the 60 returns before the bar from their
average. So an old shock counts by its size, not by its square as in the z-score. It fails where the
usual distance has grown for other reasons, as in a crisis, and knows nothing of volume, range or
gaps. It costs some 120 additions a bar, and learns nothing. Source: the mean absolute deviation
about a moving average, as in Brown, Statistical Forecasting for Inventory Control (1959).
"""

import numpy as np

from core.arrays import Float32, Float64, Int64
from detection.detectors.trailing import SMALLEST, build_fit, build_load, measure_spread

WINDOW = 60
LIMIT = 3.0


def count_distances(returns: Float32, rows: Int64) -> Float64:
    """Return how many usual distances each row's return lies from the average before it."""
    far, distances = measure_spread(returns, rows, WINDOW, False)  # noqa: FBT003 - as its definition
    found: Float64 = far / np.maximum(distances / WINDOW, SMALLEST)
    return found


fit = build_fit(LIMIT)
load = build_load(count_distances)
