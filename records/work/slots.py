"""Slots of what is done once in a while: which one of each work was looked after last.

One that is noted further ahead than the next was noted while the clock was wrong, and counts for
nothing: the work would rest until the clock is there again.
"""

from records.database import Db
from records.work.documents import slots_in


def is_taken(database: Db, work: str, slot: int, *, step: int = 1) -> bool:
    """Whether a slot of a work was looked after; `step` lies between it and the next."""
    stored = slots_in(database).find_one({"_id": work})
    return stored is not None and slot <= stored["slot"] <= slot + step


def take_slot(database: Db, work: str, slot: int, *, step: int = 1) -> bool:
    """Note that a slot is looked after; whether nobody had noted it, or the next, before."""
    is_noted = {"$and": [{"$gte": ["$slot", slot]}, {"$lte": ["$slot", slot + step]}]}
    noted = [{"$set": {"slot": {"$cond": [is_noted, "$slot", slot]}}}]
    taken = slots_in(database).update_one({"_id": work}, noted, upsert=True)
    return taken.upserted_id is not None or taken.modified_count == 1
