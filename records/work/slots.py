"""The last slot of each kind of periodic work that was taken, so that each slot is taken once.

A stored slot that lies further ahead than the next one was stored while a clock was wrong. It is
ignored, as the work would rest until that time.
"""

from records.database import Db
from records.work.documents import slots_in


def is_taken(database: Db, work: str, slot: int, *, step: int = 1) -> bool:
    """Return whether a slot of some work was taken; `step` is the distance to the next slot."""
    stored = slots_in(database).find_one({"_id": work})
    return stored is not None and slot <= stored["slot"] <= slot + step


def take_slot(database: Db, work: str, slot: int, *, step: int = 1) -> bool:
    """Take a slot of some work; return False where it, or the next one, was taken before."""
    is_noted = {"$and": [{"$gte": ["$slot", slot]}, {"$lte": ["$slot", slot + step]}]}
    noted = [{"$set": {"slot": {"$cond": [is_noted, "$slot", slot]}}}]
    taken = slots_in(database).update_one({"_id": work}, noted, upsert=True)
    return taken.upserted_id is not None or taken.modified_count == 1
