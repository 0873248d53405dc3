"""Checks that bars are of their interval: they lie that far apart, on one grid, and do not overlap.

A step is the distance between two neighbouring bars of one ticker; of intraday bars only steps
within a session count. A session's first bar, and the first after its lunch break, may be short:
some vendors end them at the full hour.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from core.arrays import Bools, Int64
from core.errors import BadInput
from core.naming import count_of
from market.bars.overlaps import STRAY_SHARE, mark_begun, mark_firsts, read_clocks
from market.imports.settled import Settled, encode_texts
from market.intervals import DAY_SECONDS, INTERVALS, is_intraday
from market.markets import Market
from market.sessions.calendar import (
    CURRENCIES,
    HOUR_SECONDS,
    WEEK_ZONE,
    Sessions,
    local_seconds,
)

# Fewer steps tell nothing.
FEWEST_STEPS = 4
# Bars are of a longer interval where at least this share of steps is that long (others cross days
# off). A few stray rows do not make an interval shorter.
LONGER_SHARE = 0.8
# Fewer bars tell no grid. A grid has at least GRID_SHARE of the bars; where bars are so long that a
# lunch break shifts them, several grids have a part each.
FEWEST_OF_GRID = 8
HALF_HOUR_SECONDS = 1_800
GRID_SHARE = 0.8
LEAST_OF_SEVERAL = 900
SEVERAL_SHARE = 0.2
SHORTEST_MONTH, LONGEST_MONTH = 28, 31


def find_interval_of(settled: Settled) -> str:
    """Return the interval of a table's bars. Raises BadInput where their distance does not
    tell it.
    """
    good = ~settled.times.bad
    groups = np.zeros(len(settled), np.int64)
    if "ticker" in settled.written:
        groups, _ = encode_texts(settled.written["ticker"])
    return find_interval(settled.times.seconds[good], groups[good])


def find_interval(times: Int64, groups: Int64) -> str:
    """Return the interval of bars by their distance.

    Args:
        times: shape (n,), seconds of UTC or of local time.
        groups: shape (n,), a number for the ticker of each bar.

    Raises BadInput where there are too few bars, or their distance is no known interval.
    """
    order = np.lexsort((times, groups))
    steps = np.diff(times[order])[np.diff(groups[order]) == 0]
    steps = steps[steps > 0]
    if not len(steps):
        raise BadInput("one bar does not say of which interval it is: say it, such as 1d")
    common = _find_commonest(steps)
    if common >= SHORTEST_MONTH * DAY_SECONDS:
        raise BadInput(_describe_month())
    name = _name(common)
    if common >= DAY_SECONDS and name is None:
        name = "1d" if common % DAY_SECONDS == 0 and common < 7 * DAY_SECONDS else None
    if name is None:
        raise BadInput(
            f"most bars are {_describe(common)} apart, which is no interval that is known:"
            f" {', '.join(INTERVALS)}"
        )
    return name


def find_fault(times: Int64, interval: str, zone: ZoneInfo, known: Sessions) -> str | None:
    """Return why bars are not of an interval, with the interval that they have; None where they may
    be.

    `times` are the labels of one ticker's bars, UTC seconds, strictly ascending.
    """
    if len(times) <= FEWEST_STEPS:
        return None
    steps, after_short = _list_steps(times, interval, zone, known)
    if len(steps) < FEWEST_STEPS:
        return None
    common = _find_commonest(steps)
    advice = (
        f"say interval {_name(common)}" if _name(common) else "that is no interval that is known"
    )
    short = (
        steps[~after_short] < INTERVALS[interval]
        if is_intraday(interval)
        else np.zeros(0, np.bool_)
    )
    if short.size and short.mean() > STRAY_SHARE:
        return (
            f"its bars overlap as bars of {interval}: most are {_describe(common)} apart; {advice}"
        )
    if not is_intraday(interval):
        days = steps // DAY_SECONDS
        months = (days >= SHORTEST_MONTH) & (days <= LONGEST_MONTH)
        if months.mean() >= LONGER_SHARE or (
            interval == "1w" and (days >= SHORTEST_MONTH).mean() >= LONGER_SHARE
        ):
            return _describe_month()
    # A ticker may trade on few days, so distant daily bars are no longer bars. Intraday bars that
    # all lie twice as far apart within sessions are.
    is_longer = common > INTERVALS[interval] and (
        is_intraday(interval) or _name(common) is not None
    )
    # Neighbouring daily bars may also be a weekend apart, or a clock change longer or shorter.
    is_alike = (steps == common) | (steps < 5 * DAY_SECONDS) & (common == DAY_SECONDS)
    if is_longer and is_alike.mean() >= LONGER_SHARE and steps.min() > INTERVALS[interval]:
        return f"most of its bars are {_describe(common)} apart, not {interval}: {advice}"
    return None


def mark_off_grid(times: Int64, interval: str, market: Market, known: Sessions) -> Bools:
    """Return which bars do not lie on the grid of their interval, shape (n,); times as in
    `find_fault`.

    The grid is that on which nearly all bars lie, counted in UTC or from midnight on the exchange's
    clock, of currencies New York's; four hours may be counted on any clock that changes. Where bars
    lie on several grids, as after a lunch break, or are few, a bar is off the grid if it lies a
    whole number of intervals neither from the full hour nor from the time when its session opens or
    resumes, nor, of a few of four hours, begins at any full or half hour. A bar at one of these
    times is always on the grid, as it may be short.
    """
    marked = np.zeros(len(times), np.bool_)
    length = INTERVALS[interval]
    if not is_intraday(interval) or not len(times):
        return marked
    phases = times % length
    if (phases == phases[0]).all() and (phases[0] == 0 or len(times) >= FEWEST_OF_GRID):
        return marked
    row = np.minimum(np.searchsorted(known.closes, times, side="right"), len(known.closes) - 1)
    opens, resumes = known.opens[row], known.resumes[row]
    off: Bools = (times != opens) & (times != resumes)
    zone = WEEK_ZONE if market.calendar == CURRENCIES else market.zone
    local = local_seconds(times, zone) % length
    if len(times) >= FEWEST_OF_GRID:
        # One clock may have nearly all bars on its grid, and the other but those of a summer.
        clocks = (phases, local, *(clock % length for clock in read_clocks(times, interval)))
        grids = [_find_grid(clock) for clock in clocks]
        share, on_grid = max(grids, key=lambda grid: grid[0])
        if share >= GRID_SHARE:
            return off & ~on_grid
        if length >= LEAST_OF_SEVERAL:
            for clock in (phases, local):
                _, positions, counts = np.unique(clock, return_inverse=True, return_counts=True)
                off &= counts[positions] < SEVERAL_SHARE * len(times)
    elif length > HOUR_SECONDS:
        # A day's bars, or those of a feed, do not tell by which clock they are counted.
        off &= times % HALF_HOUR_SECONDS != 0
    off &= ((times - opens) % length != 0) & ((times - resumes) % length != 0)
    off &= (phases != 0) & (local != 0)
    return off


def _find_grid(clock: Int64) -> tuple[float, Bools]:
    """Return which bars have the commonest time within an interval, and their share."""
    is_common: Bools = clock == _find_commonest(clock)
    return float(is_common.mean()), is_common


def describe_off_grid(times: Int64, off: Bools, interval: str) -> str | None:
    """Return why bars are not of an interval, where many are `off` its grid; None where only a few
    are.
    """
    if len(times) < FEWEST_OF_GRID or off.mean() <= STRAY_SHARE:
        return None
    first = datetime.fromtimestamp(int(times[off][0]), UTC)
    return (
        f"{int(off.sum()):,} of its {len(times):,} bars do not lie on one grid of {interval}, the"
        f" first at {first:%Y-%m-%d %H:%M:%S} UTC: say of which interval they are, or auto, which"
        " goes by how they are spaced"
    )


def _list_steps(
    times: Int64, interval: str, zone: ZoneInfo, known: Sessions
) -> tuple[Int64, Bools]:
    """Return the steps between neighbouring bars, and which steps follow a bar that may be short.

    For intraday bars these are the steps within sessions, or all steps where fewer than a quarter
    of them lie within sessions.
    """
    steps = np.diff(times)
    if not is_intraday(interval) or not len(steps):
        return steps, np.zeros(len(steps), np.bool_)
    is_first = mark_firsts(times, zone)
    within = ~is_first[1:]
    if within.sum() < len(steps) / FEWEST_STEPS and len(steps) >= FEWEST_STEPS:
        return steps, np.zeros(len(steps), np.bool_)
    is_short = is_first | mark_begun(times, known)
    return steps[within], is_short[:-1][within]


def _find_commonest(steps: Int64) -> int:
    found, counts = np.unique(steps, return_counts=True)
    return int(found[np.argmax(counts)])


def _name(seconds: int) -> str | None:
    return next((name for name, length in INTERVALS.items() if length == seconds), None)


def _describe(seconds: int) -> str:
    units: Sequence[tuple[int, str]] = (
        (DAY_SECONDS, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    )
    unit, word = next((unit, word) for unit, word in units if seconds % unit == 0)
    return count_of(seconds // unit, word)


def _describe_month() -> str:
    return "most of its bars are a month apart: the longest interval that is known is 1w"
