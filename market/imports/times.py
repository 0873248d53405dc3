"""Reading the times of bars, and turning them into the label a bar is stored under.

Read are: ISO 8601 with or without zone, `20010917`, dates with slashes or dots (day and month in the order that some
row of the column settles), seconds or milliseconds since 1970, and pandas datetimes.

A time without a zone is the exchange's local time. Bars of a day and longer are labelled by their session's date at
00:00 UTC, those of a week by its Monday: a time with a zone counts as the date it has on the exchange, but for UTC
midnight, which is the date it says.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.arrays import Int64
from core.errors import BadInput
from market.intervals import DAY_SECONDS, is_intraday
from market.markets import Market
from market.sessions.calendar import local_days

EARLIEST = int(datetime(1900, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
# Seconds since 1970 have at most ten digits until the year 2286; compact dates have eight.
LEAST_MILLISECONDS = 100_000_000_000
COMPACT_DATES = (19_000_101, 22_001_231)

_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"
_EPOCH = r"-?\d{9,14}(?:\.\d+)?"
_PARTED = r"^(?P<a>\d{1,4})[/.](?P<b>\d{1,2})[/.](?P<c>\d{1,4})(?P<rest>\D.*)?$"


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """Times as a source wrote them; each of shape (n,).

    Attributes:
        seconds: since 1970; of UTC where `zoned`, else as a clock on the wall shows.
        zoned: which name a moment, whatever the place.
        bad: which cannot be read; their seconds mean nothing.
    """

    seconds: Int64
    zoned: NDArray[np.bool_]
    bad: NDArray[np.bool_]

    def take(self, rows: Int64) -> "ReadTimes":
        """Return the times of some rows."""
        return ReadTimes(self.seconds[rows], self.zoned[rows], self.bad[rows])


def read_times(values: "pd.Series[Any]") -> ReadTimes:
    """Read a column of times. Raises BadInput where no row settles which of two numbers is the month."""
    codes, unique = pd.factorize(values)
    uniques = pd.Series(unique)
    if pd.api.types.is_datetime64_any_dtype(uniques):
        seconds, zoned = _seconds(uniques), np.full(len(uniques), uniques.dt.tz is not None)
        bad = np.zeros(len(uniques), bool)
    elif pd.api.types.is_numeric_dtype(uniques):
        seconds, zoned, bad = _read_numbers(uniques.to_numpy(np.float64))
    else:
        seconds, zoned, bad = _read_texts(uniques.astype(str).str.strip())
    bad |= (seconds < EARLIEST) | (seconds >= LATEST)
    if not len(uniques):
        return ReadTimes(np.zeros(len(codes), np.int64), codes < 0, codes < 0)
    return ReadTimes(np.where(bad, 0, seconds)[codes], zoned[codes], bad[codes] | (codes < 0))


def label_times(times: ReadTimes, market: Market, interval: str) -> ReadTimes:
    """Return the labels (UTC seconds, all zoned) of the bars of one market and interval."""
    zoned = np.ones_like(times.zoned)
    if is_intraday(interval):
        local, skipped = _localize(times.seconds, market)
        seconds = np.where(times.zoned, times.seconds, local)
        return ReadTimes(seconds, zoned, times.bad | (skipped & ~times.zoned))
    days = times.seconds // DAY_SECONDS
    elsewhere = times.zoned & (times.seconds % DAY_SECONDS != 0) & ~times.bad
    days[elsewhere] = local_days(times.seconds[elsewhere], market.zone)
    if interval == "1w":
        days -= weekdays(days)
    return ReadTimes(days * DAY_SECONDS, zoned, times.bad)


def weekdays(days: Int64) -> Int64:
    """Return the weekday of days since 1970 (a Thursday), Monday being 0."""
    return (days + 3) % 7


def _read_numbers(numbers: NDArray[np.float64]) -> tuple[Int64, NDArray[np.bool_], NDArray[np.bool_]]:
    compact = (numbers >= COMPACT_DATES[0]) & (numbers <= COMPACT_DATES[1]) & (numbers == np.floor(numbers))
    bad = ~np.isfinite(numbers)
    whole = np.where(bad, 0, numbers)
    seconds = np.floor(np.where(np.abs(whole) >= LEAST_MILLISECONDS, whole / 1000, whole)).astype(np.int64)
    dates = pd.Series(whole[compact].astype(np.int64).astype(str), dtype=object)
    parsed = pd.to_datetime(dates, format="%Y%m%d", errors="coerce")
    seconds[compact] = _seconds(parsed)
    bad[compact] = parsed.isna().to_numpy()
    return seconds, ~compact, bad


def _read_texts(texts: "pd.Series[str]") -> tuple[Int64, NDArray[np.bool_], NDArray[np.bool_]]:
    texts = _order_parts(texts)
    zoned = texts.str.contains(_ZONE, regex=True).to_numpy(bool, copy=True)
    # A bare year or a number of few digits would pass as ISO 8601 too.
    bad = (texts.str.len() < 8).to_numpy(bool)
    parsed = pd.to_datetime(texts.where(~bad, None), format="ISO8601", errors="coerce", utc=True)
    bad = bad | parsed.isna().to_numpy(bool)
    seconds = _seconds(parsed)
    epoch = texts.str.fullmatch(_EPOCH).to_numpy(bool)
    if epoch.any():
        seconds[epoch], zoned[epoch], bad[epoch] = _read_numbers(texts[epoch].to_numpy(np.float64))
    return seconds, zoned, bad


def _order_parts(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Rewrite dates with slashes or dots as ISO 8601."""
    parts = texts.str.extract(_PARTED)
    parted = parts["a"].notna()
    if not parted.any():
        return texts
    parts = parts[parted]
    first, second = parts["a"].astype(int), parts["b"].astype(int)
    year_first = parts["a"].str.len() == 4
    open_order = ~year_first
    day_first = bool((first[open_order] > 12).any())
    if open_order.any() and day_first == bool((second[open_order] > 12).any()):
        example = texts[parted][open_order].iloc[0]
        raise BadInput(
            f"dates such as {example} can be read two ways, and no row settles whether the day or the month comes "
            "first: write them as 2001-09-17"
        )
    year = parts["a"].where(year_first, parts["c"])
    day_last = parts["c"].where(year_first, parts["b"])
    month = parts["b"].where(year_first | day_first, parts["a"])
    day = parts["a"].where(open_order & day_first, day_last)
    rest = parts["rest"].fillna("")
    ordered = texts.copy()
    ordered[parted] = year + "-" + month.str.zfill(2) + "-" + day.str.zfill(2) + rest
    return ordered


def _localize(wall_seconds: Int64, market: Market) -> tuple[Int64, NDArray[np.bool_]]:
    """Return the UTC seconds of local times, and which of these a change of the clocks skips or repeats."""
    wall = pd.DatetimeIndex(wall_seconds.astype("datetime64[s]"))
    local = wall.tz_localize(market.timezone, ambiguous="NaT", nonexistent="NaT")
    return _seconds(pd.Series(local)), np.asarray(local.isna())


def _seconds(moments: "pd.Series[pd.Timestamp]") -> Int64:
    """Return seconds since 1970 (of UTC, or as on the wall), rounded down; something before 1900 for NaT."""
    naive = moments.dt.tz_convert("UTC").dt.tz_localize(None) if moments.dt.tz is not None else moments
    return naive.to_numpy("datetime64[s]").astype(np.int64)
