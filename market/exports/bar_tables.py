"""Bars as tables."""

from collections.abc import Iterator, Sequence

from core.errors import BadInput
from market.bars.reading import iterate_bars
from market.exports.tables import FIELDS, Asked, Column, Row, Table, name_columns, spread
from market.intervals import DAY_SECONDS, is_intraday
from market.ticks.fields import MICROSECONDS
from records.database import Db
from records.market.documents import SeriesDocument
from records.market.series import find_series


def open_bars(database: Db, asked: Asked) -> Table:
    """Return the table of bars, long or wide. Raises BadInput where there can be no wide table."""
    series = {
        one["ticker"]: one
        for one in find_series(database, tickers=asked.tickers, interval=asked.one_interval)
    }
    found = [series[ticker] for ticker in asked.tickers if ticker in series]
    most = sum(one["bars"] for one in found)
    if asked.layout == "wide":
        return _spread(database, asked, found, most)
    columns = bar_columns(adjusted=asked.adjusted)
    rows = (row for one in found for row in _list_bars(database, asked, one))
    return Table(columns, rows, most)


def bar_columns(*, adjusted: bool) -> tuple[Column, ...]:
    """Return the columns of bars; with `split`, where bars are not adjusted but as quoted.

    They have the market, as an import cannot tell it from some tickers' names.
    """
    columns = name_columns(ticker="text", interval="text", market="text", time="time")
    columns += tuple(Column(name, "number") for name in FIELDS)
    return columns if adjusted else columns + name_columns(split="number")


def _list_bars(database: Db, asked: Asked, series: SeriesDocument) -> Iterator[Row]:
    head = (series["ticker"], series["interval"], series["market"])
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
    """Return (UTC seconds, factor) of each split, ascending: the earliest possible time of a bar of
    its session.
    """
    # No exchange's session begins earlier than half a day before its date in UTC.
    before = DAY_SECONDS // 2 if is_intraday(series["interval"]) else 0
    return [
        (split["session"].timestamp() - before, split["factor"])
        for split in sorted(series["splits"], key=lambda split: split["session"])
    ]


def _spread(database: Db, asked: Asked, found: Sequence[SeriesDocument], most: int) -> Table:
    if asked.field not in FIELDS:
        raise BadInput(f"{asked.field[:40]!r} is no field of bars; these are {', '.join(FIELDS)}")
    place = FIELDS.index(asked.field) + 1

    def list_cells(number: int, series: SeriesDocument) -> Iterator[tuple[int, int, float]]:
        bars = iterate_bars(
            database, series, start=asked.start, end=asked.end, adjusted=asked.adjusted
        )
        return ((bar.time * MICROSECONDS, number, bar[place]) for bar in bars)

    names = [one["ticker"] for one in found]
    return spread(names, [list_cells(number, one) for number, one in enumerate(found)], most)
