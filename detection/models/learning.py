"""Collects the rows that a model is fitted on from stored bars, in portions, so that memory does
not grow with the market.

A detector that looks at a bar's own row only gets a uniform sample of at most `MOST_ROWS` rows,
which is every row for up to some 400 tickers x 5 years of daily bars. A detector that looks back
gets whole series instead, drawn at random up to that number of bars.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from core.arrays import Bools, Int64
from detection.detectors.catalogue import get_detector
from detection.detectors.rows import SeriesRows
from detection.features.compute import Features, compute_features
from detection.features.market_move import MarketDays
from detection.market_days import has_days, read_days, refresh_days
from detection.models.plan import TrainingPlan, find_training_series
from detection.models.rows import join_rows, lay_out_rows
from detection.models.sampling import RowSample, draw_series
from detection.scoring.faults import mark_wrong
from market.bars.panel import BarPanel
from market.bars.store import load_panel
from records.database import Db
from records.market.documents import SeriesDocument

MOST_ROWS = 500_000
PORTION_BARS = 200_000

Checkpoint = Callable[[float], None]


@dataclass(slots=True)
class Seen:
    """The bars that a training has learned from so far; `first` and `last` are UTC seconds of the
    earliest and the latest bar.
    """

    rows: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    synthetic: bool = False
    first: int = sys.maxsize
    last: int = -sys.maxsize


@dataclass(frozen=True, slots=True)
class Learned:
    """The rows that a model is fitted on.

    Attributes:
        rows: the rows to learn from (wanted), and those that a detector looks back on before them.
        owners: shape (m,), the position in `markets` of each wanted row's market.
        markets: the codes of the markets.
        tickers: how many tickers were read.
        seen: the bars that were learned from.
    """

    rows: SeriesRows
    owners: Int64
    markets: tuple[str, ...]
    tickers: int
    seen: Seen


class _DrawnRows:
    """A sample of all rows, for a detector that looks at a bar's own row only."""

    def __init__(self, plan: TrainingPlan) -> None:
        # The last column is the number of the row's market.
        self._sample = RowSample(MOST_ROWS, len(plan.feature_set.columns) + 1, plan.seed)

    def add(self, shown: SeriesRows, market: int) -> None:
        owners = np.full(len(shown.wanted), market, np.float32)
        self._sample.add(np.column_stack((shown.get_wanted(), owners)))

    def join(self) -> tuple[SeriesRows, Int64]:
        drawn = self._sample.get_rows()
        rows = SeriesRows.of_one(np.ascontiguousarray(drawn[:, :-1]))
        return rows, drawn[:, -1].astype(np.int64)


class _WholeSeries:
    """All rows of some series, for a detector that looks back on earlier rows."""

    def __init__(self, plan: TrainingPlan) -> None:
        self._columns = len(plan.feature_set.columns)
        self._portions: list[SeriesRows] = []
        self._owners: list[Int64] = []

    def add(self, shown: SeriesRows, market: int) -> None:
        self._portions.append(shown)
        self._owners.append(np.full(len(shown.wanted), market))

    def join(self) -> tuple[SeriesRows, Int64]:
        return join_rows(self._portions, self._columns), np.concatenate(self._owners)


def learn_rows(database: Db, plan: TrainingPlan, checkpoint: Checkpoint) -> Learned:
    """Return the rows of stored bars that a model is fitted on.

    `checkpoint(fraction)` is called between two portions. Raises BadInput where there are no bars.
    """
    kind = get_detector(plan.detector)
    series = find_training_series(database, plan)
    if kind.history_bars:
        series = draw_series(series, MOST_ROWS, plan.seed)
    sample = _WholeSeries(plan) if kind.history_bars else _DrawnRows(plan)
    seen = Seen(synthetic=any(s["synthetic"] for s in series))
    start = None if plan.window_start is None else int(plan.window_start.timestamp())
    end = None if plan.window_end is None else int(plan.window_end.timestamp())
    codes = sorted({s["market"] for s in series})
    days = [_find_days(database, plan, code) for code in codes]
    done = 0
    for market, code in enumerate(codes):
        for portion in _split([s for s in series if s["market"] == code]):
            panel = load_panel(
                database,
                plan.interval,
                dict.fromkeys(portion, (start, end)),
                reach=lambda index, interval: plan.feature_set.reach(
                    max(0, index - kind.history_bars), interval
                ),
            )
            sample.add(_learn(panel, plan, days[market], seen), market)
            done += len(portion)
            checkpoint(done / len(series))
    rows, owners = sample.join()
    return Learned(rows, owners, tuple(codes), len(series), seen)


