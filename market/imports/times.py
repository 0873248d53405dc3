# ruff: noqa: RUF001 - names of months in other languages
"""Reading the times of bars, and turning them into the label a bar is stored under.

Read are: ISO 8601 with or without zone, `20010917`, `20010917 093000`, dates with slashes, dots or
months by name (day and month in the order that some row of the column settles), a time of day in a
column of its own, seconds, milliseconds, microseconds or nanoseconds since 1970, Excel's number of
a day, and the times of a database's types.

A time without a zone is the exchange's local time, unless a zone is given for all of them. Bars of
a day and longer are labelled by their session's date at 00:00 UTC, those of a week by its Monday: a
time with a zone counts as the date it has on the exchange, but for UTC midnight, which is the date
it says.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.arrays import Bools, Float64, Int64
from core.errors import BadInput
from market.imports.options import NO_OPTIONS, ReadingOptions, check_timezone
from market.intervals import DAY_SECONDS, FIRST_YEAR, LAST_YEAR, is_intraday
from market.markets import Market
from market.sessions.calendar import local_days

EARLIEST = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
# Seconds since 1970 have at most ten digits until the year 2286; compact dates have eight.
LEAST_MILLISECONDS = 100_000_000_000
COMPACT_DATES = (19_000_101, 22_001_231)
# What is left of a date that ends with its year, such as 31012024.
YEAR_LAST = 10_000
# Days that Excel counts from 1899-12-30 on: the years 1954 to 2118.
EXCEL_DAYS = (20_000, 80_000)
EXCEL_EPOCH = -25_569
# Numbers of up to six digits are times of day, or counts, but for those of bars of January 1970,
# which go on after its 12th day.
LEAST_SECONDS = 1_000_000
# Taiwan counts years from here; those from 2011 on have three digits.
TAIWANESE_EPOCH = 1911
# As many dates of either kind are no accident.
FEWEST_TURNED = 3
# So many dates do not follow each other by accident, read another way than they are written.
FEWEST_IN_ORDER = 5
MOST_LOOKED_AT = 1_000
# As many dates of a month whose name is not known are no stray line.
FEWEST_UNKNOWN = 3
# What an abbreviation can only mean; CST, IST and BST are several zones.
ABBREVIATIONS = {
    "Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00", "EST": "-05:00", "EDT": "-04:00",
    "CDT": "-05:00", "MST": "-07:00",
    "MDT": "-06:00", "PST": "-08:00", "PDT": "-07:00", "JST": "+09:00", "KST": "+09:00",
    "HKT": "+08:00",
    "SGT": "+08:00", "ICT": "+07:00", "CET": "+01:00", "CEST": "+02:00", "EET": "+02:00",
    "EEST": "+03:00",
    "MSK": "+03:00", "AEST": "+10:00", "AEDT": "+11:00",
}  # fmt: skip
# By how their names begin in English, German, Dutch, French, Spanish, Portuguese, Italian, Danish,
# Norwegian, Swedish, Polish, Russian, Ukrainian, Turkish and Hungarian: no two of these languages
# mean different months by one beginning. Of others that do four letters are known (marraskuu is the
# Finns' November).
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
# Croatian has beginnings of Polish and Czech months for those before: its lipanj is June, theirs
# lipiec July; its listopad is October, theirs November.
CROATIAN_MONTHS = {
    "sij": 1, "vel": 2, "ožu": 3, "ozu": 3, "tra": 4, "svi": 5, "lip": 6, "srp": 7, "kol": 8,
    "ruj": 9, "lis": 10, "stu": 11, "pro": 12,
}  # fmt: skip
# In Polish, and in Croatian.
DOUBTFUL_MONTHS = {"lip": ("July", "June"), "lis": ("November", "October")}
# What no other language has of these, and of Polish months: they settle whose the others are.
CROATIAN_ALONE = {*CROATIAN_MONTHS, "lipa", "lipn"} - {"lip", "srp", "lis", "pro"}
POLISH_ALONE = {"sty", "lut", "kwi", "cze", "lipi", "lipc", "sie", "wrz", "paź", "paz", "gru"}
MONTH_LANGUAGES = "English, the large languages of Europe and Turkish"
MONTHS_OF_YEAR = 12
SUNDAY = 6
SHOWN = 40
LONGEST = 64

_ISO = r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:[ T-]*(\d{6}|\d{4}|\d{1,2}:\d{2}.*))?(\s+\S+|Z)?")
_YEAR_FIRST = re.compile(
    r"(\d{4}|1\d{2})\s*[-/.年년]\s*(\d{1,2})\s*[-/.月월]\s*(\d{1,2})[日일]?(?:[ T,]+(.*))?"
)
_PARTED = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})\.?(?:[ T,]+(.*))?")
_NAME = r"[^\W\d_]{3,12}"
_SHORT_YEAR = re.compile(rf"\d{{1,2}}([-/.])(?:\d{{1,2}}|{_NAME})\1\d{{2}}(?:\D.*)?")
_DAY_MONTH = re.compile(
    rf"(?:{_NAME},?\s+)?(\d{{1,2}})[ ./-]*(?:de )?({_NAME})\.?[ ,./-]*(?:de )?(\d{{4}})(?: ?г)?\.?"
    r"(?:[ T,]+(.*))?"
)
_YEAR_MONTH = re.compile(rf"(\d{{4}})[ ./-]+({_NAME})\.?[ ./-]+(\d{{1,2}})\.?(?:[ T,]+(.*))?")
_MONTH_DAY = re.compile(
    rf"(?:{_NAME},?\s+)?({_NAME})\.?[ ./-]+(\d{{1,2}})(?:st|nd|rd|th)?[ ,./-]+(\d{{4}})"
    r"(?:[ T,]+(.*))?"
)
# Each with where it has the year, the month and the day; what follows them is the fourth.
NAMED_MONTHS = ((_DAY_MONTH, (3, 2, 1)), (_YEAR_MONTH, (1, 2, 3)), (_MONTH_DAY, (3, 1, 2)))
_CLOCK = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([AaPp])\.?[Mm]\.?(?![A-Za-z]))?\s*"
    r"(?:(?:UTC|GMT)(?=[+-]))?(Z|[+-]\d{2}(?::?\d{2})?|[A-Za-z_]+(?:/[A-Za-z_]+){0,2})?"
    r"(?:\s*\([^)]*\))?"
)
_END_OF_DAY = r"[ T]24:?00(?::?00(?:\.0*)?)?(?:Z|[ +-].*)?$"
_MIDNIGHT = r"([ T])24(?=:?00)"
_CLOCK_DIGITS = re.compile(r"\d{4}|\d{6}")


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """Times as a source wrote them; each of shape (n,).

    Attributes:
        seconds: since 1970; of UTC where `zoned`, else as a clock on the wall shows.
        zoned: which name a moment, whatever the place.
        bad: which cannot be read; their seconds mean nothing.
        notes: what a reader of the report should know.
        labels: `end` where somebody says that they are of the ends of bars, `start` where of their
            starts; None where nobody says.
    """

    seconds: Int64
    zoned: Bools
    bad: Bools
    notes: list[str] = field(default_factory=list)
    labels: str | None = None

    def take(self, rows: Int64) -> "ReadTimes":
        """Return the times of some rows."""
        return ReadTimes(self.seconds[rows], self.zoned[rows], self.bad[rows], labels=self.labels)


@dataclass(slots=True)
class _Uniques:
    """What is read of the different values of a column; `dated` have no time of day."""

    seconds: Int64
    zoned: Bools
    bad: Bools
    dated: Bools
    notes: list[str] = field(default_factory=list)
    # Of those that a clock shows twice, by position: both moments.
    repeated: dict[int, tuple[int, int]] = field(default_factory=dict)


def read_times(
    values: "pd.Series[Any]",
    options: ReadingOptions = NO_OPTIONS,
    series: Int64 | None = None,
) -> ReadTimes:
    """Read a column of times; `series` says of each row of which series it is, where there are
    several.

    Raises BadInput where no row settles which of two numbers is the month.
    """
    codes, unique = pd.factorize(values)
    uniques = pd.Series(unique)
    if not len(uniques):
        return ReadTimes(np.zeros(len(codes), np.int64), codes < 0, codes < 0)
    if pd.api.types.is_datetime64_any_dtype(uniques):
        seconds = _seconds(uniques)
        read = _Uniques(
            seconds,
            np.full(len(uniques), uniques.dt.tz is not None),
            np.zeros(len(uniques), bool),
            np.full(len(uniques), bool((seconds % DAY_SECONDS == 0).all())),
        )
    elif pd.api.types.is_numeric_dtype(uniques):
        read = _read_numbers(uniques)
    else:
        read = _read_texts(uniques.astype(str).str.strip(), options)
    zone = check_timezone(options.timezone) if options.timezone is not None else None
    if zone is not None:
        _apply_zone(read, zone)
    read.bad |= (read.seconds < EARLIEST) | (read.seconds >= LATEST)
    seconds = np.where(read.bad, 0, read.seconds)[codes]
    bad = read.bad[codes] | (codes < 0)
    if read.repeated:
        moments = np.zeros((len(uniques), 2), np.int64)
        for row, both in read.repeated.items():
            moments[row] = both
        moments = np.where(codes[:, None] < 0, 0, moments[codes])
        _tell_repeated_apart(seconds, bad, moments, series)
    return ReadTimes(seconds, read.zoned[codes], bad, read.notes, options.labels)


def join_clock(dates: "pd.Series[str]", clocks: "pd.Series[str]") -> "pd.Series[str]":
    """Return dates and times of day as one column;
    of digits alone the zeros that were lost in front are put back.
    """
    clocks = clocks.astype(str).str.strip().str.replace(r"\.0$", "", regex=True)
    is_digits = clocks.str.fullmatch(r"\d{1,6}")
    if is_digits.any():
        length = (
            4 if clocks[is_digits].str.len().max() <= 4 and (clocks[is_digits] != "0").any() else 6
        )
        clocks = clocks.where(~is_digits, clocks.str.zfill(length))
    if clocks.str.contains(r"^\d{4}-\d{2}-\d{2}", regex=True).all():
        return clocks
    dates = dates.astype(str).str.strip().str.replace(r"\s+0{1,2}:00(:00)?$", "", regex=True)
    return (dates + " " + clocks).str.strip()


def label_times(
    times: ReadTimes, market: Market, interval: str, series: Int64 | None = None
) -> ReadTimes:
    """Return the labels (UTC seconds, all zoned) of the bars of one market and interval; `series`
    is that of `read_times`.
    """
    zoned = np.ones_like(times.zoned)
    if is_intraday(interval):
        local, skipped = localize(times.seconds, market.zone)
        seconds = np.where(times.zoned, times.seconds, local)
        bad = times.bad | (skipped & ~times.zoned)
        moments = np.zeros((len(seconds), 2), np.int64)
        for row in np.flatnonzero(bad & ~times.bad):
            moments[row] = _find_moments(int(times.seconds[row]), market.zone)
        _tell_repeated_apart(seconds, bad, moments, series)
        return ReadTimes(seconds, zoned, bad, labels=times.labels)
    days = times.seconds // DAY_SECONDS
    elsewhere = times.zoned & (times.seconds % DAY_SECONDS != 0) & ~times.bad
    days[elsewhere] = local_days(times.seconds[elsewhere], market.zone)
    if interval == "1w":
        _refuse_sundays(days[~times.bad])
        days -= weekdays(days)
    return ReadTimes(days * DAY_SECONDS, zoned, times.bad)


def _refuse_sundays(days: Int64) -> None:
    """Raise BadInput where all weeks are dated by a Sunday, which ends one and, with some vendors,
    stands for the one that begins the day after.
    """
    if len(days) and (weekdays(days) == SUNDAY).all():
        first = days[:1].astype("datetime64[D]")[0]
        raise BadInput(
            f"weeks dated by Sundays, such as {first}, can be read two ways: as those that end with"
            " it, or that begin the day after. Date them by their Mondays"
        )


def weekdays(days: Int64) -> Int64:
    """Return the weekday of days since 1970 (a Thursday), Monday being 0."""
    return (days + 3) % 7


def localize(wall_seconds: Int64, zone: ZoneInfo) -> tuple[Int64, Bools]:
    """Return the UTC seconds of local times,
    and which of these a change of the clocks skips or repeats.
    """
    wall = pd.DatetimeIndex(wall_seconds.astype("datetime64[s]"))
    local = wall.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    return _seconds(pd.Series(local)), np.asarray(local.isna())


def _apply_zone(read: _Uniques, zone: ZoneInfo) -> None:
    """Make moments of times of day that have no zone; a date alone stays one."""
    rows = np.flatnonzero(~read.zoned & ~read.bad & ~read.dated)
    if len(rows):
        _place(read, rows, zone)
        read.notes.append(f"times without a zone are those of {zone.key}")


def _place(read: _Uniques, rows: Int64, zone: ZoneInfo) -> None:
    """Make moments of what a clock of this zone shows."""
    inside = rows[(read.seconds[rows] >= EARLIEST) & (read.seconds[rows] < LATEST)]
    wall = read.seconds[inside]
    read.seconds[inside], skipped = localize(wall, zone)
    read.bad[inside] |= skipped
    read.zoned[inside] = True
    for row, shown in zip(inside[skipped], wall[skipped], strict=True):
        read.repeated[int(row)] = _find_moments(int(shown), zone)


def _find_moments(wall: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return both moments of a time that a change of the clock repeats; of one that it skips the
    second is the earlier.
    """
    shown = datetime.fromtimestamp(wall, UTC).replace(tzinfo=zone)
    first, second = (int(shown.replace(fold=fold).timestamp()) for fold in (0, 1))
    return first, second


