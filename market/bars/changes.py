"""Lists what an arrival changes at or before a series' last bar, for revision documents (pure)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from market.bars.buckets import VALUES, Columns
from market.bars.merging import Merge
from market.intervals import DAY_SECONDS, session_of
from records.market.documents import BarValues, ChangeFields, SplitFields


def moment(seconds: float) -> datetime:
    """Return UTC seconds since 1970 as a datetime."""
    return datetime.fromtimestamp(int(seconds), UTC)


def list_changed(stored: Columns, incoming: Columns, merge: Merge) -> Iterator[ChangeFields]:
    """Yield a change for each stored bar whose values were replaced."""
    for row in np.flatnonzero(merge.changed):
        time = moment(incoming["times"][row])
        yield {
            "kind": "changed",
            "first": time,
            "last": time,
            "bars": 1,
            "old": _values(stored, int(merge.stored_rows[row])),
            "new": _values(incoming, int(row)),
        }


def list_late(incoming: Columns, merge: Merge, last_bar: datetime) -> Iterator[ChangeFields]:
    """Yield a change for each run of neighbouring new bars that came after a later bar was stored.

    Each touches all bars up to `last_bar`, the series' last bar until now, as the positions of
    these bars in the series move.
    """
    late = np.flatnonzero(merge.new & (incoming["times"] < last_bar.timestamp()))
    edges = np.flatnonzero(np.diff(merge.stored_rows[late])) + 1
    for stretch in np.split(late, edges) if len(late) else []:
        yield {
            "kind": "inserted",
            "first": moment(incoming["times"][stretch[0]]),
            "last": last_bar,
            "bars": len(stretch),
            "inserted_until": moment(incoming["times"][stretch[-1]]),
            "old": None,
            "new": _values(incoming, int(stretch[0])) if len(stretch) == 1 else None,
        }


def list_split(
    changed_days: Sequence[int],
    old: Sequence[SplitFields],
    new: Sequence[SplitFields],
    first_bar: datetime,
) -> Iterator[ChangeFields]:
    """Yield a change for each split that was added, changed or removed; it touches the bars of the
    sessions before the split.
    """
    before = {split["session"]: split["factor"] for split in old}
    after = {split["session"]: split["factor"] for split in new}
    for day in changed_days:
        session = session_of(day)
        # 00:00 UTC lies between two sessions of each market: none is open then but Tokyo, whose
        # session begins at that time.
        last = moment(day * DAY_SECONDS - 1)
        if first_bar <= last:
            yield {
                "kind": "split",
                "first": first_bar,
                "last": last,
                "session": session,
                "old": before.get(session, 1.0),
                "new": after.get(session, 1.0),
            }


def _values(columns: Columns, row: int) -> BarValues:
    return {name: float(columns[name][row]) for name in VALUES}
