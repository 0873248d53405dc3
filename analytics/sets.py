"""Metrics of a set of tickers: correlations, clusters, and which pairs move together."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from analytics.subject import STATISTICS, YEAR, compute_returns
from core.arrays import Float64, Int64
from market.bars.panel import BarPanel

LEAST_COMMON = 30
LEAST_PAIR = 100
MOST_PAIRS = 45
CUT = 0.7
"""Distance sqrt(2 (1 - rho)) at which clusters are told apart, which is a rho of .755."""


@dataclass(frozen=True, slots=True)
class Correlations:
    """The correlations of k tickers.

    Attributes:
        matrix: shape (k, k), correlations; NaN where two tickers have fewer than 30 common bars.
        common: shape (k, k), the number of common bars with a return.
        order: shape (k,), the positions in an order that puts similar tickers side by side.
        clusters: shape (k,), the number of each ticker's cluster, counted from 0 in that order.
    """

    matrix: Float64
    common: Int64
    order: Int64
    clusters: Int64


def compute_correlation_matrix(panel: BarPanel, last: int) -> Correlations:
    """Compute Pearson's correlations of returns over the last 60 bars up to `last` (UTC seconds).

    A bar is any time at which one of the tickers has one; pairs count the bars they share.
    """
    returns = _lay_out(panel, compute_returns(panel), last, STATISTICS)
    held = np.isfinite(returns)
    counts = held.sum(axis=0)
    mean = np.where(held, returns, 0.0).sum(axis=0) / np.maximum(counts, 1)
    off, mask = np.where(held, returns - mean, 0.0), held.astype(np.float64)
    common = mask.T @ mask
    sums, squares = off.T @ mask, (off**2).T @ mask
    with np.errstate(invalid="ignore", divide="ignore"):
        products = off.T @ off - sums * sums.T / common
        spread = squares - sums**2 / common
        matrix = products / np.sqrt(spread * spread.T)
    flat = spread <= 1e-20 * squares
    matrix[(common < LEAST_COMMON) | flat | flat.T] = np.nan
    matrix = np.clip(matrix, -1.0, 1.0)
    order, clusters = _cluster(matrix)
    return Correlations(matrix, common.astype(np.int64), order, clusters)


def compute_cointegration(
    panel: BarPanel, last: int, checkpoint: Callable[[float], None] = lambda _fraction: None
) -> list[dict[str, Any]]:
    """Compute Engle and Granger's test of each pair's log prices over 250 common bars.

    A pair takes some hundredths of a second; before each pair `checkpoint` is called with the
    fraction that is done.

    `hedge_ratio` is the slope of the first's log price on the second's. `half_life` is the number
    of bars in which half of a departure disappears, None where departures do not shrink. Raises
    ValueError for more than 45 pairs.
    """
    pairs = list(combinations(range(len(panel.tickers)), 2))
    if len(pairs) > MOST_PAIRS:
        raise ValueError(f"{len(pairs)} pairs were asked for, at most {MOST_PAIRS} are tested")
    prices = _lay_out(panel, np.log(panel.close), last, None)
    found: list[dict[str, Any]] = []
    for i, j in pairs:
        checkpoint(len(found) / len(pairs))
        names = {"tickers": [panel.tickers[i], panel.tickers[j]]}
        found.append(names | _test_pair(prices[:, i], prices[:, j]))
    return found


def _test_pair(one: Float64, other: Float64) -> dict[str, Any]:
    from statsmodels.tsa.stattools import coint  # noqa: PLC0415 - loads slowly, and few ask for it

    common = np.flatnonzero(np.isfinite(one) & np.isfinite(other))[-YEAR:]
    nothing: dict[str, Any] = dict.fromkeys(("p_value", "hedge_ratio", "half_life"))
    if common.size < LEAST_PAIR:
        return nothing | {"missing": {"needed": LEAST_PAIR, "have": int(common.size)}}
    y, x = one[common], other[common]
    off = x - x.mean()
    if np.ptp(x) <= 1e-12 or np.ptp(y) <= 1e-12:
        return nothing | {"missing": {"reason": "flat"}}
    slope = float((off * y).sum() / (off**2).sum())
    residual = y - y.mean() - slope * off
    if np.ptp(residual) <= 1e-9 * np.ptp(y):
        # Both are the same series, so there is nothing to test.
        return nothing | {"hedge_ratio": slope, "missing": {"reason": "flat"}}
    before, change = residual[:-1], np.diff(residual)
    centred = before - before.mean()
    pull = 1.0 + float((centred * change).sum() / (centred**2).sum())
    half_life = float(-np.log(2.0) / np.log(pull)) if 0.0 < pull < 1.0 else None
    return {
        "p_value": float(coint(y, x, trend="c", autolag="aic")[1]),
        "hedge_ratio": slope,
        "half_life": half_life,
        "bars": int(common.size),
    }


def _lay_out(panel: BarPanel, values: Float64, last: int, count: int | None) -> Float64:
    """Return values by time and series, (t, k), of the last `count` times up to `last`."""
    within = panel.times <= last
    times = np.unique(panel.times[within])
    times = times if count is None else times[-count:]
    series = np.repeat(np.arange(len(panel.tickers)), np.diff(panel.offsets))
    kept = within & (panel.times >= times[0]) if times.size else within
    found = np.full((times.size, len(panel.tickers)), np.nan)
    found[np.searchsorted(times, panel.times[kept]), series[kept]] = values[kept]
    return found


def _cluster(matrix: Float64) -> tuple[Int64, Int64]:
    """Return an order in which alike tickers lie side by side, and each one's cluster.

    Average linkage of sqrt(2 (1 - rho)); tickers without a correlation count as unrelated.
    """
    k = matrix.shape[0]
    if k < 2:
        return np.arange(k), np.zeros(k, np.int64)
    distance = np.sqrt(2.0 * (1.0 - np.nan_to_num(matrix)))
    distance = (distance + distance.T) / 2.0
    np.fill_diagonal(distance, 0.0)
    tree = hierarchy.linkage(
        squareform(distance, checks=False), method="average", optimal_ordering=True
    )
    order = hierarchy.leaves_list(tree).astype(np.int64)
    labels = hierarchy.fcluster(tree, CUT, criterion="distance")[order]
    clusters = np.concatenate(([0], np.cumsum(np.diff(labels) != 0)))
    unsorted = np.empty(k, np.int64)
    unsorted[order] = clusters
    return order, unsorted
