"""Counts how often the series of an interval were written. A result computed from all of them is
known to be up to date where the count has not changed, without reading each series.

The count is spread over slots, as two transactions that write the same document conflict.
"""

from collections.abc import Iterable
from random import randrange

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from records.database import Db
from records.market.documents import change_counts_in

SLOTS = 64


def note_changes(database: Db, intervals: Iterable[str], session: ClientSession) -> None:
    """Count a write of series of these intervals, inside the transaction that writes them."""
    slot = randrange(SLOTS)
    own = [{"_id": f"{interval}::{slot}"} for interval in sorted(set(intervals))]
    writes = [UpdateOne(one, {"$inc": {"count": 1}}, upsert=True) for one in own]
    change_counts_in(database).bulk_write(writes, ordered=False, session=session)


def count_changes(database: Db, interval: str, session: ClientSession) -> int:
    """Return how often series of an interval were written, by the session's snapshot."""
    own = {"_id": {"$in": [f"{interval}::{slot}" for slot in range(SLOTS)]}}
    return sum(one["count"] for one in change_counts_in(database).find(own, session=session))
