"""Computes the 14 documented features of bars and a model's inputs, of many series in one call."""

from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Float32, Float64, Int64, freeze
from detection.features.feature_sets import EVENT_COLUMN, FeatureSet
from detection.features.kernel import COLUMNS, GRID, MEASURES, Bars, run_kernel
from detection.features.market_move import MARKET_WEIGHT, MarketDays
from detection.features.names import FEATURES
from market.bars.history import ANCHOR_BARS, count_clock_bars, count_history_bars
from market.bars.no_trade import mark_still
from market.bars.panel import BarPanel
from market.bars.segments import LONGEST_PAUSE_SECONDS, find_segments

INTERVALS_OVER_SESSIONS = ("1d", "1w")


@dataclass(frozen=True, slots=True)
class Features:
    """The features of m bars of k series, one series after another, each ascending by time.

    Attributes:
        rows: shape (m,), the bars' rows in the panel.
        inputs: shape (m, d), the columns of the feature set, free of scale, on a grid that float32
            holds exactly.
        measures: shape (m, 12), how far each bar is from the ticker's usual, by `MEASURES`; for
            words, not for models.
        warm_up: shape (k,), how many wanted bars of each series were left out for want of history.
        still: shape (k,), how many were set aside, as they stand still.
        series: the bars that the features were computed from.
        places: shape (m,), the bars' rows in `series`.
    """

    rows: Int64
    inputs: Float32
    measures: Float32
    warm_up: Int64
    still: Int64
    series: "_Series"
    places: Int64

    def document(self, picked: Int64) -> Float64:
        """Return `FEATURES` of the bars at the positions `picked` (q,), shape (q, 14), in the units
        of the price.

        They are computed on request, as only the few bars that become anomalies need them.
        """
        return self.series.document(self.places[picked])


@dataclass(frozen=True, slots=True)
class _Series:
    """The bars of k series without those set aside, one series after another, as the kernel takes
    them.

    Attributes:
        bars, calendar, rules: as `run_kernel` takes them.
        offsets: shape (k + 1,), where each series begins.
    """

    bars: Bars
    calendar: tuple[Int64, Int64, Int64]
    rules: tuple[int, int, int, int, int]
    offsets: Int64

    @classmethod
    def of(
        cls,
        panel: BarPanel,
        kept: Int64 | slice,
        positions: Int64,
        offsets: Int64,
        feature_set: FeatureSet,
    ) -> "_Series":
        """Return the `kept` bars of a panel; `offsets` and `positions` are those of these bars."""
        sessions = feature_set.sessions
        return cls(
            (
                freeze(panel.open[kept]),
                freeze(panel.high[kept]),
                freeze(panel.low[kept]),
                freeze(panel.close[kept]),
                freeze(panel.volume[kept]),
            ),
            (freeze(panel.sessions[kept]), freeze(panel.clocks[kept]), freeze(positions)),
            (
                ANCHOR_BARS,
                count_history_bars(panel.interval),
                int(panel.interval not in INTERVALS_OVER_SESSIONS),
                count_clock_bars(panel.interval, sessions) if sessions else 0,
                feature_set.warm_up_bars,
            ),
            offsets,
        )

    def compute(self, first: Int64, feature_set: FeatureSet) -> tuple[Int64, Float32, Float32]:
        """Return the rows of each series from its `first` (k,) row on, their inputs and measures.

        Rows with fewer bars before them than the warm-up are left out.
        """
        stop = self.offsets[1:]
        total = int((stop - first).sum())
        rows = np.empty(total, np.int64)
        inputs = np.empty((total, len(feature_set.columns)), np.float32)
        measures = np.empty((len(MEASURES), total), np.float32)
        picked = np.array([COLUMNS.index(name) for name in feature_set.columns], np.int64)
        out = rows, np.empty((0, len(FEATURES))), inputs, measures
        count = self._run(np.arange(first.size), first, stop, picked, out)
        return rows[:count], inputs[:count], measures[:, :count].T

    def document(self, rows: Int64) -> Float64:
        """Return the documented features of some rows, all of which are past the warm-up."""
        documented = np.empty((rows.size, len(FEATURES)))
        of = np.searchsorted(self.offsets, rows, side="right") - 1
        follows = (np.diff(rows) == 1) & (np.diff(of) == 0)
        begins, ends = np.ones((2, rows.size), np.bool_)
        begins[1:], ends[:-1] = ~follows, ~follows
        nothing = np.empty((0, 0), np.float32), np.empty((len(MEASURES), 0), np.float32)
        out = np.empty_like(rows), documented, *nothing
        self._run(of[begins], rows[begins], rows[ends] + 1, np.empty(0, np.int64), out)
        return documented

    def _run(
        self,
        series: Int64,
        first: Int64,
        stop: Int64,
        picked: Int64,
        out: tuple[Int64, Float64, Float32, Float32],
    ) -> int:
        layout = freeze(self.offsets), freeze(series), freeze(first), freeze(stop)
        return int(run_kernel(self.bars, self.calendar, layout, self.rules, freeze(picked), out))


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
        series = _Series.of(panel, slice(None), positions, panel.offsets, feature_set)
        rows, inputs, measures = series.compute(first, feature_set)
        still = np.zeros_like(wanted)
        found = Features(rows, inputs, measures, first - wanted, still, series, rows)
        return _add_market(found, panel, feature_set, market)
    # After a pause of more than a year the series starts anew: the ticker may be another company's.
    offsets, of = find_segments(panel.times[kept], kept.searchsorted(panel.offsets))
    series = _Series.of(panel, kept, positions[kept], offsets, feature_set)
    first_kept = np.clip(kept.searchsorted(first)[of], offsets[:-1], offsets[1:])
    places, inputs, measures = series.compute(first_kept, feature_set)
    rows = kept[places]
    counts = np.diff(rows.searchsorted(panel.offsets))
    still = stops - wanted - (kept.searchsorted(stops) - kept.searchsorted(wanted))
    warm_up = stops - wanted - still - counts
    found = Features(rows, inputs, measures, warm_up, still, series, places)
    return _add_market(found, panel, feature_set, market)


def _add_market(
    features: Features, panel: BarPanel, feature_set: FeatureSet, market: MarketDays | None
) -> Features:
    """Put the market's ratio into `EVENT_COLUMN` where it is larger than the bar's own value."""
    if feature_set.sees_market and market is not None:
        ratios = market.look_up(panel.times[features.rows])
        moved = np.rint(ratios * np.sqrt(MARKET_WEIGHT) * GRID) / GRID
        column = features.inputs[:, feature_set.columns.index(EVENT_COLUMN)]
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
    """Return which rows of a panel are set aside, shape (n,), as they stand still.

    The first bar after a pause of more than a year is not compared with the bar before it, which
    may be another company's.
    """
    if not feature_set.sets_still_aside:
        return np.zeros(panel.times.size, np.bool_)
    prices = (panel.open, panel.high, panel.low, panel.close)
    return mark_still(prices, panel.volume, find_segments(panel.times, panel.offsets)[0][:-1])


def _find_kept(panel: BarPanel, feature_set: FeatureSet) -> Int64 | None:
    """Return the rows that are not set aside, None where no row is and no series paused long."""
    idle = mark_set_aside(panel, feature_set)
    if idle.any() or (np.diff(panel.times) > LONGEST_PAUSE_SECONDS).any():
        return np.flatnonzero(~idle)
    return None
