"""Files packed by gzip, bzip2, xz or zstd, unpacked within bounds."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from core.errors import BadInput
from market.imports.readers.limits import MOST_BYTES, MOST_LINE_BYTES

CHUNK_BYTES = 2**20
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# A file may be many streams in a row. The input after the end of one stream is read again, at most
# so many bytes.
INPUT_BYTES = 8 * 1024
_UNPACKERS: dict[str, Callable[[], Any]] = {
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}


def find_packer(content: bytes) -> str | None:
    """Return the name of the program that packed some content, by its first bytes, or None."""
    return next((packer for magic, packer in MAGIC.items() if content.startswith(magic)), None)


def unpack_content(content: bytes, packer: str, *, is_text: bool = True) -> bytes:
    """Unpack content, counting bytes and the length of lines as they come. Raises BadInput."""
    parts: list[bytes] = []
    size = since_line = 0
    try:
        for part in _iterate_parts(content, packer):
            size += len(part)
            if size > MOST_BYTES:
                raise BadInput(f"unpacked it has more than {MOST_BYTES // 2**20} MiB")
            end = max(part.rfind(b"\n"), part.rfind(b"\r"))
            since_line = len(part) - end - 1 if end >= 0 else since_line + len(part)
            if is_text and since_line > MOST_LINE_BYTES and not _is_document(parts, part):
                raise BadInput(
                    f"it has a line of more than {MOST_LINE_BYTES // 1024} KiB: it is no table of"
                    " bars"
                )
            parts.append(part)
    except EOFError as error:
        raise BadInput(f"it is cut short: the end that {packer} writes is missing") from error
    except (OSError, zlib.error, lzma.LZMAError) as error:
        if "Truncated" in str(error):  # Arrow's word for it.
            raise BadInput(f"it is cut short: the end that {packer} writes is missing") from error
        # The beginning was a gzip file, so the part that is none comes after its end.
        is_behind = "Not a gzipped file" in str(error)
        where = "behind its end is something else" if is_behind else "it is damaged"
        raise BadInput(f"it is no whole {packer} file: {where} ({error})") from error
    unpacked = b"".join(parts)
    if find_packer(unpacked) == packer:
        raise BadInput(f"it is compressed twice by {packer}: unpack it once")
    return unpacked


def _iterate_parts(content: bytes, packer: str) -> Iterator[bytes]:
    if packer in _UNPACKERS:
        # An xz file may be padded with zeros; in other files zeros may be part of the last stream.
        whole = content.rstrip(b"\0") if packer == "xz" else content
        yield from _iterate_streams(whole, _UNPACKERS[packer])
        return
    file = io.BytesIO(content)
    stream: Any = (
        gzip.GzipFile(fileobj=file) if packer == "gzip" else pa.CompressedInputStream(file, packer)
    )
    with stream:
        while part := stream.read(CHUNK_BYTES):
            yield part


def _iterate_streams(content: bytes, build: Callable[[], Any]) -> Iterator[bytes]:
    """Yield the content of all streams. Python's own classes for these files end without an error
    where a later stream is damaged at its beginning.
    """
    place = 0
    while place < len(content):
        unpacker = build()
        while not unpacker.eof:
            block = content[place : place + INPUT_BYTES] if unpacker.needs_input else b""
            if unpacker.needs_input and not block:
                raise EOFError
            place += len(block)
            if part := unpacker.decompress(block, CHUNK_BYTES):
                yield part
        place -= len(unpacker.unused_data)


def _is_document(parts: list[bytes], part: bytes) -> bool:
    """Return whether text begins like JSON, which may be one long line."""
    return (parts[0] if parts else part).lstrip()[:1] in {b"{", b"["}
