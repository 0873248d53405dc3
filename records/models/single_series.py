"""Models of single series: a head for each series, a document for each version, and the history to
which each version was fitted.

The transaction that inserts a model raises `latest` of the series' head, which is the model's
version: so versions have no gaps, and none is given twice. A repeated request, known by its
fingerprint, gets the version that it made before. A model's state is JSON text, stored with its
hash; it changes only where the detector learns from predictions.

Where a run of its own makes a fit, the history is written before the run, under the run's id;
otherwise it is written with the model.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import TypeVar
from weakref import WeakValueDictionary

from bson.binary import Binary
from pymongo import ReturnDocument, timeout
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from core.errors import NotFound
from records.database import Db, Document, in_transaction
from records.findings.documents import predictions_in
from records.keyset import BY_ID, Position, find_page
from records.models.documents import (
    SeriesFit,
    SeriesHead,
    SeriesVersion,
    StateFields,
    heads_in,
    points_in,
    versions_in,
)

# A chunk has two columns of so many bytes, well below what a document may hold.
CHUNK_BYTES = 4_000_000
# The limit for a turn and its transaction, also where the server does not answer. A hundred fits of
# one series at once take a small part of it.
TURN_SECONDS = 30.0

Result = TypeVar("Result")


class _Turn:
    """A lock that a weak reference can hold."""

    def __init__(self) -> None:
        self.lock = Lock()


_turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()
_turns_lock = Lock()


def write_in_turn(database: Db, series_id: str, write: Callable[[ClientSession], Result]) -> Result:
    """Run a transaction that writes the head of a series, and return what `write` returns.

    In one process such transactions run one after the other. Those of several processes conflict,
    and the driver repeats them with growing pauses. `write` may be called several times.
    """
    with timeout(TURN_SECONDS), _take_turn(series_id):
        while True:
            try:
                return in_transaction(database, write)
            except DuplicateKeyError:
                # Another process committed this document after this transaction's snapshot; the
                # next snapshot has it.
                continue


@contextmanager
def _take_turn(series_id: str) -> Iterator[None]:
    with _turns_lock:
        turn = _turns.setdefault(series_id, _Turn())
    with turn.lock:
        yield


def build_model_id(series_id: str, version: int) -> str:
    """Return the `_id` of a version."""
    return f"{series_id}::{version}"


def find_by_fingerprint(
    database: Db, series_id: str, fingerprint: str, session: ClientSession | None = None
) -> SeriesVersion | None:
    """Return the version that was made from the same data and parameters, or None."""
    return versions_in(database).find_one(
        {"series_id": series_id, "fingerprint": fingerprint}, session=session
    )


def insert_version(
    database: Db, record: SeriesFit, now: datetime, session: ClientSession
) -> SeriesVersion:
    """Give a model its version and insert it; return the stored model where its fingerprint is
    known.

    `record` has all fields of the model but `_id` and `version`.
    """
    series_id = record["series_id"]
    known = find_by_fingerprint(database, series_id, record["fingerprint"], session)
    if known is not None:
        return known
    head = heads_in(database).find_one_and_update(
        {"_id": series_id},
        {
            "$inc": {"latest": 1},
            "$set": {"updated_at": now, "detector": record["detector"]},
            "$setOnInsert": {"created_at": now, "predictions": 0},
        },
        upsert=True,
        return_document=ReturnDocument.AFTER,
        session=session,
    )
    if head is None:  # An upsert returns the document that it made.
        raise AssertionError(f"{series_id} has no head after it was raised")
    version = head["latest"]
    model: SeriesVersion = {**record, "_id": build_model_id(series_id, version), "version": version}
    versions_in(database).insert_one(model, session=session)
    return model


def write_points(
    database: Db,
    fit_id: str,
    timestamps: bytes,
    values: bytes,
    now: datetime,
    session: ClientSession | None = None,
) -> None:
    """Write a history, two columns with 8 bytes for each number, under the id of its fit."""
    parts = [slice(start, start + CHUNK_BYTES) for start in range(0, len(values), CHUNK_BYTES)]
    with timeout(TURN_SECONDS):
        for chunk, part in enumerate(parts):
            points_in(database).insert_one(
                {
                    "_id": f"{fit_id}::{chunk}",
                    "fit_id": fit_id,
                    "chunk": chunk,
                    "timestamps": Binary(timestamps[part]),
                    "values": Binary(values[part]),
                    "created_at": now,
                },
                session=session,
            )


def read_points(database: Db, fit_id: str) -> tuple[bytes, bytes]:
    """Return the two columns of a history. Raises NotFound where there is none."""
    chunks = list(points_in(database).find({"fit_id": fit_id}).sort("chunk", 1))
    if not chunks:
        raise NotFound(
            f"the history of fit {fit_id} is not stored; fit the series again",
            reason="history_missing",
        )
    return b"".join(c["timestamps"] for c in chunks), b"".join(c["values"] for c in chunks)


def find_version(
    database: Db,
    series_id: str,
    version: int | None,
    fields: Sequence[str] | None = None,
    session: ClientSession | None = None,
) -> SeriesVersion | None:
    """Return a version (None: the latest), or None where it is not stored."""
    query: Document = {"series_id": series_id} | ({} if version is None else {"version": version})
    return versions_in(database).find_one(query, fields, sort=[("version", -1)], session=session)


def get_version(
    database: Db, series_id: str, version: int | None, fields: Sequence[str] | None = None
) -> SeriesVersion:
    """Return a version (None: the latest).

    Raises NotFound, which names the latest version.
    """
    model = find_version(database, series_id, version, fields)
    if model is not None:
        return model
    latest = find_version(database, series_id, None, ("version",))
    if latest is None:
        raise _build_unknown(series_id)
    raise NotFound(
        f"series {series_id!r} has no version {version}; its latest is {latest['version']}",
        reason="version_not_found",
    )


def find_versions(
    database: Db, series_id: str, fields: Sequence[str], limit: int
) -> list[SeriesVersion]:
    """Return the versions of a series, the latest first."""
    return list(
        versions_in(database)
        .find({"series_id": series_id}, fields)
        .sort("version", -1)
        .limit(limit)
    )


def list_heads(database: Db, *, after: Position | None = None, limit: int = 0) -> list[SeriesHead]:
    """Return series by id, from the one after `after` on; a `limit` of 0 is none."""
    return find_page(heads_in(database), {}, BY_ID, after=after, limit=limit)


def get_head(database: Db, series_id: str) -> SeriesHead:
    """Return the head of a series. Raises NotFound."""
    head = heads_in(database).find_one({"_id": series_id})
    if head is None:
        raise _build_unknown(series_id)
    return head


def count_series(database: Db) -> int:
    """Return how many series have a version."""
    return heads_in(database).count_documents({})


def replace_state(
    database: Db, model_id: str, state: StateFields, points_learned: int, session: ClientSession
) -> None:
    """Store the state of a version whose detector has learned from predictions."""
    changes = {**state, "points_learned": points_learned}
    versions_in(database).update_one({"_id": model_id}, {"$set": changes}, session=session)


def count_stored(database: Db, series_id: str, count: int, session: ClientSession) -> bool:
    """Add to a series' number of stored predictions; return whether the series still exists."""
    head = heads_in(database).update_one(
        {"_id": series_id}, {"$inc": {"predictions": count}}, session=session
    )
    return head.matched_count == 1


