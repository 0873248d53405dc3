"""Selects the tickers of an export."""

from collections.abc import Iterable

from core.errors import BadInput
from market.exports.tables import DAYS, TableName
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
    interval: str | None,
    *,
    tickers: tuple[str, ...],
    market: str | None,
    watchlist: str | None,
) -> tuple[str, ...]:
    """Return the named tickers, those of a market or of a watchlist; by default all tickers that
    the table has. For a market's alerts, the market's code is among them; for a watchlist's, they
    are whatever it has alerts about. Without an `interval`, those of anomalies and alerts are of
    all intervals, those of other tables of days.

    Raises BadInput where more than one of `tickers`, `market` and `watchlist` is given; NotFound on
    an unknown watchlist, and on a named ticker without bars where bars or features are exported.
    """
    if sum(map(bool, (tickers, market, watchlist))) > 1:
        raise BadInput("name tickers, a market or a watchlist: only one of these")
    if table not in {"anomalies", "alerts"}:
        interval = interval or DAYS
    if tickers:
        if table in {"bars", "features"}:
            stored = set(find_tickers(database, interval, tickers=tickers))
            for missing in [ticker for ticker in tickers if ticker not in stored][:1]:
                get_series(database, missing, interval or DAYS)
        return tuple(dict.fromkeys(tickers))
    if watchlist:
        listed = get_watchlist(database, watchlist)["tickers"]
        return tuple(find_alerted(database, interval, watchlist) if table == "alerts" else listed)
    if market:
        markets = load_markets(database)
        code = markets.choose(market).code
        if table in {"trades", "funding"}:  # Their tickers may have no bars.
            found = _find_all(database, table, interval)
            return tuple(ticker for ticker in found if markets.find_of(ticker) == markets[code])
        listed = find_tickers(database, interval, market=code)
        return (*listed, code) if table == "alerts" else tuple(listed)
    return tuple(_find_all(database, table, interval))


def _find_all(database: Db, table: TableName, interval: str | None) -> Iterable[str]:
    """Return all tickers that a table has."""
    match table:
        case "trades":
            return dict.fromkeys(ticker for ticker, _ in find_trade_series(database))
        case "funding":
            return funding.find_tickers(database)
        case "alerts":
            return find_alerted(database, interval)
        case "labels":
            return find_labelled_tickers(database, interval or DAYS)
        case _:
            return find_tickers(database, interval)
