"""Times of day as texts, and the zones that they name."""

import re
from typing import Any

import pandas as pd

from core.errors import BadInput
from market.imports.options import check_timezone

# Abbreviations with a single meaning; CST, IST and BST are several zones.
ABBREVIATIONS = {
    "Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00", "EST": "-05:00", "EDT": "-04:00",
    "CDT": "-05:00", "MST": "-07:00",
    "MDT": "-06:00", "PST": "-08:00", "PDT": "-07:00", "JST": "+09:00", "KST": "+09:00",
    "HKT": "+08:00",
    "SGT": "+08:00", "ICT": "+07:00", "CET": "+01:00", "CEST": "+02:00", "EET": "+02:00",
    "EEST": "+03:00",
    "MSK": "+03:00", "AEST": "+10:00", "AEDT": "+11:00",
}  # fmt: skip
# The places of abbreviations that are used in one season only: EDT in summer, EST in winter.
PLACES = {
    "EST": "America/New_York", "EDT": "America/New_York", "CDT": "America/Chicago",
    "MDT": "America/Denver", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
    "CET": "Europe/Berlin", "CEST": "Europe/Berlin", "EET": "Europe/Athens",
    "EEST": "Europe/Athens", "AEDT": "Australia/Sydney",
}  # fmt: skip
# Abbreviations in a column's name that mean a zone whose offset changes with the seasons.
ZONES = {"ET": "America/New_York"}
_CLOCK = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([AaPp])\.?[Mm]\.?(?![A-Za-z]))?\s*"
    r"(?:(?:UTC|GMT)(?=[+-]))?(Z|[+-]\d{2}(?::?\d{2})?|[A-Za-z_]+(?:/[A-Za-z_]+){0,2})?"
    r"(?:\s*\([^)]*\))?"
)
_ENDS_WITH_CLOCK = r"|.*(?<![+-]\d)\d:\d{2}(?:[.,]\d+)?(?:\s*[AaPp]\.?[Mm]\.?)?"
_HOUR = r"[01]?\d|2[0-3]"
_CLOCK_DIGITS = re.compile(r"\d{4}|\d{6}")


def join_clock(
    dates: "pd.Series[str]", clocks: "pd.Series[str]", *, are_hours: bool
) -> "pd.Series[str]":
    """Return dates and times of day as one column. Times of digits only get back the leading zeros
    that they have lost.

    Raises BadInput where such digits may be hours or minutes, and the column's name does not tell.
    """
    clocks = clocks.astype(str).str.strip().str.replace(r"\.0$", "", regex=True)
    is_digits = clocks.str.fullmatch(r"\d{1,6}")
    if clocks.str.fullmatch(_HOUR).all() and clocks.str.strip("0").any():
        if not are_hours:
            hour = clocks[clocks.str.strip("0") != ""].iloc[0].zfill(2)
            raise BadInput(
                f"times of day such as {hour} can be read two ways: as {hour}:00 or as 00:{hour}:"
                f" write them as {hour}:00"
            )
        clocks = clocks.str.zfill(2) + ":00"
    elif is_digits.any():
        length = (
            4 if clocks[is_digits].str.len().max() <= 4 and (clocks[is_digits] != "0").any() else 6
        )
        clocks = clocks.where(~is_digits, clocks.str.zfill(length))
    if clocks.str.contains(r"^\d{4}-\d{2}-\d{2}", regex=True).all():
        return clocks
    dates = dates.astype(str).str.strip().str.replace(r"\s+0{1,2}:00(:00)?$", "", regex=True)
    return (dates + " " + clocks).str.strip()


def add_zone(times: "pd.Series[Any]", zone: str) -> "pd.Series[Any] | None":
    """Return times with the abbreviation of a zone added to each; None where a time is no text that
    ends with a time of day.
    """
    if not pd.api.types.is_string_dtype(times):
        return None
    written = times.astype(str).str.strip()
    if not written.str.fullmatch(_ENDS_WITH_CLOCK).all():
        return None
    return written.where(written == "", written + f" {zone}")


def read_clock(text: str) -> tuple[str | None, str]:
    """Return a time of day as ISO 8601 with the offset that it names, and the name of its zone;
    the time is None where it cannot be read.
    """
    digits, _, rest = text.partition(" ")
    if _CLOCK_DIGITS.fullmatch(digits):
        text = ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)) + " " + rest
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None, ""
    hour, half = int(match[1]), (match[5] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None, ""
        hour = hour % 12 + (12 if half == "p" else 0)
    zone = match[6] or ""
    if zone and zone[0] not in "+-":
        zone = ABBREVIATIONS.get(zone.upper(), zone)
        if zone[0] not in "+-" and not _is_zone(zone):
            return None, ""
    elif len(zone) == 3:
        zone += ":00"
    return f"T{hour:02}:{match[2]}:{match[3] or '00'}{'.' + match[4] if match[4] else ''}", zone


def _is_zone(name: str) -> bool:
    try:
        check_timezone(name)
    except BadInput:
        return False
    return "/" in name
