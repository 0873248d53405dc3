"""What looks odd in bars: zero volumes, prices that stand still,
and jumps by a split's factor (pure).
"""

import numpy as np

from core.arrays import Bools, Int64
from market.bars.buckets import Columns
from market.bars.no_trade import count_no_trade
from market.intervals import DAY_SECONDS
from records.market.documents import FigureFields

# So many neighbouring bars at one price are a stale run.
STALE_BARS = 5
MOST_JUMPS = 20
# A split leaves the open this close to the close before over its factor, as a share; most days move
# a price by less.
NEAR = 0.03
_WHOLE = np.array([1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100])
SPLIT_FACTORS = np.sort(np.concatenate((1 / _WHOLE, _WHOLE)))


def measure_figures(columns: Columns) -> FigureFields:
    """Return what looks odd in the bars of one series and year."""
    return {
        "no_trade": count_no_trade(columns),
        "no_volume": int((columns["volume"] == 0).sum()),
        "stale_runs": _count_stale_runs(columns),
        "jumps": np.unique(columns["times"][_mark_jumps(columns)] // DAY_SECONDS)[
            -MOST_JUMPS:
        ].tolist(),
    }


def _count_stale_runs(columns: Columns) -> int:
    """Count runs of at least STALE_BARS bars all of whose prices are one price."""
    close = columns["close"]
    still: Bools = columns["high"] == columns["low"]
    still[1:] &= close[1:] == close[:-1]
    # The first bar of a run may have moved to its price.
    edges = np.flatnonzero(np.diff(np.concatenate(([False], still, [False])).astype(np.int8)))
    lengths: Int64 = edges[1::2] - edges[::2]
    return int((lengths >= STALE_BARS - 1).sum())


def _mark_jumps(columns: Columns) -> Bools:
    """Return which bars open a split's factor away from the close before, and stay there."""
    close, marked = columns["close"], np.zeros(len(columns["close"]), np.bool_)
    if len(close) < 2:
        return marked
    ratios = close[:-1] / columns["open"][1:]
    stays = np.abs(np.log(columns["close"][1:] / columns["open"][1:])) < np.abs(np.log(ratios)) / 2
    beside = np.clip(np.searchsorted(SPLIT_FACTORS, ratios), 1, len(SPLIT_FACTORS) - 1)
    near = np.minimum(
        np.abs(ratios / SPLIT_FACTORS[beside] - 1), np.abs(ratios / SPLIT_FACTORS[beside - 1] - 1)
    )
    marked[1:] = (near < NEAR) & stays
    return marked
