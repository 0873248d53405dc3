"""Buckets: the bars of one series and span of the calendar, each column a little-endian binary."""

import hashlib
import zlib
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, get_args

import numpy as np

from core.arrays import Float64, Int64
from core.errors import BadInput
from market.bars.spans import choose_span, name_span
from market.intervals import DAY_SECONDS
from records.market.documents import BarColumn, BarColumns, BucketDocument

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
COLUMNS: tuple[BarColumn, ...] = get_args(BarColumn)

Columns = dict[str, Any]
"""The six columns by name: `times` Int64 (n,), UTC seconds, ascending; the others Float64 (n,)."""


# Of 48 bytes each, in a document of at most 16 MiB, with room for the names.
MOST_BUCKET_BARS = (2**24 - 2**14) // 48


def build_bucket_id(ticker: str, interval: str, span: str) -> str:
    """Return the `_id` of one span's bucket."""
    return f"{ticker}::{interval}::{span}"


def empty_columns() -> Columns:
    """Return six columns of no bars."""
    return {"times": np.empty(0, np.int64)} | {name: np.empty(0, np.float64) for name in VALUES}


def read_column(bucket: BarColumns, name: BarColumn) -> Int64 | Float64:
    """Return one column of a bucket as a read-only view of its bytes."""
    return np.frombuffer(bucket[name], dtype="<i8" if name == "times" else "<f8")


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
    binaries: BarColumns = {
        "times": _to_bytes(columns["times"], "<i8"),
        "open": _to_bytes(columns["open"], "<f8"),
        "high": _to_bytes(columns["high"], "<f8"),
        "low": _to_bytes(columns["low"], "<f8"),
        "close": _to_bytes(columns["close"], "<f8"),
        "volume": _to_bytes(columns["volume"], "<f8"),
    }
    return {
        "_id": build_bucket_id(ticker, interval, span),
        "ticker": ticker,
        "interval": interval,
        "span": span,
        "count": len(columns["times"]),
        **binaries,
        "sha256": hashlib.sha256(b"".join(binaries[name] for name in COLUMNS)).hexdigest(),
        "updated_at": now,
    }


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


def _to_bytes(values: Int64 | Float64, form: str) -> bytes:
    return values.astype(form, copy=False).tobytes()
