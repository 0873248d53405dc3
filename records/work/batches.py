"""Batches: the unit that a worker claims, holds by a lease, and commits once.

A batch is `pending`, then `leased`, then one of `done`, `dead` (given up), `split` (its tickers
went on as batches of one) or `cancelled`. Every claim raises `fence`; whoever writes under an older
fence has lost the batch. All times that decide anything are the server's, so that a worker's clock
does not matter.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast, get_args

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from core.errors import LeaseLost
from core.words import BatchState
from records.database import Db, Query, in_transaction, older_than
from records.work.documents import (
    BatchDocument,
    BatchResult,
    HeldBatch,
    RowCount,
    RowCounts,
    batches_in,
)

OPEN_STATES: tuple[BatchState, ...] = ("pending", "leased")
SPLIT_AFTER_ATTEMPTS = 2
# Sent again in one sweep.
MOST_LOST = 10_000
# A ticker that is tried alone after its batch failed may be what took its worker down. Whoever
# holds it renews all the time (see `tasks/engine/renewal.py`), so that it is missed soon; and of a
# run no other suspect is tried beside it, whose last attempt it would take along.
SUSPECT_LEASE_SHARE = 5
SHORTEST_LEASE_SECONDS = 5
# What becomes of a batch whose holder is gone; it can commit no more, and the next sweep sends the
# batch again.
LOST: Query = {
    "state": "pending",
    "owner": None,
    "lease_until": None,
    "slot": None,
    "published_at": None,
    "error": "its worker was lost, or took longer than its lease",
}
_FIRST_ALONE: Query = {"units": 1, "attempts": SPLIT_AFTER_ATTEMPTS}
ROW_COUNTS: tuple[RowCount, ...] = get_args(RowCount)


def sum_row_counts(counted: Sequence[RowCounts]) -> RowCounts:
    """Return these counts added up."""
    return cast("RowCounts", {name: sum(counts[name] for counts in counted) for name in ROW_COUNTS})


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as its holder sees it; `fence` is the proof of the claim."""

    id: str
    run_id: str
    market: str | None
    tickers: tuple[str, ...]
    fence: int
    attempts: int
    lease_seconds: int
    heavy: bool = False

    @property
    def is_suspect(self) -> bool:
        """Whether its one ticker was in a batch that failed, or failed by itself,
        so often that it is watched.
        """
        return len(self.tickers) == 1 and self.attempts > SPLIT_AFTER_ATTEMPTS


def build_batch(
    run_id: str,
    label: str,
    tickers: Sequence[str],
    market: str | None,
    now: datetime,
    *,
    attempts: int = 0,
    progress: float = 0.0,
    heavy: bool = False,
) -> BatchDocument:
    """Return the document of a new, pending batch.

    Of a part, `attempts` is how often its tickers were tried before, and `progress` (0 to 1) what a
    person has seen.
    """
    return {
        "_id": f"{run_id}:{label}",
        "run_id": run_id,
        "market": market,
        "tickers": list(tickers),
        "units": max(1, len(tickers)),
        "heavy": heavy,
        "slot": None,
        "state": "pending",
        "owner": None,
        "fence": 0,
        "attempts": attempts,
        "lease_until": None,
        "progress": progress,
        "created_at": now,
        "published_at": None,
    }


def claim_batch(
    database: Db,
    batch_id: str,
    owner: str,
    *,
    lease_seconds: int,
    max_attempts: int,
    heavy_at_once: int = 1,
) -> Batch | None:
    """Take the batch if it is free and has attempts left;
    None where somebody else has it or it is over.

    One of several tickers that failed twice is not taken again, but split. A suspect is held by a
    shorter lease, and taken only into its run's one slot for suspects; a heavy one only into a free
    slot, of which there are `heavy_at_once` for all workers together.
    """
    free = [{"state": "pending"}, {"state": "leased", "$expr": {"$lt": ["$lease_until", "$$NOW"]}}]
    whole = [{"units": 1}, {"attempts": {"$lt": SPLIT_AFTER_ATTEMPTS}}]
    query: Query = {
        "_id": batch_id,
        "attempts": {"$lt": max_attempts},
        "$and": [{"$or": free}, {"$or": whole}],
    }
    suspect = {"units": 1, "attempts": {"$gte": SPLIT_AFTER_ATTEMPTS, "$lt": max_attempts}}
    light = {**query, "heavy": {"$ne": True}}
    document = _take(database, {**light, "$nor": [suspect]}, owner, lease_seconds, None)
    run_id = batch_id.rpartition(":")[0]
    slots = [({**light, **suspect}, f"suspect:{run_id}")]
    slots += [({**query, "heavy": True}, f"heavy:{number}") for number in range(heavy_at_once)]
    for query_of_slot, slot in slots:
        # Another's batch in the slot is told by the slot's unique index.
        with suppress(DuplicateKeyError):
            document = document or _take(database, query_of_slot, owner, lease_seconds, slot)
    if document is None:
        return None
    return Batch(
        id=document["_id"],
        run_id=document["run_id"],
        market=document["market"],
        tickers=tuple(document["tickers"]),
        fence=document["fence"],
        attempts=document["attempts"],
        lease_seconds=document["lease_seconds"],
        heavy=document.get("heavy", False),
    )


