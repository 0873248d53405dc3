"""What looks odd in bars: zero volumes, prices that stand still,
and jumps by a split's factor (pure).
"""

import numpy as np

from core.arrays import Bools, Int64
from market.bars.buckets import Columns
from market.bars.no_trade import count_no_trade
from market.bars.splits import NEAR_SPLIT, SPLIT_FACTORS
from market.intervals import DAY_SECONDS
from records.market.documents import FigureFields

# So many neighbouring bars at one price are a stale run.
STALE_BARS = 5
MOST_JUMPS = 20
_FACTORS = np.array(SPLIT_FACTORS)
# What lies between is near no split's factor, as nearly all bars do.
LEAST_FALL, LEAST_RISE = (
    max(f for f in SPLIT_FACTORS if f < 1) * (1 + NEAR_SPLIT),
    min(f for f in SPLIT_FACTORS if f > 1) * (1 - NEAR_SPLIT),
)


def measure_figures(columns: Columns) -> FigureFields:
    """Return what looks odd in the bars of one bucket, of which there is one at least."""
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
    """Count runs of at least STALE_BARS bars all of whose prices are one price."""
    close = columns["close"]
    still: Bools = columns["high"] == columns["low"]
    still[1:] &= close[1:] == close[:-1]
    if not still.any():
        return 0
    # The first bar of a run may have moved to its price.
    edges = np.flatnonzero(np.diff(np.concatenate(([False], still, [False])).astype(np.int8)))
    lengths: Int64 = edges[1::2] - edges[::2]
    return int((lengths >= STALE_BARS - 1).sum())


def _mark_jumps(columns: Columns) -> Bools:
    """Return which bars open a split's factor away from the close before, and stay there:
    what `is_jump` says, of all of them.
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
