"""The header of a table: what its first rows tell (plain Python)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from market.imports.readers.layouts import Layout

Row = Sequence[str]

# Possessive quantifiers read digits and separators once, as a long cell may not match at all.
NUMBER = re.compile(r"[+-]?[$€£¥]?(?=[.,' ]*+\d)[\d.,' ]++(?:[eE][+-]?\d+)?[KMB%]?")
TIME = re.compile(
    r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}.*|\d{8}[ T-].*|\d{1,2}[- ][A-Za-z]{3}[- ]\d{2,4}.*"
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a table's first rows tell.

    Attributes:
        first: the position of the first row of data.
        names: the names of the columns; their positions from 1 where they have none.
        groups: for each ticker with its own columns (or for None alone) the column of each field.
        aside: names of the columns that are not read.
        notes: notes for the report.
        layout: the layout of the vendor, where the table has a known one.
        inverse_split: whether the split column has old shares for each new one.
        ticker: the ticker of all bars, where a row above the names has it.
        title: the only cell of a row above the names, where it is written like a ticker.
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
    """Return whether a row has numbers and times where names would be."""
    filled = sum(bool(cell.strip()) for cell in row)
    return filled >= 4 and count_values(row) >= filled - 1


def count_values(row: Row) -> int:
    """Return how many cells of a row are numbers or times."""
    cells = (cell.strip() for cell in row)
    return sum(bool(NUMBER.fullmatch(cell) or TIME.fullmatch(cell)) for cell in cells)
