"""The binary of a bucket: its columns, each in the narrowest form that gives the same numbers back
to the last bit (plain Python, as the web process does not load numpy).

It is little-endian: the number of bars (8 bytes); for each of the six columns its form (4 bytes),
scale (4) and first number (8); then the columns, each padded to a multiple of 8 bytes.

A form is its letter in `struct`. `q` and `d` are times and values of 8 bytes, unchanged; `f` is
values of 4 bytes. `b`, `h` and `i` are the differences between neighbouring integers, of which the
first is kept in the header. A time is such an integer times the scale (seconds), a value is the
integer divided by the scale. So a year of daily bars quoted in cents takes a quarter of 48 bytes a
bar.
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
# The fields to read of a bucket: its binary, or in a bucket of an earlier version a binary for each
# column.
BUCKET_FIELDS = dict.fromkeys(("columns", *COLUMNS), 1)


class PackedColumn(NamedTuple):
    """One stored column: its form, scale, first number and bytes."""

    form: str
    scale: int
    first: int
    content: memoryview


def join_columns(count: int, columns: Sequence[tuple[str, int, int, bytes]]) -> bytes:
    """Return the binary of `count` bars from each column's form, scale, first number and bytes."""
    entries = [ENTRY.pack(ord(form), scale, first) for form, scale, first, _ in columns]
    contents = [content + bytes(-len(content) % 8) for *_, content in columns]
    return b"".join([HEAD.pack(count), *entries, *contents])


def split_columns(packed: bytes) -> tuple[int, dict[BarColumn, PackedColumn]]:
    """Return how many bars a binary has, and its columns.

    Raises ValueError where it is damaged.
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
    """Return the binary of a bucket; that of a bucket of an earlier version, with a binary for each
    column, is made from these.

    Raises ValueError where one of these is damaged.
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
    """Return the values of the column `times`, UTC seconds."""
    numbers = _read_array(column)
    if column.form in RAW:
        return numbers
    start, scale = column.first, column.scale
    return [start + step * scale for step in accumulate(numbers)]


def read_values(column: PackedColumn, begin: int, end: int) -> Sequence[float]:
    """Return the values at the positions [begin, end) of a column other than `times`."""
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
