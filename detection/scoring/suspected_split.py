"""Tells an unadjusted split from a real shock by the size of the jump."""

import numpy as np

from core.arrays import Bools, Float64
from market.bars.panel import BarPanel

# Splits in use: 2:1 to 10:1 and the larger round ones, the halves, and all of them in reverse.
RATIOS = (
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    6.0,
    7.0,
    8.0,
    9.0,
    10.0,
    12.0,
    15.0,
    20.0,
    25.0,
    30.0,
    40.0,
    50.0,
    100.0,
)
# The price moves on a split day as on any other: the open is off the exact ratio by at most this
# share.
TOLERANCE = 0.04
# At a price of one or two ticks, the next tick is as far as a split. A tick is the last decimal
# that the prices of TICK_BARS bars need, but for the noise of a price of 32 bits.
FEW_TICKS = 2
TICK_BARS = 20
MOST_DECIMALS = 8
NOISE = 1e-6


def is_no_split(previous_close: Float64, open_: Float64) -> Bools:
    """Return which opens are too near to the previous close for any split, shape (m,)."""
    nearest = RATIOS[0] * (1.0 - TOLERANCE)
    return (previous_close < open_ * nearest) & (open_ < previous_close * nearest)


def is_few_ticks(panel: BarPanel, begin: int, row: int) -> bool:
    """Return whether a row's open is at most two ticks from the close before, so that it is no
    split. `begin` is the first row of the row's series.
    """
    own = slice(max(begin, row - TICK_BARS), row + 1)
    prices = np.concatenate((panel.open[own], panel.high[own], panel.low[own], panel.close[own]))
    jump = abs(float(panel.open[row]) - float(panel.close[row - 1]))
    for decimals in range(MOST_DECIMALS + 1):
        if jump * 10**decimals > FEW_TICKS + 0.5:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            ticks = prices * 10**decimals
            is_whole = np.abs(ticks - np.rint(ticks)) <= NOISE * ticks
        if is_whole.all():
            return True
    return False


def find_suspected_split(
    previous_close: float, open_: float, tolerance: float = TOLERANCE
) -> float | None:
    """Return the split ratio that the jump from `previous_close` to `open_` looks like, or None.

    2.0 is two shares for one (the price halved), 0.1 a reverse split of ten shares into one.
    """
    if previous_close <= 0.0 or open_ <= 0.0:
        return None
    jump = previous_close / open_
    size = max(jump, 1.0 / jump)
    if size < RATIOS[0] * (1.0 - TOLERANCE):
        return None
    ratio = min(RATIOS, key=lambda r: abs(size / r - 1.0))
    if abs(size / ratio - 1.0) > tolerance:
        return None
    return ratio if jump >= 1.0 else 1.0 / ratio
