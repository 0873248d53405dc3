"""Columns as bytes: little-endian int64 seconds and float64 values, and the hash that identifies
data.
"""

import sys
from array import array
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from core.errors import ModelIntegrity

INT64, FLOAT64 = "q", "d"
BYTES = 8


def pack(typecode: str, numbers: Iterable[float]) -> bytes:
    """Return numbers as little-endian bytes, 8 each; `typecode` is INT64 or FLOAT64."""
    column = array(typecode, numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def unpack(typecode: str, content: bytes) -> list[Any]:
    """Return the packed numbers, integers or floats.

    Raises ModelIntegrity where a number is cut off.
    """
    if len(content) % BYTES:
        raise ModelIntegrity(
            f"a column of {len(content)} bytes does not hold whole numbers of {BYTES} bytes"
        )
    column: array[Any] = array(typecode)
    column.frombytes(content)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tolist()


def hash_bytes(*parts: bytes) -> str:
    """Return the SHA-256 of some bytes, each part preceded by its length, as `sha256:...`."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(BYTES, "little"))
        digest.update(part)
    return f"sha256:{digest.hexdigest()}"
