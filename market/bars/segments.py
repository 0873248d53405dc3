"""Segments: the parts of a series between pauses of more than a year."""

import numpy as np

from core.arrays import Int64
from market.intervals import DAY_SECONDS

# After a longer pause (some 250 sessions) a ticker may be another company's.
LONGEST_PAUSE_SECONDS = 365 * DAY_SECONDS


def find_segments(times: Int64, offsets: Int64) -> tuple[Int64, Int64]:
    """Return the offsets of the segments of all series, shape (q + 1,), and the series of each
    segment, shape (q,).

    Series s has the rows `offsets[s]:offsets[s + 1]` of `times` (n,), UTC seconds. A new segment
    begins with each series, and after each pause of more than a year.
    """
    resumed = np.flatnonzero(np.diff(times) > LONGEST_PAUSE_SECONDS) + 1
    # The step from one series to the next is no pause.
    resumed = np.setdiff1d(resumed, offsets)
    if not resumed.size:
        return offsets, np.arange(offsets.size - 1)
    owners = np.searchsorted(offsets, resumed, side="right") - 1
    begins = np.concatenate((offsets[:-1], resumed))
    series = np.concatenate((np.arange(offsets.size - 1), owners))
    order = np.lexsort((begins, series))
    return np.append(begins[order], offsets[-1]), series[order]
