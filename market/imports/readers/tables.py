"""The results of readers: a table whose first rows were read, and its columns of bars as they are
written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.arrays import Bools, Int64
from core.errors import BadInput
from core.words import PRICES
from market.imports.options import ReadingOptions
from market.imports.readers.headers import Header
from market.imports.readers.limits import MOST_CELLS, MOST_ROWS
from market.imports.readers.resolving import resolve_header

Columns = dict[int, pa.ChunkedArray]


@dataclass(frozen=True, slots=True)
class Opened:
    """A table of which the first rows were read.

    Attributes:
        rows: the first rows as text, names among them.
        read: takes the header and positions of columns, and returns these columns without the
            header's rows. Raises BadInput.
        has_names: whether the first row is names, by the kind of file.
        ticker: the ticker of all bars, where the file names it outside its rows.
        title: the table's title, where it is written like a ticker.
        decimal: the decimal separator, where the kind of file settles it.
        splits_fields: the field separator, where text is not quoted.
        notes: notes for the report.
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
        rows: the number of each row in the source, from 0; None: all rows in order.
        names: the source's name of each column, by field.
        aside: names of the columns that are not read.
        notes: notes for the report.
        ticker: the ticker of all bars, where the source names it outside its rows.
        decimal, splits_fields, day_first: what is known about numbers and dates without reading
            them: the decimal separator, the field separator of unquoted text, the order of dates.
        inverse_split: whether the split column has old shares for each new one.
        title: the table's title, where it is written like a ticker.
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
    """Read the columns of bars, and no others. Raises BadInput."""
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
    """Return the columns of tickers that are side by side as one table, ticker after ticker, the
    rows of the source, and the number of empty rows that were left out.
    """
    if len(header.groups) == 1 and header.groups[0][0] is None:
        return {name: columns[position] for name, position in header.groups[0][1].items()}, None, 0
    fields = [name for name in header.groups[0][1] if all(name in own for _, own in header.groups)]
    parts: dict[str, list[pa.Array]] = {name: [] for name in ("ticker", *fields)}
    rows, dropped = [], 0
    for ticker, own in header.groups:
        prices = [_is_filled(columns[own[name]]) for name in PRICES]
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
    """Return arrays end to end, as text where their types differ."""
    if len({array.type for array in arrays}) > 1:
        arrays = [array.cast(pa.string()) for array in arrays]
    return pa.chunked_array(arrays)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type has text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_filled(column: pa.ChunkedArray) -> Bools:
    """Return which cells are not empty."""
    if is_text(column.type):
        column = pc.not_equal(pc.utf8_trim_whitespace(column), "").fill_null(False)  # noqa: FBT003 - pyarrow's own
        return np.asarray(column)
    return ~np.asarray(pc.is_null(column, nan_is_null=True))
