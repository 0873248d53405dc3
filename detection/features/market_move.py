"""The market's move on a day: the median return of its tickers, the same for all of them.

It is known where at least six tickers have a return. A move's size is measured by the usual size on
the days before. A move that is not known counts as none.
"""

import hashlib
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from core.arrays import Float32, Float64, Int64
from detection.features.kernel import BOUND, GRID, SMALLEST_SHARE
from market.bars.no_trade import mark_still
from market.bars.panel import BarPanel
from market.intervals import INTERVALS

# A ticker's own moves are about twice as large as its market's. Of fewer tickers, the median would
# mostly tell their own moves.
LEAST_TICKERS = 6
# So many known days lie before the first one with a ratio.
LEAST_DAYS = 20
# The weight of a day in what is usual.
DAY_WEIGHT = 1.0 / 14.0
# A move of the market in usual ones, times this, is as rare as a range of so many yardsticks.
MARKET_WEIGHT = 0.45
# A return over a longer pause than so many intervals is not one of the day.
LONGEST_PAUSE = 7
# A close so many times the one before, or so small a part of it, is wrong or follows a wrong one,
# and is left out: a feed with such closes for half of its tickers is no move of the market.
LARGEST_RETURN = 5.0

Column = TypeVar("Column", Float32, Float64)


@dataclass(frozen=True, slots=True)
class MarketDays:
    """What a market did on each of n days (or weeks).

    Attributes:
        market: such as `US`.
        times: shape (n,), ascending, the start of the day's bars in UTC seconds.
        moves: shape (n,), the median return; NaN where it is not known.
        counts: shape (n,), how many tickers have a return.
        ratios: shape (n,), the square root of the move's size in usual ones; 0 where the move is
            not known.
        revision: raised whenever a day changes or is added.
    """

    market: str
    times: Int64
    moves: Float64
    counts: Int64
    ratios: Float32
    revision: int

    def look_up(self, times: Int64) -> Float32:
        """Return the ratio of the day at each of `times` (m,); 0 where there is no such day."""
        return self._pick(self.ratios, times, np.zeros(times.size, np.float32))

    def find_moves(self, times: Int64) -> Float64:
        """Return the move of the day at each of `times` (m,), NaN where it is not known."""
        return self._pick(self.moves, times, np.full(times.size, np.nan))

    def _pick(self, values: Column, times: Int64, found: Column) -> Column:
        """Return `found` (m,) with the `values` (n,) of the days put in, where there is the day."""
        if self.times.size:
            rows = np.minimum(self.times.searchsorted(times), self.times.size - 1)
            same = self.times[rows] == times
            found[same] = values[rows[same]]
        return found

    @property
    def is_known(self) -> bool:
        """Return whether the move of any day is known."""
        return bool((self.counts >= LEAST_TICKERS).any())


def hash_ratios(ratios: Float32 | np.float32) -> str:
    """Return a hash of the ratios that a score depends on."""
    return f"sha256:{hashlib.sha256(ratios.astype('<f4').tobytes()).hexdigest()}"


def compute_returns(panel: BarPanel, first: int, last: int) -> tuple[Int64, Float64]:
    """Return the times and the returns of a panel's bars from `first` to `last` (UTC seconds).

    A bar counts where it and the bar before it traded, the pause between them is at most
    `LONGEST_PAUSE` intervals, and the return is within `LARGEST_RETURN`. A series with a close that
    is NaN or infinite is damaged, and none of its bars count.
    """
    prices = (panel.open, panel.high, panel.low, panel.close)
    idle = mark_still(prices, panel.volume, panel.offsets[:-1])
    finite = np.isfinite(panel.close)
    usable = ~idle & (panel.close > 0.0)
    if not finite.all():
        damaged = panel.find_series(np.flatnonzero(~finite))
        for s in np.unique(damaged).tolist():
            usable[panel.series(s)] = False
    rows = np.flatnonzero(usable)
    series = panel.find_series(rows)
    times, close = panel.times[rows], panel.close[rows]
    pause = LONGEST_PAUSE * INTERVALS[panel.interval]
    follows = (series[1:] == series[:-1]) & (np.diff(times) <= pause)
    follows &= (times[1:] >= first) & (times[1:] <= last)
    ratios = close[1:][follows] / close[:-1][follows]
    real = (ratios < LARGEST_RETURN) & (ratios * LARGEST_RETURN > 1.0)
    return times[1:][follows][real], ratios[real] - 1.0


def compute_medians(times: Int64, returns: Float64) -> tuple[Int64, Float64, Int64]:
    """Return the days of some returns, ascending, the median return of each day, and the number of
    its returns. The median is NaN where there are fewer than `LEAST_TICKERS` returns.
    """
    order = np.lexsort((returns, times))
    times, returns = times[order], returns[order]
    days, starts, counts = np.unique(times, return_index=True, return_counts=True)
    low, high = returns[starts + (counts - 1) // 2], returns[starts + counts // 2]
    return days, np.where(counts >= LEAST_TICKERS, (low + high) / 2.0, np.nan), counts


def compute_ratios(moves: Float64) -> Float32:
    """Return the square root of each move's size in usual moves, shape (n,).

    The usual move is a mean of the sizes of the moves before the day, with the weights of a
    recursion over 14 days, taken over fourth roots, which one crash hardly moves. A day whose move
    is not known has the ratio 0, and does not count for later days.
    """
    ratios = np.zeros(moves.size, np.float32)
    known = np.flatnonzero(~np.isnan(moves))
    sizes = np.abs(moves[known])
    roots = np.sqrt(np.sqrt(sizes))
    usual = roots[0] if roots.size else 0.0
    for day in range(known.size):
        if day >= LEAST_DAYS:
            square = usual * usual
            ratio = np.sqrt(sizes[day] / max(square * square, SMALLEST_SHARE))
            ratios[known[day]] = np.rint(min(ratio, BOUND) * GRID) / GRID
        usual += (roots[day] - usual) * DAY_WEIGHT
    return ratios
