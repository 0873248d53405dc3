"""Artefacts: fitted models as bytes, in GridFS under their version."""

from gridfs import GridFSBucket
from gridfs.errors import CorruptGridFile, NoFile

from core.errors import NotFound
from records.database import Db

BUCKET = "model_artefacts"


def store_artefact(database: Db, version: str, content: bytes) -> None:
    """Keep the bytes under `version`. Raises gridfs.errors.FileExists where another training took the version."""
    GridFSBucket(database, BUCKET).upload_from_stream_with_id(version, f"{version}.joblib", content)


def read_artefact(database: Db, version: str) -> bytes:
    """Return the bytes that are kept under `version`. Raises NotFound where there are none, or not all of them."""
    try:
        with GridFSBucket(database, BUCKET).open_download_stream(version) as stream:
            content: bytes = stream.read()
    except NoFile as error:
        raise NotFound("no artefact at all") from error
    except CorruptGridFile as error:
        raise NotFound(f"an incomplete artefact ({error})") from error
    return content


def delete_artefact(database: Db, version: str) -> None:
    """Drop bytes that no record will name."""
    GridFSBucket(database, BUCKET).delete(version)
