"""How often the series of an interval were written: who made something of all of them knows by that
whether it may still stand, without a look at each.

A count is spread over slots, as two transactions that write one document do not both commit.
"""

from collections.abc import Iterable
from random import randrange

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from records.database import Db
from records.market.documents import change_counts_in

SLOTS = 64


def note_changes(database: Db, intervals: Iterable[str], session: ClientSession) -> None:
    """Count that series of these intervals are written, inside the transaction that does so."""
    slot = randrange(SLOTS)
    own = [{"_id": f"{interval}::{slot}"} for interval in sorted(set(intervals))]
    writes = [UpdateOne(one, {"$inc": {"count": 1}}, upsert=True) for one in own]
    change_counts_in(database).bulk_write(writes, ordered=False, session=session)


def count_changes(database: Db, interval: str, session: ClientSession) -> int:
    """Return how often a series of an interval was written, as a session's snapshot has it."""
    own = {"_id": {"$in": [f"{interval}::{slot}" for slot in range(SLOTS)]}}
    return sum(one["count"] for one in change_counts_in(database).find(own, session=session))
