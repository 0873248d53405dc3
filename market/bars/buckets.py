"""Buckets: the bars of one series and span of the calendar, their columns one binary."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from core.arrays import Float64, Int64
from core.errors import BadInput
from market.bars.packing import (
    COLUMNS,
    RAW,
    PackedColumn,
    get_packed,
    join_columns,
    split_columns,
)
from market.bars.spans import build_bucket_id, choose_span, name_span
from market.intervals import DAY_SECONDS
from records.market.documents import BarColumn, BucketColumns, BucketDocument

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
# What lies beyond is no price, but garbage in the bits of one, such as 5e-324: ratios of two would
# be none either.
LEAST_PRICE, MOST_VALUE = 1e-100, 1e100
# Vendors quote in at most eight decimals; what a double holds as a whole number, and how many of a
# column's values are looked at before all of them are.
SCALES = 10.0 ** np.arange(9)
MOST_WHOLE = 2.0**53
LARGEST_UNIT = 2**31
LOOKED_AT = 16

Columns = dict[str, Any]
"""The six columns by name: `times` Int64 (n,), UTC seconds, ascending; the others Float64 (n,)."""


# Of 48 bytes each at the most, in a document of at most 16 MiB, with room for the names.
MOST_BUCKET_BARS = (2**24 - 2**14) // 48


def empty_columns() -> Columns:
    """Return six columns of no bars."""
    return {"times": np.empty(0, np.int64)} | {name: np.empty(0, np.float64) for name in VALUES}


def read_columns(bucket: BucketColumns) -> Columns:
    """Return the columns of a bucket. Raises ValueError where it is torn."""
    _, columns = split_columns(get_packed(bucket))
    return {name: _unpack(name, column) for name, column in columns.items()}


def join_buckets(buckets: Iterable[BucketColumns]) -> Columns:
    """Return the columns of some buckets, end to end; without any, of no bars."""
    read = [empty_columns(), *map(read_columns, buckets)]
    return {name: np.concatenate([columns[name] for columns in read]) for name in COLUMNS}


def read_column(bucket: BucketColumns, name: BarColumn) -> Int64 | Float64:
    """Return one column of a bucket, which may be a read-only view of its bytes.

    Raises ValueError where it is torn.
    """
    return _unpack(name, split_columns(get_packed(bucket))[1][name])


def _unpack(name: BarColumn, column: PackedColumn) -> Int64 | Float64:
    form, scale, first, content = column
    stored = np.frombuffer(content, f"<{form}")
    if form in RAW:
        whole: Int64 | Float64 = stored.astype("<i8" if name == "times" else "<f8", copy=False)
        return whole
    steps: Int64 = np.cumsum(stored, dtype=np.int64)
    if name == "times":
        times: Int64 = steps * scale + first
        return times
    values: Float64 = (steps + first) / scale
    return values


def build_bucket(
    ticker: str, interval: str, span: str, columns: Columns, now: datetime
) -> BucketDocument:
    """Return the document that stores these bars, all of one span.

    Raises BadInput where they are more than it can hold.
    """
    if len(columns["times"]) > MOST_BUCKET_BARS:
        raise BadInput(
            f"{ticker} would have {len(columns['times']):,} {interval} bars of the"
            f" {choose_span(interval)} {span}, and {MOST_BUCKET_BARS:,} can be stored: they are"
            f" less than {interval} apart; say which interval they are of",
            reason="too_many_bars",
        )
    return {
        "_id": build_bucket_id(ticker, interval, span),
        "ticker": ticker,
        "interval": interval,
        "span": span,
        "count": len(columns["times"]),
        "columns": pack_columns(columns),
        "sha256": hash_columns(columns),
        "updated_at": now,
    }


def hash_columns(columns: Columns) -> str:
    """Return the hash of columns as 8-byte numbers, however they are packed."""
    digest = hashlib.sha256()
    for name in COLUMNS:
        form = "<i8" if name == "times" else "<f8"
        digest.update(np.ascontiguousarray(columns[name], form).data)
    return digest.hexdigest()


def pack_columns(columns: Columns) -> bytes:
    """Return the columns as a bucket has them, each in the narrowest form that is exact."""
    packed = [_pack_times(columns["times"]), *(_pack_values(columns[name]) for name in VALUES)]
    return join_columns(len(columns["times"]), packed)


def split_spans(columns: Columns, interval: str) -> Iterator[tuple[str, Columns]]:
    """Yield (span, columns of that span's bars) in order."""
    times = columns["times"]
    for start, stop in pairwise([0, *find_edges(times, interval), len(times)]):
        if start < stop:
            span = name_span(int(times[start]), interval)
            yield span, {name: columns[name][start:stop] for name in COLUMNS}


def find_edges(times: Int64, interval: str) -> list[int]:
    """Return the positions of ascending times at which a span begins that is not the first's."""
    match choose_span(interval):
        case "year":
            numbers = years_of(times)
        case "month":
            numbers = times.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
        case "week":  # 1970 began on a Thursday
            numbers = (times // DAY_SECONDS + 3) // 7
    found: list[int] = (np.flatnonzero(np.diff(numbers)) + 1).tolist()
    return found


def years_of(times: Int64) -> Int64:
    """Return the calendar year (UTC) of each time in seconds."""
    return times.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970


def pack_times(times: Int64) -> bytes:
    """Return times in few bytes: neighbouring ones are mostly as far apart as the next."""
    return zlib.compress(np.diff(times, prepend=0).astype("<i8").tobytes())


def unpack_times(packed: bytes) -> Int64:
    """Return the times that were packed."""
    return np.cumsum(np.frombuffer(zlib.decompress(packed), "<i8").astype(np.int64))


def _pack_times(times: Int64) -> tuple[str, int, int, bytes]:
    steps = np.diff(times, prepend=times[:1])
    unit = max(1, int(np.gcd.reduce(steps)))
    form = _find_form(steps // unit) if unit < LARGEST_UNIT else None
    if form is None:
        return "q", 1, 0, times.astype("<i8", copy=False).tobytes()
    return form, unit, int(times[0]), (steps // unit).astype(f"<{form}").tobytes()


def _pack_values(values: Float64) -> tuple[str, int, int, bytes]:
    # Of a few values all scales are looked at in one go, which is most of the work.
    for scale in SCALES[_are_whole(values[:LOOKED_AT, None], SCALES)]:
        if not _are_whole(values, scale):
            continue
        whole = np.rint(values * scale).astype(np.int64)
        steps = np.diff(whole, prepend=whole[:1])
        form = _find_form(steps)
        if form is not None:
            return form, int(scale), int(whole[0]), steps.astype(f"<{form}").tobytes()
        break
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype("<f4")
    if np.array_equal(single, values):
        return "f", 1, 0, single.tobytes()
    return "d", 1, 0, values.astype("<f8", copy=False).tobytes()


def _are_whole(values: Float64, scales: Any) -> Any:
    """Whether these are so many parts of whole numbers, which give the same bits back; of each of
    some scales where the values are a column of shape (n, 1).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(values * scales)
        same = (whole / scales == values) & (np.abs(whole) <= MOST_WHOLE)
        # A zero below zero would lose its sign.
        return np.all(same & ((values != 0) | ~np.signbit(values)), axis=0)


def _find_form(steps: Int64) -> str | None:
    """Return the narrowest form that these steps fit into, None if none does."""
    if not steps.size:
        return None
    least, most = int(steps.min()), int(steps.max())
    for form in "bhi":
        limits = np.iinfo(f"<{form}")
        if limits.min <= least and most <= limits.max:
            return form
    return None
