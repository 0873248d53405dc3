"""A table whose numbers and times were read, as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from core.arrays import Bools, Float64, Int64
from core.errors import BadInput
from market.imports.times.read import ReadTimes

# How much of a name a message quotes.
SHOWN = 60
# What is said of a row besides its other cells.
HIDDEN = ("ticker", "time", "clock", "interval")


@dataclass(frozen=True, slots=True)
class Settled:
    """A source's rows as columns; arrays have the shape (n,).

    Attributes:
        written: by field, as the source writes them.
        numbers: prices, volume and split, NaN for what is no number.
        times: as they were read.
        rows: the row of the source of each, from 0.
        empty_volumes: which volumes hold nothing; None where there is no volume.
        names: how the source names the columns, by field.
        aside: columns of the source that are not read.
        notes: what a reader of the report should know.
        ticker: whose bars these are, where the source says so outside its rows.
        title: what the table is called, where that is written as a ticker.
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
        """Return a row's time and its other cells but the ticker, as the source writes them."""
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
    """Return each row's position among the different texts of a column, and these.

    Raises BadInput where it holds what is no text.
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
    """Return of each row a number of the series that it says it is of; None where none says so."""
    named = [columns[name] for name in ("ticker", "interval") if name in columns]
    if not named:
        return None
    series = np.zeros(len(named[0]), np.int64)
    for column in named:
        codes, texts = encode_texts(column)
        series = series * len(texts) + codes
    return series


def quote_cell(value: Any) -> str:
    """Return a cell as a message quotes it."""
    return "" if value is None else str(value)[:100]
