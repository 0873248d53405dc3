"""Tables of what is stored: their columns, how many rows there are, and the rows as they stream.

Times are whole microseconds since 1970 (UTC); rows come ticker by ticker, in order of time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby
from typing import Any, Literal, NamedTuple, get_args

from core.errors import BadInput
from market.bars.reading import iterate_bars
from market.intervals import DAY_SECONDS, is_intraday
from market.ticks.fields import MICROSECONDS, to_microseconds
from records.analytics.snapshots import iterate_snapshots
from records.database import Db
from records.findings.anomalies import iterate_anomalies
from records.market.documents import SeriesDocument
from records.market.series import find_series
from records.ticks.funding import iterate_funding
from records.ticks.trades import count_trades, find_trade_series, find_trades

TableName = Literal["bars", "anomalies", "analytics", "trades", "funding"]
TABLES: tuple[TableName, ...] = get_args(TableName)
Layout = Literal["long", "wide"]
Kind = Literal["time", "text", "number", "count", "flag"]
MOST_WIDE = 500
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
        layout: of bars and metrics, `long` is a row a bar (or metric), `wide` a column a ticker (or
            metric).
        field: of bars, which one is wide.
        metrics: of analytics, in order.
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


def open_table(database: Db, asked: Asked) -> Table:
    """Return the table that is asked for; its rows are read as they are taken.

    Raises BadInput where it cannot be laid out so.
    """
    if asked.layout == "wide" and asked.table not in {"bars", "analytics"}:
        raise BadInput(f"{asked.table} have one layout, long; bars and analytics are wide too")
    return _OPENERS[asked.table](database, asked)


def _named(**kinds: Kind) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in kinds.items())


def _open_bars(database: Db, asked: Asked) -> Table:
    series = {
        one["ticker"]: one
        for one in find_series(database, tickers=asked.tickers, interval=asked.interval)
    }
    found = [series[ticker] for ticker in asked.tickers if ticker in series]
    most = sum(one["bars"] for one in found)
    if asked.layout == "wide":
        return _spread(database, asked, found, most)
    columns = bar_columns(adjusted=asked.adjusted)
    rows = (row for one in found for row in _list_bars(database, asked, one))
    return Table(columns, rows, most)


def bar_columns(*, adjusted: bool) -> tuple[Column, ...]:
    """Return the columns of bars; as they were quoted they have their splits beside them."""
    columns = _named(ticker="text", interval="text", time="time")
    columns += tuple(Column(name, "number") for name in PRICES)
    return columns if adjusted else columns + _named(split="number")


def _list_bars(database: Db, asked: Asked, series: SeriesDocument) -> Iterator[Row]:
    head = (series["ticker"], series["interval"])
    bars = iterate_bars(database, series, start=asked.start, end=asked.end, adjusted=asked.adjusted)
    if asked.adjusted:
        for bar in bars:
            yield (*head, bar.time * MICROSECONDS, *bar[1:])
        return
    factors = list_split_moments(series)
    for bar in bars:
        factor = factors.pop(0)[1] if factors and bar.time >= factors[0][0] else None
        yield (*head, bar.time * MICROSECONDS, *bar[1:], factor)


def list_split_moments(series: SeriesDocument) -> list[tuple[float, float]]:
    """Return the first moment at which a bar of a split's session can be, and its factor."""
    # No exchange's session begins earlier than half a day before its date in UTC.
    before = DAY_SECONDS // 2 if is_intraday(series["interval"]) else 0
    return [
        (split["session"].timestamp() - before, split["factor"])
        for split in sorted(series["splits"], key=lambda split: split["session"])
    ]


def _spread(database: Db, asked: Asked, found: Sequence[SeriesDocument], most: int) -> Table:
    if len(found) > MOST_WIDE:
        raise BadInput(f"{len(found):,} tickers are too many columns; a wide table has {MOST_WIDE}")
    if asked.field not in PRICES:
        raise BadInput(f"{asked.field[:40]!r} is no field of bars: {', '.join(PRICES)}")
    place = PRICES.index(asked.field) + 1

    def list_cells(number: int, series: SeriesDocument) -> Iterator[tuple[int, int, float]]:
        bars = iterate_bars(
            database, series, start=asked.start, end=asked.end, adjusted=asked.adjusted
        )
        return ((bar.time, number, bar[place]) for bar in bars)

    def list_rows() -> Iterator[Row]:
        cells = merge(*(list_cells(number, one) for number, one in enumerate(found)))
        for time, group in groupby(cells, lambda cell: cell[0]):
            values: list[float | None] = [None] * len(found)
            for _, number, value in group:
                values[number] = value
            yield (time * MICROSECONDS, *values)

    columns = _named(time="time") + tuple(Column(one["ticker"], "number") for one in found)
    return Table(columns, list_rows(), most)


