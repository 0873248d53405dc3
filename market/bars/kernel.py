"""Unpacks the columns of thousands of buckets into arrays in one compiled call; `packing.py`
defines the format of the binaries.

All compiled functions are in this file: numba's cache notices no change in another file.
"""

from typing import Any

import numpy as np
from numba import float32, float64, int8, int16, int32, int64, njit, types

from core.arrays import Float64, Int64
from market.bars.packing import COLUMNS, ENTRY, HEAD, HEADER_BYTES

# The same bytes as numbers of 8, 4, 2 and 1 bytes, and as floats of 8 and 4.
Views = tuple[Any, Any, Any, Any, Any, Any]

WORD = 8
HEAD_WORDS, ENTRY_WORDS, HEADER_WORDS = (n // WORD for n in (HEAD.size, ENTRY.size, HEADER_BYTES))
COLUMN_COUNT = len(COLUMNS)
LOW_HALF = (1 << 32) - 1
LONGS, DOUBLES, FLOATS, INTS, SHORTS, BYTES = map(ord, "qdfihb")


def view_all(packed: bytes) -> Views:
    """Return the views of the binaries that the kernels take."""
    longs, ints, shorts, octets, doubles, floats = (
        np.frombuffer(packed, form) for form in ("<i8", "<i4", "<i2", "<i1", "<f8", "<f4")
    )
    return longs, ints, shorts, octets, doubles, floats


@njit(nogil=True, error_model="numpy")
def _count_words(form: int, count: int) -> int:
    """Return how many words a column of `count` bars has in a form, -1 for an unknown form."""
    if form in (LONGS, DOUBLES):
        return count
    if form in (FLOATS, INTS):
        return (count + 1) // 2
    if form == SHORTS:
        return (count + 3) // 4
    if form == BYTES:
        return (count + 7) // 8
    return -1


@njit(nogil=True, error_model="numpy")
def _sum_up(views: Views, form: int, at: int, span: tuple[int, int], first: int, out: Any) -> None:
    """Put the integers of a column at the positions of `span` (start, stop) into `out`: the sums of
    `first` and of all differences up to each.
    """
    _, ints, shorts, octets, _, _ = views
    begin, end = span
    number = first
    if form == INTS:
        for i in range(begin):
            number += ints[2 * at + i]
        for i in range(begin, end):
            number += ints[2 * at + i]
            out[i - begin] = number
    elif form == SHORTS:
        for i in range(begin):
            number += shorts[4 * at + i]
        for i in range(begin, end):
            number += shorts[4 * at + i]
            out[i - begin] = number
    else:
        for i in range(begin):
            number += octets[8 * at + i]
        for i in range(begin, end):
            number += octets[8 * at + i]
            out[i - begin] = number


def _array(of: Any, *, dimensions: int = 1) -> Any:
    return types.Array(of, dimensions, "C", readonly=True)


# numba's tuple types are classes without annotations.
_mixed: Any = types.Tuple
_views = _mixed([_array(each) for each in (int64, int32, int16, int8, float64, float32)])


@njit(
    int64(_views, _array(int64), _array(int64), int64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def unpack_times(views: Views, offsets: Int64, rows: Int64, out: Int64) -> int:
    """Put the times of all buckets into `out` (n,); return -1, or the first damaged bucket.

    offsets: (k + 1,), the word at which each bucket begins. rows: (k + 1,), the row of `out` at
    which the times of each bucket begin.
    """
    longs = views[0]
    for b in range(rows.size - 1):
        count, start = rows[b + 1] - rows[b], offsets[b]
        if offsets[b + 1] - start < HEADER_WORDS or longs[start] != count:
            return b
        at = start + HEADER_WORDS
        for c in range(COLUMN_COUNT):
            entry = longs[start + HEAD_WORDS + c * ENTRY_WORDS]
            form, words = entry & LOW_HALF, _count_words(entry & LOW_HALF, count)
            misplaced = form in (DOUBLES, FLOATS) if c == 0 else form == LONGS
            if words < 0 or misplaced or not entry >> 32:
                return b
            at += words
        if at != offsets[b + 1]:
            return b
        entry, first = longs[start + HEAD_WORDS], longs[start + HEAD_WORDS + 1]
        form, scale, at = entry & LOW_HALF, entry >> 32, start + HEADER_WORDS
        times = out[rows[b] : rows[b + 1]]
        if form == LONGS:
            times[:] = longs[at : at + count]
        else:
            _sum_up(views, form, at, (0, count), 0, times)
            for i in range(count):
                times[i] = first + times[i] * scale
    return -1


@njit(
    int64(_views, _array(int64), _array(int64, dimensions=2), float64[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def unpack_values(views: Views, offsets: Int64, kept: Int64, out: Float64) -> int:
    """Put the kept rows of all buckets into `out` (5, n), in the order of the columns; return how
    many rows they are. No bucket may be damaged.

    offsets: as in `unpack_times`. kept: (k, 2), the first row of each bucket and the row after its
    last one.
    """
    longs, _, _, _, doubles, floats = views
    to = 0
    for b in range(kept.shape[0]):
        begin, end = kept[b, 0], kept[b, 1]
        if begin == end:
            continue
        start = offsets[b]
        count, at = longs[start], start + HEADER_WORDS
        at += _count_words(longs[start + HEAD_WORDS] & LOW_HALF, count)
        for c in range(1, COLUMN_COUNT):
            entry = longs[start + HEAD_WORDS + c * ENTRY_WORDS]
            first = longs[start + HEAD_WORDS + c * ENTRY_WORDS + 1]
            form, scale = entry & LOW_HALF, entry >> 32
            values = out[c - 1, to : to + end - begin]
            if form == DOUBLES:
                values[:] = doubles[at + begin : at + end]
            elif form == FLOATS:
                values[:] = floats[2 * at + begin : 2 * at + end]
            else:
                _sum_up(views, form, at, (begin, end), first, values)
                if scale > 1:
                    for i in range(values.size):
                        values[i] /= scale
            at += _count_words(form, count)
        to += end - begin
    return to