def _tell_repeated_apart(seconds: Int64, bad: Bools, moments: Int64, series: Int64 | None) -> None:
    """Read times that the clock shows twice, with both of their moments, shape (n, 2), where the
    rows of a series have each twice: the earlier one first, or last where they descend. They must
    have all others once: what lacks a name of its own may be several series, of which one lacks a
    bar.
    """
    is_twice = moments[:, 0] < moments[:, 1]
    if not is_twice.any():
        return
    series = np.zeros(len(seconds), np.int64) if series is None else series
    order = np.argsort(series, kind="stable")
    for one in np.unique(series[is_twice]):
        first, stop = np.searchsorted(series, [one, one + 1], sorter=order)
        rows = order[first:stop]
        good = seconds[rows[~bad[rows]]]
        if len(np.unique(good)) < len(good):
            continue
        descends = len(good) > 1 and good[0] > good[-1]
        shown = rows[is_twice[rows]]
        for earlier in np.unique(moments[shown, 0]):
            pair = shown[moments[shown, 0] == earlier]
            if len(pair) == moments.shape[1]:
                seconds[pair] = moments[pair[0]][:: -1 if descends else 1]
                bad[pair] = False


def _read_numbers(numbers: "pd.Series[Any]") -> _Uniques:
    """Read numbers: dates of eight digits, seconds since 1970 or thousandths, millionths,
    billionths of them, and days.

    Whole numbers are divided as such: as floats, nanoseconds would not be exact.
    """
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    bad = ~np.isfinite(values) | (np.abs(values) >= 2**63)
    values = np.where(bad, 0, values)
    size = np.abs(values)
    is_whole = pd.api.types.is_integer_dtype(numbers)
    exact = numbers.to_numpy(np.int64, na_value=0) if is_whole else values
    seconds = np.zeros(len(values), np.int64)
    for least, divisor in ((0, 1), (LEAST_MILLISECONDS, 10**3), (10**14, 10**6), (10**17, 10**9)):
        rows = size >= least
        seconds[rows] = np.floor_divide(exact[rows], divisor).astype(np.int64)
    dated = np.zeros(len(values), bool)
    zoned = np.ones(len(values), bool)
    notes: list[str] = []
    compact = (
        (values >= COMPACT_DATES[0]) & (values <= COMPACT_DATES[1]) & (values == np.floor(values))
    )
    if compact.any():
        parsed = pd.to_datetime(
            pd.Series(values[compact].astype(np.int64).astype(str), dtype=object),
            format="%Y%m%d",
            errors="coerce",
        )
        seconds[compact] = _seconds(parsed)
        bad[compact] = parsed.isna().to_numpy()
    _refuse_year_last(values[~bad & ~compact])
    days = (values >= EXCEL_DAYS[0]) & (values < EXCEL_DAYS[1]) & ~bad
    small = (values >= 0) & (values < LEAST_SECONDS) & ~bad & ~days
    if days.any():
        if not days[~bad].all():
            bad |= days
        else:
            seconds[days] = np.round((values[days] + EXCEL_EPOCH) * DAY_SECONDS).astype(np.int64)
            first = values[days][0]
            day = np.datetime64(int(seconds[days][0]), "s").astype("datetime64[D]")
            notes.append(f"times such as {first:.10g} are read as Excel's number of a day: {day}")
    if not ((values >= LEAST_SECONDS) & (values < 2 * LEAST_SECONDS)).any():
        bad |= small
    dated |= compact | (days & (values == np.floor(values)))
    zoned &= ~compact & ~days
    return _Uniques(seconds, zoned, bad, dated, notes)


