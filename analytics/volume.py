"""Volume: how much is traded, and whether buyers or sellers took the offers."""

from typing import Any

import numpy as np
from scipy.special import ndtr

from analytics.kernels import run_ema
from analytics.subject import FAST, Column, Subject, Taken
from core.arrays import Float64, Int64


def compute_total_volume(s: Subject) -> Column:
    """Compute the volume of the last 20 bars, or of as many as there are."""
    return Column(np.nansum(s.window(s.panel.volume, FAST), axis=1))


def compute_volume_sma(s: Subject) -> Column:
    """Compute the mean volume of 20 bars."""
    return Column(s.window(s.panel.volume, FAST).mean(axis=1))


def compute_volume_ema(s: Subject) -> Column:
    """Compute the exponential mean volume, alpha 2/21."""
    return Column(run_ema(s.panel.volume, s.starts, s.rows, FAST))


def compute_volume_delta(s: Subject) -> Column:
    """Compute what takers bought less what they sold, in the last bar and in 20 of them.

    A bar without trades is split by bulk classification: V (2 Phi(r/s) - 1).
    """
    share = s.returns / s.deviations
    bulk = s.panel.volume * (2.0 * ndtr(share) - 1.0)
    counted = np.zeros(bulk.size, np.bool_)
    if s.taken is not None:
        known = s.taken.bought - s.taken.sold
        counted = np.isfinite(known)
        bulk = np.where(counted, known, bulk)
    last, total = bulk[s.rows], s.window(bulk, FAST).sum(axis=1)
    methods = s.window(counted.astype(np.float64), FAST)
    values: list[Any] = []
    for i in range(s.size):
        if not np.isfinite(last[i]):
            values.append(None)
            continue
        whole = {0.0: "bulk", float(FAST): "trades"}.get(float(methods[i].sum()), "mixed")
        values.append(
            {
                "last": float(last[i]),
                "method": "trades" if methods[i, -1] else "bulk",
                "sum_20": float(total[i]) if np.isfinite(total[i]) else None,
                "method_20": whole if np.isfinite(total[i]) else None,
            }
        )
    return Column(values)


def compute_volume_spike_ratio(s: Subject) -> Column:
    """Compute the bar's volume over the median of the 20 bars before it."""
    usual = np.median(s.window(s.panel.volume, FAST + 1)[:, :-1], axis=1)
    usual = np.where(usual > 0.0, usual, np.nan)
    return Column(s.panel.volume[s.rows] / usual, reason="no_volume")


def sum_trades(times: Int64, amounts: Float64, takers: Int64, opens: Int64, closes: Int64) -> Taken:
    """Return what takers bought and sold within each bar.

    times: (t,), ascending, in the unit of `opens` and `closes`, (n,) each; a bar has the trades
    from its open up to but not including its close. takers: (t,), 1 buys, -1 sells, 0 unknown. NaN
    for a bar without a trade whose taker is known.
    """
    first, last = np.searchsorted(times, opens), np.searchsorted(times, closes)

    def add_up(values: Float64) -> Float64:
        sums = np.concatenate(([0.0], np.cumsum(values)))
        return sums[last] - sums[first]

    known = add_up((takers != 0).astype(np.float64)) > 0.0
    bought, sold = add_up(amounts * (takers > 0)), add_up(amounts * (takers < 0))
    return Taken(np.where(known, bought, np.nan), np.where(known, sold, np.nan))
