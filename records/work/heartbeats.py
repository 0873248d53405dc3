"""Heartbeats: when each process was last at work, by the server's clock, with facts about it."""

from pymongo import WriteConcern

from records.database import Db, Query, older_than
from records.work.documents import Heartbeat, heartbeats_in

SWEEPER = "sweeper"
SCHEDULER = "scheduler"
CLEANER = "cleaner"
NOTIFIER = "notifier"


def beat(database: Db, name: str, **facts: object) -> None:
    """Store that a process is at work now, with facts about it. A heartbeat may get lost, as the
    next one replaces it.
    """
    literal = {fact: {"$literal": value} for fact, value in facts.items()}
    heartbeats = heartbeats_in(database).with_options(write_concern=WriteConcern(w=1))
    heartbeats.update_one({"_id": name}, [{"$set": {**literal, "at": "$$NOW"}}], upsert=True)


def take_turn(database: Db, name: str, seconds: float) -> bool:
    """Return whether `name` was not at work for so many seconds, and if so store that it is now. So
    of many processes that ask, one gets the turn.

    A stored time in the future is from before the clock was set back, and does not count.
    """
    # The null of a name without a heartbeat sorts before any date.
    is_due = {"$or": [older_than("at", seconds), {"$gt": ["$at", "$$NOW"]}]}
    turn = [{"$set": {"at": {"$cond": [is_due, "$$NOW", "$at"]}}}]
    taken = heartbeats_in(database).update_one({"_id": name}, turn, upsert=True)
    return taken.modified_count == 1 or taken.upserted_id is not None


def give_turn(database: Db, name: str) -> None:
    """Give the turn back, so that the next process that asks gets it at once."""
    heartbeats_in(database).delete_one({"_id": name})


def find_heartbeats(database: Db, names: list[str]) -> dict[str, Heartbeat]:
    """Return the last heartbeat of each of some processes that have one, with its `age_seconds`."""
    age = {"$divide": [{"$subtract": ["$$NOW", "$at"]}, 1_000]}
    stages: list[Query] = [{"$match": {"_id": {"$in": names}}}, {"$set": {"age_seconds": age}}]
    return {document["_id"]: document for document in database.heartbeats.aggregate(stages)}