def _refuse_year_last(numbers: Float64) -> None:
    """Raise BadInput where numbers are dates that end with their year, such as 31012024: as seconds
    since 1970 they are days of 1970.
    """
    years = numbers % YEAR_LAST
    is_dates = (
        len(numbers) >= FEWEST_IN_ORDER
        and (numbers >= LEAST_SECONDS).all()
        and (numbers < YEAR_LAST * YEAR_LAST).all()
        and ((years >= FIRST_YEAR) & (years <= LAST_YEAR)).all()
    )
    if is_dates:
        raise BadInput(
            f"dates such as {numbers[0]:.0f} seem to end with their year: write them as 2024-01-02"
        )


def _read_texts(texts: "pd.Series[str]", options: ReadingOptions) -> _Uniques:
    size = len(texts)
    texts = texts.where(texts.str.len() <= LONGEST, "")
    numeric = texts.str.fullmatch(r"-?\d{5,20}(?:\.\d+)?").to_numpy(bool)
    if numeric.any():
        numeric = numeric & ~_find_compact(texts)
    read = _Uniques(
        np.zeros(size, np.int64), np.zeros(size, bool), np.zeros(size, bool), np.zeros(size, bool)
    )
    if numeric.any():
        found = _read_numbers(_to_numbers(texts[numeric]))
        read.seconds[numeric], read.zoned[numeric] = found.seconds, found.zoned
        read.bad[numeric], read.dated[numeric] = found.bad, found.dated
        read.notes += found.notes
    if numeric.all():
        return read
    rest = np.flatnonzero(~numeric)
    ends = np.zeros(len(rest), bool)
    if options.labels == "end":
        ends = texts.iloc[rest].str.contains(_END_OF_DAY, regex=True).to_numpy(bool)
        # Where all are, they are of days or weeks, which their date says.
        ends = ends & (not ends.all())
        texts = texts.str.replace(_MIDNIGHT, r"\g<1>00", regex=True)
    else:
        _refuse_ends(texts.iloc[rest])
    written, zones, dated = _normalize(texts.iloc[rest], options, read.notes)
    parsed = pd.to_datetime(written, format="ISO8601", errors="coerce", utc=True)
    read.seconds[rest] = _seconds(parsed) + ends * DAY_SECONDS
    read.bad[rest] = parsed.isna().to_numpy(bool)
    read.zoned[rest] = written.str.contains(_ZONE, regex=True).to_numpy(bool, na_value=False)
    read.dated[rest] = dated
    for name in set(zones.values()):
        rows = np.array([rest[row] for row, zone in zones.items() if zone == name], np.int64)
        _place(read, rows[~read.bad[rows]], ZoneInfo(name))
    return read


