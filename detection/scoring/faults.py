"""Faults: bars that a feed got wrong, found by rules.

An event is a bar that is rare among a model's training bars; a fault shows a typical error of a
feed, and needs no model to be found. Each rule looks at a bar and at most the 260 stored bars
before it, so that its result does not depend on later bars or on what was loaded. Levels are judged
from a series' fourth bar on, most other rules where the bar has features. A fault that may as well
be a real event (such as a wick or a volume) is not certain: where the model calls the bar an event,
it is an event.

The strength of a fault is the measured value in units of its rule's limit. About one in a thousand
clean daily bars of stocks passes a limit; so a strength of 1 has grade 75, and each doubling adds
12.5.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor, log, log2, log10
from statistics import median

import numpy as np

from core.arrays import Bools, Float32, Float64, Int64
from core.grades import HIGHEST_GRADE
from core.words import FaultName
from detection.features.compute import Features
from detection.features.kernel import MEASURES, VOLUME_WEIGHT, WICK_WEIGHT
from detection.features.market_move import MARKET_WEIGHT, MarketDays
from detection.scoring.phrases import NOTHING
from detection.scoring.split_volume import SeemingSplit, find_explained_volume
from detection.scoring.suspected_split import TOLERANCE, find_suspected_split, is_few_ticks
from market.bars.no_trade import mark_no_trade, mark_unmoved
from market.bars.panel import BarPanel
from market.bars.segments import find_segments
from market.intervals import DAY_SECONDS, INTERVALS

# A close of LEVEL_RATIO times its level, or a LEVEL_RATIO-th of it, is off the level; one within
# BACK_RATIO times the level is back at it.
LEVEL_RATIO = 5.0
BACK_RATIO = 2.0
# The level is the median of the last LEVEL_BARS closes, of FEWEST_BARS at least. Closes that stay
# away for LONGEST_OFF bars are a new level.
LEVEL_BARS = 20
LONGEST_OFF = 10
FEWEST_BARS = 3
# A smaller jump is neither a split nor a change of the level.
JUMP = 1.4
# A larger jump is a change of the level, not a split.
LARGEST_SPLIT = 50.0
# The tolerance of a split's ratio grows with the day's range, up to this.
LOOSEST_SPLIT = 0.2
# A bar with so many bars before it has measures.
WARM_UP_BARS = 61
# A jump of less than LARGEST_MOVE times is a real crash or rise, not a split, where the volume is
# more than CRASH_VOLUME times what the split explains, or the range more than CRASH_RANGE
# yardsticks.
LARGEST_MOVE = 5.0
CRASH_VOLUME = 3.0
CRASH_RANGE = 5.0
HIGHEST_PRICE = 1e10
# The limit of a wick in yardsticks; that of a volume in usual volumes, for bars whose range is
# below CALM_RANGE yardsticks.
WICK = 3.0
VOLUME = 8.0
CALM_RANGE = 3.0
# A bar whose departure without its volume is smaller stands out by its volume alone.
USUAL = 2.0
# A real move of MOVE yardsticks comes with more than QUIET usual volumes.
MOVE = 3.0
QUIET = 2.0
# Two bars are at most so many days apart where a market was closed: 13 at Taiwan's New Year.
LONGEST_HOLIDAY = 14
# In usual moves of the market in the last weeks.
MARKET_MOVE = 2.0
# How often a ticker stands still is counted over STILL_BARS bars before a run, of FEWEST_STILL at
# least. A run is a fault where its probability is at most UNLIKELY.
STILL_BARS = 250
FEWEST_STILL = 20
UNLIKELY = 1e-4
# A ticker with a larger share of bars without volume is taken to have no volume.
IDLE_SHARE = 0.1

# Scores of faults lie between this and -1.
THRESHOLD = -0.5
LEAST_GRADE = 75.0
POINTS_A_DOUBLING = 12.5


@dataclass(frozen=True, slots=True)
class Fault:
    """A bar that is wrong.

    Attributes:
        row: the bar's row in the panel.
        name: the rule that found it.
        strength: the measured value in units of the rule's limit; at least 1.
        words: what is wrong with the bar.
        is_certain: whether the bar cannot be a real event instead.
    """

    row: int
    name: FaultName
    strength: float
    words: str
    is_certain: bool = True

    @property
    def score(self) -> float:
        """Return its score, from -0.5 to -1; lower is stronger."""
        return -1.0 + 0.5 / self.strength

    @property
    def grade(self) -> float:
        """Return its grade, from 75 to 100."""
        return min(HIGHEST_GRADE, LEAST_GRADE + POINTS_A_DOUBLING * log2(self.strength))


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of a panel: a series, or a part of one between two pauses of more than a year.

    Attributes:
        offsets: shape (q + 1,), the row at which each segment begins.
        of: shape (n,), the segment of each row.
    """

    offsets: Int64
    of: Int64

    def begin_of(self, rows: Int64) -> Int64:
        """Return the first row of the segment of each of some `rows` (m,), shape (m,)."""
        begins: Int64 = self.offsets[self.of[rows]]
        return begins


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules found in a panel.

    Attributes:
        faults: by row, one a row.
        returned: rows that are no events: they only return from a wrong level, or stand out by a
            volume alone that a split explains.
    """

    faults: dict[int, Fault]
    returned: frozenset[int]


def find_faults(
    panel: BarPanel, wanted: Bools, features: Features, market: MarketDays | None = None
) -> Judged:
    """Return what the rules find in the `wanted` rows (n,) of a panel.

    `features` are the features of all wanted rows that are past the warm-up; `market` has the days
    of their market, None where the model does not look at them.
    """
    # What lies before a pause of more than a year may be another company's.
    offsets, _ = find_segments(panel.times, panel.offsets)
    segments = Segments(offsets, np.repeat(np.arange(offsets.size - 1), np.diff(offsets)))
    prices = panel.open, panel.high, panel.low, panel.close
    no_trade = mark_no_trade(prices, panel.volume, offsets[:-1])
    idle = no_trade | mark_unmoved(prices, offsets[:-1])
    found: dict[int, Fault] = {}
    returned: set[int] = set()
    splits: dict[int, SeemingSplit] = {}
    levels = [*_find_levels(panel, segments, features, returned, splits)]
    begins = segments.begin_of(features.rows)
    explained = find_explained_volume(panel, features.rows, begins, splits)
    # Where several rules find a fault in a row, the last one counts: the most certain rule is last.
    for fault in (
        *_find_by_measures(panel, features, market, explained),
        *_find_without_volume(panel, segments, idle, features),
        *_find_stale(panel, segments, idle, idle & ~no_trade),
        *_find_stale(panel, segments, no_trade, None),
        *_find_before_trading(segments, idle),
        *levels,
        *_find_prices(panel),
    ):
        if wanted[fault.row]:
            found[fault.row] = fault
    # The large move with which a bar returns from a wrong level is not a fault of that bar.
    for row in returned & found.keys():
        if not found[row].is_certain:
            del found[row]
    usual = _find_usual_but_for_volume(panel, features, market, explained)
    return Judged(found, frozenset({*returned, *usual}))


def mark_wrong(
    panel: BarPanel, rows: Int64, features: Features, market: MarketDays | None
) -> Bools:
    """Return which of some `rows` (m,) of a panel are no events whatever a model says, shape (m,):
    certain faults, and the `returned` rows of `Judged`. The other arguments are those of
    `find_faults`.
    """
    wanted = np.zeros(panel.times.size, np.bool_)
    wanted[rows] = True
    judged = find_faults(panel, wanted, features, market)
    wrong = np.zeros(panel.times.size, np.bool_)
    wrong[[row for row, fault in judged.faults.items() if fault.is_certain]] = True
    wrong[[*judged.returned]] = True
    return wrong[rows]


def _find_by_measures(
    panel: BarPanel, features: Features, market: MarketDays | None, explained: Float64
) -> Iterator[Fault]:
    """Yield long wicks, large volumes on bars that hardly moved, and large moves on little volume.

    Volumes are divided by what a split explains of them.
    """
    measures = dict(zip(MEASURES, features.measures.T, strict=True))
    wick, volume, moved = measures["wick"], measures["volume"], np.abs(measures["return"])
    volume = (volume / explained).astype(np.float32)
    if panel.clocks.any():
        # A session's first bar has a wide range and much volume. So a bar has to pass the limit by
        # what is usual at its time of day, too.
        wick = np.minimum(wick, measures["clock_wick"])
        moved = np.minimum(moved, np.abs(measures["clock_return"]))
        loud_at_its_time = measures["clock_volume"]
    else:
        loud_at_its_time = volume
    rows = features.rows
    volumes = np.minimum(volume, loud_at_its_time)
    loud = np.flatnonzero((volumes >= VOLUME) & (measures["range"] < CALM_RANGE))
    for at in loud.tolist():
        times = float(volumes[at])
        words = f"volume {times:.0f} times its usual on a bar that hardly moved"
        yield Fault(int(rows[at]), "volume", times / VOLUME, words, is_certain=False)
    quiet = np.flatnonzero((moved >= MOVE) & (np.maximum(volume, loud_at_its_time) <= QUIET))
    # A volume of 0 tells nothing: all bars of an index or a currency have it.
    quiet = quiet[panel.volume[rows[quiet]] > 0.0]
    if market is not None:
        # Where the whole market moves, a ticker may move without much volume.
        quiet = quiet[np.square(market.look_up(panel.times[rows[quiet]])) < MARKET_MOVE]
    for at in quiet.tolist():
        far, times = float(moved[at]), float(volume[at])
        volume_told = f"{times:.1f} times its usual" if times >= NOTHING else "hardly any"
        words = f"moved {far:.1f} times its usual range on {volume_told} volume"
        yield Fault(int(rows[at]), "move", far / MOVE, words, is_certain=False)
    for at in np.flatnonzero(wick >= WICK).tolist():
        length = float(wick[at])
        words = f"a wick of {length:.1f} times its usual range, which the close took back"
        yield Fault(int(rows[at]), "wick", length / WICK, words, is_certain=False)


def _find_usual_but_for_volume(
    panel: BarPanel, features: Features, market: MarketDays | None, explained: Float64
) -> Iterator[int]:
    """Yield the rows that stand out by their volume alone, if a split explains that volume."""
    at = np.flatnonzero(explained > 1.0)
    if not at.size or panel.clocks.any():
        return
    own = dict(zip(MEASURES, features.measures[at].T.astype(np.float64), strict=True))
    times = panel.times[features.rows[at]]
    departed = np.maximum(own["range"], WICK_WEIGHT * own["wick"])
    departed = np.maximum(departed, departed * own["steady_unrest"])
    if market is not None:
        departed = np.maximum(departed, MARKET_WEIGHT * np.square(market.look_up(times)))
    loud = VOLUME_WEIGHT * own["volume"]
    usual = (loud >= USUAL) & (np.maximum(departed, loud / explained[at]) < USUAL)
    yield from features.rows[at[usual]].tolist()


def _find_without_volume(
    panel: BarPanel, segments: Segments, idle: Bools, features: Features
) -> Iterator[Fault]:
    """Yield the bars that moved without volume, of tickers whose bars usually have volume."""
    none = (panel.volume == 0.0) & ~idle
    none &= panel.high > panel.low
    candidates = features.rows[none[features.rows]]
    if not candidates.size:
        return
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(panel.volume == 0.0)))
    first = np.maximum(segments.begin_of(candidates), candidates - STILL_BARS)
    lacking = before[candidates] - before[first]
    for row, count, start in zip(
        candidates.tolist(), lacking.tolist(), first.tolist(), strict=True
    ):
        share = count / (row - start)
        if share <= IDLE_SHARE:
            moved = panel.high[row] / panel.low[row] - 1.0
            yield Fault(row, "no_volume", 1.0, f"no volume on a bar that moved {moved * 100:.1f} %")


def _find_stale(
    panel: BarPanel, segments: Segments, idle: Bools, traded: Bools | None
) -> Iterator[Fault]:
    """Yield one fault for each run of `idle` bars that is too unlikely for its ticker: the bar with
    which the run becomes so.

    With `traded`, which marks idle bars that have a volume of their own, a run of such bars is a
    fault only where the ticker never stood still before: a feed that stands still usually has no
    volume, and a price of few ticks often stays the same.
    """
    rows = np.flatnonzero(idle)
    if not rows.size:
        return
    begins = np.ones(rows.size, np.bool_)
    begins[1:] = (np.diff(rows) > 1) | (np.diff(segments.of[rows]) > 0)
    start: Int64 = rows[np.maximum.accumulate(np.where(begins, np.arange(rows.size), 0))]
    length = rows - start + 1
    before: Int64 = np.concatenate((np.zeros(1, np.int64), np.cumsum(idle)))
    first: Int64 = np.maximum(segments.begin_of(rows), start - STILL_BARS)
    known = start - first
    still: Int64 = before[start] - before[first]
    share = (still + 1) / (known + 2)
    # A bar that moved and repeats the one before with its volume is a copy: a run of one is enough.
    copied = (panel.volume[rows] > 0.0) & (panel.high[rows] > panel.low[rows])
    needed = np.ceil(log(UNLIKELY) / np.log(share))
    needed = np.where(copied, 1.0, np.maximum(needed, 2.0))
    told = (known >= FEWEST_STILL) & (length == needed) & (needed <= LONGEST_OFF)
    if traded is not None:
        told &= traded[rows] & (still == 0)
    # Bars that stayed at a price may have had new volume, so the two cases need different words.
    lacked = "new came" if traded is None else "moved"
    for at in np.flatnonzero(told).tolist():
        bars, times = int(length[at]), int(still[at])
        count = "a bar" if bars == 1 else f"{bars} bars"
        words = (
            f"{count} on which nothing {lacked}, and {times} of the {int(known[at])} before: the"
            " feed stands still"
        )
        # A single copy is a fault even where its probability is above the limit.
        strength = max(1.0, 1.0 / (float(share[at]) ** bars * 1e4) ** 0.25)
        yield Fault(int(rows[at]), "stale", strength, words)


def _find_before_trading(segments: Segments, idle: Bools) -> Iterator[Fault]:
    """Yield the first bar of each segment where nothing traded in it.

    Where the panel begins later than the stored series, its first bar is history and not wanted, so
    that no fault is reported for it.
    """
    begins = segments.offsets[:-1]
    for row in begins[idle[begins]].tolist():
        yield Fault(row, "stale", 1.0, "a flat bar from before trading began")


def _find_levels(
    panel: BarPanel,
    segments: Segments,
    features: Features,
    returned: set[int],
    splits: dict[int, SeemingSplit],
) -> Iterator[Fault]:
    """Yield the bars of splits for which the bars are not adjusted, and the bars that are off their
    level, until the close is back at it.

    The rows at which it is back are added to `returned`, those that open as after a split to
    `splits`. Jumps in the history of the wanted rows are judged too, as what a jump is may depend
    on the jump before it.
    """
    close, opened = panel.close, panel.open
    with np.errstate(divide="ignore", invalid="ignore"):
        closes, opens = close[1:] / close[:-1], opened[1:] / close[:-1]
    far = (closes >= JUMP) | (closes <= 1.0 / JUMP) | (opens >= JUMP) | (opens <= 1.0 / JUMP)
    jumped = np.flatnonzero(far & (np.diff(segments.of) == 0)) + 1
    places = np.searchsorted(features.rows, jumped)
    # The jumps off a level in the last LONGEST_OFF bars, each with the level before it.
    left: list[tuple[int, float]] = []
    for row, place in zip(jumped.tolist(), places.tolist(), strict=True):
        own = segments.of[row]
        begin, end = (int(edge) for edge in segments.offsets[own : own + 2])
        first = max(begin, row - LONGEST_OFF + 1)
        left = [(jump, level) for jump, level in left if jump >= first]
        if any(_is_return(panel, row, level) for _, level in left):
            returned.add(row)
            # The price is back, so the jump that looked like a split was a wrong price.
            for jump in splits.keys() & {jump for jump, _ in left}:
                splits[jump] = replace(splits[jump], until=row)
            continue
        before = close[max(begin, row - LEVEL_BARS) : row].tolist()
        level = median(before)
        is_off = len(before) >= FEWEST_BARS and _is_off(float(close[row]) / level, LEVEL_RATIO)
        ratio = split = None
        if not is_few_ticks(panel, begin, row):
            ratio = _find_ratio(panel, row, is_loose=row - begin >= WARM_UP_BARS)
            has = place < features.rows.size and features.rows[place] == row
            split = _find_split(panel, row, features.measures[place] if has else None)
        if ratio is not None:
            splits[row] = SeemingSplit(ratio)
        if split is not None:
            yield split
        elif is_off:
            yield _describe_level(row, float(close[row]) / level)
        # What a jump means for the bars after it must not depend on its measures: a jump in the
        # history has none, and would be judged differently from the same jump as a wanted row.
        if not is_off:
            continue
        left.append((row, level))
        if ratio is not None:
            continue
        for off in range(row + 1, min(row + LONGEST_OFF, end)):
            off_by = float(close[off]) / level
            if not _is_off(off_by, BACK_RATIO):
                returned.add(off)
                break
            yield _describe_level(off, off_by)


def _is_return(panel: BarPanel, row: int, level: float) -> bool:
    """Return whether a jump leads back to the `level` before an earlier jump."""
    came_from, close = float(panel.close[row - 1]) / level, float(panel.close[row]) / level
    return _is_off(came_from, BACK_RATIO) and not _is_off(close, BACK_RATIO)


def _find_ratio(panel: BarPanel, row: int, *, is_loose: bool) -> float | None:
    """Return the ratio of the split that a row's open looks like, None for none.

    With `is_loose` the tolerance grows with the day's range.
    """
    close, opened = float(panel.close[row - 1]), float(panel.open[row])
    high, low = float(panel.high[row]), float(panel.low[row])
    if low <= 0.0 or opened <= 0.0:
        return None
    tolerance = min(TOLERANCE + high / low - 1.0, LOOSEST_SPLIT) if is_loose else TOLERANCE
    ratio = find_suspected_split(close, opened, tolerance)
    return ratio if ratio and 1.0 / LARGEST_SPLIT <= ratio <= LARGEST_SPLIT else None


def _find_split(panel: BarPanel, row: int, measures: Float32 | None) -> Fault | None:
    ratio = _find_ratio(panel, row, is_loose=measures is not None)
    if ratio is None:
        return None
    if measures is not None and not _is_off(ratio, LARGEST_MOVE):
        named = dict(zip(MEASURES, measures.tolist(), strict=True))
        moved = abs(float(panel.close[row]) / float(panel.close[row - 1]) - 1.0)
        usual = moved / abs(named["return"]) if named["return"] else 0.0
        wide = float(panel.high[row]) / float(panel.low[row]) - 1.0
        if named["volume"] > CRASH_VOLUME * max(ratio, 1.0) or wide > CRASH_RANGE * usual:
            return None
    told = f"{ratio:g} for 1" if ratio >= 1.0 else f"1 for {1.0 / ratio:g}"
    words = f"opened as after a split of {told}, for which the bars are not adjusted"
    # A ticker that was suspended may really come back at half its price, so it is not certain then.
    pause = int(panel.times[row] - panel.times[row - 1])
    is_certain = pause <= LONGEST_HOLIDAY * max(INTERVALS[panel.interval], DAY_SECONDS)
    return Fault(row, "split", max(ratio, 1.0 / ratio), words, is_certain=is_certain)


def _find_prices(panel: BarPanel) -> Iterator[Fault]:
    for row in np.flatnonzero(panel.high >= HIGHEST_PRICE).tolist():
        price = float(panel.high[row])
        yield Fault(row, "price", price / HIGHEST_PRICE, f"a price of {price:.3g} cannot be")


def _describe_level(row: int, ratio: float) -> Fault:
    size = max(ratio, 1.0 / ratio)
    times = f"{size:.3g}" if size < 100.0 else f"{round(size, 2 - floor(log10(size))):,.0f}"
    words = f"close {times} times {'above' if ratio > 1.0 else 'below'} its level, which is off"
    return Fault(row, "level", size / BACK_RATIO, words)


def _is_off(ratio: float, limit: float) -> bool:
    return ratio >= limit or ratio * limit <= 1.0
