"""Watermarks: how far each series has been detected, and from which bars."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter

from pymongo import InsertOne, UpdateMany
from pymongo.client_session import ClientSession

from records.database import Db, Query
from records.findings.documents import DetectedRange, WatermarkDocument, watermarks_in
from records.market.series import build_series_id
from records.questions import Question, get_first

_PREFIX = "detection_meta::"
# The fields that identify a series' watermark and never change.
_OWN = {"_id", "ticker"}
_SAID = tuple(name for name in WatermarkDocument.__annotations__ if name not in _OWN)
_get_said = itemgetter(*_SAID)
_RANGE = dict.fromkeys(DetectedRange.__annotations__, 1)


def build_watermark_id(ticker: str, interval: str) -> str:
    """Return the `_id` of a series' watermark."""
    return f"{_PREFIX}{build_series_id(ticker, interval)}"


def find_watermarks(
    database: Db, tickers: Sequence[str], interval: str
) -> dict[str, WatermarkDocument]:
    """Return the watermarks of these series by ticker; one never detected has none."""
    found = watermarks_in(database).find(_select(tickers, interval), batch_size=len(tickers) + 1)
    return {document["ticker"]: document for document in found}


def ask_watermark(database: Db, ticker: str, interval: str) -> Question[WatermarkDocument | None]:
    """Ask for the watermark of one series."""
    stages = [{"$match": {"_id": build_watermark_id(ticker, interval)}}]
    return Question(watermarks_in(database), stages, get_first)


def find_detected_ranges(
    database: Db, tickers: Sequence[str], interval: str
) -> dict[str, DetectedRange]:
    """Return by ticker the range that was detected, which is the part of a watermark that a run
    goes on from.
    """
    found = watermarks_in(database).find(
        _select(tickers, interval), _RANGE, batch_size=len(tickers) + 1
    )
    return {document["ticker"]: document for document in found.to_list()}


def find_watermark_times(database: Db, series_ids: Sequence[str]) -> dict[str, datetime]:
    """Return the last bar that was looked at, by series id (`AAPL::1d`);
    a series never detected has none.
    """
    ids = {f"{_PREFIX}{series_id}": series_id for series_id in series_ids}
    found = watermarks_in(database).find(
        {"_id": {"$in": list(ids)}}, {"last_detected_timestamp": 1}
    )
    return {ids[document["_id"]]: document["last_detected_timestamp"] for document in found}


def find_all_watermark_times(database: Db) -> dict[str, datetime]:
    """Return the last detected bar of all detected series, by series id."""
    found = watermarks_in(database).find({}, {"last_detected_timestamp": 1}, batch_size=100_000)
    return {one["_id"].partition("::")[2]: one["last_detected_timestamp"] for one in found}


def find_detected_since(database: Db, series_ids: Sequence[str], since: datetime) -> set[str]:
    """Return which series (`AAPL::1d`) a run has looked at since then."""
    ids = {f"{_PREFIX}{series_id}": series_id for series_id in series_ids}
    query = {"_id": {"$in": list(ids)}, "updated_at": {"$gte": since}}
    found = watermarks_in(database).find(query, {"_id": 1}, batch_size=len(ids) + 1)
    return {ids[document["_id"]] for document in found.to_list()}


def has_watermarks(database: Db) -> bool:
    """Return whether a run has scored bars of any series."""
    return watermarks_in(database).find_one({}, {"_id": 1}) is not None


def forget_watermark(
    database: Db, ticker: str, interval: str, session: ClientSession
) -> WatermarkDocument | None:
    """Delete the watermark of a series whose bars are gone; return it, None where there was none.

    It is written even then. A detection that has read the bars writes the watermark, too, and
    MongoDB lets only one of two transactions that do so commit beside the other: anomalies that the
    detection stores would not be seen here, and stand on bars that are gone.
    """
    own = {"_id": build_watermark_id(ticker, interval)}
    stored = watermarks_in(database).find_one_and_update(
        own, {"$setOnInsert": {"ticker": ticker}}, upsert=True, session=session
    )
    watermarks_in(database).delete_one(own, session=session)
    return stored


def move_watermark_back(
    database: Db, ticker: str, interval: str, last_bar: datetime, session: ClientSession
) -> None:
    """Move a watermark back to the series' last bar, after later bars have gone. Like
    `forget_watermark` it writes in any case.
    """
    stored = forget_watermark(database, ticker, interval, session)
    if stored is not None and stored["first_detected_timestamp"] <= last_bar:
        last = min(stored["last_detected_timestamp"], last_bar)
        moved: WatermarkDocument = {**stored, "last_detected_timestamp": last}
        watermarks_in(database).insert_one(moved, session=session)


def write_watermarks(
    database: Db,
    documents: Sequence[WatermarkDocument],
    session: ClientSession,
    *,
    are_stored: bool = False,
) -> None:
    """Store watermarks inside the transaction of their batch.

    `last_detected_timestamp` moves back only where the new watermark is of a later revision of the
    bars, which ended earlier: bars were removed since the stored one was planned.

    In a scan most watermarks have the same new values, so one update writes them all. `are_stored`
    says that all of them existed when the batch was planned; they are looked up only where the
    update did not match all of them, or where some are of an earlier revision.
    """
    watermarks = watermarks_in(database)
    stored = {document["_id"] for document in documents}
    if not are_stored:
        query = {"_id": {"$in": list(stored)}}
        known = watermarks.find(query, {"_id": 1}, batch_size=len(documents) + 1, session=session)
        stored = {found["_id"] for found in known}
    writes: list[InsertOne[WatermarkDocument] | UpdateMany] = []
    alike: dict[tuple[object, ...], list[str]] = {}
    for document in documents:
        if document["_id"] in stored:
            alike.setdefault(_get_said(document), []).append(document["_id"])
        else:
            writes.append(InsertOne(document))
    last, first = "last_detected_timestamp", "first_detected_timestamp"
    for values, ids in alike.items():
        said = dict(zip(_SAID, values, strict=True))
        revision = said["bars_revision"]
        if are_stored:
            # Without an expression a document takes a fifth less time.
            own = {"_id": {"$in": ids}, "bars_revision": {"$gte": revision}}
            ends = {"$max": {last: said.pop(last)}, "$min": {first: said.pop(first)}}
            writes.append(UpdateMany(own, {**ends, "$set": said}))
            continue
        is_later = {"$lt": ["$bars_revision", revision]}
        update = {name: {"$literal": value} for name, value in said.items()} | {
            last: {"$cond": [is_later, said[last], {"$max": [f"${last}", said[last]]}]},
            first: {"$min": [f"${first}", said[first]]},
        }
        writes.append(UpdateMany({"_id": {"$in": ids}}, [{"$set": update}]))
    if writes:
        written = watermarks.bulk_write(writes, ordered=False, session=session)
        if are_stored and written.matched_count < len(documents):
            write_watermarks(database, documents, session)


def _select(tickers: Sequence[str], interval: str) -> Query:
    return {"_id": {"$in": [build_watermark_id(ticker, interval) for ticker in tickers]}}
