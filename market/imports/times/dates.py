"""Reads dates as texts: finds which number is the day, and writes them as ISO 8601."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from core.errors import BadInput
from market.imports.options import ReadingOptions
from market.imports.times.months import NAME, NAMED_MONTHS, find_month
from market.imports.times.uniques import FEWEST_IN_ORDER, SHOWN

# Taiwan counts years from here; those from 2011 on have three digits.
TAIWANESE_EPOCH = 1911
# So many dates of either kind are no accident.
FEWEST_TURNED = 3
MOST_LOOKED_AT = 1_000
MONTHS_OF_YEAR = 12
_COMPACT = re.compile(
    r"(\d{4})(\d{2})(\d{2})(?:[ T-]*(\d{6}|\d{4}|\d{1,2}:\d{2}.*))?(\s+\S+|Z|[+-]\d{2}:?\d{2})?"
)
_YEAR_FIRST = re.compile(
    r"(\d{4}|1\d{2})\s*[-/.年년]\s*(\d{1,2})\s*[-/.月월]\s*(\d{1,2})[日일]?(?:[ T,]+(.*))?"
)
# 31012024, which as seconds since 1970 would be in 1970. A number may have lost its leading zero.
_YEAR_LAST = re.compile(
    r"(?P<first>[0-3]?\d)(?P<second>[0-3]\d)(?P<year>(?:19|20)\d{2})(?:\.0+|[ T]+(?P<clock>\S.*))?|"
    r"(?P<first_>[0-3]\d)(?P<second_>[0-3]\d)(?P<year_>(?:19|20)\d{2})(?P<clock_>\d{4}(?:\d{2})?)"
)
_PARTED = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})\.?(?:[ T,]+(.*))?")
_SHORT_YEAR = re.compile(rf"\d{{1,2}}([-/.])(?:\d{{1,2}}|{NAME})\1\d{{2}}(?:\D.*)?")


def refuse_days_first(iso: "pd.Series[str]") -> None:
    """Raise BadInput where dates follow each other only if the day comes before the month, as in
    2024-31-01.
    """
    # In most columns a sample already has a day after the 12th, which settles that this is not so.
    if (iso.iloc[:: max(1, len(iso) // MOST_LOOKED_AT)].str[8:10] > str(MONTHS_OF_YEAR)).any():
        return
    dates = iso.str[:10].drop_duplicates()
    if (
        len(dates) < FEWEST_IN_ORDER
        or dates.is_monotonic_increasing
        or dates.is_monotonic_decreasing
        or (dates.str[8:10] > str(MONTHS_OF_YEAR)).any()
    ):
        return
    turned = dates.str[:5] + dates.str[8:10] + "-" + dates.str[5:7]
    if turned.is_monotonic_increasing or turned.is_monotonic_decreasing:
        raise BadInput(
            f"dates such as {dates.iloc[-1]} seem to have the day before the month, as they follow"
            f" each other only so: write them as {turned.iloc[-1]}"
        )


def refuse_turned(iso: list[str], others: list[str]) -> None:
    """Raise BadInput where a spreadsheet with the settings of another country has swapped day and
    month in all dates that it could read, and left the others as text: 02/01/2024 became a day in
    February, 13/01/2024 stayed a text.
    """
    parted = [match for text in others if (match := _PARTED.fullmatch(text))]
    is_turned = (
        min(len(iso), len(parted)) >= FEWEST_TURNED
        and all(int(text[8:10]) <= MONTHS_OF_YEAR for text in iso)
        and any(all(int(match[group]) > MONTHS_OF_YEAR for match in parted) for group in (1, 3))
    )
    if is_turned:
        raise BadInput(
            f"a spreadsheet seems to have swapped day and month in some of its dates: all that are"
            f" written like {iso[0][:10]} are of a day up to the 12th, all like"
            f" {parted[0][0][:SHOWN]} of a later one. Import the file as it was before a"
            " spreadsheet opened it"
        )


def ends_with_year(numbers: "pd.Series[Any]") -> bool:
    """Return whether most numbers are dates that end with their year, such as 31012024."""
    looked_at = numbers.iloc[:: max(1, len(numbers) // MOST_LOOKED_AT)].astype(str)
    return 2 * looked_at.map(_YEAR_LAST.fullmatch).notna().sum() > len(looked_at)


def part_year_last(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Return dates of digits that end with their year in the form 31/01/2024, where most texts of
    digits are such dates; the others cannot be seconds then.
    """
    looked_at = texts.iloc[:: max(1, len(texts) // MOST_LOOKED_AT)]
    digits = looked_at[looked_at.str.match(r"\d{5}").to_numpy(bool)]
    if not len(digits) or not ends_with_year(digits):
        return texts
    written = []
    for text in texts:
        match = _YEAR_LAST.fullmatch(text)
        if match is None:
            written.append("" if text.isdecimal() else text)
            continue
        end = "" if match["first"] else "_"
        date = "/".join(match[name + end] for name in ("first", "second", "year"))
        written.append(f"{date} {match['clock' + end] or ''}".strip())
    return pd.Series(written, dtype=object).astype("str")


def settle_order(texts: list[str], options: ReadingOptions, notes: list[str]) -> bool:
    """Return whether the day comes before the month in 03/04/2024.

    Raises BadInput where no row settles it.
    """
    parted = [match for text in texts if (match := _PARTED.fullmatch(text))]
    if options.day_first is not None or not parted:
        if not parted and texts and all(_SHORT_YEAR.fullmatch(text) for text in texts):
            raise BadInput(
                f"years of two digits, as in {texts[0][:SHOWN]!r}, are not read: write 2024-01-02"
            )
        return bool(options.day_first)
    first = next((match[0] for match in parted if int(match[1]) > 12), None)
    second = next((match[0] for match in parted if int(match[3]) > 12), None)
    if first and second:
        raise BadInput(
            f"dates can be read two ways: {first[:SHOWN]} has the day first, {second[:SHOWN]} the"
            " month; write them as 2001-09-17"
        )
    if first is None and second is None:
        a, b, year = parted[0].group(1, 3, 4)
        raise BadInput(
            f"dates such as {parted[0][0][:SHOWN]} can be read two ways, and no row settles whether"
            f" the day or the month comes first: as {year}-{int(b):02}-{int(a):02} (day first) or"
            f" as {year}-{int(a):02}-{int(b):02} (month first): say which"
        )
    notes.append(
        f"dates are read with the {'day' if first else 'month'} first, as in"
        f" {(first or second or '')[:SHOWN]}"
    )
    return first is not None


def part_date(text: str, months: Mapping[str, int], *, day_first: bool) -> tuple[str | None, str]:
    """Return a date as ISO 8601, or None, and what follows it."""
    if match := _YEAR_FIRST.fullmatch(text):
        return _write_date(match[1], match[2], match[3]), (match[4] or "").strip()
    if match := _PARTED.fullmatch(text):
        day, month = (match[1], match[3]) if day_first else (match[3], match[1])
        return _write_date(match[4], month, day), (match[5] or "").strip()
    if match := _COMPACT.fullmatch(text):
        clock = f"{match[4] or ''} {match[5] or ''}".strip()
        # Interactive Brokers writes UTC with a dash, and the exchange's time with a blank.
        zone = " UTC" if match[4] and text[8] == "-" and not match[5] else ""
        return _write_date(match[1], match[2], match[3]), clock + zone
    for pattern, (year, month, day) in NAMED_MONTHS:
        if match := pattern.fullmatch(text):
            date = _write_date(match[year], str(find_month(match[month], months)), match[day])
            return date, (match[4] or "").strip()
    return None, ""


def _write_date(year: str, month: str, day: str) -> str:
    """Return a date as ISO 8601; a year of three digits is a year of Taiwan's calendar."""
    number = int(year)
    if len(year) == 3:
        number += TAIWANESE_EPOCH
    return f"{number:04}-{int(month):02}-{int(day):02}"