ANOMALY_COLUMNS: dict[str, Kind] = {
    "id": "text", "ticker": "text", "interval": "text", "time": "time", "market": "text",
    "close": "number", "volume": "number", "score": "number", "grade": "number",
    "severity": "text", "status": "text", "threshold": "number", "model_version": "text",
    "model_hash": "text", "feature_set": "text", "run_id": "text", "reasons": "text",
    "created_at": "time",
}  # fmt: skip
_ANOMALY_FIELDS = {
    "id": "_id", "ticker": "Ticker", "time": "Datetime", "close": "Close", "volume": "Volume",
    "score": "anomaly_score", "run_id": "detection_run_id",
}  # fmt: skip


def _open_anomalies(database: Db, asked: Asked) -> Table:
    most, found = iterate_anomalies(
        database,
        tickers=asked.tickers,
        interval=asked.interval,
        start=asked.start,
        end=asked.end,
    )

    def list_rows() -> Iterator[Row]:
        for document in found:
            fields: Mapping[str, Any] = document
            values = [fields.get(_ANOMALY_FIELDS.get(name, name)) for name in ANOMALY_COLUMNS]
            yield tuple(map(_plain, values))

    return Table(_named(**ANOMALY_COLUMNS), list_rows(), most)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_microseconds(value)
    return "; ".join(value) if isinstance(value, list) else value


def _open_analytics(database: Db, asked: Asked) -> Table:
    most, found = iterate_snapshots(
        database,
        tickers=asked.tickers,
        interval=asked.interval,
        start=asked.start,
        end=asked.end,
    )
    head = _named(ticker="text", interval="text", time="time")

    def list_wide() -> Iterator[Row]:
        for one in found:
            values: Mapping[str, Any] = one["values"]
            whose = (one["ticker"], one["interval"], to_microseconds(one["time"]))
            yield (*whose, *(values.get(name) for name in asked.metrics))

    def list_long() -> Iterator[Row]:
        for row in list_wide():
            for name, value in zip(asked.metrics, row[3:], strict=True):
                if value is not None:
                    yield (*row[:3], name, value)

    if asked.layout == "wide":
        metrics = tuple(Column(name, "number") for name in asked.metrics)
        return Table(head + metrics, list_wide(), most)
    columns = head + _named(metric="text", value="number")
    return Table(columns, list_long(), most * len(asked.metrics))


def _open_trades(database: Db, asked: Asked) -> Table:
    start, end = _bounds(asked)
    series = find_trade_series(database, asked.tickers)

    def list_rows() -> Iterator[Row]:
        for ticker, venue in series:
            for trade in find_trades(database, ticker, venue, start=start, end=end):
                yield (ticker, venue, *trade)

    columns = _named(ticker="text", venue="text", time="time", id="text", price="number")
    columns += _named(amount="number", side="text")
    return Table(columns, list_rows(), count_trades(database, series, start=start, end=end))


def _open_funding(database: Db, asked: Asked) -> Table:
    start, end = _bounds(asked)
    most, found = iterate_funding(database, asked.tickers, start=start, end=end)

    def list_rows() -> Iterator[Row]:
        for one in found:
            prices = (one["mark_price"], one["index_price"])
            whose = (one["ticker"], one["venue"], one["time"], one["rate"])
            yield (*whose, *prices, one["next_time"], one["interval_hours"])

    columns = _named(ticker="text", venue="text", time="time", rate="number", mark_price="number")
    columns += _named(index_price="number", next_time="time", interval_hours="number")
    return Table(columns, list_rows(), most)


def _bounds(asked: Asked) -> tuple[int | None, int | None]:
    return (
        None if asked.start is None else to_microseconds(asked.start),
        None if asked.end is None else to_microseconds(asked.end),
    )


_OPENERS: dict[TableName, Callable[[Db, Asked], Table]] = {
    "bars": _open_bars,
    "anomalies": _open_anomalies,
    "analytics": _open_analytics,
    "trades": _open_trades,
    "funding": _open_funding,
}
