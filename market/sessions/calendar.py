"""Sessions: which times belong to which trading day of an exchange."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.arrays import Int64
from market.intervals import DAY_SECONDS, EPOCH_ORDINAL, INTERVALS, is_intraday
from market.markets import Market

HOUR_SECONDS = 3_600
# The longest holidays, those of China, close an exchange for ten days.
DAYS_WITHOUT_SESSION = 14
# The calendar of currencies, which exchange_calendars does not have. Currencies trade without a
# break from Sunday to Friday, 17:00 in New York. Sessions are UTC days; Sunday evening belongs to
# Monday's.
CURRENCIES, UTC_WEEKDAYS = "FX", "24/5"
WEEK_TURNS, WEEK_ZONE = time(17), ZoneInfo("America/New_York")
# Sessions of futures last from 18:00 to 18:00 in New York. In their last hour nobody trades, which
# exchange_calendars does not say. It is their break, so that the bars of exchanges and years that
# do trade in it are not refused.
FUTURES, REST_SECONDS = ("CMES", "us_futures"), HOUR_SECONDS
# A calendar counts from this day on; some begin later. New York's holidays are known before, while
# others' rules go back to years in which they were not in force, as London's May Day, of 1978.
CALENDAR_START, CALENDAR_STARTS = date(1970, 1, 1), {"XNYS": date(1900, 1, 1)}


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of an exchange, in order; each array of shape (s,).

    Attributes:
        days: dates, in days since 1970.
        opens, closes: UTC seconds. pauses, resumes: first and last second of the lunch break, or
        of the futures' rest before the close, in UTC seconds; both the close where there is none.
    """

    days: Int64
    opens: Int64
    closes: Int64
    pauses: Int64
    resumes: Int64


@dataclass(frozen=True, slots=True)
class Override:
    """An exception to an exchange's calendar on one day; without `opens` and `closes` it
    is closed.
    """

    day: date
    opens: datetime | None = None
    closes: datetime | None = None


def find_closes(
    times: Int64, market: Market, interval: str, known: Sessions
) -> tuple[NDArray[np.bool_], Int64]:
    """Return which bars lie in a session, and the latest time (UTC seconds) at which each closes,
    by its label.

    A daily bar's label must be a session, a week must hold one, and an intraday bar must overlap
    one; it closes with its session if not before, and if the next one does not open then, as that
    of currencies does at midnight. One that would close in a lunch break closes at its beginning;
    bars in the break are not left out. Outside the years of which the exchange's calendar is known
    (see `load_sessions`), weekdays count as sessions.
    """
    if not len(times):
        return np.zeros(0, np.bool_), times
    length = INTERVALS[interval]
    if is_intraday(interval):
        row = np.searchsorted(known.closes, times, side="right")
        at = np.minimum(row, len(known.closes) - 1)
        held = (row < len(known.closes)) & (known.opens[at] < times + length)
        after = np.minimum(at + 1, len(known.opens) - 1)
        goes_on = known.opens[after] == known.closes[at]
        ends = times + length
        closes = np.where(goes_on, ends, np.minimum(known.closes[at], ends))
        pauses = known.pauses[at]
        in_break = (times < pauses) & (closes > pauses) & (closes <= known.resumes[at])
        closes = np.where(in_break, pauses, closes)
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


