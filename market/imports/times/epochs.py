"""Reads numbers that are times: dates of eight digits, counts since 1970, and Excel's days."""

from typing import Any

import numpy as np
import pandas as pd

from core.errors import BadInput
from market.imports.times.uniques import SHOWN, Uniques, to_seconds
from market.intervals import DAY_SECONDS

# Seconds since 1970 have at most ten digits until the year 2286; compact dates have eight.
LEAST_MILLISECONDS = 100_000_000_000
COMPACT_DATES = (19_000_101, 22_001_231)
# Excel's day numbers, counted from 1899-12-30, of the years 1954 to 2118.
EXCEL_DAYS = (20_000, 80_000)
EXCEL_EPOCH = -25_569
# Up to this number (1968) a day may also be counted from 1970 (2038).
LATEST_OPEN_DAY = 25_000
# Ticks of Windows are 100 ns since the year 1 or 1601. The ticks of the years 1970 to 2050, read as
# nanoseconds since 1970, are in 1989 and 1990, or in 1973 and 1974.
TICKS_A_SECOND = 10**7
TICKS = (
    (".NET's ticks since the year 1", -62_135_596_800, 621_355_968 * 10**9, 646_600_000 * 10**9),
    ("Windows' file times since 1601", -11_644_473_600, 116_444_736 * 10**9, 141_700_000 * 10**9),
)
# Numbers of up to six digits are times of day or counts, unless they are seconds of January 1970,
# which then go on beyond its 12th day.
LEAST_SECONDS = 1_000_000


def read_epochs(numbers: "pd.Series[Any]") -> Uniques:
    """Read numbers: dates of eight digits; seconds, milliseconds, microseconds or nanoseconds since
    1970; days. Raises BadInput where all numbers could be read in another way, too.

    Integers are divided as integers, as nanoseconds are not exact as floats.
    """
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    bad = ~np.isfinite(values) | (np.abs(values) >= 2**63)
    values = np.where(bad, 0, values)
    size = np.abs(values)
    is_whole = pd.api.types.is_integer_dtype(numbers)
    exact = numbers.to_numpy(np.int64, na_value=0) if is_whole else values
    _refuse_ticks(exact[~bad], numbers[~bad])
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
        seconds[compact] = to_seconds(parsed)
        bad[compact] = parsed.isna().to_numpy()
        if 2 * np.count_nonzero(compact & ~bad) >= np.count_nonzero(~bad):
            # Among dates of eight digits, other numbers of eight digits are no seconds.
            bad |= ~compact & (size < 10**8)
    days = (values >= EXCEL_DAYS[0]) & (values < EXCEL_DAYS[1]) & ~bad
    small = (values >= 0) & (values < LEAST_SECONDS) & ~bad & ~days
    if days.any():
        if not days[~bad].all():
            bad |= days
        else:
            _refuse_days(values[days])
            seconds[days] = np.round((values[days] + EXCEL_EPOCH) * DAY_SECONDS).astype(np.int64)
            first = values[days][0]
            notes.append(
                f"times such as {first:.10g} are read as Excel's number of a day:"
                f" {_name_day(int(seconds[days][0]))}"
            )
    if not ((values >= LEAST_SECONDS) & (values < 2 * LEAST_SECONDS)).any():
        bad |= small
    dated |= compact | (days & (values == np.floor(values)))
    zoned &= ~compact & ~days
    return Uniques(seconds, zoned, bad, dated, notes)


def _refuse_ticks(values: "np.ndarray[Any, Any]", written: "pd.Series[Any]") -> None:
    """Raise BadInput where all times may be ticks of Windows as well as nanoseconds."""
    for name, epoch, least, most in TICKS:
        if len(values) and least <= values.min() and values.max() < most:
            nanoseconds = _name_day(int(values[0]) // 10**9)
            ticks = _name_day(int(values[0]) // TICKS_A_SECOND + epoch)
            raise BadInput(
                f"times such as {str(written.iloc[0])[:SHOWN]} can be read two ways: as nanoseconds"
                f" since 1970 ({nanoseconds}) or as {name} ({ticks}): write them as 2024-01-02 or"
                " 2024-01-02 09:30"
            )


def _refuse_days(values: "np.ndarray[Any, Any]") -> None:
    """Raise BadInput where all day numbers may be Excel's as well as days since 1970."""
    if values.max() < LATEST_OPEN_DAY:
        excel = _name_day(int(values[0] + EXCEL_EPOCH) * DAY_SECONDS)
        unix = _name_day(int(values[0]) * DAY_SECONDS)
        raise BadInput(
            f"times such as {values[0]:.10g} can be read two ways: as Excel's number of a day"
            f" ({excel}) or as days since 1970 ({unix}): write them as 2024-01-02"
        )


def _name_day(seconds: int) -> str:
    return str(np.datetime64(seconds, "s").astype("datetime64[D]"))
