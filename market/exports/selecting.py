"""Which tickers an export is of."""

from core.errors import BadInput
from market.exports.tables import TableName
from market.markets import load_markets
from records.database import Db
from records.market.series import find_tickers
from records.ticks import funding
from records.ticks.trades import find_trade_series
from records.work.watchlists import get_watchlist


def select_tickers(
    database: Db,
    table: TableName,
    interval: str,
    *,
    tickers: tuple[str, ...] = (),
    market: str | None = None,
    watchlist: str | None = None,
) -> tuple[str, ...]:
    """Return the tickers that are named, or those of a market or watchlist; by default all of which
    there is something.

    Raises BadInput where several of these are named, NotFound on a watchlist that is nowhere.
    """
    if sum(map(bool, (tickers, market, watchlist))) > 1:
        raise BadInput("name one of tickers, a market and a watchlist, not several")
    if tickers:
        return tuple(dict.fromkeys(tickers))
    if watchlist:
        return tuple(get_watchlist(database, watchlist)["tickers"])
    if market:
        code = load_markets(database).choose(market).code
        return tuple(find_tickers(database, interval, market=code))
    if table == "trades":
        return tuple(dict.fromkeys(ticker for ticker, _ in find_trade_series(database)))
    if table == "funding":
        return tuple(funding.find_tickers(database))
    return tuple(find_tickers(database, interval))
