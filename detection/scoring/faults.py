"""Faults: bars that are wrong, as feeds get them wrong, told by rules.

An event is rare among the bars that a model learned from; a fault is told by what a feed does, and
needs no model. Each rule looks at a bar and at most the 260 stored ones before it, so that no later
bar and no load changes what it says; levels and prices are judged from a series' fourth bar on, the
rest where the bar has features. Where a rule's finding may as well be a real event (a wick, volume)
it is not certain, and the model's word counts.

Its strength is what was measured in the limit of its rule. Of clean daily bars of stocks about one
in a thousand passes a limit; so a strength of 1 has grade 75, and each doubling 12.5 more.
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

# A close so many times its level, or so small a part of it, is off; within two times it is back.
LEVEL_RATIO = 5.0
BACK_RATIO = 2.0
# The level is the median of so many closes; one that stays away for longer is the new level.
LEVEL_BARS = 20
LONGEST_OFF = 10
FEWEST_BARS = 3
# Smaller jumps than this are neither.
JUMP = 1.4
# Larger jumps than this are no splits but levels.
LARGEST_SPLIT = 50.0
# A split's tolerance grows with the day's range, up to this. A day with more volume than three
# times what the split explains, or wider than five usual ones, is a crash or a rise, up to so many
# times.
LOOSEST_SPLIT = 0.2
# A bar with so many before it has measures.
WARM_UP_BARS = 61
LARGEST_MOVE = 5.0
CRASH_VOLUME = 3.0
CRASH_RANGE = 5.0
HIGHEST_PRICE = 1e10
# In yardsticks, and in usual volumes on a bar whose range is below three yardsticks.
WICK = 3.0
VOLUME = 8.0
CALM_RANGE = 3.0
# A bar that departs by no more, but for its volume, is strange by that alone.
USUAL = 2.0
# A move of so many yardsticks brings more than so many usual volumes.
MOVE = 3.0
QUIET = 2.0
# So many days apart are two bars at the most where a market was closed: 13 of them at Taiwan's New
# Year.
LONGEST_HOLIDAY = 14
# In usual moves of the market lately.
MARKET_MOVE = 2.0
# Bars that tell how often a ticker stands still, and how unlikely a run has to be.
STILL_BARS = 250
FEWEST_STILL = 20
UNLIKELY = 1e-4
# A ticker of which more bars than this lack a volume has none.
IDLE_SHARE = 0.1

# Scores of faults lie between this and -1.
THRESHOLD = -0.5
LEAST_GRADE = 75.0
POINTS_A_DOUBLING = 12.5


@dataclass(frozen=True, slots=True)
class Fault:
    """A bar that is wrong.

    Attributes:
        row: of the panel.
        name: which rule says so.
        strength: what was measured, in the rule's limit; at least 1.
        words: what is wrong with it.
        is_certain: whether it cannot be a real event as well.
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
    """The rows of a panel by series, and by where a series starts anew.

    Attributes:
        offsets: shape (q + 1,), where each begins.
        of: shape (n,), which is each row's.
    """

    offsets: Int64
    of: Int64

    def begin_of(self, rows: Int64) -> Int64:
        """Return where the segment of each row begins."""
        begins: Int64 = self.offsets[self.of[rows]]
        return begins


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules say of a panel: its faults by row, one a row,
    and the rows that only come back from one, or whose volume a split explains, which are no
    events.
    """

    faults: dict[int, Fault]
    returned: frozenset[int]


def find_faults(
    panel: BarPanel, wanted: Bools, features: Features, market: MarketDays | None = None
) -> Judged:
    """Return what the rules say of the `wanted` rows (n,) of a panel.

    `features` are those of all wanted rows that have any, `market` is what their market did, where
    the model looks at it.
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
    # The last word counts: the rules are in the order of their certainty.
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
    # How far the way back from a wrong level was says nothing of the bar that goes it.
    for row in returned & found.keys():
        if not found[row].is_certain:
            del found[row]
    usual = _find_usual_but_for_volume(panel, features, market, explained)
    return Judged(found, frozenset({*returned, *usual}))


