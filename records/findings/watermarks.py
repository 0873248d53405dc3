"""Watermarks: how far each series has been detected, and from which bars."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import InsertOne, UpdateMany
from pymongo.client_session import ClientSession

from records.database import Db, Document

# What tells one series' watermark from another's, and never changes.
_OWN = {"_id", "ticker"}


def build_metadata_id(ticker: str, interval: str) -> str:
    """Return the `_id` of a series' watermark."""
    return f"detection_meta::{ticker}::{interval}"


def find_watermarks(
    database: Db, tickers: Sequence[str], interval: str, fields: Sequence[str] | None = None
) -> dict[str, Document]:
    """Return the metadata documents of these series, or `fields` of them, by ticker; one never detected has none."""
    query = {"_id": {"$in": [build_metadata_id(ticker, interval) for ticker in tickers]}}
    wanted = None if fields is None else ("ticker", *fields)
    found = database.detection_metadata.find(query, wanted, batch_size=len(tickers) + 1)
    return {document["ticker"]: document for document in found}


def find_watermark_times(database: Db, series_ids: Sequence[str]) -> dict[str, datetime]:
    """Return the last bar that was looked at, by series id (`AAPL::1d`); a series never detected has none."""
    ids = {f"detection_meta::{series_id}": series_id for series_id in series_ids}
    found = database.detection_metadata.find({"_id": {"$in": list(ids)}}, {"last_detected_timestamp": 1})
    return {ids[document["_id"]]: document["last_detected_timestamp"] for document in found}


def find_detected_since(database: Db, series_ids: Sequence[str], since: datetime) -> set[str]:
    """Return which series (`AAPL::1d`) a run has looked at since then."""
    ids = {f"detection_meta::{series_id}": series_id for series_id in series_ids}
    query = {"_id": {"$in": list(ids)}, "updated_at": {"$gte": since}}
    found = database.detection_metadata.find(query, {"_id": 1}, batch_size=len(ids) + 1)
    return {ids[document["_id"]] for document in found}


def write_watermarks(database: Db, documents: Sequence[Document], session: ClientSession) -> None:
    """Store watermarks inside the transaction of their batch; `last_detected_timestamp` never moves back.

    A scan says the same of most of its series: they are written by one update.
    """
    watermarks = database.detection_metadata
    query = {"_id": {"$in": [document["_id"] for document in documents]}}
    known = watermarks.find(query, {"_id": 1}, batch_size=len(documents) + 1, session=session)
    stored = {found["_id"] for found in known}
    writes: list[InsertOne[Document] | UpdateMany] = []
    alike: dict[tuple[Any, ...], list[Document]] = {}
    for document in documents:
        if document["_id"] in stored:
            alike.setdefault(tuple(value for name, value in document.items() if name not in _OWN), []).append(document)
        else:
            writes.append(InsertOne(document))
    for members in alike.values():
        said = {name: value for name, value in members[0].items() if name not in _OWN}
        update = {
            "$max": {"last_detected_timestamp": said.pop("last_detected_timestamp")},
            "$min": {"first_detected_timestamp": said.pop("first_detected_timestamp")},
            "$set": said,
        }
        writes.append(UpdateMany({"_id": {"$in": [member["_id"] for member in members]}}, update))
    if writes:
        watermarks.bulk_write(writes, ordered=False, session=session)
