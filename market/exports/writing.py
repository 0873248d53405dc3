"""Writes tables as CSV and JSON lines, part by part, without the numeric stack."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, get_args

from pydantic_core import to_json

from core.moments import write_moment
from market.exports.tables import Column, Row, Table
from market.ticks.fields import guard, to_datetime

Format = Literal["csv", "ndjson", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
MIMETYPES: dict[Format, str] = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
PART_ROWS = 2_000


def write_text(table: Table, form: Format) -> Iterator[bytes]:
    """Yield a table as CSV (RFC 4180) or JSON lines; times are ISO 8601, numbers are exact.

    In CSV, text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    write = _write_csv if form == "csv" else _write_lines
    if form == "csv":
        yield _write_rows([tuple(guard(column.name) for column in table.columns)])
    while rows := list(islice(table.rows, PART_ROWS)):
        yield write(table.columns, rows)


def _write_csv(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    writers = [_CELLS.get(column.kind) for column in columns]
    return _write_rows(
        [
            tuple(
                cell if cell is None or write is None else write(cell)
                for cell, write in zip(row, writers, strict=True)
            )
            for row in rows
        ]
    )


def _write_rows(rows: Sequence[Row]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def _write_time(time: int) -> str:
    return write_moment(to_datetime(time))


_CELLS: dict[str, Callable[[Any], Any]] = {
    "time": _write_time, "text": guard, "number": repr,
    "flag": lambda flag: "true" if flag else "false",
}  # fmt: skip


def _write_lines(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    times = [column.kind == "time" for column in columns]
    names = [column.name for column in columns]
    return b"".join(
        to_json(
            {
                name: _write_time(cell) if is_time and cell is not None else cell
                for name, cell, is_time in zip(names, row, times, strict=True)
            },
            inf_nan_mode="null",
        )
        + b"\n"
        for row in rows
    )
