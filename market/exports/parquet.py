"""Tables as Parquet. It loads the numeric stack, so that no API process imports it."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market.bars.buckets import COLUMNS, VALUES, Columns, read_column
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


def write_quoted_bars(database: Db, asked: Asked, path: Path, tell: Callable[[int], object]) -> int:
    """Write the bars of all series as they were quoted to one Parquet file, column by column: what
    `write_parquet` would write, without a row in between. Return how many; `tell` is called with
    how many there are so far, series by series.
    """
    found = find_series(database, tickers=asked.tickers, interval=asked.interval)
    series = {one["ticker"]: one for one in found}
    columns = bar_columns(adjusted=False)
    schema = pa.schema([(column.name, KINDS[column.kind]) for column in columns])
    waiting: list[pa.Table] = []
    written = held = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            nonlocal held
            if waiting:
                writer.write_table(pa.concat_tables(waiting).combine_chunks(), GROUP_ROWS)
                waiting.clear()
                held = 0

        for one in (series[ticker] for ticker in asked.tickers if ticker in series):
            table = _read_series(database, asked, one, schema)
            waiting.append(table)
            written, held = written + table.num_rows, held + table.num_rows
            tell(written)
            if held >= GROUP_ROWS:
                flush()
        flush()
    return written


def _read_series(database: Db, asked: Asked, series: SeriesDocument, schema: pa.Schema) -> pa.Table:
    buckets = [
        {name: read_column(bucket, name) for name in COLUMNS}
        for bucket in find_buckets(database, series, asked.start, asked.end, order=1)
    ]
    if not buckets:
        return schema.empty_table()
    columns: Columns = {name: np.concatenate([each[name] for each in buckets]) for name in COLUMNS}
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
        pa.array((times * MICROSECONDS).view("<M8[us]")).cast(KINDS["time"]),
        *(pa.array(columns[name][kept]) for name in VALUES),
        pa.array(factors, mask=np.isnan(factors)),
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
