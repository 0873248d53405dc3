"""Sessions: which times belong to which trading day of an exchange."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detection.bars.intervals import DAY_SECONDS, INTERVALS, is_intraday
from detection.bars.markets import Market
from detection.bars.panel import Int64

HOUR_SECONDS = 3_600
# The first day that exchange_calendars knows of an exchange, where that is not long before any bars.
CALENDAR_STARTS = {"XTKS": "1997-01-01"}


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of an exchange, in order; each array of shape (s,).

    Attributes:
        days: dates, in days since 1970.
        opens, closes: UTC seconds; lunch breaks are not left out.
    """

    days: Int64
    opens: Int64
    closes: Int64


def find_closes(times: Int64, market: Market, interval: str) -> tuple[NDArray[np.bool_], Int64]:
    """Return which bars lie in a session, and when each closes (UTC seconds, at the latest), by its label.

    A daily bar's label must be a session, a week must hold one, and an intraday bar must overlap one; it closes with
    its session if not before. Outside the years of which the exchange's calendar is known (from `CALENDAR_STARTS` to
    a year from now), weekdays count as sessions.
    """
    if not len(times):
        return np.zeros(0, np.bool_), times
    known = load_sessions(market)
    length = INTERVALS[interval]
    if is_intraday(interval):
        row = np.searchsorted(known.closes, times, side="right")
        at = np.minimum(row, len(known.closes) - 1)
        held = (row < len(known.closes)) & (known.opens[at] < times + length)
        closes = np.minimum(known.closes[at], times + length)
        days = local_days(times, market.zone)
    else:
        days = times // DAY_SECONDS
        last_day = days + length // DAY_SECONDS - 1
        row = np.searchsorted(known.days, last_day, side="right") - 1
        at = np.maximum(row, 0)
        held = (row >= 0) & (known.days[at] >= days)
        closes = known.closes[at]
    outside = (days < known.days[0]) | (days > known.days[-1])
    held = np.where(outside, (days + 3) % 7 < 5, held)
    return held, np.where(outside, times + length, closes)


@lru_cache(maxsize=8)
def load_sessions(market: Market) -> Sessions:
    """Return all sessions of a market's calendar; made once a process (about 0.2 s)."""
    import exchange_calendars  # noqa: PLC0415 - loads slowly, and only imports of bars need it

    start = CALENDAR_STARTS.get(market.calendar, "1900-01-01")
    schedule = exchange_calendars.get_calendar(market.calendar, start=start).schedule
    seconds = {name: schedule[name].to_numpy("datetime64[s]").astype(np.int64) for name in ("open", "close")}
    days = schedule.index.to_numpy("datetime64[D]").astype(np.int64)
    return Sessions(days, seconds["open"], seconds["close"])


def local_days(times: Int64, zone: ZoneInfo) -> Int64:
    """Return the local date of each UTC time, in days since 1970.

    A zone's offset is looked up once an hour: all our markets change theirs on the full hour, if at all.
    """
    hours, positions = np.unique(times // HOUR_SECONDS, return_inverse=True)
    offsets = [_offset_seconds(int(hour) * HOUR_SECONDS, zone) for hour in hours]
    days: Int64 = (times + np.array(offsets, np.int64)[positions]) // DAY_SECONDS
    return days


def _offset_seconds(time: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
