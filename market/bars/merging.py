"""Merging rows that come in with the bars that are stored (pure)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays import Int64
from market.bars.buckets import VALUES, Columns


@dataclass(frozen=True, slots=True)
class Merge:
    """The outcome of a merge.

    Attributes:
        columns: all bars afterwards, ascending.
        new: shape (n,), which incoming rows had no bar of their time.
        changed: shape (n,), which incoming rows differ from the bar of their time.
        stored_rows: shape (n,), position of the stored bar of the same time; where `new`, of the
            next one.
    """

    columns: Columns
    new: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    stored_rows: Int64


def merge_bars(stored: Columns, incoming: Columns) -> Merge:
    """Merge incoming rows into the stored ones; both ascend strictly by time,
    and incoming rows win.
    """
    count = len(stored["times"])
    if not count or not len(incoming["times"]) or incoming["times"][0] > stored["times"][-1]:
        # As nearly all that comes does.
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
        changed[known] |= stored[name][rows[known]] != incoming[name][known]
    columns = {}
    for name, values in stored.items():
        updated = values.copy()
        updated[rows[changed]] = incoming[name][changed]
        columns[name] = np.insert(updated, rows[~known], incoming[name][~known])
    return Merge(columns, ~known, changed, rows)
