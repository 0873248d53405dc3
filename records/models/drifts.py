"""Drift: how each market's champion fared on its latest bars, one document a session."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from records.database import Db, Query, match
from records.keyset import Key, Keyset, Position, find_page
from records.models.documents import DriftDocument, drifts_in

NEWEST_FIRST = Keyset((Key("at", datetime, DESCENDING), Key("_id", str)))
# What was noted longer ago is of no market that is still watched.
SHOWN_FOR = timedelta(days=30)


def build_drift_id(market: str, interval: str, session: str) -> str:
    """Return the `_id` of a session's drift, such as `US::1d::2026-01-05`."""
    return f"{market}::{interval}::{session}"


def write_drift(database: Db, drift: DriftDocument, session: ClientSession) -> None:
    """Note a session's drift inside the transaction of what measured it."""
    drifts_in(database).replace_one({"_id": drift["_id"]}, drift, upsert=True, session=session)


def find_drift(database: Db, market: str, interval: str, session: str) -> DriftDocument | None:
    """Return what was noted of a session, or None."""
    return drifts_in(database).find_one({"_id": build_drift_id(market, interval, session)})


def find_drift_before(
    database: Db, market: str, interval: str, version: str, session: str
) -> DriftDocument | None:
    """Return what was noted of a version before a session, the latest, or None."""
    query: Query = {
        "market": market,
        "interval": interval,
        "version": version,
        "session": {"$lt": session},
    }
    return drifts_in(database).find_one(query, sort=[("session", -1)])


def find_drifts(
    database: Db,
    *,
    market: str | None,
    interval: str | None = None,
    after: Position | None = None,
    limit: int,
) -> list[DriftDocument]:
    """Return what was noted in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(market=market, interval=interval)
    return find_page(drifts_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def find_latest_drifts(database: Db, now: datetime) -> Sequence[DriftDocument]:
    """Return the latest note of each market and interval, of the last 30 days."""
    stages: list[Query] = [
        {"$match": {"at": {"$gte": now - SHOWN_FOR}}},
        {"$sort": {"session": -1}},
        {
            "$group": {
                "_id": {"market": "$market", "interval": "$interval"},
                "latest": {"$first": "$$ROOT"},
            }
        },
        {"$replaceWith": "$latest"},
        {"$sort": {"_id": 1}},
    ]
    return list(database.drifts.aggregate(stages))
