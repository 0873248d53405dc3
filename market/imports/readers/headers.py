"""What a table's first rows say (plain Python)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from market.imports.readers.layouts import Layout

Row = Sequence[str]

# Digits and their marks are gone over once: a cell may be long, and be none.
NUMBER = re.compile(r"[+-]?[$€£¥]?(?=[.,' ]*+\d)[\d.,' ]++(?:[eE][+-]?\d+)?[KMB%]?")
TIME = re.compile(
    r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}.*|\d{8}[ T-].*|\d{1,2}[- ][A-Za-z]{3}[- ]\d{2,4}.*"
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a table's first rows say.

    Attributes:
        first: the position of the first row of data.
        names: of the columns; positions from 1 where there are none.
        groups: for each ticker that has columns of its own (or one None) the column of each field.
        aside: columns that are not read.
        notes: what a reader of the report should know.
        layout: the vendor whose table this is, as far as that matters.
        inverse_split: whether the split column has old shares for each new one.
        ticker: whose bars they are, where a row above the names says so.
        title: what stands alone in a row above the names, and is written as a ticker.
    """

    first: int
    names: list[str]
    groups: list[tuple[str | None, dict[str, int]]]
    aside: list[str]
    notes: list[str] = field(default_factory=list)
    layout: Layout | None = None
    inverse_split: bool = False
    ticker: str | None = None
    title: str | None = None


def looks_like_data(row: Row) -> bool:
    """Whether a row has numbers and times where names would be."""
    filled = sum(bool(cell.strip()) for cell in row)
    return filled >= 4 and count_values(row) >= filled - 1


def count_values(row: Row) -> int:
    """Return how many cells of a row are numbers or times."""
    cells = (cell.strip() for cell in row)
    return sum(bool(NUMBER.fullmatch(cell) or TIME.fullmatch(cell)) for cell in cells)
