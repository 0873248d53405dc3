"""Rolling z-score: strange is a return more than 3 deviations from the mean of the last 60.

Mean and sample deviation are those of the 60 returns before the bar, which is not among them. One
shock among these widens the deviation, and hides the next for 60 bars; in a slow rise of unrest it
sounds late. It knows nothing of volume, range or gaps. It costs some 120 additions a bar, and
nothing is learned. Source: the Shewhart control chart (Shewhart 1931) on a moving window.
"""

import numpy as np

from core.arrays import Float32, Float64, Int64
from detection.detectors.trailing import SMALLEST, build_fit, build_load, measure_spread

WINDOW = 60
LIMIT = 3.0


def count_deviations(returns: Float32, rows: Int64) -> Float64:
    """Return how many deviations each row's return lies from the mean of the 60 before it."""
    far, squares = measure_spread(returns, rows, WINDOW, True)  # noqa: FBT003 - as its definition
    found: Float64 = far / np.maximum(np.sqrt(squares / (WINDOW - 1)), SMALLEST)
    return found


fit = build_fit(LIMIT)
load = build_load(count_deviations)
