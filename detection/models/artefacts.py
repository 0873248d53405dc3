"""Artefacts: fitted detectors as arrays of numbers by name, with a JSON header, signed.

Nothing in an artefact can execute: it is a zip of `.npy` arrays, opened without pickle. And nothing
of it is opened before its bytes have the recorded hash and a signature by one of our keys, which
are not in the database (signing.py).
"""

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelIntegrity, NotFound
from core.settings import get_settings
from detection.models.signing import find_signer, sign
from records.database import Db
from records.models import artefacts
from records.models.artefacts import Signature

HEADER = "header"
FORMAT = 1
Fitted = Mapping[str, NDArray[Any]]


def dump_artefact(fitted: Fitted) -> bytes:
    """Return the bytes of what a detector's `fit` returned;
    the same arrays give the same bytes in every process.
    """
    header = np.frombuffer(json.dumps({"format": FORMAT}).encode(), np.uint8)
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{HEADER: header}, **fitted)
    return buffer.getvalue()


def compute_sha256(content: bytes) -> str:
    """Return `sha256:` and the hexadecimal digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def store_artefact(database: Db, version: str, content: bytes) -> None:
    """Keep the bytes under `version`, signed.

    Raises gridfs.errors.FileExists where another training took it.
    """
    artefacts.store_artefact(
        database, version, content, sign(get_settings(), version, compute_sha256(content))
    )


def open_artefact(database: Db, version: str, sha256: str) -> Fitted:
    """Return the arrays stored under `version`,
    if their bytes have the recorded hash and are signed.

    Raises:
        ModelIntegrity: the bytes are missing, cut short, others than recorded, or not signed by a
            key of ours; they were not opened.
    """
    content, signature = read_unopened(database, version, sha256)
    if find_signer(get_settings(), version, sha256, signature) is None:
        raise ModelIntegrity(
            f"the artefact of model {version} was not opened: it is not signed by any key of this"
            " service. Where the keys were lost, restore them; where it was made by a version that"
            " did not sign, and nobody else could write to the database, `flask models migrate"
            f" {version} --trust`; else train a new version"
        )
    try:
        with np.load(BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(arrays.pop(HEADER).tobytes())
    except (ValueError, LookupError, AttributeError, EOFError, OSError, BadZipFile) as error:
        raise _explain(version, sha256, f"bytes that are no artefact ({error})") from error
    if header.get("format") != FORMAT:
        raise _explain(
            version, sha256, f"an artefact in format {header.get('format')!r}, not {FORMAT}"
        )
    return arrays


def read_unopened(database: Db, version: str, sha256: str) -> tuple[bytes, Signature]:
    """Return the bytes stored under `version`, unopened, and their signature.

    Raises ModelIntegrity.
    """
    try:
        content, signature = artefacts.read_artefact(database, version)
    except NotFound as error:
        raise _explain(version, sha256, error.message) from error
    found = compute_sha256(content)
    if found != sha256:
        raise _explain(version, sha256, f"{found} ({len(content):,} bytes)")
    return content, signature


def _explain(version: str, expected: str, found: str) -> ModelIntegrity:
    market = version.partition("_model-")[0]
    return ModelIntegrity(
        f"the artefact of model {version} was not opened: its record says {expected}, found was"
        f" {found}. Restore it from a backup, go back with `flask models rollback --market"
        f" {market}`, or train a new version with `flask models train --market {market} --promote`"
    )
