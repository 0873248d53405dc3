"""Tables of stored data: their columns, an upper bound of their rows, and the rows as a stream.

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
BarField = Literal["open", "high", "low", "close", "volume"]
FIELDS: tuple[BarField, ...] = get_args(BarField)
Layout = Literal["long", "wide"]
Kind = Literal["time", "text", "number", "count", "flag"]
MOST_WIDE = 500
MANIFEST = "manifest.json"
DAYS = "1d"


class Column(NamedTuple):
    """A column's name and the kind of its values."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Asked:
    """What an export is asked for.

    Attributes:
        tickers: the tickers in the order of the rows.
        interval: None: of anomalies and alerts all, of other tables days.
        adjusted: whether bars are adjusted for splits. Otherwise they are as quoted, with their
            splits in a column, and can be imported again.
        layout: `long` has a row for each bar, score, metric or feature; `wide` has a column for
            each ticker (bars, scores), or for each metric or feature.
        field: the field of bars that a wide table has.
        metrics: the metrics of analytics, in order.
        run_id: the run that kept the scores; None: for each ticker the latest run that did.
        severity, kind, scope: only anomalies with this value; None: all.
        watchlist: only alerts of this watchlist; None: all.
    """

    table: TableName
    tickers: tuple[str, ...]
    interval: str | None = None
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
    watchlist: str | None = None

    @property
    def one_interval(self) -> str:
        """The interval of a table that has one: of days if none is named."""
        return self.interval or DAYS


Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, its rows, which can be read once, and at most how many they are."""

    columns: tuple[Column, ...]
    rows: Iterator[Row]
    most_rows: int

    def choose(self, names: Sequence[str]) -> "Table":
        """Return the table with only these columns. Raises BadInput on an unknown column."""
        known = {column.name: position for position, column in enumerate(self.columns)}
        if unknown := [name for name in names if name not in known]:
            raise BadInput(f"there is no column {unknown[0][:40]!r}; there are {', '.join(known)}")
        places = [known[name] for name in names]
        rows = (tuple(row[place] for place in places) for row in self.rows)
        return Table(tuple(self.columns[place] for place in places), rows, self.most_rows)


def name_columns(**kinds: Kind) -> tuple[Column, ...]:
    """Return columns from their names and kinds."""
    return tuple(Column(name, kind) for name, kind in kinds.items())


def spread(
    names: Sequence[str], cells: Sequence[Iterable[tuple[int, int, float]]], most_rows: int
) -> Table:
    """Return a wide table with a row for each time and a column for each name.

    Each item of `cells` yields (time, position in `names`, value), ascending by time. Raises
    BadInput where there are more than MOST_WIDE names.
    """
    if len(names) > MOST_WIDE:
        raise BadInput(
            f"{len(names):,} tickers are too many columns; a wide table has at most {MOST_WIDE}"
        )

    def list_rows() -> Iterator[Row]:
        for time, group in groupby(merge(*cells), lambda cell: cell[0]):
            values: list[float | None] = [None] * len(names)
            for _, number, value in group:
                values[number] = value
            yield (time, *values)

    columns = name_columns(time="time") + tuple(Column(name, "number") for name in names)
    return Table(columns, list_rows(), most_rows)
