"""Uploads: files of bars on their way from the API to a worker, in GridFS."""

from typing import IO
from uuid import uuid4

from gridfs import GridFSBucket, GridOut, NoFile

from core.errors import NotFound
from records.database import Db

BUCKET = "uploads"


def store_upload(database: Db, filename: str, content: bytes | IO[bytes]) -> str:
    """Store a file and return its upload id."""
    upload_id = str(uuid4())
    GridFSBucket(database, BUCKET).upload_from_stream_with_id(upload_id, filename, content)
    return upload_id


def has_upload(database: Db, upload_id: str) -> bool:
    """Return whether an upload is still stored."""
    return database[f"{BUCKET}.files"].find_one({"_id": upload_id}, {"_id": 1}) is not None


def find_upload_size(database: Db, upload_id: str) -> int:
    """Return the size of an upload in bytes; 0 where it is not stored any more."""
    file = database[f"{BUCKET}.files"].find_one({"_id": upload_id}, {"length": 1})
    return int(file["length"]) if file is not None else 0


def open_upload(database: Db, upload_id: str) -> GridOut:
    """Return an upload's content as a readable stream. Raises NotFound."""
    try:
        return GridFSBucket(database, BUCKET).open_download_stream(upload_id)
    except NoFile as error:
        raise NotFound(
            f"there is no upload {upload_id!r}: it was imported already, or never completed"
        ) from error


def delete_upload(database: Db, upload_id: str) -> None:
    """Delete an upload, if it is still there."""
    try:
        GridFSBucket(database, BUCKET).delete(upload_id)
    except NoFile:
        return
