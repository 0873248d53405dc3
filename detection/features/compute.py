"""Bars become the 14 documented features and a model's inputs, for many series in one call."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from core.arrays import Bools, Float32, Float64, Int64
from detection.features.feature_sets import EVENT_COLUMNS, FeatureSet
from detection.features.kernel import COLUMNS, GRID, MEASURES, run_kernel
from detection.features.market_move import MARKET_WEIGHT, MarketDays
from detection.features.names import FEATURES
from market.bars.history import ANCHOR_BARS, count_clock_bars, count_history_bars
from market.bars.no_trade import mark_no_trade
from market.bars.panel import BarPanel
from market.bars.segments import LONGEST_PAUSE_SECONDS, find_segments

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
        measures: shape (m, 14), how far each bar is from the ticker's usual, by `MEASURES`; for
            words, not for models.
        warm_up: shape (k,), wanted bars of each series that were left out for want of history.
        no_trade: shape (k,), those that were set aside because nothing traded.
    """

    rows: Int64
    documented: Float64
    inputs: Float32
    measures: Float32
    warm_up: Int64
    no_trade: Int64


def compute_features(
    panel: BarPanel,
    first_rows: Int64,
    feature_set: FeatureSet,
    market: MarketDays | None = None,
) -> Features:
    """Compute the features of every bar of series s from panel row `first_rows[s]` (shape (k,)) on.

    A bar's values depend on the stored series, and on the `market` where the set has columns of it,
    not on where the panel begins. Without a market these columns are 0. A series starts anew after
    a pause of more than a year.
    Raises ValueError when the panel does not reach back as far as `history_start` asks.
    """
    starts, stops = panel.offsets[:-1], panel.offsets[1:]
    wanted = np.clip(first_rows, starts, stops)
    shift = panel.first_index - starts
    first = np.clip(feature_set.warm_up_bars - shift, wanted, stops)
    _check_history(panel, first, feature_set)
    positions = np.arange(panel.times.size) + np.repeat(shift, np.diff(panel.offsets))
    kept = _find_kept(panel, feature_set)
    if kept is None:
        computed = _run(panel, slice(None), positions, panel.offsets, first, feature_set)
        found = Features(*computed, first - wanted, np.zeros_like(wanted))
        return _add_market(found, panel, feature_set, market)
    # A series that paused for long starts anew: its yardsticks were another's.
    offsets, series = find_segments(panel.times[kept], kept.searchsorted(panel.offsets))
    first_kept = np.clip(kept.searchsorted(first)[series], offsets[:-1], offsets[1:])
    rows, documented, inputs, measures = _run(
        panel, kept, positions[kept], offsets, first_kept, feature_set
    )
    known = _find_known(rows, offsets, positions[kept], feature_set, panel.interval)
    rows = kept[rows[known]]
    counts = np.diff(rows.searchsorted(panel.offsets))
    no_trade = stops - wanted - (kept.searchsorted(stops) - kept.searchsorted(wanted))
    warm_up = stops - wanted - no_trade - counts
    found = Features(rows, documented[known], inputs[known], measures[known], warm_up, no_trade)
    return _add_market(found, panel, feature_set, market)


def _add_market(
    features: Features, panel: BarPanel, feature_set: FeatureSet, market: MarketDays | None
) -> Features:
    """Put the market's move into the columns of events."""
    if feature_set.sees_market and market is not None:
        ratios = market.look_up(panel.times[features.rows])
        moved = np.rint(ratios * np.sqrt(MARKET_WEIGHT) * GRID) / GRID
        for name in EVENT_COLUMNS:
            column = features.inputs[:, feature_set.columns.index(name)]
            np.maximum(column, moved, out=column, casting="same_kind")
    return features


