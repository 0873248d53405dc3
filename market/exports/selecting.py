"""Which tickers an export is of."""

from collections.abc import Iterable

from core.errors import BadInput
from market.exports.tables import TableName
from market.markets import load_markets
from records.alerts.history import find_alerted
from records.database import Db
from records.findings.labels import find_labelled_tickers
from records.market.series import find_tickers, get_series
from records.ticks import funding
from records.ticks.trades import find_trade_series
from records.work.watchlists import get_watchlist


def select_tickers(
    database: Db,
    table: TableName,
    interval: str,
    *,
    tickers: tuple[str, ...],
    market: str | None,
    watchlist: str | None,
) -> tuple[str, ...]:
    """Return the tickers that are named, or those of a market or watchlist; by default all of which
    there is something. Of alerts, those about a market as a whole are among the market's.

    Raises BadInput where several of these are named, NotFound on a watchlist that is nowhere, and
    on a ticker whose bars, or features of these, are asked for and that has none.
    """
    if sum(map(bool, (tickers, market, watchlist))) > 1:
        raise BadInput("name one of tickers, a market and a watchlist, not several")
    if tickers:
        if table in {"bars", "features"}:
            stored = set(find_tickers(database, interval, tickers=tickers))
            for missing in [ticker for ticker in tickers if ticker not in stored][:1]:
                get_series(database, missing, interval)
        return tuple(dict.fromkeys(tickers))
    if watchlist:
        return tuple(get_watchlist(database, watchlist)["tickers"])
    if market:
        markets = load_markets(database)
        code = markets.choose(market).code
        if table in {"trades", "funding"}:  # of which there may be no bars
            found = _find_all(database, table, interval)
            return tuple(ticker for ticker in found if markets.find_of(ticker) == markets[code])
        listed = find_tickers(database, interval, market=code)
        return (*listed, code) if table == "alerts" else tuple(listed)
    return tuple(_find_all(database, table, interval))


def _find_all(database: Db, table: TableName, interval: str) -> Iterable[str]:
    """Return the tickers of which a table has something."""
    match table:
        case "trades":
            return dict.fromkeys(ticker for ticker, _ in find_trade_series(database))
        case "funding":
            return funding.find_tickers(database)
        case "alerts":
            return find_alerted(database, interval)
        case "labels":
            return find_labelled_tickers(database, interval)
        case _:
            return find_tickers(database, interval)
