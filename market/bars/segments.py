"""Segments: what of a series belongs together, as it does not pause for a year."""

import numpy as np

from core.arrays import Int64
from market.intervals import DAY_SECONDS

# A series that pauses for longer, some 250 sessions, ends; what comes later may be another
# company's.
LONGEST_PAUSE_SECONDS = 365 * DAY_SECONDS


def find_segments(times: Int64, offsets: Int64) -> tuple[Int64, Int64]:
    """Return where the segments of series begin, in order and with the end of all behind, and whose
    each is, shape (q + 1,) and (q,).

    A series of rows `offsets[s]:offsets[s + 1]` of `times` (n,), UTC seconds, is one segment but
    for its pauses of more than a year, each of which begins another.
    """
    resumed = np.flatnonzero(np.diff(times) > LONGEST_PAUSE_SECONDS) + 1
    # From one series to the next time may leap as well.
    resumed = np.setdiff1d(resumed, offsets)
    if not resumed.size:
        return offsets, np.arange(offsets.size - 1)
    owners = np.searchsorted(offsets, resumed, side="right") - 1
    begins = np.concatenate((offsets[:-1], resumed))
    series = np.concatenate((np.arange(offsets.size - 1), owners))
    order = np.lexsort((begins, series))
    return np.append(begins[order], offsets[-1]), series[order]