def _to_numbers(texts: "pd.Series[str]") -> "pd.Series[Any]":
    """Return digits as whole numbers, or as floats where some are none or too long."""
    if texts.str.fullmatch(r"-?\d{1,18}|-?[1-8]\d{18}").all():
        return pd.Series(texts.to_numpy(object).astype(np.int64))
    return pd.Series(texts.to_numpy(object).astype(np.float64))


def _find_compact(texts: "pd.Series[str]") -> Bools:
    """Return which texts of 12 or 14 digits are dates with times (202401020930):
    all of them, or none.
    """
    digits = texts.str.fullmatch(r"(?:19|20|21)\d{10}(?:\d{2})?").to_numpy(bool)
    if not digits.any():
        return digits
    found = texts[digits].where(texts[digits].str.len() == 14, texts[digits] + "00")
    parsed = pd.to_datetime(found.astype(object), format="%Y%m%d%H%M%S", errors="coerce")
    return digits if bool(parsed.notna().all()) else np.zeros(len(texts), bool)


def _normalize(
    texts: "pd.Series[str]", options: ReadingOptions, notes: list[str]
) -> tuple["pd.Series[str]", dict[int, str], Bools]:
    """Return times as ISO 8601 (None for those that cannot be read),
    zones by name by row, and which are only dates.
    """
    iso = texts.str.fullmatch(_ISO).to_numpy(bool)
    dated = iso & (texts.str.len() == 10).to_numpy(bool)
    _refuse_days_first(texts[iso])
    if iso.all():
        return texts, {}, dated
    written: list[str | None] = [*texts]
    zones: dict[int, str] = {}
    others = np.flatnonzero(~iso).tolist()
    parted = [str(written[row]) for row in others]
    _refuse_turned([str(text) for text in texts[iso]], parted)
    months = _settle_months(parted, len(texts))
    day_first = _settle_order(parted, options, notes)
    has_other_years = False
    for row in others:
        date_text, clock = _part(str(written[row]), months, day_first=day_first)
        time, zone = _read_clock(clock) if clock else ("", "")
        if date_text is None or time is None:
            written[row] = None
            continue
        dated[row] = not clock
        if date_text[:4] not in str(written[row]) and not has_other_years:
            has_other_years = True
            notes.append(
                f"{str(written[row])[:SHOWN]} is read as {date_text}, by the years of another"
                " calendar"
            )
        if zone and zone[0] not in "+-":
            zones[row], zone = zone, ""
        written[row] = date_text + time + zone
    return pd.Series(written, dtype=object).astype("str"), zones, dated


