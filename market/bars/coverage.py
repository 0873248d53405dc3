"""Coverage: how many bars each session from a series' first bar to its last has, and how many of
them are stored (pure).

For weekly bars a session is a week in which the exchange opened at all. Years that the exchange's
calendar does not cover count neither as sessions nor as missing.
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
        days: dates of the sessions, in days since 1970; of a week the date of its first session.
        expected: how many bars each session has; of the series' first and last session only those
            from its first bar on and up to its last.
        held: how many of these bars are stored.
    """

    days: Int64
    expected: Int64
    held: Int64

    @property
    def lacking(self) -> Bools:
        """Return which sessions lack bars, shape (s,)."""
        lacking: Bools = self.held < self.expected
        return lacking

    def count(self) -> CoverageCounts:
        """Return the sums; `gap_count` counts stretches of neighbouring sessions that lack bars."""
        return {
            "sessions": len(self.days),
            "missing": int(((self.held == 0) & self.lacking).sum()),
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
    """Return the sessions of a series, from that of its first bar to that of its last.

    Args:
        times: UTC seconds, ascending, of all bars of these sessions.
        interval: of the bars.
        known: the sessions of the series' market.
        first: the start of the series' first bar.
        last: the start of its last bar.
        since: the start of a bar; only its session and later ones are measured. None: all are.
    """
    if is_intraday(interval):
        return _measure_intraday(times, INTERVALS[interval], known, first, last, since)
    days = known.days if interval == "1d" else _list_weeks(known)
    held = _label_days(times, interval, known, days)
    start, end = _label_days(np.array([max(first, since or first), last]), interval, known, days)
    days = days[slice(*np.searchsorted(days, (start, end + 1)))]
    return Held(days, np.ones(len(days), np.int64), np.isin(days, held).astype(np.int64))


def find_session_start(time: int, interval: str, known: Sessions) -> int:
    """Return the earliest start that a bar of the session of the bar at `time` can have (UTC
    seconds).
    """
    if not is_intraday(interval):
        return time
    row = int(np.searchsorted(known.closes, time, side="right"))
    opens = int(known.opens[row]) if row < len(known.opens) else time
    return min(time, opens - INTERVALS[interval] + 1)


def split_stretches(marked: Bools) -> list[Int64]:
    """Return the positions of each run of neighbouring marked sessions."""
    rows = np.flatnonzero(marked)
    return np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []


def _measure_intraday(
    times: Int64, length: int, known: Sessions, first: int, last: int, since: int | None
) -> Held:
    rows = _find_rows(times, length, known)
    inside = rows < len(known.closes)
    inside[inside] = known.opens[rows[inside]] < times[inside] + length
    ends = np.array([max(first, since or first), last])
    start, until = (int(row) for row in _find_rows(ends, length, known))
    # A last bar outside all sessions lies after the last of them that counts.
    until += until < len(known.opens) and bool(known.opens[until] < last + length)
    counts = np.bincount(rows[inside], minlength=until)[start:until]
    opens, closes = known.opens[start:until], known.closes[start:until]
    pauses, resumes = known.pauses[start:until], known.resumes[start:until]
    begins = _find_begins(known)[start:until]
    upto, since_open = np.minimum(closes, last + length), np.clip(first, opens, closes)
    most = -(-(np.minimum(upto, pauses) - since_open) // length)
    # Where trade goes on from the session before, bars may be counted from another time than that
    # when it began, as by a broker's clock. Then neither a part of a bar before the first one nor
    # after the last counts, and one that is under way as a session opens is of that before.
    upto, since_open = (
        each - (begins < opens) * (opens < each) * (each < closes) * ((each - begins) % length)
        for each in (upto, since_open)
    )

    def count(until: Int64) -> Int64:
        return _count_slots(begins, until, pauses, resumes, length)

    def count_anew(until: Int64) -> Int64:
        morning = _count_slots(opens, np.minimum(until, pauses), pauses, resumes, length)
        return morning + _count_slots(resumes, np.maximum(until, resumes), closes, closes, length)

    expected, anew = (each(upto) - each(since_open) for each in (count, count_anew))
    from_open, from_break = (each[start:until] for each in _tell_grids(times, rows, length, known))
    # Where no bar after the lunch break tells the grid, no more are expected than by either.
    is_anew = from_break | (~from_open & (resumes < closes) & (anew < expected))
    # Where a history begins between two of the times that are counted, one bar less may fit.
    expected = np.where(
        is_anew, anew, np.where(resumes == closes, np.minimum(expected, most), expected)
    )
    return Held(known.days[start:until], expected, np.minimum(counts, expected))


def _find_rows(times: Int64, length: int, known: Sessions) -> Int64:
    """Return the position of each bar's session, or of the next one where it lies in none.

    A bar that begins in the rest of futures and lasts beyond it is of the session after it.
    """
    rows = np.searchsorted(known.closes, times, side="right")
    at = np.minimum(rows, len(known.closes) - 1)
    pauses, closes = known.pauses[at], known.closes[at]
    rests = (known.resumes[at] == closes) & (times >= pauses) & (times + length > closes)
    found: Int64 = rows + (rests & (times < closes))
    return found


def _tell_grids(times: Int64, rows: Int64, length: int, known: Sessions) -> tuple[Bools, Bools]:
    """Return which sessions have bars after their lunch break that are counted from the open, and
    which have some that are counted anew from where trade resumes, each of shape (s,). A bar that
    is both tells nothing.
    """
    count = len(known.closes)
    at = np.minimum(rows, count - 1)
    opens, resumes = known.opens[at], known.resumes[at]
    is_later = (rows < count) & (resumes < known.closes[at]) & (times >= known.pauses[at])
    by_open = (times - opens) % length == 0
    by_break = (times >= resumes) & ((times - resumes) % length == 0)
    from_open, from_break = (
        np.bincount(rows[is_later & told], minlength=count) > 0
        for told in (by_open & ~by_break, by_break & ~by_open)
    )
    return from_open, from_break


def _find_begins(known: Sessions) -> Int64:
    """Return when trade that goes on without a break up to each session began: a week of currencies
    has as many bars of four hours as fit into it, by whichever clock they are counted.
    """
    is_first = np.insert(known.opens[1:] != known.closes[:-1], 0, values=True)
    begins: Int64 = known.opens[is_first][np.cumsum(is_first) - 1]
    return begins


def _count_slots(opens: Int64, until: Int64, pauses: Int64, resumes: Int64, length: int) -> Int64:
    """Return how many bars start from each of `opens` and before `until`.

    A bar that would close in the lunch break closes at its beginning, as in `calendar.list_closes`.
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
    """Return the session of each bar, in days since 1970; of a weekly bar the week's first session.

    A weekly bar is labelled by that session's date, or by an earlier day of the week on which the
    exchange was closed, such as a Monday.
    """
    labels: Int64 = times // DAY_SECONDS
    if interval != "1w":
        return labels
    row = np.minimum(np.searchsorted(known.days, labels), len(known.days) - 1)
    week = np.searchsorted(days, known.days[row], side="right") - 1
    return days[np.maximum(week, 0)]
