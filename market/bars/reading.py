"""Reads one series' bars as plain numbers for the web process, which does not load numpy.

Detection reads with `market/bars/store.py`; both adjust for known splits.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from market.bars.packing import (
    BUCKET_FIELDS,
    COLUMNS,
    get_packed,
    read_times,
    read_values,
    split_columns,
)
from market.bars.spans import name_span
from market.bars.splits import find_adjustment, list_adjustments
from market.intervals import DAY_SECONDS, EPOCH_ORDINAL, is_intraday
from records.database import Db
from records.market.documents import BucketColumns, SeriesDocument, bars_in
from records.market.series import get_series


class Bar(NamedTuple):
    """One bar: UTC seconds of its start, prices in the series' currency, volume in shares."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


def read_bars(
    database: Db,
    ticker: str,
    interval: str,
    *,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[Bar]:
    """Return the last `limit` bars from `start` to `end` (both inclusive), ascending.

    Raises NotFound.
    """
    return read_series(
        database, get_series(database, ticker, interval), start=start, end=end, limit=limit
    )


def read_series(
    database: Db,
    series: SeriesDocument,
    *,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[Bar]:
    """Return the bars that `read_bars` returns, of a series whose document has been read."""
    first = start.timestamp() if start else float("-inf")
    last = end.timestamp() if end else float("inf")
    bars: list[Bar] = []
    for bucket in find_buckets(database, series, start, end):
        bars = _read_bucket(bucket, series, first, last, limit - len(bars)) + bars
        if len(bars) == limit:
            break
    return bars


def iterate_bars(
    database: Db,
    series: SeriesDocument,
    *,
    start: datetime | None,
    end: datetime | None,
    adjusted: bool,
) -> Iterator[Bar]:
    """Yield all bars from `start` to `end` (both inclusive), ascending: adjusted for known splits,
    or as they were quoted.
    """
    first = start.timestamp() if start else float("-inf")
    last = end.timestamp() if end else float("inf")
    read: SeriesDocument = series if adjusted else {**series, "splits": []}
    for bucket in find_buckets(database, series, start, end, order=1):
        yield from _read_bucket(bucket, read, first, last)


def number_sessions(bars: Sequence[Bar], series: SeriesDocument) -> list[int] | None:
    """Return the session of each intraday bar, in days since 1970; None for daily and
    longer bars.
    """
    if not is_intraday(series["interval"]):
        return None
    zone = ZoneInfo(series["timezone"])
    return [datetime.fromtimestamp(bar.time, zone).toordinal() - EPOCH_ORDINAL for bar in bars]


def find_buckets(
    database: Db,
    series: SeriesDocument,
    start: datetime | None,
    end: datetime | None,
    order: int = -1,
) -> Iterator[BucketColumns]:
    """Yield the buckets of a series from `start` to `end`, the last first; the first with
    order 1.
    """
    query: dict[str, object] = {"ticker": series["ticker"], "interval": series["interval"]}
    ends = (("$gte", start), ("$lte", end))
    spans = {at: name_span(t.timestamp(), series["interval"]) for at, t in ends if t is not None}
    if spans:
        query["span"] = spans
    yield from bars_in(database).find(query, BUCKET_FIELDS).sort("span", order)


def _read_bucket(
    bucket: BucketColumns,
    series: SeriesDocument,
    first: float,
    last: float,
    limit: int | None = None,
) -> list[Bar]:
    """Return the bars of a bucket from `first` to `last` (both inclusive), the last `limit`."""
    _, columns = split_columns(get_packed(bucket))
    times = read_times(columns["times"])
    # Build only wanted bars: of a year that begins near the end of a bucket, most are not.
    begin, end = bisect_left(times, first), bisect_right(times, last)
    begin = begin if limit is None else max(begin, end - limit)
    values = (read_values(columns[name], begin, end) for name in COLUMNS[1:])
    bars = [*map(Bar._make, zip(times[begin:end], *values, strict=True))]
    if not series["splits"]:
        return bars
    days, factors = list_adjustments(series["splits"])
    return [
        _adjust(bar, find_adjustment(_session_day(bar.time, series), days, factors)) for bar in bars
    ]


def _adjust(bar: Bar, factor: float) -> Bar:
    return Bar(
        bar.time,
        bar.open / factor,
        bar.high / factor,
        bar.low / factor,
        bar.close / factor,
        bar.volume * factor,
    )


def _session_day(time: int, series: SeriesDocument) -> int:
    """Return the session of a bar in days since 1970, which is the label of daily and
    longer bars.
    """
    if not is_intraday(series["interval"]):
        return time // DAY_SECONDS
    return datetime.fromtimestamp(time, ZoneInfo(series["timezone"])).toordinal() - EPOCH_ORDINAL
