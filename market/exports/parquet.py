"""Writes tables as Parquet. No API process imports this module, as it loads the numeric stack."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market.bars.buckets import VALUES, join_buckets
from market.bars.reading import find_buckets
from market.exports.bar_tables import bar_columns, list_split_moments
from market.exports.tables import Asked, Table
from market.ticks.fields import MICROSECONDS
from records.database import Db
from records.market.documents import SeriesDocument
from records.market.series import find_series

GROUP_ROWS = 100_000
KINDS: dict[str, Any] = {
    "time": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
    "number": pa.float64(),
    "count": pa.int64(),
    "flag": pa.bool_(),
}


def write_parquet(table: Table, path: Path) -> None:
    """Write a table to a Parquet file.

    Columns are compressed by zstd, in row groups of 100,000; times are UTC microseconds.
    """
    schema = pa.schema([(column.name, KINDS[column.kind]) for column in table.columns])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while rows := list(islice(table.rows, GROUP_ROWS)):
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(cells, kind.type) for cells, kind in zip(columns, schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), GROUP_ROWS)


class QuotedBars:
    """Writes the bars of all series as they were quoted, as `write_parquet` would, but by columns
    instead of rows.
    """

    def __init__(self, database: Db, asked: Asked) -> None:
        """Prepare the table; nothing is read yet."""
        columns = bar_columns(adjusted=False)
        self._schema = pa.schema([(column.name, KINDS[column.kind]) for column in columns])
        self._series = _list_series(database, asked, self._schema)
        self._rest = self._schema.empty_table()

    def write(self, path: Path, most_rows: int, tell: Callable[[int], object]) -> int:
        """Write the next rows, at most `most_rows`, to one Parquet file; return how many.

        `tell` is called with the number of rows that are written so far.
        """
        written = 0
        with pq.ParquetWriter(path, self._schema, compression="zstd") as writer:
            while rows := self._take(min(GROUP_ROWS, most_rows - written)):
                writer.write_table(rows, GROUP_ROWS)
                written += len(rows)
                tell(written)
        return written

    def _take(self, count: int) -> pa.Table:
        """Return the next `count` rows; fewer where these are the last ones."""
        waiting, held = [self._rest], len(self._rest)
        while held < count and (table := next(self._series, None)) is not None:
            waiting.append(table)
            held += len(table)
        rows = pa.concat_tables(waiting).combine_chunks()
        self._rest = rows.slice(count)
        return rows.slice(0, count)


def _list_series(database: Db, asked: Asked, schema: pa.Schema) -> Iterator[pa.Table]:
    found = find_series(database, tickers=asked.tickers, interval=asked.one_interval)
    series = {one["ticker"]: one for one in found}
    for ticker in asked.tickers:
        if ticker in series:
            yield _read_series(database, asked, series[ticker], schema)


def _read_series(database: Db, asked: Asked, series: SeriesDocument, schema: pa.Schema) -> pa.Table:
    columns = join_buckets(find_buckets(database, series, asked.start, asked.end, order=1))
    times = columns["times"]
    kept = np.ones(len(times), np.bool_)
    if asked.start is not None:
        kept &= times >= asked.start.timestamp()
    if asked.end is not None:
        kept &= times <= asked.end.timestamp()
    times = times[kept]
    factors = np.full(len(times), np.nan)
    for moment, factor in list_split_moments(series):
        row = int(np.searchsorted(times, moment))
        if row < len(times):
            factors[row] = factor
    count = len(times)
    arrays = [
        pa.repeat(series["ticker"], count),
        pa.repeat(series["interval"], count),
        pa.repeat(series["market"], count),
        pa.array((times * MICROSECONDS).view("<M8[us]")).cast(KINDS["time"]),
        *(pa.array(columns[name][kept]) for name in VALUES),
        pa.array(factors, mask=np.isnan(factors)),
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
