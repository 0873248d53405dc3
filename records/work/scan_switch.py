"""The switch of the periodic scans, which outlives any restart."""

from datetime import datetime

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from records.database import Db
from records.questions import Question
from records.work.documents import ScanSwitch

SWITCH = "scheduler"


def get_switch(database: Db) -> ScanSwitch:
    """Return {enabled, changed_at}; scans run until somebody switches them off."""
    found: ScanSwitch | None = database.settings.find_one({"_id": SWITCH}, {"_id": 0})
    return found or {"enabled": True, "changed_at": None}


def ask_is_on(database: Db) -> Question[bool]:
    """Ask whether the scans are on."""
    stages = [{"$match": {"_id": SWITCH}}]
    return Question(
        database.settings, stages, lambda found: bool(found[0]["enabled"]) if found else True
    )


def turn_switch(
    database: Db, now: datetime, *, enabled: bool | None, session: ClientSession | None = None
) -> ScanSwitch:
    """Switch the scans on or off, or toggle them (None), in one write; return the switch."""
    other = {"$not": [{"$ifNull": ["$enabled", True]}]}
    turned: ScanSwitch | None = database.settings.find_one_and_update(
        {"_id": SWITCH},
        [{"$set": {"enabled": other if enabled is None else enabled, "changed_at": now}}],
        projection={"_id": 0},
        upsert=True,
        return_document=ReturnDocument.AFTER,
        session=session,
    )
    return turned or get_switch(database)
