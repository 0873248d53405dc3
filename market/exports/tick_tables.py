"""Trades and funding as tables."""

from collections.abc import Iterator

from market.exports.tables import Asked, Row, Table, name_columns
from market.ticks.fields import to_bounds
from records.database import Db
from records.ticks.funding import iterate_funding
from records.ticks.trades import count_trades, find_trade_series, find_trades


def open_trades(database: Db, asked: Asked) -> Table:
    """Return the table of some tickers' trades, venue by venue."""
    start, end = to_bounds(asked.start, asked.end)
    series = find_trade_series(database, asked.tickers)

    def list_rows() -> Iterator[Row]:
        for ticker, venue in series:
            for trade in find_trades(database, ticker, venue, start=start, end=end):
                yield (ticker, venue, *trade)

    columns = name_columns(ticker="text", venue="text", time="time", id="text", price="number")
    columns += name_columns(amount="number", side="text")
    return Table(columns, list_rows(), count_trades(database, series, start=start, end=end))


def open_funding(database: Db, asked: Asked) -> Table:
    """Return the table of some tickers' funding rates."""
    start, end = to_bounds(asked.start, asked.end)
    most, found = iterate_funding(database, asked.tickers, start=start, end=end)

    def list_rows() -> Iterator[Row]:
        for one in found:
            prices = (one["mark_price"], one["index_price"])
            whose = (one["ticker"], one["venue"], one["time"], one["rate"])
            yield (*whose, *prices, one["next_time"], one["interval_hours"])

    columns = name_columns(
        ticker="text", venue="text", time="time", rate="number", mark_price="number"
    )
    columns += name_columns(index_price="number", next_time="time", interval_hours="number")
    return Table(columns, list_rows(), most)
