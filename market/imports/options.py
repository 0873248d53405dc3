"""Options for reading a file whose columns, numbers or times are ambiguous."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from core.errors import BadInput

FIELDS = (
    "ticker", "time", "clock", "open", "high", "low", "close", "volume", "split", "interval",
    "finished",
)  # fmt: skip
DECIMALS = {".": ".", ",": ",", "point": ".", "comma": ","}
THOUSANDS = {
    ".": ".",
    ",": ",",
    "'": "'",
    " ": " ",
    "point": ".",
    "comma": ",",
    "apostrophe": "'",
    "space": " ",
    "none": "",
}
LABELS = {"start": "start", "end": "end"}
MOST_NAME = 200
SHOWN = 40


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What a person has told about a file.

    Attributes:
        columns: by field of `FIELDS` the source's column, by name or by position from 1; "" says
            that no column is that field.
        decimal: the decimal separator, `.` or `,`; None: find it from the column.
        thousands: the separator of groups of three digits: `,` `.` `'` a blank, or "" for none;
            None: find it from the column.
        timezone: IANA name of the zone of times without a zone; None: the exchange's.
        day_first: whether 03/04/2024 is in April; None: find it from the column.
        labels: whether the time of an intraday bar is its `start` or its `end`; None: its start,
            and a table that looks otherwise is refused.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    decimal: str | None = None
    thousands: str | None = None
    timezone: str | None = None
    day_first: bool | None = None
    labels: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the options as JSON values, without those that are None."""
        values = {
            "columns": dict(self.columns),
            "decimal": self.decimal,
            "thousands": self.thousands,
            "timezone": self.timezone,
            "day_first": self.day_first,
            "labels": self.labels,
        }
        return {name: value for name, value in values.items() if value not in (None, {})}


NO_OPTIONS = ReadingOptions()


def build_options(
    *,
    columns: Sequence[str] = (),
    decimal: str | None = None,
    thousands: str | None = None,
    timezone: str | None = None,
    day_first: bool | None = None,
    labels: str | None = None,
) -> ReadingOptions:
    """Check the given options, columns as `close=PX_LAST`, and return them. Raises BadInput."""
    point = _look_up("decimal", decimal, DECIMALS)
    groups = _look_up("thousands", thousands, THOUSANDS)
    if point is not None and point == groups:
        raise BadInput(f"{point!r} cannot part the decimals and the thousands too")
    if timezone is not None:
        check_timezone(timezone)
    labels = _look_up("label", labels, LABELS)
    return ReadingOptions(_parse_columns(columns), point, groups, timezone, day_first, labels)


def check_timezone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name. Raises BadInput on one that is not known."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise BadInput(
            f"{name[:SHOWN]!r} is no time zone that is known: write it as UTC, America/New_York or"
            " Europe/Athens"
        ) from error


def _look_up(option: str, text: str | None, words: Mapping[str, str]) -> str | None:
    if text is None:
        return None
    if text not in words:
        raise BadInput(
            f"{text[:SHOWN]!r} is no {option}: choose one of"
            f" {', '.join(repr(word) for word in words)}"
        )
    return words[text]


def _parse_columns(texts: Sequence[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for text in texts:
        name, parted, column = text.partition("=")
        name, column = name.strip().lower(), column.strip()
        if not parted or name not in FIELDS or len(column) > MOST_NAME:
            raise BadInput(
                f"{text[:SHOWN]!r} names no column: write FIELD=COLUMN, such as close=PX_LAST,"
                " close=5 for the fifth, or volume= where none is; fields are"
                f" {', '.join(FIELDS)} (clock: the time of day, where it has a column of its own)"
            )
        if columns.setdefault(name, column) != column:
            both = " and ".join(repr(one[:SHOWN]) for one in (columns[name], column))
            raise BadInput(f"{name} is named twice: {both}")
    return columns
