"""Artefacts: fitted models as bytes with a signature, in GridFS under their version."""

from collections.abc import Mapping
from typing import Any

from gridfs import GridFSBucket
from gridfs.errors import CorruptGridFile, NoFile
from pymongo.client_session import ClientSession

from core.errors import NotFound
from records.database import Db, in_transaction
from records.models.models import set_artefact_hash

BUCKET = "model_artefacts"

Signature = Mapping[str, Any]


def store_artefact(database: Db, version: str, content: bytes, signature: Signature) -> None:
    """Keep the bytes under `version`.

    Raises gridfs.errors.FileExists where another training took the version.
    """
    bucket = GridFSBucket(database, BUCKET)
    bucket.upload_from_stream_with_id(version, f"{version}.npz", content, metadata=signature)


def read_artefact(database: Db, version: str) -> tuple[bytes, Signature]:
    """Return bytes and signature kept under `version`.

    Raises NotFound where there are none, or not all of them.
    """
    try:
        with GridFSBucket(database, BUCKET).open_download_stream(version) as stream:
            return stream.read(), stream.metadata or {}
    except NoFile as error:
        raise NotFound("no artefact at all") from error
    except CorruptGridFile as error:
        raise NotFound(f"an incomplete artefact ({error})") from error


def find_signature(database: Db, version: str) -> Signature:
    """Return the signature kept under `version`; an empty one where there is none."""
    found = database[f"{BUCKET}.files"].find_one({"_id": version}, {"metadata": 1})
    return (found or {}).get("metadata") or {}


def replace_signature(database: Db, version: str, signature: Signature) -> None:
    """Put another signature on the bytes of a version."""
    database[f"{BUCKET}.files"].update_one(
        {"_id": version}, {"$set": {"metadata": dict(signature)}}
    )


def replace_artefact(
    database: Db, version: str, content: bytes, sha256: str, signature: Signature
) -> None:
    """Keep other bytes for a version,
    and what they hash to in its record: both in one transaction.
    """
    # GridFS itself knows no transactions.
    draft, files, chunks = (
        f"{version}.draft",
        database[f"{BUCKET}.files"],
        database[f"{BUCKET}.chunks"],
    )
    for collection, name in ((files, "_id"), (chunks, "files_id")):
        collection.delete_many({name: draft})  # of one that was broken off
    store_artefact(database, draft, content, signature)

    def write(session: ClientSession) -> None:
        file = files.find_one_and_delete({"_id": draft}, session=session)
        files.replace_one({"_id": version}, {**(file or {}), "_id": version}, session=session)
        chunks.delete_many({"files_id": version}, session=session)
        chunks.update_many({"files_id": draft}, {"$set": {"files_id": version}}, session=session)
        set_artefact_hash(database, version, sha256, len(content), session)

    in_transaction(database, write)


def delete_artefact(database: Db, version: str) -> None:
    """Drop bytes that no record will name."""
    GridFSBucket(database, BUCKET).delete(version)
