"""Reads a column of times, whatever the form of its values."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from core.arrays import Bools, Int64
from market.imports.options import NO_OPTIONS, ReadingOptions, check_timezone
from market.imports.times.dates import ends_with_year
from market.imports.times.epochs import read_epochs
from market.imports.times.eras import refuse_eras
from market.imports.times.texts import read_texts
from market.imports.times.uniques import EARLIEST, LATEST, Uniques, to_seconds
from market.imports.times.zones import apply_zone, tell_repeated_apart
from market.intervals import DAY_SECONDS


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """Times as a source wrote them; each of shape (n,).

    Attributes:
        seconds: seconds since 1970, of UTC where `zoned`, else of local time.
        zoned: which times have a zone.
        bad: which times cannot be read; their seconds mean nothing.
        notes: notes for the report.
        labels: `end` or `start`, where a person or the table says that the times are those of the
            ends or the starts of bars; else None.
    """

    seconds: Int64
    zoned: Bools
    bad: Bools
    notes: list[str] = field(default_factory=list)
    labels: str | None = None

    def take(self, rows: Int64) -> "ReadTimes":
        """Return the times of some rows."""
        return ReadTimes(self.seconds[rows], self.zoned[rows], self.bad[rows], labels=self.labels)


def read_times(
    values: "pd.Series[Any]",
    options: ReadingOptions = NO_OPTIONS,
    series: Int64 | None = None,
) -> ReadTimes:
    """Read a column of times; `series` has a number for the series of each row, where there are
    several.

    Raises BadInput where no row settles which of two numbers is the month.
    """
    codes, unique = pd.factorize(values)
    uniques = pd.Series(unique)
    if not len(uniques):
        return ReadTimes(np.zeros(len(codes), np.int64), codes < 0, codes < 0)
    if not pd.api.types.is_datetime64_any_dtype(uniques):
        refuse_eras(uniques)
    if pd.api.types.is_datetime64_any_dtype(uniques):
        seconds = to_seconds(uniques)
        read = Uniques(
            seconds,
            np.full(len(uniques), uniques.dt.tz is not None),
            np.zeros(len(uniques), bool),
            np.full(len(uniques), bool((seconds % DAY_SECONDS == 0).all())),
        )
    elif pd.api.types.is_numeric_dtype(uniques) and not ends_with_year(uniques):
        read = read_epochs(uniques)
    else:
        read = read_texts(uniques.astype(str).str.strip(), options)
    zone = check_timezone(options.timezone) if options.timezone is not None else None
    if zone is not None:
        apply_zone(read, zone)
    read.bad |= (read.seconds < EARLIEST) | (read.seconds >= LATEST)
    seconds = np.where(read.bad, 0, read.seconds)[codes]
    bad = read.bad[codes] | (codes < 0)
    if read.repeated:
        moments = np.zeros((len(uniques), 2), np.int64)
        for row, both in read.repeated.items():
            moments[row] = both
        moments = np.where(codes[:, None] < 0, 0, moments[codes])
        tell_repeated_apart(seconds, bad, moments, series)
    return ReadTimes(seconds, read.zoned[codes], bad, read.notes, options.labels)
