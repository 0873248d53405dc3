"""What a metric is: its name, unit, formula and source, and how many bars it needs."""

from dataclasses import dataclass
from typing import Literal

SET = "analytics/1"
"""Name and version of all definitions together; a change of any definition raises it."""

Category = Literal[
    "volatility",
    "volume",
    "spread",
    "trend",
    "deviation",
    "seasonality",
    "correlation",
    "regime",
]
Regime = Literal[
    "bullish_acceleration",
    "bearish_acceleration",
    "breakout_phase",
    "turbulent_illiquidity",
    "stable_accumulation",
    "consolidation",
    "balanced_market",
    "transitional",
]
"""In the order in which their conditions are asked."""

Scope = Literal["series", "market", "set"]

REASONS: dict[str, str] = {
    "flat": "nothing moved in the window",
    "no_volume": "no bar of the window has a volume",
    "no_depth": "no order book of the ticker is stored within the bar",
    "no_trades": "no trades of the ticker are stored",
    "no_benchmark": "the market has neither an index series nor three other tickers on these bars",
    "sparse": "its last 250 bars cover too long a time to be compared with the market's",
    "not_significant": "the result is no larger than noise would give",
    "daily_bars": "bars of a day or longer have no hour",
    "weekly_bars": "bars of a week have no weekday",
    "negative_variance": "the estimate of the variance is below zero",
}
"""Why a metric may be null although its series has enough bars."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, or a regime, as the catalogue lists it.

    The function `compute_<name>` of the module `analytics.<category>` computes it for many bars at
    once. What is of a set of tickers is computed by `analytics.sets` when somebody asks for it.

    Attributes:
        name: the name in documents, answers and documentation.
        category: the group, of eight, in which it is shown.
        unit: the unit of the value, or of each of its parts.
        window: the number of trailing bars that it is computed from; None if it has no fixed
            window.
        needed: the least number of bars or, for a metric of the market, of tickers.
        formula: the formula, in the notation of the field.
        source: the paper, book or library that defines it.
        reasons: the words of `REASONS` that may explain a null.
        scope: whether it describes a series, a whole market or a set of tickers.
    """

    name: str
    category: Category
    unit: str
    window: int | None
    needed: int
    formula: str
    source: str
    reasons: tuple[str, ...] = ()
    scope: Scope = "series"
