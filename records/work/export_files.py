"""Files of exports, in GridFS, where they are kept for a week."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypedDict
from uuid import uuid4

from gridfs import GridFSBucket, GridOut, NoFile

from core.errors import NotFound
from records.database import Db
from records.work.documents import RunDocument
from records.work.runs import find_bare_run

BUCKET = "exports"
KEPT_FOR = timedelta(days=7)


class ExportFile(TypedDict):
    """A file of an export: its name, its GridFS id and its size."""

    name: str
    id: str
    bytes: int


def store_export_file(database: Db, path: Path) -> ExportFile:
    """Store a file in GridFS; return where it is."""
    file_id = str(uuid4())
    with path.open("rb") as content:
        GridFSBucket(database, BUCKET).upload_from_stream_with_id(file_id, path.name, content)
    return {"name": path.name, "id": file_id, "bytes": path.stat().st_size}


def find_export_files(database: Db, run_id: str) -> tuple[RunDocument, dict[str, ExportFile]]:
    """Return the run of an export and its files by name, which are empty before it has written
    them.

    Raises NotFound where there is no such export.
    """
    run = find_bare_run(database, run_id)
    if run is None or run["task"] != "export":
        raise NotFound(f"there is no export {run_id[:64]!r}; runs are kept for 30 days")
    files: list[ExportFile] = (run.get("result") or {}).get("files", [])
    return run, {file["name"]: file for file in files}


def open_export_file(database: Db, file_id: str) -> GridOut:
    """Return a file's content as a readable stream. Raises NotFound."""
    try:
        return GridFSBucket(database, BUCKET).open_download_stream(file_id)
    except NoFile as error:
        raise NotFound(
            f"the files of this export were kept for {KEPT_FOR.days} days; ask for it again",
            reason="export_gone",
        ) from error


def stream_export_file(database: Db, file_id: str) -> Iterator[bytes]:
    """Return a file's content chunk by chunk. Raises NotFound before the first chunk."""
    return _read_chunks(open_export_file(database, file_id))


def _read_chunks(opened: GridOut) -> Iterator[bytes]:
    with opened:
        while chunk := opened.readchunk():
            yield chunk
