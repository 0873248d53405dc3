"""Merges incoming rows into stored bars (pure)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays import Int64
from core.words import PRICES
from market.bars.buckets import VALUES, Columns

# No price is quoted to fifteen digits. A smaller difference is noise of arithmetic, which a
# vendor's adjustment for dividends brings anew with each delivery.
PRICE_NOISE = 1e-14


@dataclass(frozen=True, slots=True)
class Merge:
    """The outcome of a merge.

    Attributes:
        columns: all bars afterwards, ascending.
        new: shape (n,), which incoming rows have no stored bar at their time.
        changed: shape (n,), which incoming rows differ from the stored bar at their time by
            more than noise.
        stored_rows: shape (n,), the position of the stored bar at the same time; where `new`, of
            the next later one.
    """

    columns: Columns
    new: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    stored_rows: Int64


def merge_bars(stored: Columns, incoming: Columns) -> Merge:
    """Merge incoming rows into stored bars; both ascend strictly by time. An incoming row replaces
    the stored bar at its time, unless it has the same volume and its prices differ by noise alone.
    """
    count = len(stored["times"])
    if not count or not len(incoming["times"]) or incoming["times"][0] > stored["times"][-1]:
        # Nearly all arrivals follow the stored bars.
        columns = {
            name: np.concatenate((values, incoming[name])) for name, values in stored.items()
        }
        new = np.ones(incoming["times"].shape, np.bool_)
        return Merge(columns, new, ~new, np.full(new.shape, count, np.int64))
    rows: Int64 = np.asarray(np.searchsorted(stored["times"], incoming["times"]), np.int64)
    known = np.zeros(rows.shape, np.bool_)
    inside = rows < len(stored["times"])
    known[inside] = stored["times"][rows[inside]] == incoming["times"][inside]
    changed = np.zeros(rows.shape, np.bool_)
    for name in VALUES:
        before, after = stored[name][rows[known]], incoming[name][known]
        # What is stored may be no number, or infinite; what comes in was checked.
        noise = PRICE_NOISE * np.abs(after) if name in PRICES else 0.0
        changed[known] |= ~(np.abs(after - before) <= noise)
    columns = {}
    for name, values in stored.items():
        updated = values.copy()
        updated[rows[changed]] = incoming[name][changed]
        columns[name] = np.insert(updated, rows[~known], incoming[name][~known])
    return Merge(columns, ~known, changed, rows)
