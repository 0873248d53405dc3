"""Buckets: the bars of one series and calendar year (UTC), each column a little-endian binary."""

import hashlib
import zlib
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, get_args

import numpy as np

from core.arrays import Float64, Int64
from core.errors import BadInput
from records.market.documents import BarColumn, BarColumns, BucketDocument

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
COLUMNS: tuple[BarColumn, ...] = get_args(BarColumn)

Columns = dict[str, Any]
"""The six columns by name: `times` Int64 (n,), UTC seconds, ascending; the others Float64 (n,)."""


# Of 48 bytes each, in a document of at most 16 MiB, with room for the names.
MOST_YEAR_BARS = (2**24 - 2**14) // 48


def build_bucket_id(ticker: str, interval: str, year: int | str) -> str:
    """Return the `_id` of one year's bucket."""
    return f"{ticker}::{interval}::{year}"


def empty_columns() -> Columns:
    """Return six columns of no bars."""
    return {"times": np.empty(0, np.int64)} | {name: np.empty(0, np.float64) for name in VALUES}


def read_column(bucket: BarColumns, name: BarColumn) -> Int64 | Float64:
    """Return one column of a bucket as a read-only view of its bytes."""
    return np.frombuffer(bucket[name], dtype="<i8" if name == "times" else "<f8")


def build_bucket(
    ticker: str, interval: str, year: int, columns: Columns, now: datetime
) -> BucketDocument:
    """Return the document that stores these bars, all of one year.

    Raises BadInput where they are more than it can hold.
    """
    if len(columns["times"]) > MOST_YEAR_BARS:
        raise BadInput(
            f"{ticker} would have {len(columns['times']):,} {interval} bars of the year {year}, and"
            f" {MOST_YEAR_BARS:,} can be stored; bring longer bars, such as 5m",
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
        "_id": build_bucket_id(ticker, interval, year),
        "ticker": ticker,
        "interval": interval,
        "year": year,
        "count": len(columns["times"]),
        **binaries,
        "sha256": hashlib.sha256(b"".join(binaries[name] for name in COLUMNS)).hexdigest(),
        "updated_at": now,
    }


def split_years(columns: Columns) -> Iterator[tuple[int, Columns]]:
    """Yield (year, columns of that year's bars) in order."""
    years = years_of(columns["times"])
    edges = np.flatnonzero(np.diff(years)) + 1
    bounds = [0, *edges.tolist(), len(years)]
    for start, stop in pairwise(bounds):
        if start < stop:
            yield int(years[start]), {name: columns[name][start:stop] for name in COLUMNS}


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
