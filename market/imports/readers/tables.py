"""What readers hand on: a table whose first rows were looked at,
and its columns of bars as they are written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.arrays import Bools, Int64
from core.errors import BadInput
from market.imports.options import ReadingOptions
from market.imports.readers.headers import Header
from market.imports.readers.limits import MOST_CELLS, MOST_ROWS
from market.imports.readers.resolving import resolve_header

Columns = dict[int, pa.ChunkedArray]


@dataclass(frozen=True, slots=True)
class Opened:
    """A table of which the first rows are known.

    Attributes:
        rows: the first ones as text, names among them.
        read: returns the columns at these positions, given the header, without its rows. Raises
            BadInput.
        has_names: whether the first row is names, by the kind of file.
        ticker: whose bars it holds, where it says so outside its rows.
        title: what it is called, where that is written as a ticker.
        decimal: what parts decimals, where the kind of file settles that.
        splits_fields: what parts the fields of a line, where text is not quoted.
        notes: what a reader of the report should know.
    """

    rows: list[list[str]]
    read: Callable[[Header, Sequence[int]], Columns]
    has_names: bool = False
    ticker: str | None = None
    decimal: str | None = None
    splits_fields: str | None = None
    notes: list[str] = field(default_factory=list)
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of bars as the source writes them, all of one length.

    Attributes:
        columns: by field; text, or typed where the kind of file has types.
        rows: the row of the source of each, from 0; None: they are all of them in order.
        names: how the source names the columns, by field.
        aside: columns of the source that are not read.
        notes: what a reader of the report should know.
        ticker: whose bars these are, where the source says so outside its rows.
        decimal, splits_fields, day_first: what is known of numbers and dates before one looks at
        them.
        inverse_split: whether the split column has old shares for each new one.
        title: what the table is called, where that is written as a ticker.
    """

    columns: dict[str, pa.ChunkedArray]
    rows: Int64 | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    aside: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    ticker: str | None = None
    decimal: str | None = None
    splits_fields: str | None = None
    day_first: bool | None = None
    inverse_split: bool = False
    title: str | None = None


def build_table(opened: Opened, options: ReadingOptions) -> Table:
    """Read the columns of bars, and no other. Raises BadInput."""
    header = resolve_header(opened.rows, options, has_names=opened.has_names)
    needed = sorted({position for _, columns in header.groups for position in columns.values()})
    columns = opened.read(header, needed)
    length = len(next(iter(columns.values())))
    if not length:
        raise BadInput("the table has column names but no row")
    if length > MOST_ROWS or length * len(needed) > MOST_CELLS:
        raise BadInput(
            f"the table has more than {MOST_ROWS:,} rows or {MOST_CELLS:,} cells; import it in"
            " parts"
        )
    written, rows, dropped = _lengthen(header, columns, length)
    notes = [*opened.notes, *header.notes]
    if dropped:
        notes.append(f"{dropped:,} empty stretches of rows are other tickers' sessions")
    layout = header.layout
    return Table(
        written,
        rows,
        {name: header.names[position] for name, position in header.groups[0][1].items()},
        header.aside,
        notes,
        opened.ticker or header.ticker,
        opened.decimal or (layout.decimal if layout else None),
        opened.splits_fields,
        layout.day_first if layout else None,
        header.inverse_split,
        header.title or opened.title,
    )


def _lengthen(
    header: Header, columns: Columns, length: int
) -> tuple[dict[str, pa.ChunkedArray], Int64 | None, int]:
    """Put the columns of tickers that lie side by side below each other;
    return how many empty rows that left out.
    """
    if len(header.groups) == 1 and header.groups[0][0] is None:
        return {name: columns[position] for name, position in header.groups[0][1].items()}, None, 0
    fields = [name for name in header.groups[0][1] if all(name in own for _, own in header.groups)]
    parts: dict[str, list[pa.Array]] = {name: [] for name in ("ticker", *fields)}
    rows, dropped = [], 0
    for ticker, own in header.groups:
        prices = [_is_filled(columns[own[name]]) for name in ("open", "high", "low", "close")]
        kept = np.flatnonzero(np.logical_or.reduce(prices))
        dropped += length - len(kept)
        rows.append(kept)
        parts["ticker"].append(
            pa.array([ticker or ""]).take(pa.array(np.zeros(len(kept), np.int32)))
        )
        for name in fields:
            taken = columns[own[name]].take(pa.array(kept))
            parts[name] += taken.chunks
    return (
        {name: _join(arrays) for name, arrays in parts.items()},
        np.concatenate(rows).astype(np.int64),
        dropped,
    )


def _join(arrays: list[pa.Array]) -> pa.ChunkedArray:
    """Return arrays end to end; those that differ in type as text."""
    if len({array.type for array in arrays}) > 1:
        arrays = [array.cast(pa.string()) for array in arrays]
    return pa.chunked_array(arrays)


def _is_filled(column: pa.ChunkedArray) -> Bools:
    """Return which cells hold something."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.not_equal(pc.utf8_trim_whitespace(column), "").fill_null(False)  # noqa: FBT003 - pyarrow's own
        return np.asarray(column)
    return ~np.asarray(pc.is_null(column, nan_is_null=True))
