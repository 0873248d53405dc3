"""Rejected rows: rows that an import did not store as bars, as the source wrote them, each with
the reason.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import DESCENDING, UpdateOne
from pymongo.client_session import ClientSession

from records.database import Db, Query, among, match
from records.keyset import Key, Keyset, Position, find_page
from records.market.documents import RejectedDocument, rejected_in
from records.market.series import SERIES_ID

NEWEST_FIRST = Keyset((Key("rejected_at", datetime, DESCENDING), Key("row", int), Key("_id", str)))
"""The newest import first, each import's rows in the order of its source."""


def build_rejected(
    ticker: str,
    interval: str,
    *,
    row: int,
    time: str,
    reason: str,
    values: Mapping[str, str],
    source: str,
    now: datetime,
) -> RejectedDocument:
    """Return the document of one row.

    Its `_id` has a hash of its content, so that a repeated import adds no second document.
    """
    content = json.dumps([time, reason, dict(values)], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:24]
    return {
        "_id": f"{ticker}::{interval}::{digest}",
        "ticker": ticker,
        "interval": interval,
        "row": row,
        "time": time,
        "reason": reason,
        "values": dict(values),
        "source": source,
        "rejected_at": now,
    }


def add_rejected(
    database: Db, documents: Sequence[RejectedDocument], session: ClientSession
) -> None:
    """Store the rows that are not stored already, inside the transaction of their import."""
    writes = [UpdateOne({"_id": d["_id"]}, {"$setOnInsert": d}, upsert=True) for d in documents]
    if writes:
        rejected_in(database).bulk_write(writes, ordered=False, session=session)


def find_rejected(
    database: Db,
    *,
    ticker: str | None,
    interval: str | None = None,
    reason: str | None = None,
    after: Position | None = None,
    limit: int = 100,
) -> list[RejectedDocument]:
    """Return rejected rows in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(ticker=ticker, interval=interval, reason=reason)
    return find_page(rejected_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def count_by_series(database: Db, tickers: Sequence[str] | None) -> dict[str, int]:
    """Return how many rejected rows each series has; `tickers` of None are all tickers."""
    query = match(ticker=among(tickers))
    by_series = {"_id": SERIES_ID, "rows": {"$sum": 1}}
    found = database.rejected_bars.aggregate([{"$match": query}, {"$group": by_series}])
    return {each["_id"]: each["rows"] for each in found}


def count_rejected(database: Db, tickers: Sequence[str], reason: str) -> int:
    """Return how many rows of these tickers were rejected for this reason."""
    return rejected_in(database).count_documents(
        {"ticker": {"$in": list(tickers)}, "reason": reason}
    )


def find_outside_sessions(
    database: Db, tickers: Sequence[str], interval: str, least: int
) -> dict[str, list[str]]:
    """Return the days (ISO dates) without a session of the exchange on which at least `least` of
    these tickers have rejected bars with a volume, each with these tickers.
    """
    stages: list[Query] = [
        {
            "$match": {
                "ticker": {"$in": list(tickers)},
                "interval": interval,
                "reason": "not_a_session",
                "values.volume": {"$nin": ["0", "0.0", "", None]},
            }
        },
        {"$group": {"_id": {"day": {"$substrBytes": ["$time", 0, 10]}, "ticker": "$ticker"}}},
        {"$group": {"_id": "$_id.day", "tickers": {"$push": "$_id.ticker"}}},
        {"$match": {f"tickers.{least - 1}": {"$exists": True}}},
        {"$sort": {"_id": 1}},
    ]
    found = database.rejected_bars.aggregate(stages)
    return {each["_id"]: each["tickers"] for each in found}
