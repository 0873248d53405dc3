"""The columns of a bucket as one binary, each as narrow as gives the same numbers back to the last
bit (plain Python: the web process does without numpy).

Little-endian: the number of bars in 8 bytes; of each of the six columns its form (4), its scale (4)
and its first number (8); then the columns, each padded to whole 8 bytes.

A form is the letter that `struct` has for it. `q` and `d` are times and values of 8 bytes as they
are, `f` values of 4. `b`, `h` and `i` are whole numbers, of which the first is kept, and by how
much each differs from the one before: those of times count in the scale, in seconds, and values are
in so many parts of one. So a year of daily bars, quoted in cents, takes a quarter of its 48 bytes.
"""

import struct
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, get_args

from records.market.documents import BarColumn

COLUMNS: tuple[BarColumn, ...] = get_args(BarColumn)
HEAD, ENTRY = struct.Struct("<q"), struct.Struct("<IIq")
HEADER_BYTES = HEAD.size + len(COLUMNS) * ENTRY.size
WIDTHS = {"q": 8, "d": 8, "f": 4, "i": 4, "h": 2, "b": 1}
RAW = frozenset("qdf")
TIME_FORMS, VALUE_FORMS = "qihb", "dfihb"
# What is read of a bucket: its binary or, of one stored before there was one, that of each column.
BUCKET_FIELDS = dict.fromkeys(("columns", *COLUMNS), 1)


class PackedColumn(NamedTuple):
    """One column as it is stored: its form, scale and first number, and its bytes."""

    form: str
    scale: int
    first: int
    content: memoryview


def join_columns(count: int, columns: Sequence[tuple[str, int, int, bytes]]) -> bytes:
    """Return the binary of so many bars: of each column form, scale, first number and bytes."""
    entries = [ENTRY.pack(ord(form), scale, first) for form, scale, first, _ in columns]
    contents = [content + bytes(-len(content) % 8) for *_, content in columns]
    return b"".join([HEAD.pack(count), *entries, *contents])


def split_columns(packed: bytes) -> tuple[int, dict[BarColumn, PackedColumn]]:
    """Return how many bars a binary has, and its columns.

    Raises ValueError where it is torn.
    """
    if len(packed) < HEADER_BYTES:
        raise ValueError(f"stored bars are torn: {len(packed)} bytes")
    (count,) = HEAD.unpack_from(packed)
    columns: dict[BarColumn, PackedColumn] = {}
    view, at = memoryview(packed), HEADER_BYTES
    for name, entry in zip(COLUMNS, _iterate_entries(packed), strict=True):
        form, scale, first = entry
        if form not in (TIME_FORMS if name == "times" else VALUE_FORMS) or not form or not scale:
            raise ValueError(f"stored bars are torn: {name} have no form that there is")
        size = count * WIDTHS[form]
        columns[name] = PackedColumn(form, scale, first, view[at : at + size])
        at += size + -size % 8
    if at != len(packed) or count < 0:
        raise ValueError(f"stored bars are torn: {len(packed)} of {at} bytes")
    return count, columns


def get_packed(bucket: Mapping[str, Any]) -> bytes:
    """Return the binary of a bucket; of one that was stored as a binary a column, its columns as
    they are.

    Raises ValueError where one of these is torn.
    """
    if "columns" in bucket:
        return bytes(bucket["columns"])
    contents = [bytes(bucket.get(name, b"")) for name in COLUMNS]
    count = len(contents[0]) // 8
    if {len(content) for content in contents} != {8 * count} or COLUMNS[0] not in bucket:
        raise ValueError(f"stored bars are torn: columns of {[*map(len, contents)]} bytes")
    forms = ("q", *"d" * (len(COLUMNS) - 1))
    return join_columns(count, [(f, 1, 0, c) for f, c in zip(forms, contents, strict=True)])


def read_times(column: PackedColumn) -> Sequence[int]:
    """Return the times of a column of them."""
    numbers = _read_array(column)
    if column.form in RAW:
        return numbers
    start, scale = column.first, column.scale
    return [start + step * scale for step in accumulate(numbers)]


def read_values(column: PackedColumn, begin: int, end: int) -> Sequence[float]:
    """Return the values from one position to before another of any column but the times."""
    numbers = _read_array(column)
    if column.form in RAW:
        return numbers[begin:end]
    scale = column.scale
    before = column.first + sum(numbers[:begin])
    summed = accumulate(numbers[begin:end], initial=before)
    next(summed)
    return [number / scale for number in summed]


def _iterate_entries(packed: bytes) -> Iterator[tuple[str, int, int]]:
    for form, scale, first in ENTRY.iter_unpack(packed[HEAD.size : HEADER_BYTES]):
        yield chr(form) if form < 128 else "", scale, first


def _read_array(column: PackedColumn) -> "array[Any]":
    numbers = array(column.form)
    numbers.frombytes(column.content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