def _refuse_ends(texts: "pd.Series[str]") -> None:
    """Raise BadInput where a bar is labelled 24:00, which none begins at."""
    written = pa.array(texts)
    ends = written.filter(pc.match_substring_regex(written, _END_OF_DAY))
    if len(ends):
        raise BadInput(
            f"times such as {ends[0].as_py()[:SHOWN]} are labels of a bar's end, and bars are"
            " labelled by their start: say that labels are of the end, and of daily bars write the"
            " dates alone"
        )


def _settle_months(texts: list[str], rows: int) -> dict[str, int]:
    """Return the months of the language that they are written in.

    Raises BadInput where nothing tells which that is, or where a name is not known: of a table of
    so many rows the bars of one month would be missing.
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
    unknown = Counter({name: names[name] for name in names if not _find_month(name, months)})
    name, count = unknown.most_common(1)[0] if unknown else ("", 0)
    if count >= min(FEWEST_UNKNOWN, rows):
        raise BadInput(
            f"dates such as {first[name][:SHOWN]} name a month, {name}, in a language that is not"
            f" known ({MONTH_LANGUAGES} are): write them as 2024-01-02"
        )
    return months


def _refuse_days_first(iso: "pd.Series[str]") -> None:
    """Raise BadInput where dates follow each other only if the day stands before the month, as in
    2024-31-01.
    """
    # Most columns have a later day among a few of their times: it is enough to look at these.
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


def _refuse_turned(iso: list[str], others: list[str]) -> None:
    """Raise BadInput where a spreadsheet of another country took for dates what it could, day for
    month, and left the rest as texts: 02/01/2024 became February, 13/01/2024 stayed what it was.
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


