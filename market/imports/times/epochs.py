"""Numbers that are times: dates of eight digits, and what is counted from 1970 or by Excel."""

from typing import Any

import numpy as np
import pandas as pd

from market.imports.times.uniques import Uniques, to_seconds
from market.intervals import DAY_SECONDS

# Seconds since 1970 have at most ten digits until the year 2286; compact dates have eight.
LEAST_MILLISECONDS = 100_000_000_000
COMPACT_DATES = (19_000_101, 22_001_231)
# Days that Excel counts from 1899-12-30 on: the years 1954 to 2118.
EXCEL_DAYS = (20_000, 80_000)
EXCEL_EPOCH = -25_569
# Numbers of up to six digits are times of day, or counts, but for those of bars of January 1970,
# which go on after its 12th day.
LEAST_SECONDS = 1_000_000


def read_epochs(numbers: "pd.Series[Any]") -> Uniques:
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
        seconds[compact] = to_seconds(parsed)
        bad[compact] = parsed.isna().to_numpy()
        if 2 * np.count_nonzero(compact & ~bad) >= np.count_nonzero(~bad):
            # Among dates, as many digits are no seconds of 1970.
            bad |= ~compact & (size < 10**8)
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
    return Uniques(seconds, zoned, bad, dated, notes)
