"""Bars become the 14 documented features and a model's inputs, for many series in one call."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from core.arrays import Float32, Float64, Int64
from detection.features.feature_sets import FeatureSet
from detection.features.kernel import COLUMNS, MEASURES, run_kernel
from detection.features.names import FEATURES
from market.bars.history import ANCHOR_BARS, count_history_bars
from market.bars.panel import BarPanel

Column = TypeVar("Column", Float64, Int64)

INTERVALS_OVER_SESSIONS = ("1d", "1w")


@dataclass(frozen=True, slots=True)
class Features:
    """What was computed: m bars, the series one after another, each ascending by time.

    Attributes:
        rows: shape (m,), their rows in the panel.
        documented: shape (m, 14), the features of `FEATURES`, in the units of the price.
        inputs: shape (m, d), the columns of the feature set, free of scale, on a grid that float32
            holds exactly.
        measures: shape (m, 12), how far each bar is from the ticker's usual, by `MEASURES`; for
            words, not for models.
        warm_up: shape (k,), wanted bars of each series that were left out for want of history.
    """

    rows: Int64
    documented: Float64
    inputs: Float32
    measures: Float32
    warm_up: Int64


def compute_features(panel: BarPanel, first_rows: Int64, feature_set: FeatureSet) -> Features:
    """Compute the features of every bar of series s from panel row `first_rows[s]` (shape (k,)) on.

    A bar's values depend on the stored series alone, not on where the panel begins.
    Raises ValueError when the panel does not reach back as far as `history_start` asks.
    """
    starts, stops = panel.offsets[:-1], panel.offsets[1:]
    shift = panel.first_index - starts
    wanted = np.clip(first_rows, starts, stops)
    first = np.clip(feature_set.warm_up_bars - shift, wanted, stops)
    history_bars, intraday = (
        count_history_bars(panel.interval),
        panel.interval not in INTERVALS_OVER_SESSIONS,
    )
    all_history = feature_set.count_history_bars(panel.interval)
    clock_bars = all_history - ANCHOR_BARS if feature_set.sessions else 0
    needed = np.maximum((first + shift) // ANCHOR_BARS * ANCHOR_BARS - all_history, 0)
    for s in np.flatnonzero((panel.first_index > needed) & (first < stops)):
        raise ValueError(
            f"{panel.tickers[s]}: bars from position {needed[s]} on are needed, "
            f"the panel has them from {panel.first_index[s]} on"
        )
    counts = stops - first
    ends = np.cumsum(counts)
    total = int(ends[-1]) if ends.size else 0
    documented = np.empty((total, len(FEATURES)))
    inputs = np.empty((total, len(feature_set.columns)), np.float32)
    measures = np.empty((total, len(MEASURES)), np.float32)
    picked = np.array([COLUMNS.index(name) for name in feature_set.columns], np.int64)
    run_kernel(
        (
            _freeze(panel.open),
            _freeze(panel.high),
            _freeze(panel.low),
            _freeze(panel.close),
            _freeze(panel.volume),
        ),
        (_freeze(panel.sessions), _freeze(panel.clocks)),
        (
            _freeze(panel.offsets),
            _freeze(panel.first_index),
            _freeze(first),
            _freeze(ends - counts),
        ),
        (ANCHOR_BARS, history_bars, int(intraday), clock_bars),
        _freeze(picked),
        (documented, inputs, measures),
    )
    rows = np.arange(total) + np.repeat(first - (ends - counts), counts)
    return Features(rows, documented, inputs, measures, first - wanted)


def _freeze(column: Column) -> Column:
    """Return a contiguous read-only view: the kernel is compiled for these alone,
    and stored columns already are.
    """
    view = np.ascontiguousarray(column).view()
    view.flags.writeable = False
    return view
