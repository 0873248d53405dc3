"""Planted faults: plants known faults into bars, and counts how many of them a version finds.

Each fault is planted into its own copy of a ticker's bars up to it, so that no fault changes the
measure of another. A hash of ticker and time chooses the bars and the faults, so that two versions
get the same ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from core.arrays import Float64, Int64
from core.words import PRICES
from detection.detectors.contract import score_rows
from detection.features.compute import compute_features
from detection.models.rows import lay_out_rows
from detection.pipeline.load import Load
from detection.scoring.faults import find_faults
from market.bars.buckets import VALUES
from market.bars.panel import BAR_COLUMNS, BarPanel

MOST_PLANTED = 140
STALE_BARS = 5
USUAL_BARS, RETURN_BARS = 14, 60
# A prime near the golden ratio of 2^32 (Knuth's multiplicative hashing), which draws bars at
# random.
SPREAD, HASHES = 2_654_435_761, 2**32

Columns = Mapping[str, Float64]


@dataclass(frozen=True, slots=True)
class Planted:
    """Copies of histories, each of which ends with a fault.

    Attributes:
        panel: the copies, one series for each fault.
        first: shape (m,), the row at which each fault begins.
    """

    panel: BarPanel
    first: Int64


def count_found(load: Load, rows: Int64) -> tuple[int, int]:
    """Return how many faults were planted on some of the `rows` (m,) of a load's panel, and how
    many of these the model, or a rule, finds.
    """
    model = load.model
    planted = plant_faults(load.panel, rows, model.reach)
    panel, history = planted.panel, model.history_bars
    if not panel.times.size:
        return 0, 0
    first = np.maximum(planted.first - history, panel.offsets[:-1])
    features = compute_features(panel, first, model.feature_set, load.market)
    is_of_fault = np.arange(panel.times.size) >= np.repeat(planted.first, np.diff(panel.offsets))
    shown = lay_out_rows(
        panel, features, model.feature_set, np.flatnonzero(is_of_fault[features.rows])
    )
    shown = shown.want(shown.wanted[model.find_known(shown)])
    strange = score_rows(model.detector, shown, below=model.threshold) < model.threshold
    judged = find_faults(panel, is_of_fault, features, load.market)
    hits = np.concatenate((features.rows[shown.wanted[strange]], [*judged.faults])).astype(np.int64)
    series = panel.find_series(hits)
    return planted.first.size, np.unique(series).size


def plant_faults(panel: BarPanel, rows: Int64, reach: Callable[[int, str], int]) -> Planted:
    """Plant a fault on at most `MOST_PLANTED` of the `rows` (m,) of a panel.

    `reach` returns the position of the first bar that is needed to compute the bar at a position.
    """
    own = panel.find_series(rows)
    starts, stops = panel.offsets[own], panel.offsets[own + 1]
    rows = rows[(rows + STALE_BARS <= stops) & (rows - starts > RETURN_BARS)]
    series = panel.find_series(rows)
    names = np.array([crc32(ticker.encode()) for ticker in panel.tickers], np.int64)
    drawn = (panel.times[rows] // 60 * SPREAD + names[series]) % HASHES
    chosen = np.sort(np.argsort(drawn, kind="stable")[:MOST_PLANTED])
    parts: list[dict[str, Float64 | Int64]] = []
    first, counts, positions = [], [0], []
    for row, s, number in zip(
        rows[chosen].tolist(), series[chosen].tolist(), drawn[chosen].tolist(), strict=True
    ):
        start, before = int(panel.offsets[s]), int(panel.first_index[s])
        begin = start + max(0, reach(before + row - start, panel.interval) - before)
        kind = KINDS[number % len(KINDS)]
        stop = row + (STALE_BARS if kind in STALE else 1)
        copy = {name: getattr(panel, name)[begin:stop].copy() for name in BAR_COLUMNS}
        kind(copy, row - begin, number // len(KINDS) % 2 == 0)
        first.append(sum(counts) + row - begin)
        counts.append(stop - begin)
        positions.append(begin - start + before)
        parts.append(copy)
    columns = {
        name: np.concatenate([getattr(panel, name)[:0], *(part[name] for part in parts)])
        for name in BAR_COLUMNS
    }
    copies = BarPanel(
        interval=panel.interval,
        tickers=tuple(panel.tickers[s] for s in series[chosen].tolist()),
        offsets=np.cumsum(counts, dtype=np.int64),
        first_index=np.array(positions, np.int64),
        **columns,
    )
    return Planted(copies, np.array(first, np.int64))


def _put_off(bars: Columns, t: int, up: bool) -> None:  # noqa: FBT001 - all of one form
    """Put the close 100 times off, the high or low with it."""
    bars["close"][t] *= 100.0 if up else 0.01
    bars["high" if up else "low"][t] = bars["close"][t]


def _split(bars: Columns, t: int, up: bool) -> None:  # noqa: FBT001 - as above
    ratio = 2.0 if up else 0.1
    for name in PRICES:
        bars[name][t] /= ratio
    bars["volume"][t] *= ratio


def _add_wick(bars: Columns, t: int, up: bool) -> None:  # noqa: FBT001 - as above
    """Add a wick of five mean true ranges of the bars before; the close stays."""
    span = slice(t - USUAL_BARS, t)
    close = bars["close"][t - USUAL_BARS - 1 : t - 1]
    reach = np.maximum(bars["high"][span], close) - np.minimum(bars["low"][span], close)
    length = 5.0 * float(reach.mean())
    top, floor = (of(bars["open"][t], bars["close"][t]) for of in (max, min))
    if up:
        bars["high"][t] = top + length
    else:
        bars["low"][t] = max(floor - length, 0.05 * floor)


def _move(bars: Columns, t: int, up: bool) -> None:  # noqa: FBT001 - as above
    """Make the return six deviations of those before, on the volume of a usual day."""
    deviation = float(np.diff(np.log(bars["close"][t - RETURN_BARS : t])).std())
    bars["close"][t] = bars["close"][t - 1] * np.exp(6.0 * deviation * (1.0 if up else -1.0))
    prices = [float(bars[name][t]) for name in PRICES]
    bars["high"][t], bars["low"][t] = max(prices), min(prices)


def _stop(bars: Columns, t: int, _: bool) -> None:  # noqa: FBT001 - as above
    """Stop trading at the last close."""
    for name in PRICES:
        bars[name][t:] = bars["close"][t - 1]
    bars["volume"][t:] = 0.0


def _repeat(bars: Columns, t: int, _: bool) -> None:  # noqa: FBT001 - as above
    for name in VALUES:
        bars[name][t:] = bars[name][t - 1]


def _multiply_volume(bars: Columns, t: int, _: bool) -> None:  # noqa: FBT001 - as above
    bars["volume"][t] *= 20.0


STALE = (_stop, _repeat)
KINDS = (_put_off, _split, _add_wick, _move, _multiply_volume, *STALE)
