"""Artefacts: fitted detectors as arrays of numbers by name, with a JSON header, signed.

sealed.py checks an artefact before it is opened.
"""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from core.settings import get_settings
from detection.models.sealed import FORMAT, HEADER, compute_sha256, explain
from detection.models.signing import sign
from records.database import Db
from records.models import artefacts

Fitted = Mapping[str, NDArray[Any]]


def dump_artefact(fitted: Fitted) -> bytes:
    """Return the bytes of what a detector's `fit` returned;
    the same arrays give the same bytes in every process.
    """
    header = np.frombuffer(json.dumps({"format": FORMAT}).encode(), np.uint8)
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{HEADER: header}, **fitted)
    return buffer.getvalue()


def store_artefact(database: Db, version: str, content: bytes) -> None:
    """Store the bytes under `version`, signed.

    Raises gridfs.errors.FileExists where another training has taken the version.
    """
    artefacts.store_artefact(
        database, version, content, sign(get_settings(), version, compute_sha256(content))
    )


def load_arrays(version: str, sha256: str, content: bytes) -> Fitted:
    """Return the arrays of an artefact. Raises ModelIntegrity where the bytes are no artefact."""
    try:
        with np.load(BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files if name != HEADER}
    except (ValueError, LookupError, AttributeError, EOFError, OSError, BadZipFile) as error:
        raise explain(version, sha256, f"bytes that are no artefact ({error})") from error