def _check_history(panel: BarPanel, first: Int64, feature_set: FeatureSet) -> None:
    """Raise ValueError where a panel lacks bars that the `first` row (k,) of a series needs."""
    starts, stops = panel.offsets[:-1], panel.offsets[1:]
    anchors = (first + panel.first_index - starts) // ANCHOR_BARS * ANCHOR_BARS
    needed = np.maximum(anchors - feature_set.count_history_bars(panel.interval), 0)
    for s in np.flatnonzero((panel.first_index > needed) & (first < stops)):
        raise ValueError(
            f"{panel.tickers[s]}: bars from position {needed[s]} on are needed, "
            f"the panel has them from {panel.first_index[s]} on"
        )


def mark_set_aside(panel: BarPanel, feature_set: FeatureSet) -> Bools:
    """Return which rows of a panel are set aside, shape (n,), as nothing traded."""
    if not feature_set.sets_no_trade_aside:
        return np.zeros(panel.times.size, np.bool_)
    prices = (panel.open, panel.high, panel.low, panel.close)
    return mark_no_trade(prices, panel.volume, panel.offsets[:-1])


def _find_kept(panel: BarPanel, feature_set: FeatureSet) -> Int64 | None:
    """Return the rows that are looked at, None where these are all and no series paused."""
    idle = mark_set_aside(panel, feature_set)
    if idle.any() or (np.diff(panel.times) > LONGEST_PAUSE_SECONDS).any():
        return np.flatnonzero(~idle)
    return None


def _run(
    panel: BarPanel,
    kept: Int64 | slice,
    positions: Int64,
    offsets: Int64,
    first: Int64,
    feature_set: FeatureSet,
) -> tuple[Int64, Float64, Float32, Float32]:
    """Return rows, documented features, inputs and measures of the `kept` bars of a panel.

    Rows, `offsets` and `first` count the kept bars. Rows without a warm-up have no values.
    """
    counts = offsets[1:] - first
    ends = np.cumsum(counts)
    total = int(ends[-1]) if ends.size else 0
    documented = np.empty((total, len(FEATURES)))
    inputs = np.zeros((total, len(feature_set.columns)), np.float32)
    measures = np.empty((total, len(MEASURES)), np.float32)
    picked = np.array([COLUMNS.index(name) for name in feature_set.columns], np.int64)
    sessions = feature_set.sessions
    run_kernel(
        (
            _freeze(panel.open[kept]),
            _freeze(panel.high[kept]),
            _freeze(panel.low[kept]),
            _freeze(panel.close[kept]),
            _freeze(panel.volume[kept]),
        ),
        (_freeze(panel.sessions[kept]), _freeze(panel.clocks[kept]), _freeze(positions)),
        (_freeze(offsets), _freeze(first), _freeze(ends - counts)),
        (
            ANCHOR_BARS,
            count_history_bars(panel.interval),
            int(panel.interval not in INTERVALS_OVER_SESSIONS),
            count_clock_bars(panel.interval, sessions) if sessions else 0,
            feature_set.warm_up_bars,
        ),
        _freeze(picked),
        (documented, inputs, measures),
    )
    rows = np.arange(total) + np.repeat(first - (ends - counts), counts)
    return rows, documented, inputs, measures


def _find_known(
    rows: Int64, offsets: Int64, positions: Int64, feature_set: FeatureSet, interval: str
) -> Bools:
    """Return which of the kept `rows` have a full warm-up of kept bars within their history."""
    series = np.searchsorted(offsets, np.arange(positions.size), side="right") - 1
    keys = series * 2**40 + positions
    history = count_history_bars(interval)
    anchors = positions[rows] // ANCHOR_BARS * ANCHOR_BARS
    begin = np.searchsorted(keys, series[rows] * 2**40 + np.maximum(anchors - history, 0))
    return rows - begin >= feature_set.warm_up_bars


def _freeze(column: Column) -> Column:
    """Return a contiguous read-only view: the kernel is compiled for these alone,
    and stored columns already are.
    """
    view = np.ascontiguousarray(column).view()
    view.flags.writeable = False
    return view