def _settle_order(texts: list[str], options: ReadingOptions, notes: list[str]) -> bool:
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


def _part(text: str, months: Mapping[str, int], *, day_first: bool) -> tuple[str | None, str]:
    """Return a date as ISO 8601, or None, and what follows it."""
    if match := _YEAR_FIRST.fullmatch(text):
        return _write_date(match[1], match[2], match[3]), (match[4] or "").strip()
    if match := _PARTED.fullmatch(text):
        day, month = (match[1], match[3]) if day_first else (match[3], match[1])
        return _write_date(match[4], month, day), (match[5] or "").strip()
    if match := _COMPACT.fullmatch(text):
        clock = f"{match[4] or ''} {match[5] or ''}".strip()
        # Interactive Brokers writes UTC with a dash and the exchange's time with a blank.
        zone = " UTC" if match[4] and text[8] == "-" and not match[5] else ""
        return _write_date(match[1], match[2], match[3]), clock + zone
    for pattern, (year, month, day) in NAMED_MONTHS:
        if match := pattern.fullmatch(text):
            date = _write_date(match[year], str(_find_month(match[month], months)), match[day])
            return date, (match[4] or "").strip()
    return None, ""


def _find_month(name: str, months: Mapping[str, int]) -> int:
    """Return the number of a month, 0 where it is none; juin and juillet part at the fourth
    letter.
    """
    known = name.lower()
    return months.get(known[:4]) or months.get(known[:3], 0)


def _write_date(year: str, month: str, day: str) -> str:
    """Return a date as ISO 8601; a year of three digits is one of Taiwan's."""
    number = int(year)
    if len(year) == 3:
        number += TAIWANESE_EPOCH
    return f"{number:04}-{int(month):02}-{int(day):02}"


def _read_clock(text: str) -> tuple[str | None, str]:
    """Return a time of day as ISO 8601 with the offset it names, or the zone's name;
    None where it cannot be read.
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


def _seconds(moments: "pd.Series[pd.Timestamp]") -> Int64:
    """Return seconds since 1970 (of UTC, or as on the wall), rounded down;
    something before 1900 for NaT.
    """
    naive = (
        moments.dt.tz_convert("UTC").dt.tz_localize(None) if moments.dt.tz is not None else moments
    )
    return naive.to_numpy("datetime64[s]").astype(np.int64)
