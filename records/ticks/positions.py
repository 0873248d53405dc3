"""Positions: how far each stream of the feed was stored. The transaction that stores a stream's
messages writes its position, too.

A stream is claimed as a batch is: a conditional write raises its fence, and a process that commits
with an older fence has lost the stream. Leases end by the server's clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from core.errors import LeaseLost
from records.database import Db

START = "0-0"
COUNTS = ("records", "rejected", "doubles", "missing", "entries", "runs")


class ProducerFields(TypedDict):
    """A producer's last message: its number, and when it was sent (milliseconds since 1970)."""

    seq: int
    sent: int


class WaitingFields(TypedDict):
    """Tickers of a market and interval with closed candles for which no run was asked yet."""

    market: str
    interval: str
    tickers: list[str]
    since: datetime


class PositionDocument(TypedDict):
    """How far a stream was stored, by whom, and the counts of what came by it.

    Attributes:
        attempts: how often the storing of what follows was begun since the last commit.
        missing: how many producers' numbers were skipped, that is, messages that the bus lost.
        lag_entries, lag_seconds: how many entries waited at `seen_at`, and how long the oldest had
            waited then.
    """

    _id: str
    last_id: str
    owner: str | None
    fence: int
    lease_until: datetime | None
    attempts: int
    producers: dict[str, ProducerFields]
    waiting: list[WaitingFields]
    records: int
    rejected: int
    doubles: int
    missing: int
    entries: int
    runs: int
    lag_entries: int
    lag_seconds: float
    seen_at: datetime | None
    committed_at: datetime | None


@dataclass(slots=True)
class Held:
    """A claimed stream, as its holder keeps it; `fence` proves the claim."""

    stream: str
    fence: int
    last_id: str
    attempts: int
    producers: dict[str, ProducerFields]
    waiting: list[WaitingFields]


def positions_in(database: Db) -> Collection[PositionDocument]:
    """Return the collection of the feed's positions."""
    return database.feed_positions


def add_streams(database: Db, streams: Sequence[str]) -> None:
    """Store a position at the beginning for each stream that has none."""
    for stream in streams:
        empty: dict[str, Any] = {
            "last_id": START,
            "owner": None,
            "fence": 0,
            "lease_until": None,
            "attempts": 0,
            "producers": {},
            "waiting": [],
            **dict.fromkeys(COUNTS, 0),
            "lag_entries": 0,
            "lag_seconds": 0.0,
            "seen_at": None,
            "committed_at": None,
        }
        positions_in(database).update_one({"_id": stream}, {"$setOnInsert": empty}, upsert=True)


def claim_stream(database: Db, stream: str, owner: str, lease_seconds: float) -> Held | None:
    """Claim a stream that nobody holds, whose lease has ended, or that `owner` holds already;
    return None where another process holds it.
    """
    is_free = {
        "$or": [
            {"owner": None},
            {"owner": owner},
            {"$expr": {"$lt": ["$lease_until", "$$NOW"]}},
        ]
    }
    taken = {
        "owner": owner,
        "fence": {"$add": ["$fence", 1]},
        "lease_until": {"$add": ["$$NOW", int(lease_seconds * 1_000)]},
    }
    document = positions_in(database).find_one_and_update(
        {"_id": stream, **is_free}, [{"$set": taken}], return_document=ReturnDocument.AFTER
    )
    if document is None:
        return None
    return Held(
        stream,
        document["fence"],
        document["last_id"],
        document["attempts"],
        document["producers"],
        document["waiting"],
    )


def renew_stream(database: Db, held: Held, lease_seconds: float) -> None:
    """Renew the lease of a stream. Raises LeaseLost where another process has claimed it."""
    later = {"lease_until": {"$add": ["$$NOW", int(lease_seconds * 1_000)]}}
    _demand(
        positions_in(database).update_one(
            {"_id": held.stream, "fence": held.fence}, [{"$set": later}]
        ),
        held,
    )


def release_stream(database: Db, held: Held) -> None:
    """Give up a stream, so that another process need not wait for the end of the lease."""
    positions_in(database).update_one(
        {"_id": held.stream, "fence": held.fence}, {"$set": {"owner": None, "lease_until": None}}
    )


def count_attempt(database: Db, held: Held) -> None:
    """Count an attempt to store what follows the position. Raises LeaseLost."""
    _demand(
        positions_in(database).update_one(
            {"_id": held.stream, "fence": held.fence}, {"$inc": {"attempts": 1}}
        ),
        held,
    )


def start_again(database: Db, held: Held) -> None:
    """Move the position to the beginning, where the stream was replaced by another one.

    Messages that were stored before are known by their producers' numbers. Raises LeaseLost.
    """
    _demand(
        positions_in(database).update_one(
            {"_id": held.stream, "fence": held.fence}, {"$set": {"last_id": START}}
        ),
        held,
    )
    held.last_id = START


def note_lag(database: Db, held: Held, *, entries: int, seconds: float, now: datetime) -> None:
    """Store how much of a stream waits, without waiting until MongoDB has it on a disk."""
    positions_in(database).with_options(write_concern=WriteConcern(w=1)).update_one(
        {"_id": held.stream, "fence": held.fence},
        {"$set": {"lag_entries": entries, "lag_seconds": seconds, "seen_at": now}},
    )


def commit_position(
    database: Db,
    held: Held,
    *,
    last_id: str,
    producers: Mapping[str, ProducerFields],
    waiting: Sequence[WaitingFields],
    counts: Mapping[str, int],
    lag_seconds: float,
    lease_seconds: float,
    now: datetime,
    session: ClientSession,
) -> None:
    """Move the position inside the transaction that stores what came up to it.

    Raises LeaseLost where another process holds the stream, or has moved its position.
    """
    moved = {
        "last_id": last_id,
        "attempts": 0,
        "producers": {"$literal": dict(producers)},
        "waiting": {"$literal": list(waiting)},
        "lag_seconds": lag_seconds,
        "seen_at": now,
        "committed_at": now,
        "lease_until": {"$add": ["$$NOW", int(lease_seconds * 1_000)]},
        **{name: {"$add": [{"$ifNull": [f"${name}", 0]}, n]} for name, n in counts.items()},
    }
    _demand(
        positions_in(database).update_one(
            {"_id": held.stream, "fence": held.fence, "last_id": held.last_id},
            [{"$set": moved}],
            session=session,
        ),
        held,
    )


def find_positions(database: Db) -> list[PositionDocument]:
    """Return the positions of all streams, by name."""
    return list(positions_in(database).find().sort("_id", 1))


def find_seqs(database: Db, producer: str) -> dict[str, int]:
    """Return by stream the last number of a producer that was stored."""
    return {
        one["_id"]: one["producers"][producer]["seq"]
        for one in positions_in(database).find()
        if producer in one["producers"]
    }


def _demand(updated: Any, held: Held) -> None:
    if not updated.matched_count:
        raise LeaseLost(f"another process has stream {held.stream} of the feed now")
