"""A settled table: columns whose numbers and times were read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from core.arrays import Bools, Float64, Int64
from core.errors import BadInput
from market.imports.times.read import ReadTimes

# A message quotes so many characters of a name.
SHOWN = 60
# Fields that a message names by themselves, so they are not among a row's quoted cells.
HIDDEN = ("ticker", "time", "clock", "interval")


@dataclass(frozen=True, slots=True)
class Settled:
    """A source's rows as columns; arrays have the shape (n,).

    Attributes:
        written: the columns by field, as the source writes them.
        numbers: prices, volume and split factor, NaN where a cell is no number.
        times: the times that were read.
        rows: the number of each row in the source, from 0.
        empty_volumes: which volumes are empty; None where there is no volume.
        names: the source's name of each column, by field.
        aside: names of the columns that are not read.
        notes: notes for the report.
        ticker: the ticker of all bars, where the source names it outside its rows.
        title: the table's title, where it is written like a ticker.
    """

    written: Mapping[str, pa.ChunkedArray]
    numbers: Mapping[str, Float64]
    times: ReadTimes
    rows: Int64
    empty_volumes: Bools | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    aside: Sequence[str] = ()
    notes: Sequence[str] = ()
    ticker: str | None = None
    title: str | None = None

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.rows)

    def quote(self, row: int) -> tuple[str, dict[str, str]]:
        """Return a row's time, and its cells without the `HIDDEN` fields, as the source
        writes them.
        """
        cells = {name: quote_cell(column[row].as_py()) for name, column in self.written.items()}
        time = " ".join(cells[name] for name in ("time", "clock") if name in cells)
        return time, {name: cell for name, cell in cells.items() if name not in HIDDEN}

    def take(self, rows: Int64) -> "Settled":
        """Return some of the rows."""
        taken = pa.array(rows)
        empty = self.empty_volumes
        return replace(
            self,
            written={name: column.take(taken) for name, column in self.written.items()},
            numbers={name: values[rows] for name, values in self.numbers.items()},
            times=self.times.take(rows),
            rows=self.rows[rows],
            empty_volumes=None if empty is None else empty[rows],
        )


def encode_texts(column: pa.ChunkedArray) -> tuple[Int64, list[str]]:
    """Return the position of each row's text among the distinct texts of a column, and these texts.

    Raises BadInput where the column has values that are no text.
    """
    try:
        texts = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(
            f"a column that says whose rows are whose holds values of type {column.type}, not text"
        ) from error
    encoded = texts.fill_null("").combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices).astype(np.int64), encoded.dictionary.to_pylist()


def find_series(columns: Mapping[str, pa.ChunkedArray]) -> Int64 | None:
    """Return a number for the series of each row, by the columns that tell it; None where no column
    does.
    """
    named = [columns[name] for name in ("ticker", "interval") if name in columns]
    if not named:
        return None
    series = np.zeros(len(named[0]), np.int64)
    for column in named:
        codes, texts = encode_texts(column)
        series = series * len(texts) + codes
    return series


def quote_cell(value: Any) -> str:
    """Return a cell in the form in which a message quotes it."""
    return "" if value is None else str(value)[:100]
