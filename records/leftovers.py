"""Deletes leftovers: files in GridFS, histories of single series and batches that nobody will read,
and parts of files whose writer died.

An upload is needed until its import is complete; an import that failed, in whole or in part, or was
cancelled can be retried for three days. An artefact is needed while a model names it. Exported
files are kept for a week. Batches are kept as long as their run: its progress and outcome are
counted from all of them, however long the service was stopped before it ended.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from records.database import Db, Query
from records.indexes import FINISHED_RUNS_DAYS
from records.market import uploads
from records.models import artefacts
from records.models.single_series import delete_unneeded_points
from records.work import export_files
from records.work.runs import OPEN_STATUSES

# A file is not deleted before this age: the document that needs it is written minutes after it.
YOUNGEST = timedelta(days=1)
# The upload of a failed or cancelled import is kept so long for a retry.
RETRIED_WITHIN = timedelta(days=3)
# The batches of at most so many runs are deleted at once, as their ids are one command.
MOST_RUNS = 50_000


def delete_leftovers(database: Db, now: datetime) -> int:
    """Delete leftovers that are older than a day, and the batches of runs that are gone; return how
    many files they were.
    """
    _delete_batches(database, now - timedelta(days=FINISHED_RUNS_DAYS))
    before = now - YOUNGEST
    imports, records = database.detection_runs, database.models

    def find_retried(ids: list[str]) -> list[str]:
        """Return the uploads that an import still reads, or would read in a retry."""
        is_open = {"status": {"$in": list(OPEN_STATUSES)}}
        can_be_retried = {
            "status": {"$ne": "complete"},
            "completed_at": {"$gte": now - RETRIED_WITHIN},
        }
        wanted = {"options.upload_id": {"$in": ids}, "$or": [is_open, can_be_retried]}
        return imports.distinct("options.upload_id", wanted)

    def find_named(ids: list[str]) -> list[str]:
        """Return the artefacts that a model names."""
        return records.distinct("_id", {"_id": {"$in": ids}})

    return (
        _delete(database, uploads.BUCKET, before, find_retried)
        + _delete(database, artefacts.BUCKET, before, find_named)
        + _delete(database, export_files.BUCKET, now - export_files.KEPT_FOR, lambda _ids: [])
        + delete_unneeded_points(database, before)
    )


def _delete_batches(database: Db, before: datetime) -> None:
    stages: list[Query] = [
        {"$match": {"finished_at": {"$lt": before}}},
        {"$group": {"_id": "$run_id"}},
        {"$limit": MOST_RUNS},
    ]
    of_runs = {batch["_id"] for batch in database.batches.aggregate(stages)}
    kept = database.detection_runs.distinct("_id", {"_id": {"$in": list(of_runs)}})
    database.batches.delete_many({"run_id": {"$in": list(of_runs - set(kept))}})


def _delete(
    database: Db, bucket: str, before: datetime, find_needed: Callable[[list[str]], list[str]]
) -> int:
    files, chunks = database[f"{bucket}.files"], database[f"{bucket}.chunks"]
    old = set(files.distinct("_id", {"uploadDate": {"$lt": before}}))
    # A file's document is written after its chunks, so chunks without one are of a dead writer.
    for broken_off in set(chunks.distinct("files_id")) - set(files.distinct("_id")):
        chunk = chunks.find_one({"files_id": broken_off}, {"_id": 1})
        if chunk is not None and chunk["_id"].generation_time < before:
            old.add(broken_off)
    unneeded = list(old - set(find_needed(list(old))))
    if unneeded:
        files.delete_many({"_id": {"$in": unneeded}})
        chunks.delete_many({"files_id": {"$in": unneeded}})
    return len(unneeded)
