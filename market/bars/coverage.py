"""Coverage: how many bars each session of a series' exchange has, from its first bar to its last,
and how many of them are stored (pure).

A week is a session where its exchange opened at all. Years of which the exchange's calendar is not
known count neither way.
"""

from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Int64
from market.intervals import DAY_SECONDS, INTERVALS, is_intraday
from market.sessions.calendar import Sessions
from records.market.documents import CoverageCounts


@dataclass(frozen=True, slots=True)
class Held:
    """The sessions of a stretch of a series, in order; each array of shape (s,).

    Attributes:
        days: dates, in days since 1970; of a week that of its first session.
        expected: bars that a session has, at the series' ends from its first bar or to its last.
        held: how many of them are stored.
    """

    days: Int64
    expected: Int64
    held: Int64

    @property
    def lacking(self) -> Bools:
        """Which sessions lack bars, shape (s,)."""
        lacking: Bools = self.held < self.expected
        return lacking

    def count(self) -> CoverageCounts:
        """Return the sums; `gap_count` counts stretches of neighbouring sessions that lack bars."""
        return {
            "sessions": len(self.days),
            "missing": int((self.held == 0).sum()),
            "gap_count": len(split_stretches(self.lacking)),
            "bars_expected": int(self.expected.sum()),
            "bars_held": int(self.held.sum()),
        }


def measure_held(
    times: Int64,
    interval: str,
    known: Sessions,
    *,
    first: int,
    last: int,
    since: int | None = None,
) -> Held:
    """Return what is held of the sessions from that of a series' bar at `first` to that at `last`.

    Args:
        times: UTC seconds, ascending, of all its bars of these sessions.
        interval: of the bars.
        known: the sessions of its market.
        first: when the series' first bar starts.
        last: when its last one does.
        since: of a bar: only its session, and those after it, are measured.
    """
    if is_intraday(interval):
        return _measure_intraday(times, INTERVALS[interval], known, first, last, since)
    days = known.days if interval == "1d" else _list_weeks(known)
    held = _label_days(times, interval, known, days)
    start, end = _label_days(np.array([max(first, since or first), last]), interval, known, days)
    days = days[slice(*np.searchsorted(days, (start, end + 1)))]
    return Held(days, np.ones(len(days), np.int64), np.isin(days, held).astype(np.int64))


def find_session_start(time: int, interval: str, known: Sessions) -> int:
    """Return from when on the bars of the session of the bar at `time` start, UTC seconds."""
    if not is_intraday(interval):
        return time
    row = int(np.searchsorted(known.closes, time, side="right"))
    opens = int(known.opens[row]) if row < len(known.opens) else time
    return min(time, opens - INTERVALS[interval] + 1)


def split_stretches(marked: Bools) -> list[Int64]:
    """Return the positions of each stretch of neighbours that are marked."""
    rows = np.flatnonzero(marked)
    return np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []


def _measure_intraday(
    times: Int64, length: int, known: Sessions, first: int, last: int, since: int | None
) -> Held:
    rows = np.searchsorted(known.closes, times, side="right")
    inside = rows < len(known.closes)
    inside[inside] = known.opens[rows[inside]] < times[inside] + length
    start = int(np.searchsorted(known.closes, max(first, since or first), side="right"))
    until = int(np.searchsorted(known.closes, last, side="right"))
    # A last bar outside all sessions lies after the last of them that counts.
    until += until < len(known.opens) and bool(known.opens[until] < last + length)
    counts = np.bincount(rows[inside], minlength=until)[start:until]
    opens, closes = known.opens[start:until], known.closes[start:until]
    pauses, resumes = known.pauses[start:until], known.resumes[start:until]
    expected = _count_slots(opens, np.minimum(closes, last + length), pauses, resumes, length)
    expected -= _count_slots(opens, np.clip(first, opens, closes), pauses, resumes, length)
    return Held(known.days[start:until], expected, np.minimum(counts, expected))


def _count_slots(opens: Int64, until: Int64, pauses: Int64, resumes: Int64, length: int) -> Int64:
    """Return how many bars of a session start before `until`, as `calendar.list_closes` has them:
    counted from its open, and those that would close in its lunch break close with its beginning.
    """
    pause, resume = np.minimum(pauses, until), np.minimum(resumes, until)
    before, beside = (pause - opens) // length, (resume - opens) // length
    in_break = beside - before
    cut = (in_break > 0) & ((pause - opens) % length != 0)
    slots: Int64 = -(-(until - opens) // length) - in_break + cut
    return slots


def _list_weeks(known: Sessions) -> Int64:
    """Return the first session of each week."""
    firsts: Int64 = known.days[np.insert(np.diff((known.days + 3) // 7) > 0, 0, values=True)]
    return firsts


def _label_days(times: Int64, interval: str, known: Sessions, days: Int64) -> Int64:
    """Return the day of each bar; of a week's the first of its sessions.

    A week's bar is labelled by that, or by a day before it: a Monday on which the exchange was
    shut.
    """
    labels: Int64 = times // DAY_SECONDS
    if interval != "1w":
        return labels
    row = np.minimum(np.searchsorted(known.days, labels), len(known.days) - 1)
    week = np.searchsorted(days, known.days[row], side="right") - 1
    return days[np.maximum(week, 0)]
