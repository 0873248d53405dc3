"""Tables as Parquet. It loads the numeric stack, so that no API process imports it."""

from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from market.exports.tables import Table

GROUP_ROWS = 100_000
KINDS: dict[str, Any] = {
    "time": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
    "number": pa.float64(),
    "count": pa.int64(),
    "flag": pa.bool_(),
}


def write_parquet(table: Table, path: Path, most_rows: int) -> int:
    """Write the first rows of a table to a Parquet file; return how many.

    Columns are compressed by zstd, in row groups of 100,000; times are UTC microseconds.
    """
    schema = pa.schema([(column.name, KINDS[column.kind]) for column in table.columns])
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while rows := list(islice(table.rows, min(GROUP_ROWS, most_rows - written))):
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(cells, kind.type) for cells, kind in zip(columns, schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), GROUP_ROWS)
            written += len(rows)
            if written == most_rows:
                break
    return written
