"""Revisions: what changed in a series at or before its last bar, so that detection can score the
changed bars again.

A document is of one of these kinds:

- `changed`: one bar, with its old and new values;
- `inserted`: a stretch of bars that came late;
- `split`: a split;
- `replaced`: a series whose synthetic bars were replaced by real ones;
- `deleted`, `renamed`, `undone`: bars that are gone because they were deleted, because the series
  has another name, or because their import was undone.

`first` and `last` bound the stored bars that a revision touches. A bar that comes late moves the
position of all bars after it, and the last digits of what is computed depend on the position: so an
inserted stretch reaches to the end of the series.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.words import RevisionKind
from records.database import Db, Query, among, between, match
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
    """Return the times (UTC seconds) of the first and last stored bar that revisions after
    `since_revision` touch; None where there is no such revision.
    """
    newer = {"ticker": ticker, "interval": interval, "revision": {"$gt": since_revision}}
    bounds = {"_id": None, "first": {"$min": "$first"}, "last": {"$max": "$last"}}
    for found in database.bar_revisions.aggregate([{"$match": newer}, {"$group": bounds}]):
        return int(found["first"].timestamp()), int(found["last"].timestamp())
    return None


def count_by_series(database: Db, tickers: Sequence[str] | None, since: datetime) -> dict[str, int]:
    """Return how often each series was revised from `since` on (`tickers` of None: of all)."""
    query = match(at=between(since, None), ticker=among(tickers))
    stages: list[dict[str, object]] = [
        {"$match": query},
        {"$group": {"_id": {"series": SERIES_ID, "revision": "$revision"}}},
        {"$group": {"_id": "$_id.series", "revisions": {"$sum": 1}}},
    ]
    return {each["_id"]: each["revisions"] for each in database.bar_revisions.aggregate(stages)}


def find_revision(
    database: Db, ticker: str, interval: str, revision: int, session: ClientSession
) -> list[RevisionDocument]:
    """Return all documents of one revision of a series."""
    query = {"ticker": ticker, "interval": interval, "revision": revision}
    return list(revisions_in(database).find(query, session=session).sort("_id", 1))


def find_touching(
    database: Db, ticker: str, interval: str, since_revision: int, session: ClientSession
) -> list[RevisionDocument]:
    """Return the changed bars and splits of a series after a revision, without those that were
    undone.
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
    """Return the revisions after `since` that removed bars from `start` to `end` of these series,
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


def find_shortened(database: Db, interval: str, revisions: Mapping[str, int]) -> list[str]:
    """Return, in order, the tickers of which bars were removed after the revision that `revisions`
    has of each.
    """
    if not revisions:
        return []
    members: dict[int, list[str]] = {}
    for ticker, revision in revisions.items():
        members.setdefault(revision, []).append(ticker)
    newer = [
        {"ticker": {"$in": tickers}, "interval": interval, "revision": {"$gt": revision}}
        for revision, tickers in members.items()
    ]
    query = {"kind": {"$in": [*REMOVALS, "replaced"]}, "$or": newer}
    return sorted(revisions_in(database).distinct("ticker", query))


def mark_undone(
    database: Db, ticker: str, interval: str, revision: int, session: ClientSession
) -> None:
    """Mark a revision as undone, so that it does not prevent the undoing of an earlier import."""
    query = {"ticker": ticker, "interval": interval, "revision": revision}
    revisions_in(database).update_many(query, {"$set": {"undone": True}}, session=session)


def find_last_revisions(
    database: Db, tickers: Sequence[str], interval: str, session: ClientSession
) -> dict[str, int]:
    """Return by ticker the number of a series' last revision, also of series whose bars are gone;
    series without a revision are left out.
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
