"""The input of metrics: the loaded bars, and which of them are asked about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytics.kernels import roll_deviation
from core.arrays import Bools, Float64, Int64
from market.bars.history import ANCHOR_BARS, HISTORY_BARS
from market.bars.panel import BarPanel
from market.intervals import DAY_SECONDS, is_intraday

FAST, STATISTICS, YEAR = 20, 60, 250
"""The windows, in bars: fast measures, statistics of returns, and about a year of sessions."""
SEASON_BARS, SEASON_DAYS = 756, 90
"""What patterns in time are sought in:
returns of bars of a day and longer; days of shorter ones.
"""
CONTEXT_BARS = 400
"""Bars before a bar that a series is judged by among its market: its ranks and its regime."""
MARKET_DAYS = {"1d": 730, "1w": 6 * 365}
"""Days before a bar within which its market is looked at; 90 for shorter intervals."""


@dataclass(frozen=True, slots=True)
class Depth:
    """One snapshot of an order book, best prices first; each array of shape (levels,)."""

    bid_prices: Float64
    bid_amounts: Float64
    ask_prices: Float64
    ask_amounts: Float64


@dataclass(frozen=True, slots=True)
class Taken:
    """The volume that takers bought and sold within each bar of a panel, shape (n,), NaN where
    unknown.
    """

    bought: Float64
    sold: Float64


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The market's values at each bar.

    Attributes:
        benchmark: shape (n,), the market's log return at each bar of the panel, NaN where there is
            none.
        tickers: shape (m,), how many tickers of the market have a return at each requested bar.
        advance_decline, above_mean: shape (m,), the two measures of breadth.
    """

    benchmark: Float64
    tickers: Int64
    advance_decline: Float64
    above_mean: Float64


@dataclass(frozen=True, slots=True)
class Column:
    """One metric of m bars.

    Attributes:
        values: shape (m,) with NaN, or a list with None, where there is no value.
        reason: why a bar with enough history has no value: one word, or one for each bar.
        have: shape (m,), how much of the needed there is; None if bars are counted.
        of: the unit that is counted.
        lacks: for each bar what it lacks other than bars, such as `{"needed": 10, "have": 9, "of":
            "sessions"}`.
    """

    values: Float64 | Sequence[Any]
    reason: str | Sequence[str] = "flat"
    have: Int64 | None = None
    of: str = "bars"
    lacks: Sequence[dict[str, int | str] | None] | None = None


