"""Artefacts: the bytes of fitted models with a signature, in GridFS under the model's version."""

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
    """Store an artefact under `version`.

    Raises gridfs.errors.FileExists where another training took the version.
    """
    bucket = GridFSBucket(database, BUCKET)
    bucket.upload_from_stream_with_id(version, f"{version}.npz", content, metadata=signature)


def read_artefact(database: Db, version: str) -> tuple[bytes, Signature]:
    """Return the bytes and the signature of a version's artefact.

    Raises NotFound where there is no artefact, or where part of it is missing.
    """
    try:
        with GridFSBucket(database, BUCKET).open_download_stream(version) as stream:
            return stream.read(), stream.metadata or {}
    except NoFile as error:
        raise NotFound("no artefact") from error
    except CorruptGridFile as error:
        raise NotFound(f"an incomplete artefact ({error})") from error


def find_signature(database: Db, version: str) -> Signature:
    """Return the signature of a version's artefact; an empty one where there is none."""
    found = database[f"{BUCKET}.files"].find_one({"_id": version}, {"metadata": 1})
    return (found or {}).get("metadata") or {}


def replace_signature(database: Db, version: str, signature: Signature) -> None:
    """Replace the signature of a version's artefact."""
    database[f"{BUCKET}.files"].update_one(
        {"_id": version}, {"$set": {"metadata": dict(signature)}}
    )


def replace_artefact(
    database: Db, version: str, content: bytes, sha256: str, signature: Signature
) -> None:
    """Replace a version's artefact, and its hash in the version's document, in one transaction."""
    # GridFS has no transactions, so a draft is stored first, and a transaction puts it in place.
    draft, files, chunks = (
        f"{version}.draft",
        database[f"{BUCKET}.files"],
        database[f"{BUCKET}.chunks"],
    )
    for collection, name in ((files, "_id"), (chunks, "files_id")):
        collection.delete_many({name: draft})  # An earlier call may have been broken off.
    store_artefact(database, draft, content, signature)

    def write(session: ClientSession) -> None:
        file = files.find_one_and_delete({"_id": draft}, session=session)
        files.replace_one({"_id": version}, {**(file or {}), "_id": version}, session=session)
        chunks.delete_many({"files_id": version}, session=session)
        chunks.update_many({"files_id": draft}, {"$set": {"files_id": version}}, session=session)
        set_artefact_hash(database, version, sha256, len(content), session)

    in_transaction(database, write)


def delete_artefact(database: Db, version: str) -> None:
    """Delete an artefact that no model's document will name."""
    GridFSBucket(database, BUCKET).delete(version)