def list_closes(known: Sessions, interval: str, start: int, end: int) -> Int64:
    """Return the closes of all bars of `interval` from `start` to `end` (UTC seconds, both
    inclusive), in order.

    Intraday bars are counted from their session's open, and close with it or with its lunch break
    if not before. Where the next session opens at the close, they are counted back from there, so
    that those of currencies lie on one grid all week. A week's bar closes with its last session.
    """
    inside = slice(
        *np.searchsorted(known.days, ((start // DAY_SECONDS) - 8, end // DAY_SECONDS + 8))
    )
    opens, closes, days = known.opens[inside], known.closes[inside], known.days[inside]
    if is_intraday(interval):
        length, goes_on = INTERVALS[interval], np.append(opens[1:] == closes[:-1], False)
        ends = [
            np.arange(c, o, -length)[::-1] if on else np.arange(o + length, c + length, length)
            for o, c, on in zip(opens, closes, goes_on, strict=True)
        ]
        session = np.repeat(np.arange(len(ends)), [len(each) for each in ends])
        times = np.minimum(np.concatenate([*ends, np.zeros(0, np.int64)]), closes[session])
        pauses, resumes = known.pauses[inside][session], known.resumes[inside][session]
        times = np.where((times > pauses) & (times <= resumes), pauses, times)
    elif interval == "1w":
        is_last = np.append(np.diff((days + 3) // 7) > 0, True)
        times = closes[is_last]
    else:
        times = closes
    found: Int64 = np.unique(times[(times >= start) & (times <= end)])
    return found


def load_sessions(market: Market) -> Sessions:
    """Return all sessions of a market's calendar, from its start (`CALENDAR_START`) to a year after
    the first of this month.

    A process computes them once a month (about 0.2 s), so that a process that runs for years does
    not run out of sessions. Some calendars end earlier, as their holidays are announced from year
    to year; from there on weekdays count as sessions, with the hours of the last session.
    """
    month = datetime.now(UTC).date().replace(day=1)
    end = month.replace(year=month.year + 1)
    return _continue_sessions(market.calendar, market.timezone, end)


def find_last_known_day(market: Market, now: datetime) -> date:
    """Return the last session that the market's calendar itself knows of, up to a year from now."""
    last: date = _get_recent_calendar(market, now).sessions[-1].date()
    return last


@lru_cache(maxsize=32)
def _continue_sessions(calendar: str, timezone: str, end: date) -> Sessions:
    return _go_on(_make_sessions(calendar, end), ZoneInfo(timezone), end)


def _go_on(known: Sessions, zone: ZoneInfo, end: date) -> Sessions:
    """Add the weekdays from the last session to `end`, with its hours,
    where a week or more is missing.
    """
    last, until = int(known.days[-1]), _count_days(end)
    if until - last < DAYS_WITHOUT_SESSION:
        return known
    days = np.arange(last + 1, until + 1)
    days = days[(days + 3) % 7 < 5]

    def repeat(times: Int64) -> Int64:
        clock = datetime.fromtimestamp(int(times[-1]), zone)
        later = clock.date().toordinal() - EPOCH_ORDINAL - last
        moved = [
            datetime.combine(date.fromordinal(int(day) + later + EPOCH_ORDINAL), clock.time(), zone)
            for day in days
        ]
        return np.concatenate(
            (times, np.array([int(each.timestamp()) for each in moved], np.int64))
        )

    columns = {
        name: repeat(getattr(known, name)) for name in ("opens", "closes", "pauses", "resumes")
    }
    return Sessions(days=np.concatenate((known.days, days)), **columns)


@lru_cache(maxsize=32)
def _make_sessions(calendar: str, end: date) -> Sessions:
    schedule = _get_calendar(calendar, end).schedule
    columns = ("open", "close", "break_start", "break_end")
    opens, closes, pauses, resumes = (
        schedule[name].to_numpy("datetime64[s]").astype(np.int64) for name in columns
    )
    has_break = ~np.isnat(schedule["break_start"].to_numpy("datetime64[s]"))
    days = schedule.index.to_numpy("datetime64[D]").astype(np.int64)
    if calendar == CURRENCIES:
        is_monday, is_friday = (days + 3) % 7 == 0, (days + 3) % 7 == 4
        opens[is_monday] = _find_week_turns(days[is_monday] - 1)
        closes[is_friday] = _find_week_turns(days[is_friday])
    pauses = np.where(has_break, pauses, closes)
    if calendar in FUTURES:
        evenings = local_seconds(closes, WEEK_ZONE) % DAY_SECONDS
        is_rested = evenings == WEEK_TURNS.hour * HOUR_SECONDS + REST_SECONDS  # no half day
        pauses[is_rested] -= REST_SECONDS
    return Sessions(days, opens, closes, pauses, np.where(has_break, resumes, closes))


def _find_week_turns(days: Int64) -> Int64:
    """Return the UTC seconds at which trade in currencies begins or ends on some days."""
    moments = [
        datetime.combine(date.fromordinal(int(day) + EPOCH_ORDINAL), WEEK_TURNS, WEEK_ZONE)
        for day in days
    ]
    return np.array([int(moment.timestamp()) for moment in moments], np.int64)


def find_last_listed_year(market: Market, now: datetime) -> int | None:
    """Return the last year of a calendar's list of holidays, which somebody has to extend; None
    where all holidays follow rules.

    A list has days in each of its last three years. Single days, of mourning or of a storm, are no
    such list.
    """
    listed = _get_recent_calendar(market, now).adhoc_holidays
    years = {int(str(day)[:4]) for day in listed}
    last = max(years, default=0)
    return last if {last - 1, last - 2} <= years else None


def _get_recent_calendar(market: Market, now: datetime) -> Any:
    """Return the last two years of a calendar, in a fraction of the time that the whole takes."""
    return _get_calendar(market.calendar, now.date() + timedelta(days=365), days=2 * 365)


def _get_calendar(name: str, end: date, days: int | None = None) -> Any:
    """Return a calendar up to `end` or its own end: the whole calendar, or its last `days` days."""
    # Only imports of bars and scans need these, which load slowly.
    import exchange_calendars  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    from pandas.tseries.holiday import AbstractHolidayCalendar  # noqa: PLC0415

    start = CALENDAR_STARTS.get(name, CALENDAR_START)
    # exchange_calendars applies the rules of holidays to these years alone. By pandas' own, 1970 to
    # 2200, all holidays before 1970 are sessions, and a calendar takes twice as long to make. They
    # are those of the whole process, so they are the same for each calendar.
    AbstractHolidayCalendar.start_date = pd.Timestamp(min(CALENDAR_STARTS.values()))
    AbstractHolidayCalendar.end_date = pd.Timestamp(end + timedelta(days=365))
    name = UTC_WEEKDAYS if name == CURRENCIES else name

    def get(first: date, last: date) -> Any:
        since = first if days is None else max(first, last - timedelta(days=days))
        return exchange_calendars.get_calendar(name, start=since.isoformat(), end=last.isoformat())

    try:
        return get(start, end)
    except ValueError:
        # The calendar begins later, as Tokyo's does in 1997, or ends earlier.
        kind = type(exchange_calendars.get_calendar(name))
        first, last = kind.bound_min(), kind.bound_max()
        return get(
            start if first is None else max(start, first.date()),
            end if last is None else min(end, last.date()),
        )


def apply_overrides(
    known: Sessions, overrides: Sequence[Override], calendar: str | None = None
) -> Sessions:
    """Return the sessions with exceptions in place of the calendar's days.

    A day on which currencies (their `calendar`) are closed is New York's: the session before it
    ends at 17:00 there on the eve, and the next one begins at 17:00 on the last day closed, as over
    a weekend.
    """
    if not overrides:
        return known
    announced = np.array([_count_days(override.day) for override in overrides], np.int64)
    kept = ~np.isin(known.days, announced)
    held = [o for o in overrides if o.opens is not None and o.closes is not None]
    opens = np.array([o.opens.timestamp() for o in held if o.opens], np.int64)
    closes = np.array([o.closes.timestamp() for o in held if o.closes], np.int64)
    columns = {
        "days": np.array([_count_days(o.day) for o in held], np.int64),
        "opens": opens,
        "closes": closes,
        "pauses": closes,
        "resumes": closes,
    }
    merged = {
        name: np.concatenate((getattr(known, name)[kept], added)) for name, added in columns.items()
    }
    order = np.argsort(merged["days"])
    applied = Sessions(**{name: values[order] for name, values in merged.items()})
    shut = np.array([_count_days(o.day) for o in overrides if o.opens is None], np.int64)
    return _turn_about(applied, shut, announced) if calendar == CURRENCIES else applied


def _turn_about(known: Sessions, shut: Int64, announced: Int64) -> Sessions:
    """Return the sessions of currencies with those next to a day that is shut ended and begun as
    at a weekend; those whose hours were announced keep them.
    """
    days, opens, closes = known.days, known.opens.copy(), known.closes.copy()
    own = ~np.isin(days, announced)
    ends, begins = own & np.isin(days + 1, shut), own & np.isin(days - 1, shut)
    closes[ends] = _find_week_turns(days[ends])
    opens[begins] = _find_week_turns(days[begins] - 1)
    return Sessions(days, opens, closes, closes, closes)


def _count_days(day: date) -> int:
    return day.toordinal() - EPOCH_ORDINAL


def local_days(times: Int64, zone: ZoneInfo) -> Int64:
    """Return the local date of each UTC time, in days since 1970."""
    days: Int64 = local_seconds(times, zone) // DAY_SECONDS
    return days


def local_seconds(times: Int64, zone: ZoneInfo) -> Int64:
    """Return the local time of each UTC time, as seconds since 1970 in local time.

    A zone's offset is looked up once for each hour, as all markets' clocks change on the full hour.
    """
    hours, positions = np.unique(times // HOUR_SECONDS, return_inverse=True)
    offsets = [_offset_seconds(int(hour) * HOUR_SECONDS, zone) for hour in hours]
    local: Int64 = times + np.array(offsets, np.int64)[positions]
    return local


def _offset_seconds(time: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
