"""Signatures of artefacts, so that somebody who can write to the database cannot put in a detector
of their own.

A signature is an HMAC-SHA256 of version and content hash. The keys are not in the database: they
come from ARTEFACT_KEYS or, where that is empty, from the file `.tapewatch/artefact.keys`, which is
made at first use and readable by its owner only. The first key signs new artefacts; the others are
for old artefacts that were not signed again yet.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from core.errors import BadInput
from core.settings import STATE_DIR, Settings

KEYS_FILE = STATE_DIR / "artefact.keys"
KEY_BYTES = 32
LEAST_CHARACTERS = 32


def sign(settings: Settings, version: str, content_sha256: str) -> dict[str, str]:
    """Return the signature of an artefact by the first key."""
    key = read_keys(settings)[0]
    return {"key": name_key(key), "signature": _compute(key, version, content_sha256)}


def find_signer(
    settings: Settings, version: str, content_sha256: str, signature: Mapping[str, Any]
) -> str | None:
    """Return the name of the key that made a signature; None where no known key did."""
    given = str(signature.get("signature", "")).encode()
    for key in read_keys(settings):
        if hmac.compare_digest(_compute(key, version, content_sha256).encode(), given):
            return name_key(key)
    return None


def read_keys(settings: Settings) -> list[str]:
    """Return the keys, the first for new signatures. They are read again each time, so that a
    rotation is seen.

    Raises BadInput where they are too short, or where other users of this machine can read them.
    """
    if settings.artefact_keys:
        return _check(settings.artefact_keys.split(","), "ARTEFACT_KEYS")
    if not KEYS_FILE.exists():
        _make_file()
    if KEYS_FILE.stat().st_mode & 0o077:
        raise BadInput(
            f"others can read {KEYS_FILE.absolute()}: `chmod 600` it, and `flask models rotate-key`"
        )
    return _check(KEYS_FILE.read_text().split(), str(KEYS_FILE.absolute()))


def write_keys(keys: list[str]) -> None:
    """Write the keys to the file, atomically."""
    draft = KEYS_FILE.with_suffix(".new")
    draft.unlink(missing_ok=True)
    _write(draft, keys)
    draft.replace(KEYS_FILE)


def make_key() -> str:
    """Return a new key."""
    return secrets.token_hex(KEY_BYTES)


def name_key(key: str) -> str:
    """Return a key's name, which does not reveal the key."""
    return sha256(f"name of {key}".encode()).hexdigest()[:12]


def _compute(key: str, version: str, content_sha256: str) -> str:
    return hmac.new(
        key.encode(), f"tapewatch artefact 1\n{version}\n{content_sha256}".encode(), sha256
    ).hexdigest()


def _check(keys: list[str], source: str) -> list[str]:
    keys = [key.strip() for key in keys if key.strip()]
    if not keys or any(len(key) < LEAST_CHARACTERS for key in keys):
        raise BadInput(
            f"{source} must have one key or more of at least {LEAST_CHARACTERS} characters each;"
            " make one with `openssl rand -hex 32`"
        )
    return keys


def _make_file() -> None:
    """Make the file with a first key, unless another process has just made it."""
    KEYS_FILE.parent.mkdir(mode=0o700, exist_ok=True)
    draft = KEYS_FILE.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    try:
        _write(draft, [make_key()])
        with suppress(FileExistsError):
            os.link(draft, KEYS_FILE)
    except OSError as error:
        raise BadInput(
            f"no key to sign models with: {KEYS_FILE.absolute()} cannot be made ({error.strerror});"
            " set ARTEFACT_KEYS to the same value for all workers, such as `openssl rand -hex 32`"
            " prints"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _write(path: Path, keys: list[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(descriptor)
