"""Reads Parquet files: only the columns of bars, texts as dictionaries, counting the cells as they
come.
"""

import json
from collections.abc import Sequence
from functools import partial

import pyarrow as pa
import pyarrow.parquet

from core.errors import BadInput
from market.imports.column_names import find_field
from market.imports.readers.headers import Header
from market.imports.readers.limits import MOST_BYTES, MOST_COLUMNS, MOST_ROWS
from market.imports.readers.tables import Columns, Opened, is_text

BATCH_ROWS = 65_536
# pandas' name of an index without a name.
UNNAMED_INDEX = "__index_level_0__"
# So many rows, columns and characters of a text are read to choose columns and to show.
SHOWN_ROWS, SHOWN_COLUMNS, SHOWN_TEXT = 10, 60, 200


def open_parquet(content: bytes) -> Opened:
    """Read the names of the columns and the first rows. Raises BadInput."""
    file = pa.parquet.ParquetFile(pa.BufferReader(content))
    length, width = file.metadata.num_rows, len(file.schema_arrow.names)
    if not 0 <= length <= MOST_ROWS:
        raise BadInput(f"it has {length:,} rows; at most {MOST_ROWS:,} are taken at once")
    if width > MOST_COLUMNS or file.metadata.num_columns > MOST_COLUMNS:
        raise BadInput(f"it has more than {MOST_COLUMNS:,} columns")
    names = [str(name)[:200] for name in file.schema_arrow.names]
    if not any(find_field(name) == "time" for name in names):
        # pandas' metadata may be wrong; the name of the column tells that it is an index.
        names = ["time" if name == UNNAMED_INDEX else name for name in names]
    # pandas puts an index last, but flattened names are read with the time before them.
    rows = [names, *_list_first(content, file.schema_arrow)]
    return Opened(rows, partial(_read, content), has_names=True, decimal=".")


def _list_first(content: bytes, schema: pa.Schema) -> list[list[str]]:
    """Return the first rows as text, as the values tell which column is which time. Columns of
    lists and structures are empty, and so are columns beyond `SHOWN_COLUMNS`.
    """
    names = schema.names
    flat = [
        at
        for at, name in enumerate(names[:SHOWN_COLUMNS])
        if not pa.types.is_nested(schema.types[at]) and names.count(name) == 1
    ]
    file = _open(content, schema, [names[at] for at in flat])
    batches = file.iter_batches(batch_size=SHOWN_ROWS, columns=[names[at] for at in flat])
    first = next(batches, None)
    if first is None or not flat:
        return []
    rows = [[""] * len(names) for _ in range(first.num_rows)]
    for at in flat:
        for row, cell in zip(rows, first.column(names[at]).to_pylist(), strict=True):
            row[at] = "" if cell is None else str(cell)[:SHOWN_TEXT]
    return rows


def _open(content: bytes, schema: pa.Schema, names: Sequence[str]) -> pa.parquet.ParquetFile:
    """Return a file whose texts are read as dictionaries, so that a repeated long text takes its
    memory once.
    """
    texts = [name for name in names if is_text(schema.field(name).type)]
    return pa.parquet.ParquetFile(pa.BufferReader(content), read_dictionary=texts)


def _read(content: bytes, _: Header, positions: Sequence[int]) -> Columns:
    schema = pa.parquet.read_schema(pa.BufferReader(content))
    names = [schema.names[position] for position in positions]
    if len(set(names)) < len(names):
        raise BadInput(f"several of its columns have one name: {json.dumps(sorted(names))[:200]}")
    for name in names:
        if pa.types.is_nested(schema.field(name).type):
            raise BadInput(f"column {name[:40]!r} holds lists or structures, not values")
    file = _open(content, schema, names)
    batches, size = [], 0
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
        size += batch.nbytes
        if size > MOST_BYTES:
            raise BadInput(f"unpacked it has more than {MOST_BYTES // 2**20} MiB")
        batches.append(batch)
    if not batches:
        return {position: pa.chunked_array([[]], pa.string()) for position in positions}
    # Batches have the columns in the file's order.
    return {
        position: pa.chunked_array([_unpack(batch.column(name), size) for batch in batches])
        for position, name in zip(positions, names, strict=True)
    }


def _unpack(array: pa.Array, size: int) -> pa.Array:
    """Return a column as plain values in place of a dictionary.

    Raises BadInput where these would be far larger than the file.
    """
    if not pa.types.is_dictionary(array.type):
        return array
    if is_text(array.type.value_type) and len(array):
        longest = pa.compute.max(pa.compute.binary_length(array.dictionary)).as_py() or 0
        if longest * len(array) > max(MOST_BYTES // 8, size * 4):
            raise BadInput(f"a cell of it has {longest:,} bytes: it is no table of bars")
    return array.dictionary_decode()