def _take(
    database: Db, query: Query, owner: str, lease_seconds: int, slot: str | None
) -> BatchDocument | None:
    suspect_seconds = min(
        lease_seconds, max(SHORTEST_LEASE_SECONDS, lease_seconds // SUSPECT_LEASE_SHARE)
    )
    is_suspect = {
        "$and": [{"$eq": [{"$size": "$tickers"}, 1]}, {"$gte": ["$attempts", SPLIT_AFTER_ATTEMPTS]}]
    }
    held_seconds = {"$cond": [is_suspect, suspect_seconds, lease_seconds]}
    taken = {
        "state": "leased",
        "owner": owner,
        "slot": slot,
        "fence": {"$add": ["$fence", 1]},
        "attempts": {"$add": ["$attempts", 1]},
        "lease_seconds": held_seconds,
        "lease_until": {"$add": ["$$NOW", {"$multiply": [held_seconds, 1000]}]},
    }
    return batches_in(database).find_one_and_update(
        query, [{"$set": taken}], return_document=ReturnDocument.AFTER
    )


def find_waiting_heavy(database: Db) -> list[BatchDocument]:
    """Return the heavy batch that has waited for a slot for longest, if any does."""
    return _find_oldest(database, {"heavy": True})


def find_waiting_suspect(database: Db, run_id: str) -> list[BatchDocument]:
    """Return a suspect whose message came while another was in its run's slot, if there is any.

    One that has failed alone is left to a sweep.
    """
    return _find_oldest(database, {"run_id": run_id, **_FIRST_ALONE, "published_at": None})


def _find_oldest(database: Db, query: Query) -> list[BatchDocument]:
    waiting = {"state": "pending", **query}
    return list(batches_in(database).find(waiting).sort("created_at", 1).limit(1))


def note_refused(database: Db, batch_id: str) -> None:
    """Note of a suspect that its message is gone: it came while another was in its run's slot."""
    query = {"_id": batch_id, "state": "pending", **_FIRST_ALONE}
    batches_in(database).update_one(query, {"$set": {"published_at": None}})


def renew_lease(database: Db, batch: Batch, *, lease_seconds: int, progress: float = 0.0) -> None:
    """Hold the batch for another lease and note how far it is (0 to 1). Raises LeaseLost."""
    renewed = batches_in(database).update_one(
        _held(batch),
        [
            {
                "$set": {
                    "lease_until": {"$add": ["$$NOW", lease_seconds * 1000]},
                    # A second attempt starts over, but what a person has seen of the progress never
                    # falls.
                    "progress": {"$max": ["$progress", progress]},
                }
            }
        ],
    )
    if renewed.matched_count == 0:
        raise LeaseLost(
            f"batch {batch.id} is no longer held under fence {batch.fence}; nothing is written"
        )


def finish_batch(
    database: Db, batch: Batch, session: ClientSession, *, result: BatchResult, now: datetime
) -> None:
    """Mark the batch done inside the transaction that writes its effects.

    Raises LeaseLost, which aborts it.
    """
    _close(database, batch, {"state": "done", "result": result, "finished_at": now}, session)


def cancel_batch(database: Db, batch: Batch, now: datetime) -> None:
    """Give a held batch up because its run was cancelled. Raises LeaseLost."""
    _close(database, batch, {"state": "cancelled", "finished_at": now})


def release_batch(database: Db, batch: Batch, error: str) -> None:
    """Hand a held batch back after a failure, for the next sweep to send again.

    Raises LeaseLost.
    """
    _close(database, batch, {**LOST, "error": error[:2000]})


def cancel_pending(database: Db, run_id: str, now: datetime) -> int:
    """Cancel the batches of a run that nobody holds; those held notice between two steps.

    Returns how many.
    """
    return (
        batches_in(database)
        .update_many(
            {"run_id": run_id, "state": "pending"},
            {"$set": {"state": "cancelled", "finished_at": now}},
        )
        .modified_count
    )


def split_batch(database: Db, document: BatchDocument, now: datetime) -> list[str]:
    """Replace a batch that failed twice by batches of one ticker,
    so that a poisonous one costs only itself.

    They go on counting its attempts: a ticker is tried as often as a batch, not that often once
    more by itself.
    """
    label = document["_id"].rpartition(":")[2]
    parts = [
        build_batch(
            document["run_id"],
            f"{label}.{n}",
            [ticker],
            document["market"],
            now,
            attempts=document["attempts"],
            progress=document["progress"],
            heavy=document.get("heavy", False),
        )
        for n, ticker in enumerate(document["tickers"])
    ]

    def write(session: ClientSession) -> list[str]:
        split = batches_in(database).update_one(
            {"_id": document["_id"], "fence": document["fence"], "state": document["state"]},
            {"$set": {"state": "split", "finished_at": now}},
            session=session,
        )
        if split.matched_count == 0:
            return []
        batches_in(database).insert_many(parts, session=session)
        return [part["_id"] for part in parts]

    return in_transaction(database, write)


def delete_batch(database: Db, batch_id: str) -> None:
    """Delete a batch whose run is gone: finished runs expire with their batches,
    and one without has no reader.
    """
    batches_in(database).delete_one({"_id": batch_id})


def bury_batch(
    database: Db,
    document: BatchDocument,
    session: ClientSession,
    *,
    result: BatchResult,
    now: datetime,
) -> bool:
    """Give up a batch that used all its attempts; False where somebody took it after all."""
    buried = batches_in(database).update_one(
        {"_id": document["_id"], "fence": document["fence"], "state": document["state"]},
        {"$set": {"state": "dead", "result": result, "finished_at": now}},
        session=session,
    )
    return buried.modified_count == 1


def find_held(database: Db, owner_prefix: str, batch_id: str | None) -> list[HeldBatch]:
    """Return id, owner and fence of the batches held by owners whose names begin so,
    or of one such batch.
    """
    held: dict[str, object] = {
        "state": "leased",
        "owner": {"$regex": f"^{re.escape(owner_prefix)}"},
    }
    if batch_id is not None:
        held["_id"] = batch_id
    return cast("list[HeldBatch]", list(batches_in(database).find(held, {"owner": 1, "fence": 1})))


def free_lost(database: Db, document: HeldBatch) -> bool:
    """Make a held batch pending, as its holder is gone; False where it is another's by now."""
    held = {"_id": document["_id"], "fence": document["fence"], "state": "leased"}
    return batches_in(database).update_one(held, {"$set": LOST}).modified_count == 1


def has_expired(database: Db) -> bool:
    """Whether the holder of a batch let the lease run out."""
    return batches_in(database).find_one(_EXPIRED, {"_id": 1}) is not None


def free_expired(database: Db) -> int:
    """Make the batches pending whose holder let the lease run out. Returns how many.

    That counts as two attempts: whatever took a whole host, each further attempt costs another
    lease, and the other tickers of the batch are not to wait for it.
    """
    lost = {**LOST, "attempts": {"$add": ["$attempts", 1]}}
    return batches_in(database).update_many(_EXPIRED, [{"$set": lost}]).modified_count


def find_used_up(database: Db, batch_id: str, *, max_attempts: int) -> list[BatchDocument]:
    """Return a pending batch that may not be claimed as it is: it is to be split, or given up."""
    split_next = {"attempts": {"$gte": SPLIT_AFTER_ATTEMPTS}, "units": {"$gt": 1}}
    used_up = [{"attempts": {"$gte": max_attempts}}, split_next]
    return list(batches_in(database).find({"_id": batch_id, "state": "pending", "$or": used_up}))


def find_lost(
    database: Db, older_than_seconds: float, waiting: Collection[str]
) -> list[BatchDocument]:
    """Return pending batches whose message was sent longer ago than this, or never,
    and is not among the `waiting`.
    """
    age = older_than("published_at", older_than_seconds)
    query = {"state": "pending", "_id": {"$nin": list(waiting)}, "$expr": age}
    return list(batches_in(database).find(query).limit(MOST_LOST))


def mark_published(database: Db, batch_ids: Iterable[str]) -> None:
    """Note that the messages of these batches were sent just now, by the server's clock."""
    batches_in(database).update_many(
        {"_id": {"$in": list(batch_ids)}}, [{"$set": {"published_at": "$$NOW"}}]
    )


def count_open(database: Db, run_id: str) -> int:
    """Count the batches of a run that are still to end."""
    return batches_in(database).count_documents(
        {"run_id": run_id, "state": {"$in": list(OPEN_STATES)}}
    )


def find_oldest_pending_seconds(database: Db) -> float | None:
    """Return for how long the oldest batch that nobody works on has been waiting;
    None where none is.
    """
    stages: list[Query] = [
        {"$match": {"state": "pending"}},
        {"$sort": {"created_at": 1}},
        {"$limit": 1},
        {"$set": {"age": {"$divide": [{"$subtract": ["$$NOW", "$created_at"]}, 1_000]}}},
    ]
    return next((found["age"] for found in database.batches.aggregate(stages)), None)


def count_states(database: Db) -> dict[BatchState, int]:
    """Return how many batches are pending, leased and dead."""
    return {
        state: batches_in(database).count_documents({"state": state})
        for state in (*OPEN_STATES, "dead")
    }


_EXPIRED: Query = {"state": "leased", "$expr": {"$lt": ["$lease_until", "$$NOW"]}}


def _held(batch: Batch) -> Query:
    return {"_id": batch.id, "fence": batch.fence, "state": "leased"}


def _close(
    database: Db, batch: Batch, changes: Query, session: ClientSession | None = None
) -> None:
    closed = batches_in(database).update_one(
        _held(batch), {"$set": {"slot": None, **changes}}, session=session
    )
    if closed.matched_count == 0:
        raise LeaseLost(
            f"batch {batch.id} is no longer held under fence {batch.fence}; nothing is written"
        )
