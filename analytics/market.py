"""What all tickers of a market do together: benchmark, breadth, regimes."""

import math
from dataclasses import dataclass

import numpy as np

from analytics.correlation import LEAST_TICKERS
from analytics.kernels import roll_deviation, roll_mean
from analytics.regime import REGIMES, classify
from analytics.subject import FAST, STATISTICS, Surroundings, compute_returns
from analytics.trend import SLOW
from core.arrays import Float64, Int64
from market.bars.panel import BarPanel

INDEXES: dict[str, str] = {"US": "^GSPC", "JP": "^N225", "TH": "^SET.BK"}
"""The index series of a market, which is its benchmark where it is stored."""
LEAST_OTHERS = 3


@dataclass(frozen=True, slots=True)
class MarketBars:
    """The stocks of a market by the times of their bars.

    Attributes:
        panel: the bars of all tickers of the market and interval.
        times: shape (t,), the times at which any ticker has a bar, ascending.
        stocks: shape (k,), the panel's series that are not indices.
        returns: shape (t, k), log returns of the stocks, NaN where a stock has none.
        index: shape (t,), log returns of the index series; None if no index is stored.
    """

    panel: BarPanel
    times: Int64
    stocks: Int64
    returns: Float64
    index: Float64 | None


@dataclass(frozen=True, slots=True)
class MarketBar:
    """What a market did at one time.

    Attributes:
        time: UTC seconds.
        tickers: the number of stocks that have a return at this bar.
        regimes: the number of stocks in each regime.
        advance_decline: (advancers - decliners) / (advancers + decliners); None if nothing moved.
        above_sma_50: the share of stocks whose close is above their mean of 50 bars.
        market_return: median log return of the stocks.
        z: the market's return divided by its standard deviation in the 60 bars before.
    """

    time: int
    tickers: int
    regimes: dict[str, int]
    advance_decline: float | None
    above_sma_50: float | None
    market_return: float | None
    z: float | None


def arrange(panel: BarPanel, market: str, since: int) -> MarketBars:
    """Lay the bars of a market's tickers, from `since` (UTC seconds) on, out by time."""
    held = np.flatnonzero(panel.times >= since)
    times, places = np.unique(panel.times[held], return_inverse=True)
    returns = np.full((times.size, len(panel.tickers)), np.nan)
    returns[places, _number_series(panel)[held]] = compute_returns(panel)[held]
    is_index = np.array([ticker.startswith("^") for ticker in panel.tickers], np.bool_)
    named = INDEXES.get(market)
    index = returns[:, panel.tickers.index(named)] if named in panel.tickers else None
    stocks = np.flatnonzero(~is_index)
    return MarketBars(panel, times, stocks, np.ascontiguousarray(returns[:, stocks]), index)


def _number_series(panel: BarPanel) -> Int64:
    """Return the series of each row of a panel, shape (n,)."""
    return np.repeat(np.arange(len(panel.tickers)), np.diff(panel.offsets))


def surround(bars: MarketBars, panel: BarPanel, rows: Int64) -> Surroundings:
    """Return the market's values at each of the panel's `rows`, shape (m,)."""
    times, at = np.unique(panel.times[rows], return_inverse=True)
    tickers, difference, above = measure_breadth(bars, times)
    return Surroundings(align_benchmark(bars, panel), tickers[at], difference[at], above[at])


def align_benchmark(bars: MarketBars, panel: BarPanel) -> Float64:
    """Return the benchmark's return at each bar of a panel, shape (n,), NaN where none.

    It is the market's index, or else the median return of the other stocks, three at least. An
    index series itself has none.
    """
    found = np.full(panel.times.size, np.nan)
    if not bars.times.size:
        return found
    places = np.minimum(np.searchsorted(bars.times, panel.times), bars.times.size - 1)
    held = bars.times[places] == panel.times
    is_index = np.array([ticker.startswith("^") for ticker in panel.tickers], np.bool_)
    held &= ~np.repeat(is_index, np.diff(panel.offsets))
    if bars.index is not None:
        found[held] = bars.index[places[held]]
        return found
    columns = {bars.panel.tickers[k]: i for i, k in enumerate(bars.stocks.tolist())}
    own = np.array([columns.get(ticker, -1) for ticker in panel.tickers], np.int64)
    medians = _leave_one_out(bars.returns)
    column = np.repeat(own, np.diff(panel.offsets))
    held &= column >= 0
    found[held] = medians[places[held], column[held]]
    return found


