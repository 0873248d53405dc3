# ruff: noqa: RUF001 - names of months in other languages
"""Months by their names, in the languages of markets."""

import re
from collections import Counter
from collections.abc import Mapping

from core.errors import BadInput
from market.imports.times.uniques import SHOWN

# So many dates with an unknown name of a month are no stray lines.
FEWEST_UNKNOWN = 3
# Months by the first letters of their names in English, German, Dutch, French, Spanish, Portuguese,
# Italian, Danish, Norwegian, Swedish, Polish, Russian, Ukrainian, Turkish and Hungarian. No two of
# these languages mean different months by the same letters. Of languages that would, four letters
# are listed (marraskuu is November in Finnish).
MONTHS = {
    beginning: number
    for number, beginnings in enumerate(
        (
            "jan jän ene gen sty янв січ oca",
            "feb fév fev lut фев лют şub sub",
            "mar mär mrz mrt maa már мар бер",
            "apr avr abr ápr kwi апр кві nis",
            "may mai mei mag maj máj май мая тра",
            "jun juin giu jún cze июн чер haz meit",
            "jul juil lug júl lip июл лип tem",
            "aug aoû aou ago sie авг сер ağu agu",
            "sep set sze wrz сен вер eyl",
            "oct okt out ott paź paz окт жов eki",
            "nov marr lis ноя лис kas",
            "dec dez des déc dic gru дек гру ara",
        ),
        start=1,
    )
    for beginning in beginnings.split()
}
# Some Croatian names begin like the Polish and Czech names of the month after: lipanj is June,
# lipiec July; listopad is October in Croatian, November in Polish and Czech.
CROATIAN_MONTHS = {
    "sij": 1, "vel": 2, "ožu": 3, "ozu": 3, "tra": 4, "svi": 5, "lip": 6, "srp": 7, "kol": 8,
    "ruj": 9, "lis": 10, "stu": 11, "pro": 12,
}  # fmt: skip
# The meaning in Polish, and in Croatian.
DOUBTFUL_MONTHS = {"lip": ("July", "June"), "lis": ("November", "October")}
# Names that are only Croatian, or only Polish: they settle the language of the doubtful ones.
CROATIAN_ALONE = {*CROATIAN_MONTHS, "lipa", "lipn"} - {"lip", "srp", "lis", "pro"}
POLISH_ALONE = {"sty", "lut", "kwi", "cze", "lipi", "lipc", "sie", "wrz", "paź", "paz", "gru"}
MONTH_LANGUAGES = "English, the large languages of Europe and Turkish"
NAME = r"[^\W\d_]{3,12}"
_DAY_MONTH = re.compile(
    rf"(?:{NAME},?\s+)?(\d{{1,2}})[ ./-]*(?:de )?({NAME})\.?[ ,./-]*(?:de )?(\d{{4}})(?: ?г)?\.?"
    r"(?:[ T,]+(.*))?"
)
_YEAR_MONTH = re.compile(rf"(\d{{4}})[ ./-]+({NAME})\.?[ ./-]+(\d{{1,2}})\.?(?:[ T,]+(.*))?")
_MONTH_DAY = re.compile(
    rf"(?:{NAME},?\s+)?({NAME})\.?[ ./-]+(\d{{1,2}})(?:st|nd|rd|th)?[ ,./-]+(\d{{4}})"
    r"(?:[ T,]+(.*))?"
)
# Each pattern with its groups of year, month and day; the fourth group is the rest of the text.
NAMED_MONTHS = ((_DAY_MONTH, (3, 2, 1)), (_YEAR_MONTH, (1, 2, 3)), (_MONTH_DAY, (3, 1, 2)))


def settle_months(texts: list[str], rows: int) -> dict[str, int]:
    """Return the months by name in the language of some texts.

    Raises BadInput where nothing tells the language, or where a name is unknown in a table of
    `rows`
    rows: the bars of that month would be missing.
    """
    first: dict[str, str] = {}
    names = Counter[str]()
    for text in texts:
        found = ((pattern.fullmatch(text), group) for pattern, (_, group, _) in NAMED_MONTHS)
        name = next((match[group] for match, group in found if match), None)
        if name is not None:
            names[name] += 1
            first.setdefault(name, text)
    beginnings = {name.lower()[:length] for name in names for length in (3, 4)}
    months = CROATIAN_MONTHS if beginnings & CROATIAN_ALONE else MONTHS
    doubtful = next((name for name in names if name.lower()[:3] in DOUBTFUL_MONTHS), None)
    if doubtful is not None and bool(beginnings & POLISH_ALONE) == (months is CROATIAN_MONTHS):
        polish, croatian = DOUBTFUL_MONTHS[doubtful.lower()[:3]]
        raise BadInput(
            f"dates such as {first[doubtful][:SHOWN]} name a month, {doubtful}, that is {polish} in"
            f" Polish and {croatian} in Croatian, and no other month tells which: write them as"
            " 2024-01-02"
        )
    unknown = Counter({name: names[name] for name in names if not find_month(name, months)})
    name, count = unknown.most_common(1)[0] if unknown else ("", 0)
    if count >= min(FEWEST_UNKNOWN, rows):
        raise BadInput(
            f"dates such as {first[name][:SHOWN]} name a month, {name}, in a language that is not"
            f" known ({MONTH_LANGUAGES} are): write them as 2024-01-02"
        )
    return months


def find_month(name: str, months: Mapping[str, int]) -> int:
    """Return the number of a month, 0 where the name is none. Four letters are compared first, as
    juin and juillet differ in the fourth.
    """
    known = name.lower()
    return months.get(known[:4]) or months.get(known[:3], 0)
