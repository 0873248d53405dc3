"""Buckets: a bucket has the bars of one series in one span of the calendar, as one binary."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from core.arrays import Float64, Int64
from core.errors import BadInput
from core.words import PRICES
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

VALUES = (*PRICES, "volume")
# A value beyond these, such as 5e-324, is garbage and no price; ratios of such values would not be
# finite.
LEAST_PRICE, MOST_VALUE = 1e-100, 1e100
# Vendors quote in at most eight decimals.
SCALES = 10.0 ** np.arange(9)
# A double holds integers up to this exactly.
MOST_WHOLE = 2.0**53
LARGEST_UNIT = 2**31
# A scale is tried on so many values of a column before it is tried on all.
LOOKED_AT = 16

Columns = dict[str, Any]
"""The six columns by name: `times` Int64 (n,), UTC seconds, ascending; the others Float64 (n,)."""


# A bar has at most 48 bytes, and a document at most 16 MiB, of which 16 KiB are for the other
# fields.
MOST_BUCKET_BARS = (2**24 - 2**14) // 48


def empty_columns() -> Columns:
    """Return the six columns, without bars."""
    return {"times": np.empty(0, np.int64)} | {name: np.empty(0, np.float64) for name in VALUES}


def read_columns(bucket: BucketColumns) -> Columns:
    """Return the columns of a bucket. Raises ValueError where the bucket is damaged."""
    _, columns = split_columns(get_packed(bucket))
    return {name: _unpack(name, column) for name, column in columns.items()}


def join_buckets(buckets: Iterable[BucketColumns]) -> Columns:
    """Return the columns of some buckets, end to end; empty columns where there is no bucket."""
    read = [empty_columns(), *map(read_columns, buckets)]
    return {name: np.concatenate([columns[name] for columns in read]) for name in COLUMNS}


def read_column(bucket: BucketColumns, name: BarColumn) -> Int64 | Float64:
    """Return one column of a bucket, which may be a read-only view of the bucket's bytes.

    Raises ValueError where the bucket is damaged.
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
    """Return the document that stores bars of one span.

    Raises BadInput where they are more than a document can hold.
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
    """Return the SHA-256 of the columns as 8-byte numbers; it does not depend on the packing."""
    digest = hashlib.sha256()
    for name in COLUMNS:
        form = "<i8" if name == "times" else "<f8"
        digest.update(np.ascontiguousarray(columns[name], form).data)
    return digest.hexdigest()


def pack_columns(columns: Columns) -> bytes:
    """Return the binary of the columns, each packed in the narrowest form that is exact."""
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
    """Return the positions in ascending `times` at which a new span begins, without the first."""
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
    """Return times compressed as differences, most of which are the same."""
    return zlib.compress(np.diff(times, prepend=0).astype("<i8").tobytes())


def unpack_times(packed: bytes) -> Int64:
    """Return the times that `pack_times` packed."""
    return np.cumsum(np.frombuffer(zlib.decompress(packed), "<i8").astype(np.int64))


def _pack_times(times: Int64) -> tuple[str, int, int, bytes]:
    steps = np.diff(times, prepend=times[:1])
    unit = max(1, int(np.gcd.reduce(steps)))
    form = _find_form(steps // unit) if unit < LARGEST_UNIT else None
    if form is None:
        return "q", 1, 0, times.astype("<i8", copy=False).tobytes()
    return form, unit, int(times[0]), (steps // unit).astype(f"<{form}").tobytes()


def _pack_values(values: Float64) -> tuple[str, int, int, bytes]:
    # A few values tell, for all scales at once, which scales are worth trying on the whole column.
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
    """Return whether all values are integers over a scale, and the same bits come back from these
    integers. With values of shape (n, 1) and several scales, return it for each scale.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(values * scales)
        same = (whole / scales == values) & (np.abs(whole) <= MOST_WHOLE)
        # -0.0 would lose its sign.
        return np.all(same & ((values != 0) | ~np.signbit(values)), axis=0)


def _find_form(steps: Int64) -> str | None:
    """Return the narrowest integer form (`packing.py`) that all `steps` fit into, or None."""
    if not steps.size:
        return None
    least, most = int(steps.min()), int(steps.max())
    for form in "bhi":
        limits = np.iinfo(f"<{form}")
        if limits.min <= least and most <= limits.max:
            return form
    return None
