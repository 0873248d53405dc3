"""Depth: the last order book snapshot of each second, for a ticker and venue."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.client_session import ClientSession

from records.database import Db, between, match
from records.keyset import Key, Keyset, Position, find_page
from records.ticks.chunks import from_bytes, to_bytes
from records.ticks.documents import DepthDocument, depth_in
from records.ticks.trades import Stored

SECOND = 1_000_000
OLDEST_FIRST = Keyset((Key("time", int, ASCENDING), Key("_id", str, ASCENDING)))
NEWEST_FIRST = Keyset((Key("time", int, DESCENDING), Key("_id", str, DESCENDING)))

Levels = tuple[tuple[float, float], ...]
"""(price, amount) of each level, the best first."""


class Snapshot(NamedTuple):
    """An order book at a time (microseconds since 1970); at equal times the higher `sequence` is
    the later one.
    """

    time: int
    sequence: int
    bids: Levels
    asks: Levels


def write_depth(
    database: Db,
    arrived: Sequence[tuple[str, str, Snapshot]],
    *,
    expires_at: datetime,
    session: ClientSession,
) -> Stored:
    """Store snapshots, given as (ticker, venue, snapshot), inside a transaction. The last of each
    second is kept, whatever the order in which they come.
    """
    latest: dict[str, tuple[str, str, Snapshot]] = {}
    for ticker, venue, snapshot in arrived:
        name = f"{ticker}::{venue}::{snapshot.time // SECOND}"
        if name not in latest or snapshot[:2] >= latest[name][2][:2]:
            latest[name] = (ticker, venue, snapshot)
    if not latest:
        return Stored()
    stored = {
        found["_id"]: (found["time"], found["sequence"])
        for found in depth_in(database).find(
            {"_id": {"$in": list(latest)}}, {"time": 1, "sequence": 1}, session=session
        )
    }
    later = {
        name: one for name, one in latest.items() if name not in stored or one[2][:2] > stored[name]
    }
    writes: list[Any] = [
        UpdateOne(
            {"_id": name},
            {"$set": build_depth(*one, name=name, expires_at=expires_at)},
            upsert=True,
        )
        for name, one in later.items()
    ]
    if writes:
        depth_in(database).bulk_write(writes, ordered=False, session=session)
    new = len(later.keys() - stored.keys())
    return Stored(new, len(later) - new, len(arrived) - len(later))


def build_depth(
    ticker: str, venue: str, snapshot: Snapshot, *, name: str, expires_at: datetime
) -> DepthDocument:
    """Return the document of a snapshot."""
    return {
        "_id": name,
        "ticker": ticker,
        "venue": venue,
        "time": snapshot.time,
        "sequence": snapshot.sequence,
        "bids": to_bytes([number for level in snapshot.bids for number in level]),
        "asks": to_bytes([number for level in snapshot.asks for number in level]),
        "expires_at": expires_at,
    }


def read_levels(side: bytes, most: int) -> list[tuple[float, float]]:
    """Return the best levels (price, amount) of a side, at most `most`."""
    numbers = from_bytes("d", side)
    return list(zip(numbers[: 2 * most : 2], numbers[1 : 2 * most : 2], strict=True))


def find_depth(
    database: Db,
    ticker: str,
    venue: str,
    *,
    start: int | None,
    end: int | None,
    after: Position | None,
    limit: int,
    descending: bool,
) -> list[DepthDocument]:
    """Return snapshots from `start` to `end` (microseconds, both inclusive), in order of time."""
    order = NEWEST_FIRST if descending else OLDEST_FIRST
    query = match(ticker=ticker, venue=venue, time=between(start, end))
    return find_page(depth_in(database), query, order, after=after, limit=limit)


def find_tickers(database: Db) -> set[str]:
    """Return the tickers that have snapshots."""
    return set(depth_in(database).distinct("ticker"))


def find_latest(
    database: Db, ticker: str, venues: Sequence[str], start: int, end: int
) -> DepthDocument | None:
    """Return a ticker's latest snapshot at any of these venues from `start` to before `end`
    (microseconds), or None.
    """
    within = {"$gte": start, "$lt": end}
    newest = [("time", DESCENDING), ("_id", DESCENDING)]
    found = [
        depth_in(database).find_one({"ticker": ticker, "venue": venue, "time": within}, sort=newest)
        for venue in venues
    ]
    there = [document for document in found if document is not None]
    return max(there, key=lambda document: (document["time"], document["_id"]), default=None)


def find_venues(database: Db, ticker: str) -> list[str]:
    """Return the venues with snapshots of a ticker, in order."""
    return sorted(depth_in(database).distinct("venue", {"ticker": ticker}))