@dataclass(frozen=True)
class Subject:
    """The bars asked about, within a panel that reaches back far enough for their windows.

    Attributes:
        panel: n bars of k series.
        rows: shape (m,), the requested rows of the panel.
        series: shape (m,), the series of each requested row.
        have: shape (m,), the number of stored bars of the series up to the requested one.
        bars_per_year: shape (m,), from the market's calendar.
        clock: shape (n,), the exchange's local time in seconds since 1970.
        returns, deviations: shape (n,), log returns, and their standard deviation over 20 bars.
        around: the benchmark and breadth of the market; None if the market is not known.
        depth: the latest order book of each of the m bars, where there is one.
        taken: the amounts that takers bought and sold in each bar; None if no trades are stored.
    """

    panel: BarPanel
    rows: Int64
    series: Int64
    have: Int64
    bars_per_year: Float64
    clock: Int64
    returns: Float64
    deviations: Float64
    around: Surroundings | None = None
    depth: Sequence[Depth | None] | None = None
    taken: Taken | None = None
    _kept: dict[object, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many bars are asked about."""
        return int(self.rows.size)

    @property
    def firsts(self) -> Int64:
        """Shape (m,): the panel's first row of each bar's series."""
        return self.panel.offsets[self.series]

    @property
    def starts(self) -> Int64:
        """Shape (m,): the panel's row at which each bar's recursions start."""
        index = self.have - 1
        return self.rows - index + np.maximum(index // ANCHOR_BARS * ANCHOR_BARS - HISTORY_BARS, 0)

    def once(self, compute: Callable[["Subject"], Any]) -> Any:
        """Return the result of `compute` for this subject; it is computed only once."""
        if compute not in self._kept:
            self._kept[compute] = compute(self)
        return self._kept[compute]

    def window(self, values: Float64, length: int) -> Float64:
        """Return the last `length` of `values`, shape (n,), at each bar asked about: (m, length).

        Places before a series' first bar are NaN.
        """
        places, outside = self._places(length)
        found: Float64 = values[places]
        if outside is not None:
            found[outside] = np.nan
        return found

    def _places(self, length: int) -> tuple[Int64, Bools | None]:
        if length not in self._kept:
            places = self.rows[:, None] + np.arange(1 - length, 1)
            outside = places < self.firsts[:, None]
            self._kept[length] = (np.maximum(places, 0), outside if outside.any() else None)
        found: tuple[Int64, Bools | None] = self._kept[length]
        return found


def build_subject(
    panel: BarPanel,
    rows: Int64,
    *,
    bars_per_year: Float64,
    clock: Int64 | None = None,
    around: Surroundings | None = None,
    depth: Sequence[Depth | None] | None = None,
    taken: Taken | None = None,
) -> Subject:
    """Return the subject of the panel's `rows`, shape (m,).

    `clock` may be left out where bars last a day or longer: they are labelled by their date.
    Raises ValueError where the panel does not reach back as far as a bar's windows do.
    """
    series = panel.find_series(rows)
    have = rows - panel.offsets[series] + panel.first_index[series] + 1
    for i in np.flatnonzero(find_first_rows(panel, rows, series) < 0):
        raise ValueError(
            f"{panel.tickers[series[i]]}: the panel has bars from position "
            f"{panel.first_index[series[i]]} on, too few before position {have[i] - 1}"
        )
    returns = compute_returns(panel)
    return Subject(
        panel=panel,
        rows=rows,
        series=series,
        have=have,
        bars_per_year=bars_per_year,
        clock=panel.times if clock is None else clock,
        returns=returns,
        deviations=roll_deviation(returns, panel.offsets, FAST),
        around=around,
        depth=depth,
        taken=taken,
    )


def find_first_rows(panel: BarPanel, rows: Int64, series: Int64) -> Int64:
    """Return the first row that the metrics of each of `rows` are computed from; -1 where it is not
    in the panel.
    """
    firsts, held = panel.offsets[series], panel.first_index[series]
    index = rows - firsts + held
    back = np.minimum(index, count_bars_back(index, panel.interval))
    if is_intraday(panel.interval):
        since = panel.times[rows] - SEASON_DAYS * DAY_SECONDS
        for s in np.unique(series):
            own = panel.series(int(s))
            at = np.flatnonzero(series == s)
            in_season = np.searchsorted(panel.times[own], since[at], side="right")
            # One more than the first of the season, because its return needs the close before it.
            back[at] = np.maximum(back[at], rows[at] - own.start - in_season + 1)
        back = np.minimum(back, index)
    found: Int64 = np.where(back > rows - firsts, -1, rows - back)
    return found


def count_bars_back(index: Int64, interval: str) -> Int64:
    """Return how many bars before each stored position the windows of all metrics reach.

    Recursions reach to an anchor and its history, which is further than a year's ranks and a
    regime's age; the season of daily and longer bars reaches further still. The season of shorter
    bars is counted in days and not included.
    """
    recursion = index % ANCHOR_BARS + HISTORY_BARS
    return recursion if is_intraday(interval) else np.maximum(recursion, SEASON_BARS)


def find_reach(index: int, interval: str) -> int:
    """Return the position of the first bar that the metrics of the bar at `index` need."""
    return max(0, index - int(count_bars_back(np.array([index]), interval)[0]))


def find_season_start(time: int, interval: str) -> int:
    """Return the time from which on the season of the bar at `time` needs bars."""
    return time - SEASON_DAYS * DAY_SECONDS if is_intraday(interval) else time


def compute_returns(panel: BarPanel) -> Float64:
    """Return the log return of each bar of a panel, NaN at the first bar of each series."""
    returns = np.full(panel.close.size, np.nan)
    np.log(panel.close[1:] / panel.close[:-1], out=returns[1:])
    returns[panel.offsets[:-1][np.diff(panel.offsets) > 0]] = np.nan
    return returns


def count_market_days(interval: str) -> int:
    """Return how many days before a bar of an interval its market is looked at."""
    return MARKET_DAYS.get(interval, SEASON_DAYS)


def is_flat(values: Float64) -> Bools:
    """Return which rows of a matrix hold equal values, apart from rounding."""
    largest, smallest = values.max(axis=-1), values.min(axis=-1)
    flat: Bools = largest - smallest <= 1e-12 * np.maximum(np.abs(largest), np.abs(smallest))
    return flat