def measure_breadth(bars: MarketBars, times: Int64) -> tuple[Int64, Float64, Float64]:
    """Return the stocks with a return, and both measures of breadth, at each time; all (m,)."""
    places = np.searchsorted(bars.times, times)
    returns = bars.returns[places]
    up, down = (returns > 0.0).sum(axis=1), (returns < 0.0).sum(axis=1)
    tickers = np.isfinite(returns).sum(axis=1)
    difference = np.where(up + down > 0, (up - down) / np.maximum(up + down, 1), np.nan)
    panel = bars.panel
    mean = roll_mean(panel.close, panel.offsets, SLOW)
    series = _number_series(panel)
    wanted = np.isin(panel.times, times) & np.isfinite(mean) & np.isin(series, bars.stocks)
    at = np.searchsorted(times, panel.times[wanted])
    counts = np.bincount(at, minlength=times.size)
    over = np.bincount(at, panel.close[wanted] > mean[wanted], times.size)
    return tickers, difference, np.where(counts > 0, over / np.maximum(counts, 1), np.nan)


def describe_market(bars: MarketBars, times: Int64) -> list[MarketBar]:
    """Return what the market did at each of `times`, shape (m,), ascending,
    where a stock has a return.
    """
    places = np.searchsorted(bars.times, times)
    times = times[np.isfinite(bars.returns[places]).any(axis=1)]
    if not times.size:
        return []
    tickers, difference, above = measure_breadth(bars, times)
    with np.errstate(invalid="ignore"):
        some = np.isfinite(bars.returns).any(axis=1)
        returns = np.full(bars.times.size, np.nan)
        returns[some] = np.nanmedian(bars.returns[some], axis=1)
    offsets = np.array([0, returns.size], np.int64)
    usual = np.append(np.nan, roll_deviation(returns, offsets, STATISTICS))[:-1]
    usual = np.where(usual > 0.0, usual, np.nan)
    at = np.searchsorted(bars.times, times)
    counts = _count_regimes(bars, times)
    enough = tickers >= LEAST_TICKERS
    columns = (
        times,
        tickers,
        np.where(enough, difference, np.nan),
        np.where(enough, above, np.nan),
        returns[at],
        returns[at] / usual[at],
    )
    found = []
    for i, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        numbers = [None if math.isnan(value) else value for value in row[2:]]
        regimes = {name: n for name, n in zip(REGIMES, counts[i].tolist(), strict=True) if n}
        found.append(MarketBar(row[0], row[1], regimes, *numbers))
    return found


def _count_regimes(bars: MarketBars, times: Int64) -> Int64:
    """Return how many stocks are in each regime at each time, shape (m, 8)."""
    panel = bars.panel
    series = _number_series(panel)
    rows = np.flatnonzero(np.isin(panel.times, times) & np.isin(series, bars.stocks))
    own = series[rows]
    deviations = roll_deviation(compute_returns(panel), panel.offsets, FAST)
    firsts = panel.offsets[own] - panel.first_index[own]
    regimes = classify(panel, deviations, firsts, rows)[3]
    known = np.isfinite(regimes)
    at = np.searchsorted(times, panel.times[rows[known]])
    cells = at * len(REGIMES) + regimes[known].astype(np.int64)
    counts: Int64 = np.bincount(cells, minlength=times.size * len(REGIMES))
    return counts.reshape(times.size, len(REGIMES))


def _leave_one_out(returns: Float64) -> Float64:
    """Return the median of the other columns' values of each row, shape (t, k).

    NaN where fewer than three others have one.
    """
    ordered = np.sort(returns, axis=1)
    held = np.isfinite(returns)
    count = held.sum(axis=1)

    def take(places: Int64) -> Float64:
        clipped = np.clip(places, 0, returns.shape[1] - 1)
        return np.take_along_axis(ordered, clipped[:, None], axis=1)

    def middle(place: Int64) -> Float64:
        # If a ticker's own value is taken out, the values behind it move up.
        return np.where(returns <= take(place), take(place + 1), take(place))

    without = (middle((count - 2) // 2) + middle((count - 1) // 2)) / 2.0
    whole = (take((count - 1) // 2) + take(count // 2)) / 2.0
    others = count[:, None] - held
    return np.where(others >= LEAST_OTHERS, np.where(held, without, whole), np.nan)