def mark_wrong(
    panel: BarPanel, rows: Int64, features: Features, market: MarketDays | None
) -> Bools:
    """Return which of some `rows` (m,) of a panel are no events whatever a model says: those that
    are certainly wrong, and those that only come back from one. Other arguments are as
    `find_faults` takes them.
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
    """Yield wicks, and volumes on bars that hardly moved, but for what a split explains of them."""
    measures = dict(zip(MEASURES, features.measures.T, strict=True))
    wick, volume, moved = measures["wick"], measures["volume"], np.abs(measures["return"])
    volume = (volume / explained).astype(np.float32)
    if panel.clocks.any():
        # An open is wide and loud, and so it is by its own time of day that it has to be wrong.
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
    # A bar without a volume, as all are of an index or a currency, says nothing of it.
    quiet = quiet[panel.volume[rows[quiet]] > 0.0]
    if market is not None:
        # Where the whole market moves, a ticker needs no news of its own.
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
    """Yield the rows that stand out by a volume alone that a split explains."""
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
    """Yield bars that moved without a volume, of tickers that usually have one."""
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
    """Yield one bar of each run of `idle` bars, which stand still, where the ticker usually moves:
    the first by which the run is too unlikely.

    Of bars that were `traded`, each with a volume of its own, only tickers that never stood still
    before are told: a feed that stands still has no volume, and a price of few ticks often stays.
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
    # A bar that repeats even the volume of one that moved is a copy: once is enough.
    copied = (panel.volume[rows] > 0.0) & (panel.high[rows] > panel.low[rows])
    needed = np.ceil(log(UNLIKELY) / np.log(share))
    needed = np.where(copied, 1.0, np.maximum(needed, 2.0))
    told = (known >= FEWEST_STILL) & (length == needed) & (needed <= LONGEST_OFF)
    if traded is not None:
        told &= traded[rows] & (still == 0)
    # A price of few ticks may have stayed on more of the bars before than lack all that is new.
    lacked = "new came" if traded is None else "moved"
    for at in np.flatnonzero(told).tolist():
        bars, times = int(length[at]), int(still[at])
        count = "a bar" if bars == 1 else f"{bars} bars"
        words = (
            f"{count} on which nothing {lacked}, and {times} of the {int(known[at])} before: the"
            " feed stands still"
        )
        # One copy may be likelier than the limit, and is told all the same.
        strength = max(1.0, 1.0 / (float(share[at]) ** bars * 1e4) ** 0.25)
        yield Fault(int(rows[at]), "stale", strength, words)


def _find_before_trading(segments: Segments, idle: Bools) -> Iterator[Fault]:
    """Yield the first bar of each series where nothing traded in it. Where a panel begins later, it
    is of the history of those that are wanted.
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
    """Yield the bars of splits that the bars are not adjusted for, and all that are off by a ratio,
    until the level returns; the rows on which it does go into `returned`, and those that open as
    after a split into `splits`.

    Jumps among the bars before those that are wanted are judged too: what one is may depend on the
    one before it.
    """
    close, opened = panel.close, panel.open
    with np.errstate(divide="ignore", invalid="ignore"):
        closes, opens = close[1:] / close[:-1], opened[1:] / close[:-1]
    far = (closes >= JUMP) | (closes <= 1.0 / JUMP) | (opens >= JUMP) | (opens <= 1.0 / JUMP)
    jumped = np.flatnonzero(far & (np.diff(segments.of) == 0)) + 1
    places = np.searchsorted(features.rows, jumped)
    # The latest jumps off a level, and the level before each.
    left: list[tuple[int, float]] = []
    for row, place in zip(jumped.tolist(), places.tolist(), strict=True):
        own = segments.of[row]
        begin, end = (int(edge) for edge in segments.offsets[own : own + 2])
        first = max(begin, row - LONGEST_OFF + 1)
        left = [(jump, level) for jump, level in left if jump >= first]
        if any(_is_return(panel, row, level) for _, level in left):
            returned.add(row)
            # What looked like a split was none.
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
        # What the jump says of the bars after it must not depend on its measures, which only a jump
        # among the wanted rows has.
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
    """Whether a jump only leads back to the level before an earlier one."""
    came_from, close = float(panel.close[row - 1]) / level, float(panel.close[row]) / level
    return _is_off(came_from, BACK_RATIO) and not _is_off(close, BACK_RATIO)


def _find_ratio(panel: BarPanel, row: int, *, is_loose: bool) -> float | None:
    """Return which split's ratio the open of a row looks like; the day's range loosens it."""
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
    # A ticker that was suspended may come back at half its price.
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
