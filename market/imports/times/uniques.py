"""The times read from the distinct values of a column."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from core.arrays import Bools, Int64
from market.intervals import FIRST_YEAR, LAST_YEAR

EARLIEST = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
# So many dates, read with day and month swapped, do not follow each other by accident.
FEWEST_IN_ORDER = 5
# A message quotes so many characters of a text.
SHOWN = 40


@dataclass(slots=True)
class Uniques:
    """The times read from the distinct values of a column; `dated` marks those without a
    time of day.
    """

    seconds: Int64
    zoned: Bools
    bad: Bools
    dated: Bools
    notes: list[str] = field(default_factory=list)
    # By position both moments of a local time that the clocks show twice.
    repeated: dict[int, tuple[int, int]] = field(default_factory=dict)


def to_seconds(moments: "pd.Series[pd.Timestamp]") -> Int64:
    """Return seconds since 1970 (of UTC or of local time), rounded down; a time before
    1900 for NaT.
    """
    naive = (
        moments.dt.tz_convert("UTC").dt.tz_localize(None) if moments.dt.tz is not None else moments
    )
    return naive.to_numpy("datetime64[s]").astype(np.int64)
