"""Finds intraday bars that overlap: within what comes in, and with stored bars.

A session's first bar, and the first after its lunch break, may be short: some vendors end them at
the full hour.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from core.arrays import Bools, Int64
from core.errors import SeriesError
from market.intervals import DAY_SECONDS, INTERVALS, is_intraday
from market.sessions.calendar import HOUR_SECONDS, Sessions, local_seconds

# Where a larger share of a ticker's bars does not fit, all of them are of another kind: of another
# interval or clock, or wrong as a whole.
STRAY_SHARE = 0.1
# A zone of each rule by which clocks change, as bars of four hours are often counted from a
# source's own midnight. A change of an hour moves no shorter bars off their grid.
CHANGING_ZONES = tuple(
    ZoneInfo(name) for name in ("America/New_York", "Europe/London", "Australia/Sydney")
)


class BarsOverlap(SeriesError):
    """More than a few new bars overlap with stored ones; `times` are their starts, UTC seconds."""

    def __init__(self, message: str, times: Int64) -> None:
        super().__init__(message)
        self.times = times


def mark_overlaps(times: Int64, interval: str, zone: ZoneInfo, known: Sessions) -> Bools:
    """Return which bars begin before the previous one has ended, shape (n,).

    By a clock that is put forward meanwhile, a bar of four hours is an hour shorter. `times` are
    the labels of one ticker's bars, UTC seconds, strictly ascending.
    """
    marked = np.zeros(len(times), np.bool_)
    length = INTERVALS[interval]
    if not is_intraday(interval) or not (np.diff(times) < length).any():
        return marked
    is_short = mark_firsts(times, zone) | mark_begun(times, known)
    clocks = np.array([times, *read_clocks(times, interval)])
    last = None
    for row, time in enumerate(times.tolist()):
        if (
            last is not None
            and time - int(times[last]) < length
            and not is_short[row]
            and not is_short[row - 1]
            and (clocks[:, row] - clocks[:, last]).max() < length
        ):
            marked[row] = True
        else:
            last = row
    return marked


def check_stored(
    times: Int64, came: Int64, interval: str, zone: ZoneInfo, known: Sessions
) -> str | None:
    """Return a note where a few new bars overlap with stored ones; None where none do.

    `times` are the labels of a series' bars after a merge, UTC seconds, strictly ascending;
    `came` are those of them that came in, and these do not overlap with one another.

    Raises BarsOverlap where more do, as both would count the same trades.
    """
    if not is_intraday(interval) or len(came) in {0, len(times)}:
        return None
    first_new, last_new = np.searchsorted(times, came[[0, -1]]).tolist()
    # The bar before the first new one is only known to be short by the one before it.
    times = times[max(first_new - 2, 0) : last_new + 2]
    is_new = np.isin(times, came, assume_unique=True)
    marked = mark_overlaps(times, interval, zone, known) & (is_new | np.roll(is_new, 1))
    if not marked.any():
        return None
    count, row = int(marked.sum()), int(np.argmax(marked))
    first, second = (datetime.fromtimestamp(int(times[at]), UTC) for at in (row - 1, row))
    said = (
        f"{count:,} of its {len(came):,} new bars overlap with stored bars of {interval}, such as"
        f" those of {first:%Y-%m-%d %H:%M} and {second:%Y-%m-%d %H:%M} UTC"
    )
    if count > STRAY_SHARE * len(came):
        rows = np.flatnonzero(marked)
        raise BarsOverlap(
            f"{said}: say of which zone its times are, and whether they are starts or ends; if the"
            " stored bars are wrong, undo their import first (`flask bars imports` lists them)",
            times[np.where(is_new[rows], rows, rows - 1)],
        )
    return said


def mark_firsts(times: Int64, zone: ZoneInfo) -> Bools:
    """Return which bars are the first of their day on the exchange."""
    firsts: Bools = np.diff(local_seconds(times, zone) // DAY_SECONDS, prepend=-1) != 0
    return firsts


def mark_begun(times: Int64, known: Sessions) -> Bools:
    """Return which bars begin as a session opens, or resumes after its lunch break (without one, at
    its close, when none of its bars begins).
    """
    begun: Bools = np.isin(times, known.opens) | np.isin(times, known.resumes)
    return begun


def read_clocks(times: Int64, interval: str) -> list[Int64]:
    """Return the local times, in seconds, by the clocks that may count bars of an interval and that
    change; none of bars that divide an hour.
    """
    zones = CHANGING_ZONES if INTERVALS[interval] > HOUR_SECONDS else ()
    return [local_seconds(times, zone) for zone in zones]
