"""Regime: which of eight states a series is in, by ranks within its own trailing year."""

from typing import Any, get_args

import numpy as np

from analytics.kernels import find_regimes, roll_mean
from analytics.metric import Regime
from analytics.subject import YEAR, Column, Subject
from core.arrays import Bools, Float64, Int64, freeze
from market.bars.panel import BarPanel

REGIMES: tuple[str, ...] = get_args(Regime)
LOW, HIGH = 0.3, 0.7
VOLUME_BARS = 5
NEEDED = YEAR + 21
LONGEST = 100
"""Bars back that the beginning of a regime is looked for."""
FIRM = 0.2
"""Distance from every boundary at which a regime's confidence is whole."""


def compute_regime(s: Subject) -> Column:
    """Compute the regime, its levels, how sure it is and how long it has lasted."""
    firsts = s.firsts - s.panel.first_index[s.series]
    v, q, u, regimes, ages = classify(s.panel, s.deviations, firsts, s.rows)
    confidence = compute_confidence(v, q, u)
    columns = (v, q, u, regimes, ages, confidence)
    values: list[Any] = [
        describe(*row) if np.isfinite(row[3]) else None
        for row in zip(*(column.tolist() for column in columns), strict=True)
    ]
    reasons = ["no_volume" if np.isfinite(rank) else "flat" for rank in v.tolist()]
    return Column(values, reason=reasons)


def classify(panel: BarPanel, deviations: Float64, firsts: Int64, rows: Int64) -> Float64:
    """Return v, q, u, number of the regime and its age for each of the panel's `rows`, (5, m).

    firsts: (m,), the row, which may lie before the panel, of the first stored bar of each series.
    """
    volumes = roll_mean(panel.volume, panel.offsets, VOLUME_BARS)
    found: Float64 = find_regimes(
        (freeze(panel.close), freeze(deviations), freeze(volumes)),
        firsts,
        rows,
        (NEEDED, YEAR, LONGEST),
        (LOW, HIGH),
    )
    return found


def compute_confidence(v: Float64, q: Float64, u: Float64) -> Float64:
    """Return 1/2 to 1 by the least distance to a boundary that would have to be crossed."""
    trending = (v >= HIGH) & (q >= HIGH)
    bounded = np.where(trending, np.abs(np.abs(u) - 1.0) / 4.0, np.inf)
    least = np.minimum(np.minimum(_distance(v), _distance(q)), bounded)
    return 0.5 + 0.5 * np.minimum(1.0, least / FIRM)


def describe(
    v: float, q: float, u: float, regime: float, age: float, confidence: float
) -> dict[str, Any]:
    """Return the regime of a bar as documents and answers hold it."""
    return {
        "regime": REGIMES[int(regime)],
        "volatility_level": _level(v),
        "volume_level": _level(q),
        "trend_direction": "bullish" if u > 1.0 else "bearish" if u < -1.0 else "neutral",
        "confidence": confidence,
        "since": int(age) if np.isfinite(age) else None,
    }


def _level(rank: float) -> str:
    return "high" if rank >= HIGH else "low" if rank <= LOW else "medium"


def _distance(rank: Float64) -> Float64:
    """Return how far a rank is from the nearest boundary of its level."""
    between: Bools = (rank > LOW) & (rank < HIGH)
    inner = np.minimum(rank - LOW, HIGH - rank)
    outer = np.where(rank >= HIGH, rank - HIGH, LOW - rank)
    return np.where(between, inner, outer)
