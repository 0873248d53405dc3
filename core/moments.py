"""Times as requests, MongoDB and JSON have them."""

from datetime import UTC, datetime

from core.errors import BadInput

MILLISECOND = 1_000  # in microseconds


def as_utc(moment: datetime) -> datetime:
    """Return a time in UTC, cut to the millisecond; a time without a zone is in UTC already.

    Raises BadInput where in UTC it is not in the years 1 to 9999.
    """
    try:
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise BadInput("in UTC this is before the year 1 or after the year 9999") from error
    return utc.replace(microsecond=utc.microsecond // MILLISECOND * MILLISECOND)


def parse_moment(text: str, subject: str) -> datetime:
    """Read an ISO 8601 date or time; `subject` is what an error calls it. Raises BadInput."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(
            f"{subject} {text[:40]!r} is no date: write 2010-12-31 or 2010-12-31T15:30:00Z"
        ) from error
    try:
        return as_utc(moment)
    except BadInput as error:
        raise BadInput(f"{subject} {text[:40]!r}: {error.message}") from error


def write_moment(moment: datetime) -> str:
    """Return a time as JSON has it: ISO 8601 in UTC, with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def check_order(start: datetime | None, end: datetime | None) -> None:
    """Raise BadInput where a stretch ends before it starts."""
    if start is not None and end is not None and end < start:
        raise BadInput(f"`end` {end.isoformat()} is before `start` {start.isoformat()}; swap them")
