"""Models: one document a version. It is written once and never changed, but for `retired_at`.

`state` is not stored: whether a version is a champion is what the pointers in `champions` say, so
that the two cannot disagree. The artefact is in GridFS under the same id.
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

# A model of a whole market names thousands of tickers, one of all markets has grades for each, and
# what grades are read from has 30 kB: only the version's own page shows them.
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

    Each has its `state` and, in `champion_of`, who uses it. All of them where `limit` is 0.
    """
    query = {**({"market": market} if market else {}), **NEWEST_FIRST.build_query(after)}
    if state == "champion":  # a few of thousands, whose pointers are looked up first
        query["_id"] = {"$in": database.champions.distinct("version")}
    return list(_find(database, query, state=state, limit=limit, hide=_LONG_FIELDS))


def find_model(database: Db, version: str) -> ModelRecord | None:
    """Return a version with its `state` and all its fields, or None."""
    return next(_find(database, {"_id": version}), None)


def get_model_record(database: Db, version: str) -> ModelRecord:
    """Return a version with its `state` and all its fields. Raises NotFound."""
    record = find_model(database, version)
    if record is None:
        raise NotFound(f"there is no model {version!r}; `flask models list` shows those there are")
    return record


def find_tail(record: ModelDocument, market: str | None) -> TailFields:
    """Return a version's threshold and grades for a market's bars; for those of more than one,
    None, what it has for all.
    """
    return record.get("by_market", {}).get(market or "", record)


def get_artefact_hash(record: ModelDocument) -> str:
    """Return what a version's artefact must hash to: `sha256`,
    unless it was brought to another form since.
    """
    return str(record.get("artefact_sha256") or record["sha256"])


def find_artefact_hashes(database: Db) -> list[tuple[str, str]]:
    """Return each version with what its artefact must hash to."""
    records = database.models.find({}, {"sha256": 1, "artefact_sha256": 1}).sort("_id", 1)
    return [(record["_id"], get_artefact_hash(record)) for record in records]


def find_version_hashes(database: Db, versions: Sequence[str]) -> dict[str, str]:
    """Return of some versions what anomalies name as `model_hash`; those that are gone are left
    out.
    """
    found = database.models.find({"_id": {"$in": list(versions)}}, {"sha256": 1}).sort("_id", 1)
    return {record["_id"]: str(record["sha256"]) for record in found}


def set_artefact_hash(
    database: Db, version: str, sha256: str, size: int, session: ClientSession
) -> None:
    """Note what the artefact of a version hashes to in its new form."""
    changes = {"artefact_sha256": sha256, "artefact_bytes": size}
    database.models.update_one({"_id": version}, {"$set": changes}, session=session)


def find_trained(database: Db, run_id: str) -> ModelRecord | None:
    """Return the version that a training run made, or None."""
    return next(_find(database, {"training_run_id": run_id}), None)


def find_lineage(database: Db, market: str) -> list[LineageFields]:
    """Return of all versions of a market what the next one's number depends on."""
    return [
        *models_in(database).find(
            {"market": market}, dict.fromkeys(LineageFields.__annotations__, 1)
        )
    ]


def mark_used(database: Db, version: str, now: datetime, session: ClientSession) -> bool:
    """Note a promotion in a version that is not retired; False where it is.

    Because this writes the document that `mark_retired` writes, only one of the two can commit.
    """
    open_version = {"_id": version, "retired_at": None}
    changed = models_in(database).update_one(
        open_version, {"$set": {"promoted_at": now}}, session=session
    )
    return changed.matched_count == 1


def mark_retired(database: Db, version: str, now: datetime, session: ClientSession) -> None:
    """Note when a version was retired; the first time counts."""
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
