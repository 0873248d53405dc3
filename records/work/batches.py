"""Batches: the unit that a worker claims, holds by a lease, and commits once.

A batch is `pending`, then `leased`, then one of `done`, `dead` (given up), `split` (replaced by
batches of one ticker each) or `cancelled`. Every claim raises `fence`; a worker that holds an older
fence has lost the batch, and its writes fail. Leases go by the server's clock, so that a worker's
clock does not matter.
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
# A sweep sends at most so many batches again.
MOST_LOST = 10_000
# A batch of one ticker that has failed twice is a suspect: the ticker may crash its worker. A
# suspect has a shorter lease, which its worker renews all the time (see
# `tasks/engine/renewal.py`), so that a crash is noticed soon. Only one suspect of a run is at work
# at a time: another one on the same worker would lose its last attempt in the crash.
SUSPECT_LEASE_SHARE = 5
SHORTEST_LEASE_SECONDS = 5
# The changes to a batch whose holder is gone: the holder cannot commit any more, and the next sweep
# sends the batch again.
LOST: Query = {
    "state": "pending",
    "owner": None,
    "lease_until": None,
    "slot": None,
    "published_at": None,
    "error": "its worker was lost, or took longer than its lease",
}
_EXPIRED: Query = {"state": "leased", "$expr": {"$lt": ["$lease_until", "$$NOW"]}}
_FIRST_ALONE: Query = {"units": 1, "attempts": SPLIT_AFTER_ATTEMPTS}
ROW_COUNTS: tuple[RowCount, ...] = get_args(RowCount)


def sum_row_counts(counted: Sequence[RowCounts]) -> RowCounts:
    """Return the sums of some counts."""
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
        """Return whether this is a batch of one ticker that failed in at least two attempts, in a
        larger batch or alone, and so may crash its worker.
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

    For a part of a split batch, `attempts` is how often its tickers were tried before, and
    `progress` (0 to 1) the progress that was shown before.
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
    """Claim a batch that is free and has attempts left; return None where another worker holds it,
    where it has ended, or where no slot is free.

    A batch of several tickers that has failed twice is not claimed again, but split. A suspect gets
    a shorter lease, and needs its run's only slot for suspects. A heavy batch needs one of
    `heavy_at_once` slots that all workers share.
    """
    free = [{"state": "pending"}, _EXPIRED]
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
        # The unique index of `slot` refuses a slot that another batch is in.
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
    """Return the oldest heavy batch that is pending, in a list, which is empty where none is."""
    return _find_oldest(database, {"heavy": True})


def find_waiting_suspect(database: Db, run_id: str) -> list[BatchDocument]:
    """Return the oldest pending suspect of a run that was refused as another one was in the slot,
    in a list, which is empty where there is none.

    A suspect that has failed alone is left to a sweep.
    """
    return _find_oldest(database, {"run_id": run_id, **_FIRST_ALONE, "published_at": None})


def _find_oldest(database: Db, query: Query) -> list[BatchDocument]:
    waiting = {"state": "pending", **query}
    return list(batches_in(database).find(waiting).sort("created_at", 1).limit(1))


def note_refused(database: Db, batch_id: str) -> None:
    """Store that a suspect's message is gone, as it came while another suspect was in the slot."""
    query = {"_id": batch_id, "state": "pending", **_FIRST_ALONE}
    batches_in(database).update_one(query, {"$set": {"published_at": None}})


def renew_lease(database: Db, batch: Batch, *, lease_seconds: int, progress: float = 0.0) -> None:
    """Extend a batch's lease and store its progress (0 to 1). Raises LeaseLost."""
    renewed = {
        "lease_until": {"$add": ["$$NOW", lease_seconds * 1000]},
        # A second attempt starts over, but the progress that is shown never falls.
        "progress": {"$max": ["$progress", progress]},
    }
    _update_held(database, batch, [{"$set": renewed}])


def check_held(database: Db, batch: Batch, session: ClientSession) -> None:
    """Raise LeaseLost where another worker has claimed a batch, inside a transaction that writes a
    part of its results before the batch is finished.
    """
    if batches_in(database).find_one(_held(batch), {"_id": 1}, session=session) is None:
        raise _build_lost(batch)


def finish_batch(
    database: Db, batch: Batch, session: ClientSession, *, result: BatchResult, now: datetime
) -> None:
    """Mark a batch as done, inside the transaction that writes its results.

    Raises LeaseLost, which aborts the transaction.
    """
    _close(database, batch, {"state": "done", "result": result, "finished_at": now}, session)


def cancel_batch(database: Db, batch: Batch, now: datetime) -> None:
    """Mark a held batch as cancelled, as its run was. Raises LeaseLost."""
    _close(database, batch, {"state": "cancelled", "finished_at": now})


