"""Watermarks: how far each series has been detected, and from which bars."""

from collections.abc import Sequence
from datetime import datetime

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from detection.records.database import Db, Document


def build_metadata_id(ticker: str, interval: str) -> str:
    """Return the `_id` of a series' watermark."""
    return f"detection_meta::{ticker}::{interval}"


def find_watermarks(database: Db, tickers: Sequence[str], interval: str) -> dict[str, Document]:
    """Return the metadata documents of these series by ticker; a series never detected has none."""
    ids = [build_metadata_id(ticker, interval) for ticker in tickers]
    return {document["ticker"]: document for document in database.detection_metadata.find({"_id": {"$in": ids}})}


def find_watermark_times(database: Db, series_ids: Sequence[str]) -> dict[str, datetime]:
    """Return the last bar that was looked at, by series id (`AAPL::1d`); a series never detected has none."""
    ids = {f"detection_meta::{series_id}": series_id for series_id in series_ids}
    found = database.detection_metadata.find({"_id": {"$in": list(ids)}}, {"last_detected_timestamp": 1})
    return {ids[document["_id"]]: document["last_detected_timestamp"] for document in found}


def write_watermarks(database: Db, documents: Sequence[Document], session: ClientSession) -> None:
    """Store watermarks inside the transaction of their batch; `last_detected_timestamp` never moves back."""
    writes = []
    for document in documents:
        fields = dict(document)
        last = fields.pop("last_detected_timestamp")
        first = fields.pop("first_detected_timestamp")
        update = {
            "$set": fields,
            "$max": {"last_detected_timestamp": last},
            "$min": {"first_detected_timestamp": first},
        }
        writes.append(UpdateOne({"_id": fields.pop("_id")}, update, upsert=True))
    if writes:
        database.detection_metadata.bulk_write(writes, ordered=False, session=session)
