"""Challengers: versions that were trained because a champion had drifted, and what became of them.

A challenger is `training`, then `judging`, then `judged`; or `failed`, where one of its runs
failed.
"""

from collections.abc import Sequence
from datetime import datetime

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.words import ChallengerState
from records.database import Db, Query
from records.keyset import Key, Keyset, Position, find_page
from records.models.documents import ChallengerDocument, challengers_in

NEWEST_FIRST = Keyset((Key("created_at", datetime, DESCENDING), Key("_id", str)))
OPEN: Sequence[ChallengerState] = ("training", "judging")


def add_challenger(
    database: Db,
    run_id: str,
    *,
    market: str,
    interval: str,
    champion: str,
    reasons: Sequence[str],
    held_out_from: datetime,
    last_bar: datetime,
    now: datetime,
) -> None:
    """Store the challenger that a run trains, unless it is stored already."""
    document: ChallengerDocument = {
        "_id": run_id,
        "market": market,
        "interval": interval,
        "champion": champion,
        "reasons": list(reasons),
        "held_out_from": held_out_from,
        "last_bar": last_bar,
        "state": "training",
        "version": None,
        "evaluation": None,
        "evaluation_run_id": None,
        "gates": [],
        "passed": None,
        "promoted_at": None,
        "error": None,
        "created_at": now,
        "updated_at": now,
    }
    challengers_in(database).update_one({"_id": run_id}, {"$setOnInsert": document}, upsert=True)


def change_challenger(
    database: Db, challenger: ChallengerDocument, session: ClientSession | None = None
) -> None:
    """Write a challenger's new state, unless it has ended meanwhile."""
    query: Query = {"_id": challenger["_id"], "state": {"$in": list(OPEN)}}
    challengers_in(database).replace_one(query, challenger, session=session)


def find_open_challengers(database: Db) -> list[ChallengerDocument]:
    """Return the challengers in training or judging, the oldest first."""
    query: Query = {"state": {"$in": list(OPEN)}}
    return list(challengers_in(database).find(query).sort("created_at", 1))


def find_challengers(
    database: Db,
    *,
    market: str | None,
    after: Position | None = None,
    limit: int,
) -> list[ChallengerDocument]:
    """Return challengers in the order NEWEST_FIRST, from the one after `after` on."""
    query: Query = {} if market is None else {"market": market}
    return find_page(challengers_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def is_challenged(
    database: Db,
    market: str,
    interval: str,
    champion: str,
    *,
    since: datetime,
    now: datetime,
    last_bar: datetime,
) -> bool:
    """Return whether a challenger of this market and interval was created after `since`, or one of
    this champion had all bars up to `last_bar` and did not fail: another one would be the same.
    """
    query: Query = {
        "market": market,
        "interval": interval,
        "$or": [
            # One of the future is of a clock that was ahead.
            {"created_at": {"$gt": since, "$lte": now}},
            {"champion": champion, "last_bar": {"$gte": last_bar}, "state": {"$ne": "failed"}},
        ],
    }
    return challengers_in(database).find_one(query, {"_id": 1}) is not None
