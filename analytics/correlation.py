"""Correlation: how a series moves with its market."""

import math
from typing import Any

import numpy as np

from analytics.kernels import roll_correlation, roll_deviation
from analytics.subject import FAST, YEAR, Column, Subject, count_market_days, is_flat
from core.arrays import Bools, Float64, Int64
from market.intervals import DAY_SECONDS

SHORT, HALF_YEAR = 30, 120
LAGS = 10
LEAST_TICKERS = 10
SHRINK = 0.67
LEAST_REGRESSION, LEAST_LAG = 60, 119


def compute_rolling_correlation(s: Subject) -> Column:
    """Compute the correlation of 30 returns with the benchmark's."""
    correlations = s.once(_roll)[:, -1]
    return _judge(s, correlations, SHORT, SHORT)


def compute_beta(s: Subject) -> Column:
    """Compute the least-squares slope on the benchmark, shrunk a third of the way towards 1."""
    own, market, _ = s.once(_share_year)
    slope = (own * market).sum(axis=1) / (market**2).sum(axis=1)
    return _judge(s, SHRINK * slope + (1.0 - SHRINK), YEAR, LEAST_REGRESSION)


def compute_cross_correlation_lag(s: Subject) -> Column:
    """Compute by how many bars the benchmark leads, if the correlation is larger than chance
    explains.
    """
    own, market, common = s.once(_share_year)
    scale = np.sqrt((own**2).sum(axis=1) * (market**2).sum(axis=1))
    lags = np.arange(-LAGS, LAGS + 1)
    rho = np.empty((s.size, lags.size))
    for j, k in enumerate(lags.tolist()):
        one, other = (own[:, k:], market[:, : YEAR - k]) if k >= 0 else (own[:, :k], market[:, -k:])
        rho[:, j] = np.abs((one * other).sum(axis=1)) / scale
    best = np.where(np.isnan(rho), -1.0, rho).argmax(axis=1)
    most = np.take_along_axis(rho, best[:, None], axis=1)[:, 0]
    usable = (most > 1.96 / np.sqrt(common.sum(axis=1))) & (most > rho[:, LAGS])
    values = [int(lag) if ok else None for lag, ok in zip(lags[best].tolist(), usable, strict=True)]
    reasons = np.where(np.isnan(most), "flat", "not_significant").tolist()
    return _judge(s, values, YEAR, LEAST_LAG, reasons)


def compute_volatility_correlation(s: Subject) -> Column:
    """Compute the correlation of 120 rolling deviations with the benchmark's."""
    theirs = roll_deviation(_benchmark(s), s.panel.offsets, FAST)
    found = roll_correlation(s.deviations, theirs, s.firsts, s.rows, HALF_YEAR, 1)[:, 0]
    mine, market = s.window(s.deviations, HALF_YEAR), s.window(theirs, HALF_YEAR)
    found[is_flat(mine) | is_flat(market)] = np.nan
    return _judge(s, found, HALF_YEAR + FAST, HALF_YEAR + FAST)


def compute_market_breadth(s: Subject) -> Column:
    """Compute advancers less decliners, and the share above their 50-bar mean, of the market."""
    if s.around is None:
        return Column([None] * s.size, reason="no_benchmark")
    around = s.around
    values: list[Any] = []
    for count, difference, share in zip(
        around.tickers.tolist(),
        around.advance_decline.tolist(),
        around.above_mean.tolist(),
        strict=True,
    ):
        found = {
            "advance_decline": None if math.isnan(difference) else difference,
            "above_sma_50": None if math.isnan(share) else share,
        }
        values.append(found if count >= LEAST_TICKERS else None)
    return Column(values, have=around.tickers, of="tickers")


def compute_correlation_stability(s: Subject) -> Column:
    """Compute the deviation of 120 rolling correlations, as their inverse hyperbolic tangents."""
    correlations = s.once(_roll)
    with np.errstate(divide="ignore"):
        found = np.arctanh(correlations).std(axis=1, ddof=1)
    found[~np.isfinite(found)] = np.nan
    return _judge(s, found, HALF_YEAR + SHORT, HALF_YEAR + SHORT)


def _benchmark(s: Subject) -> Float64:
    if s.around is None:
        return np.full(s.returns.size, np.nan)
    return s.around.benchmark


def _roll(s: Subject) -> Float64:
    """Return the last 120 correlations of 30 returns of each bar, shape (m, 120)."""
    found: Float64 = roll_correlation(s.returns, _benchmark(s), s.firsts, s.rows, SHORT, HALF_YEAR)
    return found


def _share_year(s: Subject) -> tuple[Float64, Float64, Bools]:
    """Return centred returns of the last 250 bars, the benchmark's, and where both have one.

    Each of shape (m, 250); 0 stands where one of the two has no return.
    """
    own, market = s.window(s.returns, YEAR), s.window(_benchmark(s), YEAR)
    common: Bools = np.isfinite(own) & np.isfinite(market)
    counts = common.sum(axis=1, keepdims=True)

    def centre(values: Float64) -> Float64:
        values = np.where(common, values, 0.0)
        off: Float64 = np.where(common, values - values.sum(axis=1, keepdims=True) / counts, 0.0)
        # What rounding leaves of equal returns counts as no move.
        flat = np.abs(off).max(axis=1) <= 1e-12 * np.abs(values).max(axis=1)
        off[flat] = 0.0
        return off

    return centre(own), centre(market), common


def _judge(
    s: Subject,
    values: Float64 | list[Any],
    window: int,
    least: int,
    reasons: str | list[str] = "flat",
) -> Column:
    """Return a column whose missing values say whether the benchmark is the cause.

    If the benchmark has fewer than `least` returns in the window, the metric is null: the reason
    gives the number of common bars, or says that there is no benchmark.
    """
    counts = _count_common(s, window)
    enough = (counts >= least) & ~s.once(_find_sparse)
    words = [reasons] * s.size if isinstance(reasons, str) else reasons
    named = [word if count else "no_benchmark" for word, count in zip(words, counts, strict=True)]
    for i in np.flatnonzero(s.once(_find_sparse) & (counts > 0)).tolist():
        named[i] = "sparse"
    if isinstance(values, list):
        kept: Any = [value if ok else None for value, ok in zip(values, enough, strict=True)]
    else:
        kept = np.where(enough, values, np.nan)
    have = np.where(counts > 0, np.minimum(s.have, counts + 1), s.have)
    return Column(kept, reason=named, have=have)


def _find_sparse(s: Subject) -> Bools:
    """Return the bars whose last 250 bars reach further back than the market is loaded."""
    first = np.maximum(s.rows - YEAR, s.firsts)
    longest = count_market_days(s.panel.interval) * DAY_SECONDS
    sparse: Bools = s.panel.times[s.rows] - s.panel.times[first] > longest
    return sparse


def _count_common(s: Subject, window: int) -> Int64:
    both = np.isfinite(s.window(s.returns, window)) & np.isfinite(s.window(_benchmark(s), window))
    counts: Int64 = both.sum(axis=1)
    return counts
