"""Files of watched folders: the state of each file when its bars were imported."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import ReplaceOne

from records.database import Db


def find_seen(database: Db, names: Sequence[str]) -> dict[str, str]:
    """Return by name the state in which each file was imported; other files are left out."""
    return {
        found["_id"]: found["state"]
        for found in database.watched_files.find({"_id": {"$in": list(names)}})
    }


def note_seen(database: Db, states: Mapping[str, str], now: datetime) -> None:
    """Store by name the states of files whose bars were imported."""
    if states:
        database.watched_files.bulk_write(
            [
                ReplaceOne(
                    {"_id": name}, {"_id": name, "state": state, "seen_at": now}, upsert=True
                )
                for name, state in states.items()
            ]
        )
