"""Fitted detectors as bytes: made by joblib, and hashed before they are opened.

Opening a pickle runs whatever it says, so bytes that are not the recorded ones are never given to joblib.
"""

import hashlib
from io import BytesIO
from typing import Any

import joblib

from core.errors import ModelIntegrity, NotFound
from records.database import Db
from records.models.artefacts import read_artefact

# zlib at a stated level and pickle at a stated protocol: the same fit gives the same bytes.
_COMPRESSION = ("zlib", 3)
_PROTOCOL = 5


def dump_artefact(detector: Any) -> bytes:
    """Return the bytes of a fitted detector; the same fit gives the same bytes in every process."""
    buffer = BytesIO()
    joblib.dump(detector, buffer, compress=_COMPRESSION, protocol=_PROTOCOL)
    return buffer.getvalue()


def compute_sha256(content: bytes) -> str:
    """Return `sha256:` and the hexadecimal digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def open_artefact(database: Db, version: str, sha256: str) -> Any:
    """Return the detector stored under `version`, if its bytes have the recorded hash.

    Raises:
        ModelIntegrity: the bytes are missing, cut short or others than recorded; they were not opened.
    """
    try:
        content = read_artefact(database, version)
    except NotFound as error:
        raise _explain(version, sha256, error.message) from error
    found = compute_sha256(content)
    if found != sha256:
        raise _explain(version, sha256, f"{found} ({len(content):,} bytes)")
    return joblib.load(BytesIO(content))


def _explain(version: str, expected: str, found: str) -> ModelIntegrity:
    market = version.partition("_model-")[0]
    return ModelIntegrity(
        f"the artefact of model {version} was not opened: its record says {expected}, found was {found}. Restore it "
        f"from a backup, go back with `flask models rollback --market {market}`, or train a new version with "
        f"`flask models train --market {market} --promote`"
    )
