"""Revisions: what changed in a series at or before its last bar,
so that detection can look at it again.

A document is one changed bar (`changed`, with its old and new values), one stretch of bars that
came late (`inserted`), one split (`split`), a series whose synthetic bars gave way to real ones
(`replaced`), or bars that are gone: of a series (`deleted`), to another name (`renamed`), with an
import that was taken back (`undone`). `first` and `last` bound the stored bars it touches. A bar
that comes late moves the position of all that follow it, and what is computed depends on the
position in the last digits: so its stretch reaches to the series' end.
"""

from collections.abc import Sequence
from datetime import datetime

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.words import RevisionKind
from records.database import Db, Query, between, match
from records.keyset import Key, Keyset, Position, find_page
from records.market.documents import RevisionDocument, revisions_in
from records.market.series import SERIES_ID

NEWEST_FIRST = Keyset(
    (
        Key("at", datetime, DESCENDING),
        Key("first", datetime, DESCENDING),
        Key("_id", str, DESCENDING),
    )
)


REMOVALS: tuple[RevisionKind, ...] = ("deleted", "renamed", "undone")


def add_revisions(
    database: Db, documents: Sequence[RevisionDocument], session: ClientSession
) -> None:
    """Store revisions inside the transaction that changed the bars."""
    if documents:
        revisions_in(database).insert_many(list(documents), session=session)


def find_changes(
    database: Db, ticker: str, interval: str, since_revision: int
) -> tuple[int, int] | None:
    """Return the times (UTC seconds) of the first
    and last stored bar touched after a revision; None if none was.
    """
    newer = {"ticker": ticker, "interval": interval, "revision": {"$gt": since_revision}}
    bounds = {"_id": None, "first": {"$min": "$first"}, "last": {"$max": "$last"}}
    for found in database.bar_revisions.aggregate([{"$match": newer}, {"$group": bounds}]):
        return int(found["first"].timestamp()), int(found["last"].timestamp())
    return None


def count_by_series(database: Db, tickers: Sequence[str] | None, since: datetime) -> dict[str, int]:
    """Return how often each series was revised since a moment;
    of all tickers where None are named.
    """
    query: dict[str, object] = {"at": {"$gte": since}}
    if tickers is not None:
        query["ticker"] = {"$in": list(tickers)}
    stages: list[dict[str, object]] = [
        {"$match": query},
        {"$group": {"_id": {"series": SERIES_ID, "revision": "$revision"}}},
        {"$group": {"_id": "$_id.series", "revisions": {"$sum": 1}}},
    ]
    return {each["_id"]: each["revisions"] for each in database.bar_revisions.aggregate(stages)}


def find_revision(
    database: Db, ticker: str, interval: str, revision: int, session: ClientSession
) -> list[RevisionDocument]:
    """Return all that one revision of a series changed."""
    query = {"ticker": ticker, "interval": interval, "revision": revision}
    return list(revisions_in(database).find(query, session=session).sort("_id", 1))


def find_touching(
    database: Db, ticker: str, interval: str, since_revision: int, session: ClientSession
) -> list[RevisionDocument]:
    """Return bars changed and splits told of a series after a revision,
    without those that were taken back.
    """
    query = {"ticker": ticker, "interval": interval, "revision": {"$gt": since_revision}}
    return list(
        revisions_in(database).find(
            query | {"kind": {"$in": ["changed", "split"]}, "undone": {"$ne": True}},
            session=session,
        )
    )


def find_removals(
    database: Db,
    tickers: Sequence[str],
    interval: str,
    *,
    since: datetime,
    start: datetime,
    end: datetime,
) -> list[RevisionDocument]:
    """Return what went of these series since a moment, of bars from `start` to `end`,
    the latest last.
    """
    query = {
        "ticker": {"$in": list(tickers)},
        "interval": interval,
        "kind": {"$in": list(REMOVALS)},
        "bars": {"$gt": 0},
        "at": {"$gt": since},
        "first": {"$lte": end},
        "last": {"$gte": start},
    }
    return list(revisions_in(database).find(query).sort("at", 1))


def mark_undone(
    database: Db, ticker: str, interval: str, revision: int, session: ClientSession
) -> None:
    """Have what a revision changed be known as taken back: it stands in nobody's way."""
    query = {"ticker": ticker, "interval": interval, "revision": revision}
    revisions_in(database).update_many(query, {"$set": {"undone": True}}, session=session)


def find_last_revisions(
    database: Db, tickers: Sequence[str], interval: str, session: ClientSession
) -> dict[str, int]:
    """Return the number of the last revision by ticker of those series of which one is known, also
    of those whose bars are gone.
    """
    stages: list[Query] = [
        {"$match": {"ticker": {"$in": list(tickers)}, "interval": interval}},
        {"$group": {"_id": "$ticker", "revision": {"$max": "$revision"}}},
    ]
    found = database.bar_revisions.aggregate(stages, session=session)
    return {each["_id"]: int(each["revision"]) for each in found}


def find_revisions(
    database: Db,
    *,
    ticker: str | None,
    interval: str | None = None,
    since_revision: int = 0,
    end: datetime | None = None,
    after: Position | None = None,
    limit: int = 100,
) -> list[RevisionDocument]:
    """Return revisions that touch bars up to `end`, in the order NEWEST_FIRST,
    from the one after `after` on.
    """
    since = {"$gt": since_revision}
    query = match(revision=since, ticker=ticker, interval=interval, first=between(None, end))
    return find_page(revisions_in(database), query, NEWEST_FIRST, after=after, limit=limit)
