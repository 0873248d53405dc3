"""Revisions: what changed in a series at or before its last bar, so that detection can look at it again.

A document is one changed bar (`changed`, with its old and new values), one stretch of bars that came late
(`inserted`), one split (`split`), or a series whose synthetic bars gave way to real ones (`replaced`). `first` and
`last` bound the stored bars it touches. A bar that comes late moves the position of all that follow it, and what is
computed depends on the position in the last digits: so its stretch reaches to the series' end.
"""

from collections.abc import Sequence
from datetime import datetime

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from records.database import Db
from records.keyset import Key, Keyset, Position, find_page
from records.market.documents import RevisionDocument, revisions_in

NEWEST_FIRST = Keyset(
    (Key("at", datetime, DESCENDING), Key("first", datetime, DESCENDING), Key("_id", str, DESCENDING))
)


def add_revisions(database: Db, documents: Sequence[RevisionDocument], session: ClientSession) -> None:
    """Store revisions inside the transaction that changed the bars."""
    if documents:
        revisions_in(database).insert_many(list(documents), session=session)


def find_changes(database: Db, ticker: str, interval: str, since_revision: int) -> tuple[int, int] | None:
    """Return the times (UTC seconds) of the first and last stored bar touched after a revision; None if none was."""
    newer = {"ticker": ticker, "interval": interval, "revision": {"$gt": since_revision}}
    bounds = {"_id": None, "first": {"$min": "$first"}, "last": {"$max": "$last"}}
    for found in database.bar_revisions.aggregate([{"$match": newer}, {"$group": bounds}]):
        return int(found["first"].timestamp()), int(found["last"].timestamp())
    return None


def find_revisions(
    database: Db,
    *,
    ticker: str | None = None,
    interval: str | None = None,
    since_revision: int = 0,
    start: datetime | None = None,
    end: datetime | None = None,
    after: Position | None = None,
    limit: int = 100,
) -> list[RevisionDocument]:
    """Return revisions that touch bars from `start` to `end`, both included.

    They are in the order NEWEST_FIRST, from the one after `after` on.
    """
    query: dict[str, object] = {"revision": {"$gt": since_revision}}
    query |= {name: value for name, value in (("ticker", ticker), ("interval", interval)) if value is not None}
    if start is not None:
        query["last"] = {"$gte": start}
    if end is not None:
        query["first"] = {"$lte": end}
    return find_page(revisions_in(database), query, NEWEST_FIRST, after=after, limit=limit)
