"""Models: one document for each version. After it is written, only `promoted_at`, `retired_at` and
the hash and size of its artefact change.

`state` is not stored but derived from the pointers in `champions`, so that the two cannot disagree.
The artefact is in GridFS under the same id.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.errors import NotFound
from core.words import ModelState
from records.database import Db, Query
from records.keyset import Key, Keyset, Position
from records.models.documents import (
    LineageFields,
    ModelDocument,
    ModelRecord,
    ModelSummary,
    TailFields,
    models_in,
)

NEWEST_FIRST = Keyset((Key("created_at", datetime, DESCENDING), Key("_id", str, DESCENDING)))

# Lists leave these out, as a model of a whole market names thousands of tickers, a model of all
# markets has a grade table for each, and grade tables take 30 kB.
_LONG_FIELDS = (
    "tickers",
    "left_out",
    "by_market",
    "score_quantiles",
    "column_tails",
    "input_shares",
)


def insert_model(database: Db, record: ModelDocument, session: ClientSession) -> None:
    """Write a version's document. Raises DuplicateKeyError where the version exists."""
    models_in(database).insert_one(record, session=session)


def find_models(
    database: Db,
    *,
    market: str | None = None,
    state: ModelState | None = None,
    after: Position | None = None,
    limit: int = 0,
) -> list[ModelSummary]:
    """Return versions in the order NEWEST_FIRST, from the one after `after` on.

    Each has its `state` and, in `champion_of`, the pointers that name it. A `limit` of 0 is none.
    """
    query = {**({"market": market} if market else {}), **NEWEST_FIRST.build_query(after)}
    if state == "champion":  # Few of thousands are, so their pointers are read first.
        query["_id"] = {"$in": database.champions.distinct("version")}
    return list(_find(database, query, state=state, limit=limit, hide=_LONG_FIELDS))


def find_model(database: Db, version: str) -> ModelRecord | None:
    """Return a version with its `state` and all its fields, or None."""
    return next(_find(database, {"_id": version}), None)


def get_model_record(database: Db, version: str) -> ModelRecord:
    """Return a version with its `state` and all its fields. Raises NotFound."""
    record = find_model(database, version)
    if record is None:
        raise NotFound(f"there is no model {version!r}; `flask models list` shows all models")
    return record


def find_tail(record: ModelDocument, market: str | None) -> TailFields:
    """Return a version's threshold and grade table for a market's bars: the market's own or, where
    the version has none for it or `market` is None (bars of several markets), those of all bars.
    """
    return record.get("by_market", {}).get(market or "", record)


def get_artefact_hash(record: ModelDocument) -> str:
    """Return the hash that a version's artefact must have: `sha256`, unless the artefact was
    converted to another form.
    """
    return str(record.get("artefact_sha256") or record["sha256"])


def find_artefact_hashes(database: Db) -> list[tuple[str, str]]:
    """Return each version with the hash that its artefact must have."""
    records = database.models.find({}, {"sha256": 1, "artefact_sha256": 1}).sort("_id", 1)
    return [(record["_id"], get_artefact_hash(record)) for record in records]


def find_version_hashes(database: Db, versions: Sequence[str]) -> dict[str, str]:
    """Return the hash by which anomalies name each of these versions (`model_hash`); versions that
    are gone are left out.
    """
    found = database.models.find({"_id": {"$in": list(versions)}}, {"sha256": 1}).sort("_id", 1)
    return {record["_id"]: str(record["sha256"]) for record in found}


def set_artefact_hash(
    database: Db, version: str, sha256: str, size: int, session: ClientSession
) -> None:
    """Store the hash and size (bytes) of a version's artefact in its new form."""
    changes = {"artefact_sha256": sha256, "artefact_bytes": size}
    database.models.update_one({"_id": version}, {"$set": changes}, session=session)


def find_trained(database: Db, run_id: str) -> ModelRecord | None:
    """Return the version that a training run made, or None."""
    return next(_find(database, {"training_run_id": run_id}), None)


def find_lineage(database: Db, market: str) -> list[LineageFields]:
    """Return the fields of a market's versions from which the next version's number is computed."""
    return [
        *models_in(database).find(
            {"market": market}, dict.fromkeys(LineageFields.__annotations__, 1)
        )
    ]


def mark_used(database: Db, version: str, now: datetime, session: ClientSession) -> bool:
    """Store when a version was promoted, unless it is retired; return whether it was stored.

    As this writes the same document as `mark_retired`, only one of two at once can commit.
    """
    open_version = {"_id": version, "retired_at": None}
    changed = models_in(database).update_one(
        open_version, {"$set": {"promoted_at": now}}, session=session
    )
    return changed.matched_count == 1


def mark_retired(database: Db, version: str, now: datetime, session: ClientSession) -> None:
    """Store when a version was retired, unless it is retired already."""
    models_in(database).update_one(
        {"_id": version, "retired_at": None}, {"$set": {"retired_at": now}}, session=session
    )


def _find(
    database: Db,
    query: Query,
    *,
    state: ModelState | None = None,
    limit: int = 1,
    hide: Sequence[str] = (),
) -> Iterator[Any]:
    unused: dict[str, Any] = {"$cond": [{"$eq": ["$retired_at", None]}, "candidate", "retired"]}
    derived = {
        "champion_of": "$champion_of._id",
        "state": {"$cond": [{"$eq": ["$champion_of", []]}, unused, "champion"]},
    }
    pipeline: list[dict[str, Any]] = [
        {"$match": query},
        {"$sort": dict(NEWEST_FIRST.sort)},
        {
            "$lookup": {
                "from": "champions",
                "localField": "_id",
                "foreignField": "version",
                "as": "champion_of",
            }
        },
        {"$set": derived},
        {"$match": {"state": state} if state else {}},
    ]
    if limit:
        pipeline.append({"$limit": limit})
    if hide:
        pipeline.append({"$unset": list(hide)})
    return database.models.aggregate(pipeline)