def _find_days(database: Db, plan: TrainingPlan, market: str) -> MarketDays | None:
    """Return a market's days, up to date; None where the model does not look at them."""
    if not plan.feature_set.sees_market or not has_days(plan.interval):
        return None
    refresh_days(database, market, plan.interval, datetime.now(UTC))
    return read_days(database, market, plan.interval)


def _split(series: Sequence[SeriesDocument]) -> Iterator[list[str]]:
    """Yield the tickers in portions of at most `PORTION_BARS` bars;
    a longer series is a portion of its own.
    """
    portion: list[str] = []
    bars = 0
    for document in series:
        if portion and bars + document["bars"] > PORTION_BARS:
            yield portion
            portion, bars = [], 0
        portion.append(document["ticker"])
        bars += document["bars"]
    yield portion


def _learn(
    panel: BarPanel,
    plan: TrainingPlan,
    market: MarketDays | None,
    seen: Seen,
) -> SeriesRows:
    """Return the rows of a panel, those in the training window wanted, and add these to `seen`."""
    start = None if plan.window_start is None else int(plan.window_start.timestamp())
    first = _find_first_rows(panel, start)
    kind = get_detector(plan.detector)
    features = compute_features(panel, first - kind.history_bars, plan.feature_set, market)
    wanted, bad = _select(panel, features, plan)
    wanted &= features.rows >= np.repeat(first, panel.count_rows(features.rows))
    # Rules find certain faults without a model. If they were learned from, the faults of a bad feed
    # would use up the share of bars that should pass the threshold.
    wanted[wanted] = ~mark_wrong(panel, features.rows[wanted], features, market)
    shown = lay_out_rows(panel, features, plan.feature_set, np.flatnonzero(wanted))
    shown = shown.want(shown.wanted[kind.find_known(shown, plan.parameters)])
    rows = features.rows[shown.wanted]
    if rows.size:
        times = panel.times[rows]
        seen.first = min(seen.first, int(times.min()))
        seen.last = max(seen.last, int(times.max()))
    counts = panel.count_rows(rows)
    for ticker, count in zip(panel.tickers, counts.tolist(), strict=True):
        if count:
            seen.rows[ticker] = count
        else:
            seen.left_out[ticker] = "bad_bars" if ticker in bad else "not_enough_bars"
    return shown


def _find_first_rows(panel: BarPanel, start: int | None) -> Int64:
    first = panel.offsets[:-1].copy()
    if start is not None:
        for s in range(len(panel.tickers)):
            first[s] += np.searchsorted(panel.times[panel.series(s)], start)
    return first


def _select(panel: BarPanel, features: Features, plan: TrainingPlan) -> tuple[Bools, set[str]]:
    """Return which feature rows to learn from, and the tickers that are left out because a bar is
    NaN or infinite.
    """
    wanted = np.ones(features.rows.size, dtype=np.bool_)
    if plan.window_end is not None:
        wanted &= panel.times[features.rows] <= int(plan.window_end.timestamp())
    finite = np.isfinite(panel.open + panel.high + panel.low + panel.close + panel.volume)
    bad = np.unique(panel.find_series(np.flatnonzero(~finite)))
    if bad.size:
        wanted &= ~np.isin(panel.find_series(features.rows), bad)
    return wanted, {panel.tickers[s] for s in bad}
