"""Intervals (how long a bar is) and periods (how far back to look)."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import MINYEAR, UTC, date, datetime, timedelta

from core.errors import BadInput

DAY_SECONDS = 86_400
# Bars of other years are rejected.
FIRST_YEAR, LAST_YEAR = 1900, 2199
# `date.toordinal()` of day 0 in days since 1970.
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

# Nominal length in seconds. A session's last bar may be shorter, and a daily bar lasts from the
# open to the close.
INTERVALS: dict[str, int] = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "4h": 14_400,
    "1d": DAY_SECONDS,
    "1w": 7 * DAY_SECONDS,
}

# In place of an interval: find it from the distance between the incoming bars.
AUTO = "auto"

_UNITS = {
    1: ("s", "sec", "second"),
    60: ("m", "t", "min", "minute"),
    3_600: ("h", "hr", "hour", "hourly"),
    DAY_SECONDS: ("d", "day", "daily"),
    7 * DAY_SECONDS: ("w", "wk", "week", "weekly"),
    30 * DAY_SECONDS: ("mo", "mon", "mn", "mth", "month", "monthly"),
    365 * DAY_SECONDS: ("y", "yr", "year", "yearly"),
}
_SECONDS = {word: seconds for seconds, words in _UNITS.items() for word in words}
_NAMES = {seconds: name for name, seconds in INTERVALS.items()}
# 5m, 60min, 1 day, D, daily; M5, PERIOD_H1 of MetaTrader; ohlcv-1m of Databento.
_COUNT_FIRST = re.compile(r"(?:ohlcv-)?(\d{0,4})[ _-]?([A-Za-z]+?)s?")
_UNIT_FIRST = re.compile(r"(?:PERIOD_)?(MN|[MHDW])(\d{1,4})")

_PERIOD = re.compile(r"([1-9][0-9]{0,3})(d|w|mo|y)")


def session_of(day: int) -> datetime:
    """Return the label of a session from its number of days since 1970."""
    return datetime.fromtimestamp(int(day) * DAY_SECONDS, UTC)


def day_of(label: datetime) -> int:
    """Return in days since 1970 the session, or the UTC date, of a label."""
    return int(label.timestamp()) // DAY_SECONDS


def parse_interval(text: str) -> str:
    """Return the interval's name. Raises BadInput on one that is not known."""
    name = text.strip()
    if name not in INTERVALS:
        raise BadInput(
            f"{text[:40]!r} is no interval that is known: choose one of {', '.join(INTERVALS)}"
        )
    return name


def parse_import_interval(text: str) -> str:
    """Return the interval's name, or `auto` where it is to be found from the bars.

    Raises BadInput on one that is not known.
    """
    return AUTO if text.strip() == AUTO else parse_interval(text)


def read_interval(word: str) -> tuple[str, ...]:
    """Return the intervals that a vendor's word may mean: none where it is no length of time, the
    word itself where it is an unknown length. A bare number may be minutes or seconds.
    """
    text = word.strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        lengths = [int(text) * 60, int(text)]
        return tuple(_NAMES[one] for one in lengths if one in _NAMES) or (text,)
    if match := _UNIT_FIRST.fullmatch(text):
        unit, count = match.groups()
    elif match := _COUNT_FIRST.fullmatch(text):
        count, unit = match.groups()
        # A capital M is a month; minutes have a small letter.
        unit = "mo" if unit == "M" else unit
    else:
        return ()
    seconds = _SECONDS.get(unit.lower())
    return () if seconds is None else (_NAMES.get(int(count or 1) * seconds, text),)


def is_intraday(interval: str) -> bool:
    """Return whether a session has several bars of an interval."""
    return INTERVALS[interval] < DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of calendar time before the last stored bar; with neither days nor months it is
    everything.
    """

    text: str
    days: int = 0
    months: int = 0


def parse_period(text: str) -> Period:
    """Read a period such as `30d`, `2w`, `6mo`, `5y` or `max`. Raises BadInput on anything else."""
    name = text.strip().lower()
    if name == "max":
        return Period(name)
    match = _PERIOD.fullmatch(name)
    if match is None:
        raise BadInput(
            f"{text[:40]!r} is no period: write a number from 1 to 9999 and d, w, mo or y (30d, 2w,"
            " 6mo, 5y), or max for everything"
        )
    count, unit = int(match[1]), match[2]
    if unit in {"d", "w"}:
        return Period(name, days=count * (7 if unit == "w" else 1))
    return Period(name, months=count * (12 if unit == "y" else 1))


def period_start(period: Period, last: datetime) -> datetime | None:
    """Return the time that is `period` before `last`; None where the period is everything.

    Months are calendar months: one month before 31 March is the last day of February.
    """
    if not period.days and not period.months:
        return None
    if period.days:
        return last - timedelta(days=period.days)
    year, month = divmod(last.year * 12 + last.month - 1 - period.months, 12)
    if year < MINYEAR:
        return None
    return last.replace(
        year=year, month=month + 1, day=min(last.day, monthrange(year, month + 1)[1])
    )
