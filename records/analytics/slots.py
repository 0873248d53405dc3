"""Slots of analytics: which was the last in which what has new bars was asked for."""

from records.analytics.documents import slots_in
from records.database import Db

_ID = "analytics"


def get_last_slot(database: Db) -> int:
    """Return the start of the last slot that was looked after (UTC seconds), 0 before the first."""
    stored = slots_in(database).find_one({"_id": _ID})
    return int(stored["slot"]) if stored is not None else 0


def note_slot(database: Db, slot: int) -> None:
    """Note that a slot was looked after; the latest stays noted, whoever comes last."""
    slots_in(database).update_one({"_id": _ID}, {"$max": {"slot": slot}}, upsert=True)
