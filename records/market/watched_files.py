"""Files of watched folders: how each looked when its bars were taken in."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import ReplaceOne

from records.database import Db


def find_seen(database: Db, names: Sequence[str]) -> dict[str, str]:
    """Return how files looked when they were seen, by name; those never seen are left out."""
    return {
        found["_id"]: found["state"]
        for found in database.watched_files.find({"_id": {"$in": list(names)}})
    }


def note_seen(database: Db, states: Mapping[str, str], now: datetime) -> None:
    """Note how files looked, by name, when their bars were taken in."""
    if states:
        database.watched_files.bulk_write(
            [
                ReplaceOne(
                    {"_id": name}, {"_id": name, "state": state, "seen_at": now}, upsert=True
                )
                for name, state in states.items()
            ]
        )