def delete_series(database: Db, series_id: str, session: ClientSession) -> bool:
    """Delete a series with its models, histories and predictions; return whether it existed."""
    fits = versions_in(database).distinct("fit_id", {"series_id": series_id}, session=session)
    found = heads_in(database).delete_one({"_id": series_id}, session=session)
    versions_in(database).delete_many({"series_id": series_id}, session=session)
    points_in(database).delete_many({"fit_id": {"$in": fits}}, session=session)
    predictions_in(database).delete_many({"series_id": series_id}, session=session)
    return found.deleted_count == 1


def find_fits(database: Db) -> Iterator[tuple[str, str]]:
    """Yield (`_id`, `fit_id`) of every version."""
    for model in versions_in(database).find({}, ("fit_id",)):
        yield model["_id"], model["fit_id"]


def has_points(database: Db, fit_id: str) -> bool:
    """Return whether the history of a fit is stored."""
    return points_in(database).find_one({"fit_id": fit_id}, {"_id": 1}) is not None


def count_versions(database: Db) -> Iterator[tuple[str, int, int]]:
    """Yield (series, latest version, number of stored versions)."""
    for head in heads_in(database).find({}, ("latest",)):
        yield (
            head["_id"],
            head["latest"],
            versions_in(database).count_documents({"series_id": head["_id"]}),
        )


def delete_unneeded_points(database: Db, before: datetime) -> int:
    """Delete the histories older than `before` that neither a version nor an incomplete run needs;
    return how many.
    """
    old = set(points_in(database).distinct("fit_id", {"created_at": {"$lt": before}}))
    old -= set(versions_in(database).distinct("fit_id", {"fit_id": {"$in": list(old)}}))
    old -= set(
        database.detection_runs.distinct(
            "options.fit_id", {"options.fit_id": {"$in": list(old)}, "status": {"$ne": "complete"}}
        )
    )
    points_in(database).delete_many({"fit_id": {"$in": list(old)}})
    return len(old)


def _build_unknown(series_id: str) -> NotFound:
    return NotFound(
        f"there is no series {series_id!r}; POST its history to /fit/{series_id}",
        reason="series_not_found",
    )
