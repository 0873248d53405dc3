"""Coverage: which sessions of its exchange a series has bars of,
from its first bar to its last (pure).

A session counts as covered where one bar of it is stored. A week is one where its exchange opened
at all. Years of which the exchange's calendar is not known count neither way.
"""

from datetime import UTC, date, datetime, timedelta

import numpy as np

from core.arrays import Int64
from market.intervals import DAY_SECONDS, is_intraday
from market.markets import Market
from market.sessions.calendar import Sessions, local_days
from records.market.documents import CoverageFields

# The latest stretches are listed, all are counted.
LISTED_GAPS = 100
EPOCH = date(1970, 1, 1)


def measure_coverage(
    times: Int64,
    market: Market,
    interval: str,
    known: Sessions,
    *,
    no_trade: int,
    after: datetime | None = None,
) -> CoverageFields:
    """Return {sessions, missing, gap_count, gaps, no_trade} of a series' bars,
    which start at `times` (UTC seconds, ascending), nothing having traded in `no_trade` of them.

    `sessions` is how many there were from the first bar to the last, `missing` how many of them
    have no bar, `gap_count` how many stretches of neighbouring sessions these are. `gaps` are the
    latest of these, ascending, each with its first and last session (midnight UTC of its date) and
    how many there are. With `after`, the start of the bar before `times`, all is counted from the
    session after that bar's on.
    """
    if after is not None:
        times = np.insert(times, 0, int(after.timestamp()))
    days, held = _list_days(times, market, interval, known)
    bounds = (held[0] + (after is not None), held[-1] + 1) if len(held) else (0, 0)
    expected = days[slice(*np.searchsorted(days, bounds))]
    missing = np.flatnonzero(~np.isin(expected, held))
    stretches = np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1) if len(missing) else []
    return {
        "sessions": len(expected),
        "missing": len(missing),
        "gap_count": len(stretches),
        "no_trade": no_trade,
        "gaps": [
            {"first": _at(expected[gap[0]]), "last": _at(expected[gap[-1]]), "sessions": len(gap)}
            for gap in stretches[-LISTED_GAPS:]
        ],
    }


def add_coverage(coverage: CoverageFields, later: CoverageFields) -> CoverageFields:
    """Return the coverage up to a series' last bar,
    from that up to a bar before and that measured after this bar.
    """
    return {
        "sessions": coverage["sessions"] + later["sessions"],
        "missing": coverage["missing"] + later["missing"],
        "gap_count": coverage["gap_count"] + later["gap_count"],
        "no_trade": coverage["no_trade"] + later["no_trade"],
        "gaps": [*coverage["gaps"], *later["gaps"]][-LISTED_GAPS:],
    }


def _list_days(times: Int64, market: Market, interval: str, known: Sessions) -> tuple[Int64, Int64]:
    """Return the days of all sessions and those of the bars (of a week: its first session),
    each in order.
    """
    if is_intraday(interval):
        return known.days, np.unique(local_days(times, market.zone))
    days = times // DAY_SECONDS
    if interval != "1w":
        return known.days, days
    firsts = known.days[np.insert(np.diff((known.days + 3) // 7) > 0, 0, values=True)]
    # A week's bar is labelled by its first session, or by a day before that: a Monday on which the
    # exchange was shut.
    row = np.searchsorted(known.days, days)
    labelled = known.days[np.minimum(row, len(known.days) - 1)]
    return firsts, np.unique(firsts[np.searchsorted(firsts, labelled, side="right") - 1])


def _at(day: int) -> datetime:
    return datetime.combine(EPOCH + timedelta(days=int(day)), datetime.min.time(), UTC)