def release_batch(database: Db, batch: Batch, error: str) -> None:
    """Make a held batch pending after a failure; the next sweep sends it again.

    Raises LeaseLost.
    """
    _close(database, batch, {**LOST, "error": error[:2000]})


def cancel_pending(database: Db, run_id: str, now: datetime) -> int:
    """Cancel the pending batches of a run; return how many.

    The holders of the others notice the cancellation between two steps.
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
    """Replace a batch that failed twice by batches of one ticker each; return their ids.

    So a ticker that crashes its worker fails alone. The new batches start with the attempts of the
    old one: a ticker has as many attempts as a batch, both together.
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
    """Delete a batch whose run is gone. Finished runs expire with their batches, and nobody reads a
    batch without a run.
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
    """Mark a batch that has used all its attempts as dead; return False where a worker has claimed
    it meanwhile.
    """
    buried = batches_in(database).update_one(
        {"_id": document["_id"], "fence": document["fence"], "state": document["state"]},
        {"$set": {"state": "dead", "result": result, "finished_at": now}},
        session=session,
    )
    return buried.modified_count == 1


def find_held(database: Db, owner_prefix: str, batch_id: str | None) -> list[HeldBatch]:
    """Return id, owner and fence of the held batches whose owner's name begins with
    `owner_prefix`, or of one of them.
    """
    held: dict[str, object] = {
        "state": "leased",
        "owner": {"$regex": f"^{re.escape(owner_prefix)}"},
    }
    if batch_id is not None:
        held["_id"] = batch_id
    return cast("list[HeldBatch]", list(batches_in(database).find(held, {"owner": 1, "fence": 1})))


def free_lost(database: Db, document: HeldBatch) -> bool:
    """Make a held batch pending whose holder is gone; return False where another worker has claimed
    it meanwhile.
    """
    held = {"_id": document["_id"], "fence": document["fence"], "state": "leased"}
    return batches_in(database).update_one(held, {"$set": LOST}).modified_count == 1


def has_expired(database: Db) -> bool:
    """Return whether the lease of any batch has expired."""
    return batches_in(database).find_one(_EXPIRED, {"_id": 1}) is not None


def free_expired(database: Db) -> int:
    """Make the batches pending whose lease has expired; return how many.

    An expired lease counts as two attempts, so that the batch is split at once: a batch that has
    taken a whole host down would cost another lease with each further attempt, and its other
    tickers would wait for it.
    """
    lost = {**LOST, "attempts": {"$add": ["$attempts", 1]}}
    return batches_in(database).update_many(_EXPIRED, [{"$set": lost}]).modified_count


def find_used_up(database: Db, batch_id: str, *, max_attempts: int) -> list[BatchDocument]:
    """Return a pending batch that must be split or given up, in a list, empty where it
    need not be.
    """
    split_next = {"attempts": {"$gte": SPLIT_AFTER_ATTEMPTS}, "units": {"$gt": 1}}
    used_up = [{"attempts": {"$gte": max_attempts}}, split_next]
    return list(batches_in(database).find({"_id": batch_id, "state": "pending", "$or": used_up}))


def find_lost(
    database: Db, older_than_seconds: float, waiting: Collection[str]
) -> list[BatchDocument]:
    """Return pending batches whose message seems lost: it was never sent, or longer ago than
    `older_than_seconds`, and is not among the `waiting` messages.
    """
    age = older_than("published_at", older_than_seconds)
    query = {"state": "pending", "_id": {"$nin": list(waiting)}, "$expr": age}
    return list(batches_in(database).find(query).limit(MOST_LOST))


def mark_published(database: Db, batch_ids: Iterable[str]) -> None:
    """Store that the messages of some batches were sent now, by the server's clock."""
    batches_in(database).update_many(
        {"_id": {"$in": list(batch_ids)}}, [{"$set": {"published_at": "$$NOW"}}]
    )


def count_open(database: Db, run_id: str) -> int:
    """Return how many batches of a run have not ended."""
    return batches_in(database).count_documents(
        {"run_id": run_id, "state": {"$in": list(OPEN_STATES)}}
    )


def find_oldest_pending_seconds(database: Db) -> float | None:
    """Return for how many seconds the oldest pending batch has been waiting; None where none is."""
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


def _close(
    database: Db, batch: Batch, changes: Query, session: ClientSession | None = None
) -> None:
    _update_held(database, batch, {"$set": {"slot": None, **changes}}, session)


def _update_held(
    database: Db, batch: Batch, update: Query | list[Query], session: ClientSession | None = None
) -> None:
    updated = batches_in(database).update_one(_held(batch), update, session=session)
    if updated.matched_count == 0:
        raise _build_lost(batch)


def _held(batch: Batch) -> Query:
    return {"_id": batch.id, "fence": batch.fence, "state": "leased"}


def _build_lost(batch: Batch) -> LeaseLost:
    return LeaseLost(
        f"batch {batch.id} is no longer held under fence {batch.fence}; nothing is written"
    )
