"""Drift of each market's champion on its latest bars: one document for each session."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from records.database import Db, Query, match
from records.keyset import Key, Keyset, Position, find_page
from records.models.documents import DriftDocument, drifts_in

NEWEST_FIRST = Keyset((Key("at", datetime, DESCENDING), Key("_id", str)))
# A market whose latest drift is older than this is not watched any more.
SHOWN_FOR = timedelta(days=30)


def build_drift_id(market: str, interval: str, session: str) -> str:
    """Return the `_id` of a session's drift, such as `US::1d::2026-01-05`."""
    return f"{market}::{interval}::{session}"


def write_drift(database: Db, drift: DriftDocument, session: ClientSession) -> None:
    """Store a session's drift inside the transaction of the batch that measured it."""
    drifts_in(database).replace_one({"_id": drift["_id"]}, drift, upsert=True, session=session)


def find_drift(database: Db, market: str, interval: str, session: str) -> DriftDocument | None:
    """Return the drift of a session (ISO date), or None."""
    return drifts_in(database).find_one({"_id": build_drift_id(market, interval, session)})


def find_drift_before(
    database: Db, market: str, interval: str, version: str, session: str
) -> DriftDocument | None:
    """Return a version's latest drift of a session before `session`, or None."""
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
    """Return drifts in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(market=market, interval=interval)
    return find_page(drifts_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def find_latest_drifts(database: Db, now: datetime) -> Sequence[DriftDocument]:
    """Return the latest drift of each market and interval that has one in the last 30 days."""
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
