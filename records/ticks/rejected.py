"""Rejected records and messages: kept for 30 days as they were sent, each with the reason."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import DESCENDING, UpdateOne
from pymongo.client_session import ClientSession

from core.words import RecordKind
from records.database import Db, match
from records.keyset import Key, Keyset, Position, find_page
from records.ticks.documents import RejectedRecordDocument, rejected_records_in

NEWEST_FIRST = Keyset((Key("rejected_at", datetime, DESCENDING), Key("row", int), Key("_id", str)))
"""The newest first; those that came together in the order in which they were sent."""
LONGEST_CONTENT = 4_000
LONGEST_ERROR = 1_000


def build_rejected_record(
    kind: RecordKind,
    ticker: str,
    venue: str,
    *,
    row: int,
    reason: str,
    content: object,
    source: str,
    now: datetime,
    error: str | None = None,
) -> RejectedRecordDocument:
    """Return the document of one record or message; `content` is text, or a value for JSON.

    Its `_id` is a hash of its content, so that the same record sent again adds no document.
    """
    text = content if isinstance(content, str) else json.dumps(content, default=str)
    said = json.dumps([kind, ticker, venue, reason, text])
    document: RejectedRecordDocument = {
        "_id": hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32],
        "kind": kind,
        "ticker": ticker,
        "venue": venue,
        "row": row,
        "reason": reason,
        "content": _clean(text[:LONGEST_CONTENT]),
        "source": source,
        "rejected_at": now,
    }
    if error is not None:
        document["error"] = _clean(error[:LONGEST_ERROR])
    return document


def add_rejected_records(
    database: Db, documents: Sequence[RejectedRecordDocument], session: ClientSession
) -> None:
    """Store the records that are not stored already, inside a transaction."""
    writes: list[Any] = [
        UpdateOne({"_id": d["_id"]}, {"$setOnInsert": d}, upsert=True) for d in documents
    ]
    if writes:
        rejected_records_in(database).bulk_write(writes, ordered=False, session=session)


def find_rejected_records(
    database: Db,
    *,
    kind: RecordKind | None = None,
    ticker: str | None = None,
    reason: str | None = None,
    after: Position | None = None,
    limit: int = 100,
) -> list[RejectedRecordDocument]:
    """Return rejected records in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(kind=kind, ticker=ticker, reason=reason)
    return find_page(rejected_records_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def _clean(text: str) -> str:
    """Return text that MongoDB can store: a question mark replaces half a character (a lone
    surrogate).
    """
    return text.encode("utf-8", "replace").decode()
