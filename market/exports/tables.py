"""Tables of what is stored: their columns, how many rows there are, and the rows as they stream.

Times are whole microseconds since 1970 (UTC); rows come ticker by ticker, in order of time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby
from typing import Any, Literal, NamedTuple, get_args

from core.errors import BadInput
from core.words import AnomalyKind, MoveScope, Severity

TableName = Literal[
    "bars",
    "anomalies",
    "scores",
    "features",
    "analytics",
    "alerts",
    "labels",
    "trades",
    "funding",
]
TABLES: tuple[TableName, ...] = get_args(TableName)
Layout = Literal["long", "wide"]
Kind = Literal["time", "text", "number", "count", "flag"]
MOST_WIDE = 500
MANIFEST = "manifest.json"
PRICES = ("open", "high", "low", "close", "volume")


class Column(NamedTuple):
    """A column's name, and what it holds."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Asked:
    """What an export is of.

    Attributes:
        tickers: in the order of the rows.
        adjusted: whether bars are adjusted for splits, not as they were quoted with the splits in a
            column, which is what can be imported again.
        layout: `long` is a row a bar, score, metric or feature; `wide` is a column a ticker of bars
            and scores, a column a metric or feature of the others.
        field: of bars, which one is wide.
        metrics: of analytics, in order.
        run_id: of scores, the run that kept them; None: of each ticker the latest that did.
        severity, kind, scope: of anomalies, only these; None: all.
    """

    table: TableName
    tickers: tuple[str, ...]
    interval: str = "1d"
    start: datetime | None = None
    end: datetime | None = None
    adjusted: bool = False
    layout: Layout = "long"
    field: str = "close"
    metrics: tuple[str, ...] = ()
    run_id: str | None = None
    severity: Severity | None = None
    kind: AnomalyKind | None = None
    scope: MoveScope | None = None


Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, how many rows it has at the most, and its rows, once."""

    columns: tuple[Column, ...]
    rows: Iterator[Row]
    most_rows: int

    def choose(self, names: Sequence[str]) -> "Table":
        """Return the table with these columns alone. Raises BadInput on one that it has not."""
        known = {column.name: position for position, column in enumerate(self.columns)}
        if unknown := [name for name in names if name not in known]:
            raise BadInput(f"there is no column {unknown[0][:40]!r}; there is {', '.join(known)}")
        places = [known[name] for name in names]
        rows = (tuple(row[place] for place in places) for row in self.rows)
        return Table(tuple(self.columns[place] for place in places), rows, self.most_rows)


def name_columns(**kinds: Kind) -> tuple[Column, ...]:
    """Return columns by their names, with what each holds."""
    return tuple(Column(name, kind) for name, kind in kinds.items())


def spread(
    names: Sequence[str], cells: Sequence[Iterable[tuple[int, int, float]]], most_rows: int
) -> Table:
    """Return a wide table: a row a time and a column a name, of cells (time, position of the name,
    value) that each ascend by time.

    Raises BadInput where these are too many columns.
    """
    if len(names) > MOST_WIDE:
        raise BadInput(f"{len(names):,} tickers are too many columns; a wide table has {MOST_WIDE}")

    def list_rows() -> Iterator[Row]:
        for time, group in groupby(merge(*cells), lambda cell: cell[0]):
            values: list[float | None] = [None] * len(names)
            for _, number, value in group:
                values[number] = value
            yield (time, *values)

    columns = name_columns(time="time") + tuple(Column(name, "number") for name in names)
    return Table(columns, list_rows(), most_rows)
