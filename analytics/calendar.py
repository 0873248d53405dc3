"""The calendar's bar counts: how many bars a year has, and how many there should be."""

import numpy as np

from core.arrays import Float64, Int64
from market.intervals import DAY_SECONDS, INTERVALS, is_intraday
from market.sessions.calendar import Sessions, list_closes

YEAR_SECONDS = 365 * DAY_SECONDS
WEEKS_A_YEAR = 52.0


def count_bars_per_year(known: Sessions, interval: str, times: Int64) -> Float64:
    """Return how many bars of an interval close in the year up to each bar, shape (m,).

    times: (m,), starts of bars, UTC seconds. A market that never closes has 365 days a year.
    """
    last = times + INTERVALS[interval]
    if interval == "1w":
        return np.full(times.size, WEEKS_A_YEAR)
    if not is_intraday(interval):
        days = times // DAY_SECONDS
        first, stop = _place(known.days, days - 364), _place(known.days, days + 1)
        return (stop - first).astype(np.float64)
    # Rounded to the day, so that all bars of a session have the same number.
    ends, at = np.unique(last // DAY_SECONDS * DAY_SECONDS, return_inverse=True)
    closes = list_closes(known, interval, int(ends.min()) - YEAR_SECONDS, int(ends.max()))
    counts = np.searchsorted(closes, ends, "right") - np.searchsorted(
        closes, ends - YEAR_SECONDS, "right"
    )
    return counts[at].astype(np.float64)


def count_expected_bars(known: Sessions, interval: str, firsts: Int64, lasts: Int64) -> Int64:
    """Return how many bars the sessions from each first to each last bar should have, both (m,).

    Outside the years that the calendar covers, the expected number is 0.
    """
    if interval == "1w":
        weeks = np.unique((known.days + 3) // 7)
        # A weekly bar is counted by its week, so any day of the week may label it.
        first, last = (firsts // DAY_SECONDS + 3) // 7, (lasts // DAY_SECONDS + 3) // 7
        return _place(weeks, last + 1) - _place(weeks, first)
    if not is_intraday(interval):
        return _place(known.days, lasts // DAY_SECONDS + 1) - _place(
            known.days, firsts // DAY_SECONDS
        )
    if not firsts.size:
        return firsts
    length = INTERVALS[interval]
    closes = list_closes(known, interval, int(firsts.min()), int(lasts.max()) + length)
    return np.searchsorted(closes, lasts + length, "right") - np.searchsorted(
        closes, firsts, "right"
    )


def _place(days: Int64, wanted: Int64) -> Int64:
    return np.searchsorted(days, wanted, side="left")
