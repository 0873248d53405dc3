"""Reads Excel workbooks (.xlsx), row by row."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import islice
from typing import Any

import openpyxl
import pyarrow as pa

from core.errors import BadInput
from market.imports.names import is_titled_as_ticker
from market.imports.options import ReadingOptions
from market.imports.readers.headers import Header
from market.imports.readers.limits import (
    HEAD_ROWS,
    MOST_BYTES,
    MOST_CELL_BYTES,
    MOST_CELLS,
    MOST_COLUMNS,
    MOST_ROWS,
)
from market.imports.readers.resolving import resolve_header
from market.imports.readers.tables import Columns, Opened

MOST_SHEETS = 100


def open_workbook(content: bytes, options: ReadingOptions) -> Opened:
    """Open the sheet whose columns have names of bars.

    Raises BadInput where no sheet has them, or several have.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise BadInput(f"unpacked it has more than {MOST_BYTES // 2**20} MiB")
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    names = book.sheetnames[:MOST_SHEETS]
    first: Opened | None = None
    opened: dict[str, Opened] = {}
    for name in names:
        rows = [[_write(cell) for cell in row] for row in islice(_list_rows(book, name), HEAD_ROWS)]
        title = name if is_titled_as_ticker(name) else None
        sheet = Opened(rows, partial(_read, book, name), title=title)
        first = first or (sheet if rows else None)
        try:
            resolve_header(rows, options)
        except BadInput:
            continue
        opened[name] = sheet
    if len(opened) > 1:
        raise BadInput(
            f"several of its sheets hold bars ({', '.join(opened)[:200]}): save each as a file of"
            " its own"
        )
    if not opened:
        if first is None:
            raise BadInput("the file is empty")
        return first  # Choosing its columns then reports what is missing.
    name, found = next(iter(opened.items()))
    if len(names) > 1:
        found.notes.append(f"of its {len(names)} sheets {name[:40]!r} holds the bars")
    return found


def _list_rows(book: Any, name: str) -> Iterator[Sequence[Any]]:
    """Yield the non-empty rows of a sheet, without empty cells at their end."""
    sheet = book[name]
    if not hasattr(sheet, "iter_rows"):  # A chart sheet.
        return
    cells = 0
    for row in sheet.iter_rows(values_only=True):
        if len(row) > MOST_COLUMNS:
            raise BadInput(f"it has more than {MOST_COLUMNS:,} columns")
        cells += len(row)
        if cells > MOST_CELLS:
            raise BadInput(f"it has more than {MOST_CELLS:,} cells")
        length = len(row)
        while length and row[length - 1] in (None, ""):
            length -= 1
        if length:
            yield row[:length]


def _read(book: Any, name: str, header: Header, positions: Sequence[int]) -> Columns:
    cells: list[list[Any]] = [[] for _ in positions]
    width = len(header.names)
    for number, row in enumerate(islice(_list_rows(book, name), header.first, None), start=1):
        if number > MOST_ROWS:
            raise BadInput(f"the table has more than {MOST_ROWS:,} rows; import it in parts")
        if len(row) > width:
            raise BadInput(
                f"row {number} has {len(row)} cells where {width} columns are named: give each"
                " column a name, or remove what lies beside the table"
            )
        for column, position in zip(cells, positions, strict=True):
            column.append(row[position] if position < len(row) else None)
    return {
        p: pa.chunked_array([_build_array(column)])
        for p, column in zip(positions, cells, strict=True)
    }


def _build_array(values: list[Any]) -> pa.Array:
    """Return a column of numbers as numbers, any other as text."""
    if all(
        value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
        for value in values
    ):
        if all(
            value is None or (isinstance(value, int) and abs(value) < 2**62) for value in values
        ):
            return pa.array(values, pa.int64())
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else _write(value) for value in values], pa.string())


def _write(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):  # Some programs write a time of day so.
        return str(value).rjust(8, "0")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)[:MOST_CELL_BYTES]
