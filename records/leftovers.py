"""Leftovers: files in GridFS and histories of series that nobody will read,
and parts whose writer died.

An upload is needed until its import is complete: one that failed, in whole or in part, or was
cancelled can be retried for three days. An artefact is needed where a model names it. What was
exported is kept for a week.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from records.database import Db
from records.market import uploads
from records.models import artefacts
from records.models.single_series import delete_unneeded_points
from records.work import export_files
from records.work.runs import OPEN_STATUSES

# Whoever writes a file writes the document that needs it within minutes.
YOUNGEST = timedelta(days=1)
# What an import that failed or was cancelled would read again; whoever retries it does so within
# days.
RETRIED_WITHIN = timedelta(days=3)


def delete_leftovers(database: Db, now: datetime) -> int:
    """Delete what is older than a day and not needed, and return how many files that were."""
    before = now - YOUNGEST
    imports, records = database.detection_runs, database.models

    def find_retried(ids: list[str]) -> list[str]:
        """Return the uploads that an import has to read, or could be asked to read again."""
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


def _delete(
    database: Db, bucket: str, before: datetime, find_needed: Callable[[list[str]], list[str]]
) -> int:
    files, chunks = database[f"{bucket}.files"], database[f"{bucket}.chunks"]
    old = set(files.distinct("_id", {"uploadDate": {"$lt": before}}))
    # A file's document is written last.
    for broken_off in set(chunks.distinct("files_id")) - set(files.distinct("_id")):
        chunk = chunks.find_one({"files_id": broken_off}, {"_id": 1})
        if chunk is not None and chunk["_id"].generation_time < before:
            old.add(broken_off)
    unneeded = list(old - set(find_needed(list(old))))
    if unneeded:
        files.delete_many({"_id": {"$in": unneeded}})
        chunks.delete_many({"files_id": {"$in": unneeded}})
    return len(unneeded)
