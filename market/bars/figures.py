"""Counts what looks odd in bars: zero volumes, stale prices, and jumps by a split's factor
(pure).
"""

import numpy as np

from core.arrays import Bools, Int64
from market.bars.buckets import Columns
from market.bars.no_trade import count_no_trade
from market.bars.splits import NEAR_SPLIT, SPLIT_FACTORS
from market.intervals import DAY_SECONDS
from records.market.documents import FigureFields

# At least so many neighbouring bars at one price are a stale run.
STALE_BARS = 5
MOST_JUMPS = 20
_FACTORS = np.array(SPLIT_FACTORS)
# A ratio between these two is near no split's factor, as for nearly all bars.
LEAST_FALL, LEAST_RISE = (
    max(f for f in SPLIT_FACTORS if f < 1) * (1 + NEAR_SPLIT),
    min(f for f in SPLIT_FACTORS if f > 1) * (1 - NEAR_SPLIT),
)


def measure_figures(columns: Columns) -> FigureFields:
    """Return the figures of the bars of one bucket, which has at least one bar."""
    return {
        "no_trade": count_no_trade(columns),
        "no_volume": int((columns["volume"] == 0).sum()),
        "stale_runs": _count_stale_runs(columns),
        "jumps": sorted(
            {t // DAY_SECONDS for t in columns["times"][_mark_jumps(columns)].tolist()}
        )[-MOST_JUMPS:],
        "first_day": int(columns["times"][0]) // DAY_SECONDS,
        "first_open": float(columns["open"][0]),
        "first_close": float(columns["close"][0]),
        "last_close": float(columns["close"][-1]),
    }


def _count_stale_runs(columns: Columns) -> int:
    """Return how many runs of at least STALE_BARS bars have a single price."""
    close = columns["close"]
    still: Bools = columns["high"] == columns["low"]
    still[1:] &= close[1:] == close[:-1]
    if not still.any():
        return 0
    # The first bar of a run may have a range, as it may have moved to the price of the run.
    edges = np.flatnonzero(np.diff(np.concatenate(([False], still, [False])).astype(np.int8)))
    lengths: Int64 = edges[1::2] - edges[::2]
    return int((lengths >= STALE_BARS - 1).sum())


def _mark_jumps(columns: Columns) -> Bools:
    """Return which bars open a split's factor away from the close before, and stay there, shape
    (n,). It is `is_jump` for all bars at once.
    """
    close, marked = columns["close"], np.zeros(len(columns["close"]), np.bool_)
    if len(close) < 2:
        return marked
    ratios = close[:-1] / columns["open"][1:]
    if not ((ratios < LEAST_FALL) | (ratios > LEAST_RISE)).any():
        return marked
    stays = np.abs(np.log(columns["close"][1:] / columns["open"][1:])) < np.abs(np.log(ratios)) / 2
    beside = np.clip(np.searchsorted(_FACTORS, ratios), 1, len(_FACTORS) - 1)
    near = np.minimum(
        np.abs(ratios / _FACTORS[beside] - 1), np.abs(ratios / _FACTORS[beside - 1] - 1)
    )
    marked[1:] = (near < NEAR_SPLIT) & stays
    return marked
