"""Refuses dates of other calendars, Buddhist years and Japanese eras, and says what they are.

Taiwan's years of three digits are read, but not those of dates in seven digits, which TradeStation
writes, too. A Buddhist year could also be a year in the future, and a Japanese era may be given by
its letter only.
"""

import re
from typing import Any

import pandas as pd

from core.errors import BadInput
from market.imports.times.uniques import SHOWN

MOST_LOOKED_AT = 1_000
BUDDHIST_EPOCH = -543
# The year before the first one of each era, by the era's letter and name.
ERAS = {"R": 2018, "令和": 2018, "H": 1988, "平成": 1988, "S": 1925, "昭和": 1925}
_YEAR = r"(?P<year>2[45]\d\d)"
_BUDDHIST = re.compile(
    rf"{_YEAR}(?:[-/.]\d\d?[-/.]\d\d?|[01]\d[0-3]\d(?:\.0)?)(?:\D.*)?"
    r"|\d\d?[-/. ]\w+\.?[-/. ](?P<last>2[45]\d\d)(?:\D.*)?"
)
_ERA = re.compile(
    rf"(?P<era>{'|'.join(ERAS)})\s*(?P<year>\d\d?|元)\s*[-/.年]\s*\d\d?\s*[-/.月]\s*\d\d?\D?.*"
)

_SEVEN = re.compile(r"(?P<years>1[0-4]\d)(?P<day>(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?:\.0)?")
# What the years of such a date are counted from.
TAIWAN_EPOCH, TRADESTATION_EPOCH = 1911, 1900


def refuse_eras(values: "pd.Series[Any]") -> None:
    """Raise BadInput where most dates have Buddhist years, Japanese eras, or seven digits."""
    looked_at = values.iloc[:: max(1, len(values) // MOST_LOOKED_AT)].astype(str).str.strip()
    for pattern, calendar in (
        (_BUDDHIST, "the Buddhist calendar, as Thailand's"),
        (_ERA, "Japan's eras"),
    ):
        found = [match for text in looked_at if (match := pattern.fullmatch(text))]
        if 2 * len(found) > len(looked_at):
            named, year = _name_year(found[0])
            raise BadInput(
                f"dates such as {found[0][0][:SHOWN]} are of {calendar}, in which {year} is"
                f" {named}: write the years as {year}, and dates as 2024-01-02"
            )
    found = [match for text in looked_at if (match := _SEVEN.fullmatch(text))]
    if 2 * len(found) > len(looked_at):
        taiwan, tradestation = (
            f"{int(found[0]['years']) + epoch}-{found[0]['day'][:2]}-{found[0]['day'][2:]}"
            for epoch in (TAIWAN_EPOCH, TRADESTATION_EPOCH)
        )
        raise BadInput(
            f"dates such as {found[0][0][:SHOWN]} can be read two ways: as {taiwan}, by Taiwan's"
            f" years, or as {tradestation}, by TradeStation's: write them as 2024-01-02"
        )


def _name_year(match: "re.Match[str]") -> tuple[str, int]:
    """Return a year as it is written, and the same year AD."""
    groups = match.groupdict()
    if era := groups.get("era"):
        number = 1 if groups["year"] == "元" else int(groups["year"])
        return f"{era}{groups['year']}", ERAS[era] + number
    written = groups["year"] or groups["last"]
    return written, int(written) + BUDDHIST_EPOCH
