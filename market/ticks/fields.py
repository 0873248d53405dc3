"""Reads the fields of records as they are sent: times, numbers and words. Pure functions."""

import math
import re
from datetime import UTC, datetime
from typing import Any

from core.errors import BadInput

MICROSECONDS = 1_000_000
# A number below _SECONDS is taken for seconds, below _MILLIS for milliseconds, below _MICROS for
# microseconds, else for nanoseconds.
_SECONDS, _MILLIS, _MICROS = 1e11, 1e14, 1e17
_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * MICROSECONDS
_VENUE = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,19}")
_DIGITS = re.compile(r"\d{1,20}")
# Bybit's files have seconds with a fraction.
_SECONDS_WRITTEN = re.compile(r"\d{1,11}\.\d{1,9}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Nobody traded on the first day of 1970: such a time stands for none (0), or for one since a start.
_FIRST = 86_400 * MICROSECONDS
# A number before 1980 is a date or a time of day in digits (20260105, 093000.123, 202601050930).
_FIRST_COUNTED = 3_652 * _FIRST
# Text that a spreadsheet would take for a formula, or that looks as if it were guarded already.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


class Unfit(Exception):
    """A record is not valid; the message is the word of the reason."""

    @property
    def reason(self) -> str:
        """Return the word of the reason, which does not change between versions."""
        return str(self)


def normalize_venue(text: str) -> str:
    """Return a venue in upper case. Raises BadInput on text that is not a venue."""
    venue = text.strip().upper()
    if not _VENUE.fullmatch(venue):
        raise BadInput(
            f"{text[:40]!r} is no venue: a venue is 1 to 20 letters A-Z, digits and . _ -, and"
            " begins with a letter or digit (BINANCE, NYSE)"
        )
    return venue


def read_time(value: Any) -> int:
    """Return in microseconds since 1970 a time that is ISO 8601 (UTC where it names no zone) or a
    number of seconds, milliseconds, microseconds or nanoseconds since 1970.

    Raises Unfit where it cannot be read, or is a number for a time before 1980.
    """
    if isinstance(value, str):
        if _DIGITS.fullmatch(value):
            value = int(value)
        elif _SECONDS_WRITTEN.fullmatch(value):
            value = float(value)
        else:
            return _read_iso(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("bad_time")
    # For numbers far below 0 or infinite ones, the microseconds below would overflow.
    if value < 0 or (isinstance(value, float) and not math.isfinite(value)):
        raise Unfit("bad_time")
    if value < _SECONDS:
        time = round(value * MICROSECONDS)
    elif value < _MILLIS:
        time = round(value * 1_000)
    else:
        time = round(value) if value < _MICROS else int(value) // 1_000
    if not _FIRST_COUNTED <= time <= _LAST:
        raise Unfit("bad_time")
    return time


def _read_iso(text: str) -> int:
    try:
        time = datetime.fromisoformat(text.strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unfit("bad_time") from error
    since = to_microseconds(time)
    return since if since >= _FIRST else _refuse("bad_time")


def _refuse(reason: str) -> Any:
    raise Unfit(reason)


def to_microseconds(time: datetime) -> int:
    """Return a time in microseconds since 1970, exactly."""
    passed = time - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * MICROSECONDS + passed.microseconds


def to_bounds(start: datetime | None, end: datetime | None) -> tuple[int | None, int | None]:
    """Return both ends of a stretch in microseconds; None stays None."""
    first, last = (None if time is None else to_microseconds(time) for time in (start, end))
    return first, last


def to_datetime(time: int) -> datetime:
    """Return the time of microseconds since 1970."""
    seconds, rest = divmod(time, MICROSECONDS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def read_number(value: Any) -> float:
    """Return a finite number, given as a number or as text. Raises Unfit."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unfit("not_a_number")
    if isinstance(value, str) and "_" in value:  # Python's float() would ignore it.
        raise Unfit("not_a_number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise Unfit("not_a_number") from error
    if not math.isfinite(number):
        raise Unfit("not_a_number")
    return number


def read_positive(value: Any, reason: str) -> float:
    """Return a number above 0. Raises Unfit with `reason` where it is 0 or below."""
    number = read_number(value)
    if number <= 0:
        raise Unfit(reason)
    return number


def guard(text: str) -> str:
    """Return text with an apostrophe before it where a spreadsheet would run it as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(text: str) -> str:
    """Return text as it was before `guard`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
